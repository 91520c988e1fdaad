/* For the store's tests: a store in a directory of its own, over either engine. Include after cmocka. */
#pragma once

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/store.h"

typedef struct {
    const char *engine;
    char dir[64];
    Store *store;
    Arena arena;
} Bench;

static inline void bench_open(Bench *b) {
    Str why = STR_NONE;
    StoreOptions o = { .engine = b->engine, .dir = b->dir };
    assert_int_equal(store_open(&o, &b->arena, &b->store, &why), OK);
}

static inline int setup(Bench *b, const char *engine) {
    *b = (Bench){ .engine = engine, .dir = "/tmp/starling-store-XXXXXX" };
    if (!mkdtemp(b->dir)) return -1;
    bench_open(b);
    return 0;
}

static inline Bench *bench_new(const char *engine) {
    Bench *b = mem_new(sizeof *b);
    return setup(b, engine) == 0 ? b : NULL;
}

static inline int on_rocksdb(void **state) {
    return (*state = bench_new("rocksdb")) ? 0 : -1;
}

static inline int on_memory(void **state) {
    return (*state = bench_new("memory")) ? 0 : -1;
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *at) {
    (void)st, (void)type, (void)at;
    return remove(path);
}

static inline void remove_dir(const char *dir) {
    nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static inline int teardown(void **state) {
    Bench *b = *state;
    store_close(b->store);
    remove_dir(b->dir);
    arena_free(&b->arena);
    free(b);
    return 0;
}

static inline Txn *begin(Bench *b) {
    Txn *t;
    assert_int_equal(txn_begin(b->store, &t), OK);
    return t;
}

static inline void put(Bench *b, Str key, Str value) {
    Txn *t = begin(b);
    assert_int_equal(txn_put(t, key, value), OK);
    assert_int_equal(txn_commit(t, true), OK);
}

static inline Str peek(Bench *b, Str key) {
    Txn *t = begin(b);
    Str v = STR_NONE;
    Err e = txn_peek(t, key, &b->arena, &v);
    assert_true(e == OK || e == ERR_NOT_FOUND);
    assert_true((e == OK) == (v.ptr != NULL));
    txn_abort(t);
    return v;
}

static inline int64_t counter(Bench *b, Str key) {
    Txn *t = begin(b);
    int64_t n = -99;
    assert_int_equal(txn_counter(t, key, &n), OK);
    txn_abort(t);
    return n;
}

typedef struct {
    char text[256];
    uint64_t position;
} Seen;

static inline void on_change(void *ctx, uint64_t position, Str key, Str value) {
    Seen *s = ctx;
    assert_true(position >= s->position);
    s->position = position;
    size_t used = strlen(s->text);
    if (value.ptr)
        snprintf(s->text + used, sizeof s->text - used, "%.*s=%.*s ", PS(key), PS(value));
    else
        snprintf(s->text + used, sizeof s->text - used, "%.*s- ", PS(key));
}

/* How a test is listed: over both engines, or on disk only. */
#define ON_BOTH(f)                                                                                                     \
    { #f " (rocksdb)", f, on_rocksdb, teardown, NULL }, {                                                              \
#f " (memory)", f, on_memory, teardown, NULL                                                                   \
    }
#define ON_DISK(f)                                                                                                     \
    { #f, f, on_rocksdb, teardown, NULL }
