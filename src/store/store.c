#include <stdlib.h>

#include "store/txn.h"

/* The store is an engine and the table of conflicts; transactions (txn.c) and scans (scan.c) stand on both. */

Err store_open(const StoreOptions *options, Arena *arena, Store **out, Str *why) {
    const Engine *engine = NULL;
    if (str_eq(str_c(options->engine), S("rocksdb"))) engine = &rocksdb_engine;
    if (str_eq(str_c(options->engine), S("memory"))) engine = &memory_engine;
    if (!engine) {
        *why = str_format(arena, "no store engine is named \"%s\": there are rocksdb and memory",
                          options->engine ? options->engine : "");
        return ERR_INVALID;
    }
    void *state;
    Err e = engine->open(options, arena, &state, why);
    if (e != OK) return e;
    Store *s = mem_new(sizeof *s);
    s->engine = engine;
    s->state = state;
    s->skip_sync = options->skip_sync;
    conflicts_init(&s->conflicts);
    *out = s;
    return OK;
}

void store_close(Store *store) {
    if (!store) return;
    store->engine->close(store->state);
    conflicts_free(&store->conflicts);
    free(store);
}

Str store_prefix_end(Arena *arena, Str prefix) {
    size_t n = prefix.len;
    while (n && prefix.ptr[n - 1] == 0xFF) n--;
    if (n == 0) return STR_NONE;
    uint8_t *end = arena_bytes(arena, n);
    memcpy(end, prefix.ptr, n);
    end[n - 1]++;
    return (Str){ end, n };
}

Err store_changes(Store *store, uint64_t from, size_t n_max, StoreChangeFn *fn, void *ctx, uint64_t *next) {
    return store->engine->changes(store->state, from, n_max, fn, ctx, next);
}

uint64_t store_position(Store *store) {
    return store->engine->position(store->state);
}

Err store_tend(Store *store) {
    return store->engine->tend(store->state, !store->skip_sync);
}

uint64_t store_bytes(Store *store) {
    return store->engine->bytes(store->state);
}
