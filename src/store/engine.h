/* Engine: what keeps the bytes. Transactions, savepoints and conflicts are the store's own and the same over
 * every engine; an engine reads what is committed and applies a commit as a whole.
 * Every function but open and close is called from many threads at once. */
#pragma once

#include "store/sorted.h"
#include "store/store.h"

typedef struct {
    /* Errors: as store_open */
    Err (*open)(const StoreOptions *options, Arena *arena, void **out, Str *why);
    void (*close)(void *engine);

    Err (*get)(void *engine, Str key, Arena *arena, Str *out); /* Errors: ERR_NOT_FOUND */
    /* As get, but ERR_AGAIN where the answer would have to be waited for. */
    Err (*get_cached)(void *engine, Str key, Arena *arena, Str *out);
    Err (*multi_get)(void *engine, const Str *keys, size_t n, Arena *arena, Str *values);
    /* All of writes or nothing of it; on disk before it returns when sync is set. A reader sees it no sooner. */
    Err (*write)(void *engine, const Sorted *writes, bool sync);

    /* As scan_begin; sees at least what was committed before it. `to` may be STR_NONE. */
    Err (*cursor_open)(void *engine, Str from, Str to, bool backwards, void **out);
    bool (*cursor_next)(void *cursor, Str *key, Str *value);
    Err (*cursor_close)(void *cursor);

    Err (*tend)(void *engine, bool sync); /* as store_tend; sync: as write */
    Err (*changes)(void *engine, uint64_t from, size_t n_max, StoreChangeFn *fn, void *ctx, uint64_t *next);
    uint64_t (*position)(void *engine);
    uint64_t (*bytes)(void *engine);
} Engine;

extern const Engine rocksdb_engine, memory_engine;

/* A counter's value: 64 bits, little endian (what RocksDB's own adding merge operator keeps). */
enum { COUNTER_BYTES = 8 };
static inline int64_t counter_decode(Str value) {
    uint64_t v = 0;
    if (value.len == COUNTER_BYTES)
        for (int i = COUNTER_BYTES - 1; i >= 0; i--) v = v << 8 | value.ptr[i];
    return (int64_t)v;
}
static inline void counter_encode(int64_t v, uint8_t out[COUNTER_BYTES]) {
    for (int i = 0; i < COUNTER_BYTES; i++) out[i] = (uint8_t)((uint64_t)v >> (8 * i));
}
static inline int64_t counter_sum(int64_t a, int64_t b) { /* wraps */
    return (int64_t)((uint64_t)a + (uint64_t)b);
}
