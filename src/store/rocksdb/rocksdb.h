/* The inside of the RocksDB engine, for the files of this folder. */
#pragma once

#include <pthread.h>
#include <rocksdb/c.h>
#include <stdatomic.h>

#include "store/engine.h"

typedef struct {
    rocksdb_t *db;
    rocksdb_options_t *options;
    rocksdb_block_based_table_options_t *table;
    rocksdb_cache_t *cache;
    rocksdb_readoptions_t *read, *read_cached; /* cached: of memory alone */
    rocksdb_writeoptions_t *write, *write_synced;
    char *dir;
    pthread_rwlock_t gate; /* who uses db holds it for reading (rocks_enter); reopening holds it for writing */
    atomic_bool failed;    /* a write failed: none before it was opened anew */
    _Atomic uint64_t noted;
    pthread_mutex_t noting;
    atomic_bool written; /* and noted, since it was opened */
    bool salvage;
} Rocks;

/* What one of RocksDB's error texts (freed here) means; NULL is OK. */
Err rocks_err(char *error);

/* open.c */
NODISCARD Err rocks_open(const StoreOptions *options, Arena *arena, void **out, Str *why);
void rocks_close(void *engine);
uint64_t rocks_bytes(void *engine);
/* Errors: ERR_IO, *error as RocksDB gives it; ERR_CORRUPT: it opened, but ends before what was noted */
NODISCARD Err rocks_db_open(Rocks *r, char **error);
/* room.c: for the time that db is used; false where there is none, because opening it anew failed. */
bool rocks_enter(Rocks *r);
void rocks_leave(Rocks *r);
/* Whether a write may be tried. Errors: ERR_FULL, ERR_IO */
NODISCARD Err rocks_writable(Rocks *r);
NODISCARD Err rocks_tend(void *engine, bool sync);
bool rocks_has_room(const char *dir, uint64_t bytes);
enum { ROOM_BYTES = 16 << 20, ROOM_OPEN_BYTES = 1 << 20 };
/* note.c: notes the list of tables, and that all up to `position` is on the disk; whether the list still
 * begins so; the position noted, or 0. */
void rocks_note(const char *dir, uint64_t position);
bool rocks_manifest_whole(const char *dir);
uint64_t rocks_noted_position(const char *dir);
/* changes.c */
NODISCARD Err rocks_changes(void *engine, uint64_t from, size_t n_max, StoreChangeFn *fn, void *ctx, uint64_t *next);
uint64_t rocks_position(void *engine);
