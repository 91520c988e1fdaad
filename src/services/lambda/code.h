/* Code: a function's zip, checked and unpacked. Knows no store. */
#pragma once

#include "base/arena.h"

/* Source: Lambda quotas: 50 MB zipped and uploaded directly, 250 MB unzipped */
#define LAMBDA_ZIP_BYTES_MAX ((size_t)50 << 20)
#define LAMBDA_BODY_BYTES_MAX ((size_t)70 << 20) /* such a zip in base64, with what is said beside it */
#define LAMBDA_UNZIPPED_BYTES_MAX ((int64_t)250 << 20)
enum { LAMBDA_ZIP_ENTRIES_MAX = 50000 };

/* Errors: ERR_MALFORMED (no zip), ERR_INVALID (a name that leaves the folder, a link, a password), ERR_LIMIT;
 *         *why is a sentence, in the arena */
NODISCARD Err lambda_code_check(Str zip, Arena *arena, Str *why);

/* Into the folder, which is made; all of it or nothing: an unfinished one never stands under that name. One that is
 * there is taken for it, as the name is a hash of the zip.
 * Errors: as above, and ERR_IO */
NODISCARD Err lambda_code_unpack(Str zip, const char *folder, Arena *arena, Str *why);

/* Deletes a folder with all that is in it; errors leave the rest. */
void lambda_code_delete(const char *folder);
