/* Folder: S3's place where no S3 is configured: buckets and objects as folders and files, for whoever has no S3 and
 * wants to look at what came. Knows objects only: no listing, no versions, no rights. */
#pragma once

#include "base/arena.h"

typedef struct Folder Folder;

enum { FOLDER_KEY_BYTES_MAX = 1024, FOLDER_OBJECT_BYTES_MAX = 64 << 20, FOLDER_WAITING_MAX = 4096 };

/* dir: made with the first object. account: whose buckets lie there at once; another's are apart, in %ACCOUNT. */
Folder *folder_new(Str dir, Str account);
/* What waits is written first. Accepts NULL. */
void folder_free(Folder *f);

/* e: OK, or as folder_put_wait; on the folder's own thread, or at once where too much waits (ERR_LIMIT). */
typedef void FolderDone(void *ctx, Err e, Str why);
/* Everything is copied. The object is there whole, and synced, or not at all. */
void folder_put(Folder *f, Str account, Str bucket, Str key, Str bytes, FolderDone *done, void *ctx);

/* The same, waiting: not on a reactor.
 * Errors: ERR_INVALID (a bucket's or key's name), ERR_IO; ERR_NOT_FOUND, ERR_LIMIT (get); *why says what */
NODISCARD Err folder_put_wait(Folder *f, Str account, Str bucket, Str key, Str bytes, Arena *arena, Str *why);
NODISCARD Err folder_get_wait(Folder *f, Str account, Str bucket, Str key, Arena *arena, Str *out, Str *why);

/* Where an object lies below the folder: "bucket/dir/name". Pure.
 * Shape:  '/' separates folders; '.', '..', empty parts, '%' and control characters are written as %XX
 * Errors: ERR_INVALID with *why */
NODISCARD Err folder_path(Str bucket, Str key, Arena *arena, Str *out, Str *why);
