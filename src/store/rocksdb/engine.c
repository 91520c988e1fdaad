#include <stdlib.h>

#include "store/rocksdb/rocksdb.h"

/* RocksDB by its C interface. A commit is one write batch; RocksDB joins the batches that several threads write
 * at the same time into one write and one sync of its log, and shows a batch to readers after that sync. */

typedef struct {
    rocksdb_iterator_t *it;
    rocksdb_readoptions_t *read;
    bool backwards, started;
    Rocks *rocks; /* entered until the cursor closes */
} Cursor;

static Err get_with(Rocks *r, const rocksdb_readoptions_t *read, Str key, Arena *arena, Str *out) {
    char *error = NULL;
    Err e = OK;
    if (!rocks_enter(r)) return ERR_IO;
    rocksdb_pinnableslice_t *p = rocksdb_get_pinned(r->db, read, (const char *)key.ptr, key.len, &error);
    if (error) {
        e = rocks_err(error);
    } else if (!p) {
        e = ERR_NOT_FOUND;
    } else {
        Str value;
        value.ptr = (const uint8_t *)rocksdb_pinnableslice_value(p, &value.len);
        *out = str_dup(arena, value);
        rocksdb_pinnableslice_destroy(p);
    }
    rocks_leave(r);
    return e;
}

static Err get(void *engine, Str key, Arena *arena, Str *out) {
    Rocks *r = engine;
    return get_with(r, r->read, key, arena, out);
}

static Err get_cached(void *engine, Str key, Arena *arena, Str *out) {
    Rocks *r = engine;
    return get_with(r, r->read_cached, key, arena, out);
}

static Err multi_get(void *engine, const Str *keys, size_t n, Arena *arena, Str *values) {
    Rocks *r = engine;
    const char **key = arena_array(arena, const char *, n);
    char **value = arena_array(arena, char *, n), **error = arena_array(arena, char *, n);
    size_t *key_len = arena_array(arena, size_t, n), *value_len = arena_array(arena, size_t, n);
    for (size_t i = 0; i < n; i++) {
        key[i] = (const char *)keys[i].ptr;
        key_len[i] = keys[i].len;
    }
    if (!rocks_enter(r)) return ERR_IO;
    rocksdb_multi_get(r->db, r->read, n, key, key_len, value, value_len, error);
    rocks_leave(r);
    Err e = OK;
    for (size_t i = 0; i < n; i++) {
        if (error[i]) e = rocks_err(error[i]);
        values[i] = value[i] ? str_dup(arena, (Str){ (uint8_t *)value[i], value_len[i] }) : STR_NONE;
        if (value[i]) rocksdb_free(value[i]);
    }
    return e;
}

static Err write_batch(void *engine, const Sorted *writes, bool sync) {
    Rocks *r = engine;
    Err e = rocks_writable(r);
    if (e != OK) return e;
    if (!rocks_enter(r)) return ERR_IO;
    rocksdb_writebatch_t *b = rocksdb_writebatch_create();
    for (const Entry *w = writes->first[0]; w; w = w->next[0]) {
        const char *key = (const char *)w->key.ptr;
        uint8_t delta[COUNTER_BYTES];
        switch (w->kind) {
        case ENTRY_NONE: break;
        case ENTRY_PUT: rocksdb_writebatch_put(b, key, w->key.len, (const char *)w->value.ptr, w->value.len); break;
        case ENTRY_DELETE: rocksdb_writebatch_delete(b, key, w->key.len); break;
        case ENTRY_ADD:
            counter_encode(w->delta, delta);
            rocksdb_writebatch_merge(b, key, w->key.len, (const char *)delta, sizeof delta);
            break;
        }
    }
    char *error = NULL;
    rocksdb_write(r->db, sync ? r->write_synced : r->write, b, &error);
    rocksdb_writebatch_destroy(b);
    e = rocks_err(error);
    if (e != OK) atomic_store(&r->failed, true);
    rocks_leave(r);
    if (e == OK && sync && !atomic_load(&r->written)) {
        e = rocks_tend(r, true);
        atomic_store(&r->written, true);
    }
    return e == ERR_IO && !rocks_has_room(r->dir, ROOM_BYTES) ? ERR_FULL : e;
}

static Err cursor_open(void *engine, Str from, Str to, bool backwards, void **out) {
    Rocks *r = engine;
    if (!rocks_enter(r)) return ERR_IO;
    Cursor *c = mem_new(sizeof *c);
    c->rocks = r;
    c->backwards = backwards;
    c->read = rocksdb_readoptions_create();
    /* the bounds are borrowed: the scan keeps them for as long as the cursor */
    if (from.len) rocksdb_readoptions_set_iterate_lower_bound(c->read, (const char *)from.ptr, from.len);
    if (to.ptr) rocksdb_readoptions_set_iterate_upper_bound(c->read, (const char *)to.ptr, to.len);
    c->it = rocksdb_create_iterator(r->db, c->read);
    *out = c;
    return OK;
}

static bool cursor_next(void *cursor, Str *key, Str *value) {
    Cursor *c = cursor;
    if (!c->started) {
        if (c->backwards)
            rocksdb_iter_seek_to_last(c->it);
        else
            rocksdb_iter_seek_to_first(c->it);
        c->started = true;
    } else if (c->backwards) {
        rocksdb_iter_prev(c->it);
    } else {
        rocksdb_iter_next(c->it);
    }
    if (!rocksdb_iter_valid(c->it)) return false;
    key->ptr = (const uint8_t *)rocksdb_iter_key(c->it, &key->len);
    value->ptr = (const uint8_t *)rocksdb_iter_value(c->it, &value->len);
    return true;
}

static Err cursor_close(void *cursor) {
    Cursor *c = cursor;
    char *error = NULL;
    rocksdb_iter_get_error(c->it, &error);
    rocksdb_iter_destroy(c->it);
    rocksdb_readoptions_destroy(c->read);
    rocks_leave(c->rocks);
    free(c);
    return rocks_err(error);
}

const Engine rocksdb_engine = {
    .open = rocks_open,
    .close = rocks_close,
    .get = get,
    .get_cached = get_cached,
    .multi_get = multi_get,
    .write = write_batch,
    .cursor_open = cursor_open,
    .cursor_next = cursor_next,
    .cursor_close = cursor_close,
    .tend = rocks_tend,
    .changes = rocks_changes,
    .position = rocks_position,
    .bytes = rocks_bytes,
};
