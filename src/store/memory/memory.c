#include <pthread.h>
#include <stdlib.h>

#include "store/engine.h"

/* The memory engine: one sorted list under a reader-writer lock, for --ephemeral and tests. A read copies what
 * it found, so the lock is never held outside of this file. A cursor copies CURSOR_BATCH entries at a time and
 * goes on from the last key: it sees each commit whole within a batch, later ones as it reaches them.
 * The change log is a ring of the newest CHANGES_KEPT writes. */

enum { CURSOR_BATCH = 64, CHANGES_KEPT = 1 << 13 };

typedef struct {
    Str key, value; /* one piece of memory, key first; value.ptr NULL: deleted */
} Change;

typedef struct {
    pthread_rwlock_t lock;
    Sorted entries;
    Change *ring;
    uint64_t change_count; /* ever; the ring holds the newest */
} Memory;

typedef struct {
    Memory *memory;
    Str from, to;
    bool backwards;
    bool started, ended;
    Arena arena; /* of the batch */
    Str keys[CURSOR_BATCH], values[CURSOR_BATCH];
    size_t at, count;
} Cursor;

static Err memory_open(const StoreOptions *options, Arena *arena, void **out, Str *why) {
    (void)options;
    (void)arena;
    (void)why;
    Memory *m = mem_new(sizeof *m);
    m->entries = sorted_in(NULL);
    m->ring = mem_new(CHANGES_KEPT * sizeof *m->ring);
    pthread_rwlock_init(&m->lock, NULL);
    *out = m;
    return OK;
}

static void memory_close(void *engine) {
    Memory *m = engine;
    for (Entry *e = m->entries.first[0]; e; e = e->next[0]) free((void *)e->value.ptr);
    sorted_free(&m->entries);
    for (size_t i = 0; i < CHANGES_KEPT; i++) free((void *)m->ring[i].key.ptr);
    free(m->ring);
    pthread_rwlock_destroy(&m->lock);
    free(m);
}

static Err memory_get(void *engine, Str key, Arena *arena, Str *out) {
    Memory *m = engine;
    pthread_rwlock_rdlock(&m->lock);
    const Entry *e = sorted_find(&m->entries, key);
    if (e) *out = str_dup(arena, e->value);
    pthread_rwlock_unlock(&m->lock);
    return e ? OK : ERR_NOT_FOUND;
}

/* The lock is held for moments. */
static Err memory_get_cached(void *engine, Str key, Arena *arena, Str *out) {
    return memory_get(engine, key, arena, out);
}

static Err memory_multi_get(void *engine, const Str *keys, size_t n, Arena *arena, Str *values) {
    Memory *m = engine;
    pthread_rwlock_rdlock(&m->lock);
    for (size_t i = 0; i < n; i++) {
        const Entry *e = sorted_find(&m->entries, keys[i]);
        values[i] = e ? str_dup(arena, e->value) : STR_NONE;
    }
    pthread_rwlock_unlock(&m->lock);
    return OK;
}

static Str own_copy(Str s) {
    uint8_t *copy = mem_new(s.len);
    if (s.len) memcpy(copy, s.ptr, s.len);
    return (Str){ copy, s.len };
}

static void remember(Memory *m, Str key, Str value) {
    Change *c = &m->ring[m->change_count++ % CHANGES_KEPT];
    free((void *)c->key.ptr);
    uint8_t *copy = mem_new(key.len + value.len);
    if (key.len) memcpy(copy, key.ptr, key.len);
    if (value.len) memcpy(copy + key.len, value.ptr, value.len);
    *c = (Change){ { copy, key.len }, value.ptr ? (Str){ copy + key.len, value.len } : STR_NONE };
}

static void apply(Memory *m, const Entry *w) {
    if (w->kind == ENTRY_NONE) return;
    if (w->kind == ENTRY_DELETE) {
        Entry *e = sorted_find(&m->entries, w->key);
        if (e) {
            free((void *)e->value.ptr);
            sorted_remove(&m->entries, e);
        }
        remember(m, w->key, STR_NONE);
        return;
    }
    Entry *e = sorted_insert(&m->entries, w->key);
    Str value = w->value;
    uint8_t sum[COUNTER_BYTES];
    if (w->kind == ENTRY_ADD) {
        counter_encode(counter_sum(counter_decode(e->value), w->delta), sum);
        value = (Str){ sum, COUNTER_BYTES };
    } else {
        remember(m, w->key, w->value);
    }
    free((void *)e->value.ptr);
    e->value = own_copy(value);
    e->kind = ENTRY_PUT;
}

static Err memory_write(void *engine, const Sorted *writes, bool sync) {
    (void)sync;
    Memory *m = engine;
    pthread_rwlock_wrlock(&m->lock);
    for (const Entry *w = writes->first[0]; w; w = w->next[0]) apply(m, w);
    pthread_rwlock_unlock(&m->lock);
    return OK;
}

static Err cursor_open(void *engine, Str from, Str to, bool backwards, void **out) {
    Cursor *c = mem_new(sizeof *c);
    c->memory = engine;
    c->from = own_copy(from);
    if (to.ptr) c->to = own_copy(to);
    c->backwards = backwards;
    *out = c;
    return OK;
}

static Entry *cursor_seek(const Cursor *c, Str last) {
    const Sorted *entries = &c->memory->entries;
    if (c->backwards) {
        if (c->started) return sorted_before(entries, last);
        return c->to.ptr ? sorted_before(entries, c->to) : entries->last;
    }
    if (!c->started) return sorted_from(entries, c->from);
    Entry *e = sorted_from(entries, last);
    return e && str_eq(e->key, last) ? e->next[0] : e;
}

static void cursor_fill(Cursor *c) {
    Str last = c->started ? own_copy(c->keys[c->count - 1]) : STR_NONE;
    arena_reset(&c->arena);
    c->at = c->count = 0;
    pthread_rwlock_rdlock(&c->memory->lock);
    Entry *e = cursor_seek(c, last);
    for (; e && c->count < CURSOR_BATCH; e = c->backwards ? e->prev : e->next[0]) {
        if (c->backwards ? str_cmp(e->key, c->from) < 0 : c->to.ptr && str_cmp(e->key, c->to) >= 0) break;
        c->keys[c->count] = str_dup(&c->arena, e->key);
        c->values[c->count++] = str_dup(&c->arena, e->value);
    }
    pthread_rwlock_unlock(&c->memory->lock);
    c->started = true;
    c->ended = c->count < CURSOR_BATCH;
    free((void *)last.ptr);
}

static bool cursor_next(void *cursor, Str *key, Str *value) {
    Cursor *c = cursor;
    if (c->at == c->count) {
        if (c->ended) return false;
        cursor_fill(c);
        if (c->count == 0) return false;
    }
    *key = c->keys[c->at];
    *value = c->values[c->at++];
    return true;
}

static Err cursor_close(void *cursor) {
    Cursor *c = cursor;
    arena_free(&c->arena);
    free((void *)c->from.ptr);
    free((void *)c->to.ptr);
    free(c);
    return OK;
}

static Err memory_changes(void *engine, uint64_t from, size_t n_max, StoreChangeFn *fn, void *ctx, uint64_t *next) {
    Memory *m = engine;
    pthread_rwlock_rdlock(&m->lock);
    bool reaches = from <= m->change_count && m->change_count - from <= CHANGES_KEPT;
    uint64_t at = from;
    if (reaches) {
        for (; at < m->change_count && at - from < n_max; at++) {
            const Change *c = &m->ring[at % CHANGES_KEPT];
            fn(ctx, at + 1, c->key, c->value);
        }
    }
    pthread_rwlock_unlock(&m->lock);
    if (!reaches) return ERR_NOT_FOUND;
    *next = at;
    return OK;
}

static uint64_t memory_position(void *engine) {
    Memory *m = engine;
    pthread_rwlock_rdlock(&m->lock);
    uint64_t position = m->change_count;
    pthread_rwlock_unlock(&m->lock);
    return position;
}

static uint64_t memory_bytes(void *engine) {
    (void)engine;
    return 0;
}

static Err memory_tend(void *engine, bool sync) {
    (void)engine, (void)sync;
    return OK;
}

const Engine memory_engine = {
    .open = memory_open,
    .close = memory_close,
    .get = memory_get,
    .get_cached = memory_get_cached,
    .multi_get = memory_multi_get,
    .write = memory_write,
    .cursor_open = cursor_open,
    .cursor_next = cursor_next,
    .cursor_close = cursor_close,
    .tend = memory_tend,
    .changes = memory_changes,
    .position = memory_position,
    .bytes = memory_bytes,
};
