#include "store/rocksdb/rocksdb.h"

/* The change log is RocksDB's write-ahead log. A position is a sequence number: everything up to it is known.
 * The log's iterator gives whole commits, and starts after the asked number when older logs are gone. */

typedef struct {
    StoreChangeFn *fn;
    void *ctx;
    uint64_t position;
    size_t n;
} Feed;

static void on_put(void *feed, const char *key, size_t key_len, const char *value, size_t value_len) {
    Feed *f = feed;
    f->n++;
    f->fn(f->ctx, f->position, (Str){ (const uint8_t *)key, key_len }, (Str){ (const uint8_t *)value, value_len });
}

static void on_delete(void *feed, const char *key, size_t key_len) {
    Feed *f = feed;
    f->n++;
    f->fn(f->ctx, f->position, (Str){ (const uint8_t *)key, key_len }, STR_NONE);
}

uint64_t rocks_position(void *engine) {
    Rocks *r = engine;
    if (!rocks_enter(r)) return 0;
    uint64_t position = rocksdb_get_latest_sequence_number(r->db);
    rocks_leave(r);
    return position;
}

static Err feed(rocksdb_wal_iterator_t *it, uint64_t from, size_t n_max, Feed *f) {
    f->position = from;
    for (; f->n < n_max && rocksdb_wal_iter_valid(it); rocksdb_wal_iter_next(it)) {
        uint64_t first;
        rocksdb_writebatch_t *b = rocksdb_wal_iter_get_batch(it, &first);
        uint64_t last = first + (uint64_t)rocksdb_writebatch_count(b) - 1;
        bool gap = first > f->position + 1;
        if (!gap && last > f->position) {
            f->position = last;
            rocksdb_writebatch_iterate(b, f, on_put, on_delete);
        }
        rocksdb_writebatch_destroy(b);
        if (gap) return ERR_NOT_FOUND;
    }
    return OK;
}

static Err changes(Rocks *r, uint64_t from, size_t n_max, StoreChangeFn *fn, void *ctx, uint64_t *next) {
    uint64_t newest = rocksdb_get_latest_sequence_number(r->db);
    if (from > newest) return ERR_NOT_FOUND; /* of another store */
    Feed f = { .fn = fn, .ctx = ctx, .position = from };
    if (from < newest) {
        char *error = NULL;
        rocksdb_wal_iterator_t *it = rocksdb_get_updates_since(r->db, from + 1, NULL, &error);
        if (error) {
            rocksdb_free(error); /* no log that old */
            return ERR_NOT_FOUND;
        }
        Err e = feed(it, from, n_max, &f);
        rocksdb_wal_iter_destroy(it);
        if (e != OK) return e;
        if (f.position == from) return ERR_NOT_FOUND; /* the logs that held it are gone */
    }
    *next = f.position;
    return OK;
}

Err rocks_changes(void *engine, uint64_t from, size_t n_max, StoreChangeFn *fn, void *ctx, uint64_t *next) {
    Rocks *r = engine;
    if (!rocks_enter(r)) return ERR_IO;
    Err e = changes(r, from, n_max, fn, ctx, next);
    rocks_leave(r);
    return e;
}
