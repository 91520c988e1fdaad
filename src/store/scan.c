#include <stdlib.h>

#include "store/txn.h"

/* Two sorted walks merged: the engine's cursor and the transaction's own writes, which win where both have a
 * key. Neither is stepped before the next key is asked for, so what was given stays; when the own writes grew
 * in between (a loop may write), the place in them is found again from the key given last. */

struct Scan {
    Txn *txn;
    Str from, to; /* to.ptr NULL: no end */
    bool backwards;
    void *cursor;                       /* NULL: an empty range */
    bool has_base, base_used, own_used; /* used: given or passed over, to be stepped */
    Str base_key, base_value;
    Entry *own; /* NULL: no more */
    size_t own_count;
    Str last; /* the key given last */
    uint8_t sum[COUNTER_BYTES];
};

static bool in_range(const Scan *s, Str key) {
    return s->backwards ? str_cmp(key, s->from) >= 0 : !s->to.ptr || str_cmp(key, s->to) < 0;
}

static void own_seek(Scan *s) {
    const Sorted *w = &s->txn->writes;
    if (s->last.ptr) {
        if (s->backwards)
            s->own = sorted_before(w, s->last);
        else if ((s->own = sorted_from(w, s->last)) && str_eq(s->own->key, s->last))
            s->own = s->own->next[0];
    } else {
        s->own = !s->backwards ? sorted_from(w, s->from) : s->to.ptr ? sorted_before(w, s->to) : w->last;
    }
    s->own_count = w->count;
    s->own_used = false;
}

static void step(Scan *s) {
    if (s->own_count != s->txn->writes.count) own_seek(s);
    if (s->own && s->own_used) s->own = s->backwards ? s->own->prev : s->own->next[0];
    while (s->own && s->own->kind == ENTRY_NONE) s->own = s->backwards ? s->own->prev : s->own->next[0];
    if (s->own && !in_range(s, s->own->key)) s->own = NULL;
    if (s->has_base && s->base_used)
        s->has_base = s->txn->store->engine->cursor_next(s->cursor, &s->base_key, &s->base_value);
    s->own_used = s->base_used = false;
}

Err scan_begin(Txn *txn, Str from, Str to, bool backwards, Scan **out) {
    if (txn->cached) {
        txn->waits = true;
        return ERR_AGAIN;
    }
    Scan *s = mem_new(sizeof *s + from.len + to.len);
    uint8_t *copy = (uint8_t *)(s + 1);
    if (from.len) memcpy(copy, from.ptr, from.len);
    if (to.len) memcpy(copy + from.len, to.ptr, to.len);
    *s = (Scan){ .txn = txn, .from = { copy, from.len }, .backwards = backwards };
    if (to.ptr) s->to = (Str){ copy + from.len, to.len };
    if (!to.ptr || str_cmp(from, to) < 0) {
        Err e = txn->store->engine->cursor_open(txn->store->state, s->from, s->to, backwards, &s->cursor);
        if (e != OK) {
            free(s);
            return e;
        }
        s->has_base = s->base_used = true;
        own_seek(s);
    }
    *out = s;
    return OK;
}

/* The value of own's key; false when it is deleted. */
static bool own_value(Scan *s, bool in_base, Str *value) {
    const Entry *e = s->own;
    if (e->kind == ENTRY_ADD) {
        counter_encode(counter_sum(in_base ? counter_decode(s->base_value) : 0, e->delta), s->sum);
        *value = (Str){ s->sum, COUNTER_BYTES };
        return true;
    }
    *value = e->value;
    return e->kind == ENTRY_PUT;
}

bool scan_next(Scan *s, Str *key, Str *value) {
    if (!s->cursor) return false;
    for (;;) {
        step(s);
        if (!s->own && !s->has_base) return false;
        int order = !s->own ? 1 : !s->has_base ? -1 : str_cmp(s->own->key, s->base_key);
        if (s->backwards && s->own && s->has_base) order = -order;
        s->own_used = order <= 0;
        s->base_used = order >= 0;
        s->last = s->own_used ? s->own->key : s->base_key;
        if (!s->own_used)
            *value = s->base_value;
        else if (!own_value(s, s->base_used, value))
            continue;
        *key = s->last;
        return true;
    }
}

Err scan_end(Scan *s) {
    Err e = s->cursor ? s->txn->store->engine->cursor_close(s->cursor) : OK;
    free(s);
    return e;
}
