#include "store/txn.h"

#include <stdlib.h>

/* A transaction's writes wait in a sorted list until its commit hands them to the engine as one; reads look
 * there first. A write notes what it overwrote, so a savepoint is a length of that list of notes, and undoing
 * costs what was done since. An undone entry stays in the list as ENTRY_NONE, which everybody passes over. */

Err txn_begin(Store *store, Txn **out) {
    Txn *t = mem_new(sizeof *t);
    t->store = store;
    t->writes = sorted_in(&t->arena);
    claim_begin(&store->conflicts, &t->claim);
    *out = t;
    return OK;
}

Err txn_begin_cached(Store *store, Txn **out) {
    Txn *t = mem_new(sizeof *t);
    t->store = store;
    t->cached = true;
    *out = t;
    return OK;
}

bool txn_waits(const Txn *txn) {
    return txn->waits;
}

/* What a cached transaction is not for. */
static bool must_wait(Txn *t) {
    t->waits |= t->cached;
    return t->cached;
}

static void track(Txn *t, Str key, bool lock) {
    if (!t->cached) claim_track(&t->store->conflicts, &t->claim, key, lock);
}

static void txn_free(Txn *t) {
    if (!t->cached) claim_end(&t->store->conflicts, &t->claim);
    arena_free(&t->arena);
    free(t->undo);
    free(t->savepoints);
    free(t);
}

void txn_abort(Txn *txn) {
    txn_free(txn);
}

Err txn_commit(Txn *txn, bool sync) {
    Store *store = txn->store;
    uint64_t *hashes = arena_array(&txn->arena, uint64_t, txn->writes.count + 1);
    size_t n = 0;
    bool wrote = false;
    for (Entry *e = txn->writes.first[0]; e; e = e->next[0]) {
        wrote |= e->kind != ENTRY_NONE;
        if (e->kind == ENTRY_PUT || e->kind == ENTRY_DELETE) hashes[n++] = conflict_hash(e->key);
    }
    Err e = conflicts_check(&store->conflicts, &txn->claim, hashes, n);
    if (e == OK) {
        if (wrote) e = store->engine->write(store->state, &txn->writes, sync && !store->skip_sync);
        conflicts_done(&store->conflicts, &txn->claim);
    }
    txn_free(txn);
    return e;
}

/* What the transaction itself says about key: true when the engine need not be asked. */
static bool own_value(Txn *txn, Str key, Arena *arena, int64_t *delta, Str *out, Err *e) {
    *delta = 0;
    const Entry *w = txn->writes.count ? sorted_find(&txn->writes, key) : NULL;
    if (!w || w->kind == ENTRY_NONE) return false;
    if (w->kind == ENTRY_ADD) {
        *delta = w->delta;
        return false;
    }
    *e = w->kind == ENTRY_DELETE ? ERR_NOT_FOUND : OK;
    if (*e == OK) *out = str_dup(arena, w->value);
    return true;
}

static Err add_delta(Err e, int64_t delta, Arena *arena, Str *value) {
    if (delta == 0 || (e != OK && e != ERR_NOT_FOUND)) return e;
    int64_t base = e == OK ? counter_decode(*value) : 0;
    uint8_t *sum = arena_bytes(arena, COUNTER_BYTES);
    counter_encode(counter_sum(base, delta), sum);
    *value = (Str){ sum, COUNTER_BYTES };
    return OK;
}

Err txn_peek(Txn *txn, Str key, Arena *arena, Str *out) {
    Err e;
    int64_t delta;
    if (txn->cached) {
        e = txn->store->engine->get_cached(txn->store->state, key, arena, out);
        txn->waits |= e == ERR_AGAIN;
        return e;
    }
    if (own_value(txn, key, arena, &delta, out, &e)) return e;
    Str value = STR_NONE;
    e = add_delta(txn->store->engine->get(txn->store->state, key, arena, &value), delta, arena, &value);
    if (e == OK) *out = value;
    return e;
}

Err txn_get(Txn *txn, Str key, Arena *arena, Str *out) {
    track(txn, key, false);
    return txn_peek(txn, key, arena, out);
}

Err txn_multi_get(Txn *txn, const Str *keys, size_t n, Arena *arena, Str *values) {
    if (must_wait(txn)) return ERR_AGAIN;
    for (size_t i = 0; i < n; i++) claim_track(&txn->store->conflicts, &txn->claim, keys[i], false);
    Str *found = arena_array(&txn->arena, Str, n);
    Err e = txn->store->engine->multi_get(txn->store->state, keys, n, arena, found);
    if (e != OK) return e;
    for (size_t i = 0; i < n; i++) {
        Err own;
        int64_t delta;
        if (own_value(txn, keys[i], arena, &delta, &found[i], &own)) {
            if (own != OK) found[i] = STR_NONE;
        } else if (delta && add_delta(found[i].ptr ? OK : ERR_NOT_FOUND, delta, arena, &found[i]) != OK) {
            return ERR_CORRUPT;
        }
    }
    if (n) memcpy(values, found, n * sizeof *values);
    return OK;
}

/* The entry of key, with what it was noted for a rollback. */
static Entry *entry_to_write(Txn *txn, Str key) {
    Entry *e = sorted_insert(&txn->writes, key);
    if (txn->savepoint_count) {
        if (txn->undo_count == txn->undo_cap) {
            txn->undo_cap = txn->undo_cap ? txn->undo_cap * 2 : 64;
            txn->undo = mem_grow(txn->undo, txn->undo_cap * sizeof *txn->undo);
        }
        txn->undo[txn->undo_count++] = (Undo){ e, e->kind, e->value, e->delta };
    }
    return e;
}

Err txn_put(Txn *txn, Str key, Str value) {
    if (must_wait(txn)) return ERR_AGAIN;
    claim_track(&txn->store->conflicts, &txn->claim, key, false);
    Entry *e = entry_to_write(txn, key);
    e->kind = ENTRY_PUT;
    e->value = value.ptr ? str_dup(&txn->arena, value) : S("");
    return OK;
}

Err txn_delete(Txn *txn, Str key) {
    if (must_wait(txn)) return ERR_AGAIN;
    claim_track(&txn->store->conflicts, &txn->claim, key, false);
    entry_to_write(txn, key)->kind = ENTRY_DELETE;
    return OK;
}

Err txn_add(Txn *txn, Str key, int64_t delta) {
    if (must_wait(txn)) return ERR_AGAIN;
    Entry *e = entry_to_write(txn, key);
    if (e->kind == ENTRY_NONE || e->kind == ENTRY_ADD) {
        e->delta = counter_sum(e->kind == ENTRY_ADD ? e->delta : 0, delta);
        e->kind = ENTRY_ADD;
        return OK;
    }
    int64_t base = e->kind == ENTRY_PUT ? counter_decode(e->value) : 0;
    uint8_t *sum = arena_bytes(&txn->arena, COUNTER_BYTES);
    counter_encode(counter_sum(base, delta), sum);
    e->kind = ENTRY_PUT;
    e->value = (Str){ sum, COUNTER_BYTES };
    return OK;
}

Err txn_counter(Txn *txn, Str key, int64_t *out) {
    Str value = STR_NONE;
    Err e = txn_peek(txn, key, &txn->arena, &value);
    if (e == ERR_NOT_FOUND) {
        *out = 0;
        return OK;
    }
    if (e == OK && value.len != COUNTER_BYTES) e = ERR_CORRUPT;
    if (e == OK) *out = counter_decode(value);
    return e;
}

Err txn_lock(Txn *txn, Str key) {
    if (must_wait(txn)) return ERR_AGAIN;
    claim_track(&txn->store->conflicts, &txn->claim, key, true);
    return OK;
}

void txn_savepoint(Txn *txn) {
    if (txn->savepoint_count == txn->savepoint_cap) {
        txn->savepoint_cap = txn->savepoint_cap ? txn->savepoint_cap * 2 : 8;
        txn->savepoints = mem_grow(txn->savepoints, txn->savepoint_cap * sizeof *txn->savepoints);
    }
    txn->savepoints[txn->savepoint_count++] = txn->undo_count;
}

void txn_rollback(Txn *txn) {
    if (!txn->savepoint_count) return;
    size_t keep = txn->savepoints[--txn->savepoint_count];
    while (txn->undo_count > keep) {
        const Undo *u = &txn->undo[--txn->undo_count];
        u->entry->kind = u->kind;
        u->entry->value = u->value;
        u->entry->delta = u->delta;
    }
}

void txn_release(Txn *txn) {
    if (!txn->savepoint_count) return;
    if (--txn->savepoint_count == 0) txn->undo_count = 0; /* nothing left to go back to */
}
