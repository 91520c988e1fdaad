#include "identity/directory_entry.h"

#include <stdatomic.h>
#include <stdlib.h>

/* A group may be that of all devices. So that one device's revocation, a connect or an API call does not wait behind a
 * hundred thousand loads, those of a shared name are given to the workers BULK_MAX at a time; the others wait, and a
 * change of the certificate itself or a lookup takes its entry out at once. */

enum { EVICT_LOOK = 8, BULK_MAX = 512 };

/* In the order of use */

static void use_unlink(Entries *in, Entry *x) {
    if (x->newer)
        x->newer->older = x->older;
    else
        in->newest = x->older;
    if (x->older)
        x->older->newer = x->newer;
    else
        in->oldest = x->newer;
    x->newer = x->older = NULL;
}

static void use_link(Entries *in, Entry *x) {
    x->older = in->newest;
    if (in->newest)
        in->newest->newer = x;
    else
        in->oldest = x;
    in->newest = x;
}

void entries_used(Entries *in, Entry *x) {
    if (in->newest == x) return;
    use_unlink(in, x);
    use_link(in, x);
}

Str entry_key(Str account, Str id, uint8_t *bytes) {
    memcpy(bytes, account.ptr, account.len);
    bytes[account.len] = 0;
    memcpy(bytes + account.len + 1, id.ptr, id.len);
    return (Str){ bytes, account.len + 1 + id.len };
}

Entry *entries_add(Entries *in, Str account, Str id) {
    Entry *x = mem_new(sizeof *x + account.len + 1 + id.len);
    x->key = entry_key(account, id, (uint8_t *)(x + 1));
    x->account = str_sub(x->key, 0, account.len);
    x->id = str_from(x->key, account.len + 1);
    map_put(&in->map, x->key, x);
    use_link(in, x);
    return x;
}

void entries_remove(Entries *in, Entry *x) {
    map_remove(&in->map, x->key);
    use_unlink(in, x);
    interests_unlink(&in->interests, &x->links);
}

void entry_free(Entry *x) {
    principal_release(x->principal);
    arena_free(&x->scratch);
    free(x);
}

void entries_evict(Entries *in, size_t idle_max) {
    for (int i = 0; i < EVICT_LOOK && in->map.count > idle_max; i++) {
        Entry *x = in->oldest;
        if (!x->loading && x->principal && atomic_load_explicit(&x->principal->refs, memory_order_acquire) == 1) {
            entries_remove(in, x);
            entry_free(x);
        } else {
            entries_used(in, x);
        }
    }
}

/* Waiting for a turn */

void entries_wait(Entries *in, Entry *x) {
    x->pending = true;
    x->pending_next = NULL;
    x->pending_prev = in->pending_last;
    if (in->pending_last)
        in->pending_last->pending_next = x;
    else
        in->pending_first = x;
    in->pending_last = x;
}

void entries_unwait(Entries *in, Entry *x) {
    if (x->pending_prev)
        x->pending_prev->pending_next = x->pending_next;
    else
        in->pending_first = x->pending_next;
    if (x->pending_next)
        x->pending_next->pending_prev = x->pending_prev;
    else
        in->pending_last = x->pending_prev;
    x->pending = false;
}

Entry *entries_turn(Entries *in) {
    Entry *x = in->pending_first;
    if (!x || in->bulk_loading >= BULK_MAX) return NULL;
    entries_unwait(in, x);
    x->bulk = true;
    in->bulk_loading++;
    return x;
}

/* Waiters */

void entry_add_waiter(Entry *x, DirectoryDoneFn *done, void *ctx, bool any_account) {
    Waiter *w = mem_new(sizeof *w);
    *w = (Waiter){ .next = x->waiters, .done = done, .ctx = ctx, .any_account = any_account };
    x->waiters = w;
}

Waiter *waiters_any_account(Waiter **waiters) {
    Waiter *any = NULL;
    for (Waiter **at = waiters; *at;) {
        Waiter *w = *at;
        if (!w->any_account) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        w->next = any;
        any = w;
    }
    return any;
}

void waiters_answer(Waiter *waiters, const DirectoryAnswer *answer) {
    for (Waiter *w = waiters, *next; w; w = next) {
        next = w->next;
        if (answer->principal) principal_retain(answer->principal);
        w->done(w->ctx, answer);
        free(w);
    }
}
