#include "identity/role_book.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/map.h"

/* Questions are many and changes few: one lock guards the table, the counts and what its seats point to, rights are
 * immutable. A change and the first reading of a seat exclude each other (`change`, under which the store is read), so
 * that what is read last is what the store holds. */

struct RoleSeat {
    _Atomic int refs;
    _Atomic bool told;
    /* under the lock */
    RoleRights *rights; /* NULL: never created, or not to be read, which is broken */
    bool broken;
    /* always the same */
    Str key; /* behind the struct */
    Str account, arn;
    uint8_t text[];
};

struct RoleBook {
    Store *store;
    Str service;
    pthread_mutex_t change;
    pthread_rwlock_t lock;
    Map seats;
};

RoleBook *role_book_new(Store *store, Str service) {
    RoleBook *b = mem_new(sizeof *b);
    b->store = store;
    b->service = service;
    pthread_mutex_init(&b->change, NULL);
    pthread_rwlock_init(&b->lock, NULL);
    return b;
}

void role_book_free(RoleBook *b) {
    if (!b) return;
    map_free(&b->seats);
    pthread_mutex_destroy(&b->change);
    pthread_rwlock_destroy(&b->lock);
    free(b);
}

/* Under `change`. What cannot be read allows nothing. */
static void read_seat(RoleBook *b, RoleSeat *seat) {
    Txn *txn;
    RoleRights *now = NULL;
    Err e = txn_begin(b->store, &txn);
    if (e == OK) {
        e = role_rights_read(txn, seat->account, seat->arn, b->service, &now);
        txn_abort(txn);
    }
    pthread_rwlock_wrlock(&b->lock);
    RoleRights *before = seat->rights;
    seat->rights = now;
    seat->broken = e != OK && e != ERR_NOT_FOUND;
    pthread_rwlock_unlock(&b->lock);
    role_rights_release(before);
}

static RoleSeat *seat_new(Str account, Str arn) {
    RoleSeat *s = mem_new(sizeof *s + account.len + 1 + arn.len);
    memcpy(s->text, account.ptr, account.len);
    s->text[account.len] = ' ';
    if (arn.len) memcpy(s->text + account.len + 1, arn.ptr, arn.len);
    s->key = (Str){ s->text, account.len + 1 + arn.len };
    s->account = str_sub(s->key, 0, account.len);
    s->arn = str_from(s->key, account.len + 1);
    return s;
}

RoleSeat *role_book_hold(RoleBook *b, Str account, Str arn) {
    RoleSeat *fresh = seat_new(account, arn);
    pthread_mutex_lock(&b->change);
    pthread_rwlock_wrlock(&b->lock);
    RoleSeat *seat = map_get(&b->seats, fresh->key);
    if (seat) atomic_fetch_add(&seat->refs, 1);
    pthread_rwlock_unlock(&b->lock);
    if (seat) {
        free(fresh);
    } else {
        seat = fresh;
        seat->refs = 1;
        read_seat(b, seat);
        pthread_rwlock_wrlock(&b->lock);
        map_put(&b->seats, seat->key, seat);
        pthread_rwlock_unlock(&b->lock);
    }
    pthread_mutex_unlock(&b->change);
    return seat;
}

/* On a reactor, too: `change`, under which the store is read, is not taken. */
void role_book_drop(RoleBook *b, RoleSeat *seat) {
    if (!seat) return;
    pthread_rwlock_wrlock(&b->lock);
    bool last = atomic_fetch_sub(&seat->refs, 1) == 1;
    if (last) map_remove(&b->seats, seat->key);
    pthread_rwlock_unlock(&b->lock);
    if (!last) return;
    role_rights_release(seat->rights);
    free(seat);
}

bool role_seat_known(RoleBook *b, RoleSeat *seat) {
    pthread_rwlock_rdlock(&b->lock);
    bool known = seat->rights || seat->broken;
    pthread_rwlock_unlock(&b->lock);
    return known;
}

bool role_seat_tell(RoleSeat *seat) {
    return !atomic_exchange(&seat->told, true);
}

Err role_seat_may(RoleBook *b, RoleSeat *seat, Str action, Str resource, const PolicyVar *vars, size_t vars_n,
                  Arena *arena, Str *why) {
    pthread_rwlock_rdlock(&b->lock);
    RoleRights *rights = seat->rights ? role_rights_retain(seat->rights) : NULL;
    bool broken = seat->broken;
    pthread_rwlock_unlock(&b->lock);
    if (broken) {
        *why = str_format(arena, "the policies of %.*s cannot be read", PS(seat->arn));
        return ERR_DENIED;
    }
    if (!rights) return OK;
    Err e = role_rights_may(rights, action, resource, vars, vars_n, arena, why);
    role_rights_release(rights);
    return e;
}

static bool is_of(const RoleSeat *s, Str account, Str role_name) {
    return str_eq(s->account, account) && str_ends(s->arn, role_name) && s->arn.len > role_name.len &&
           s->arn.ptr[s->arn.len - role_name.len - 1] == '/';
}

void role_book_changed(RoleBook *b, Str account, Str role_name) {
    Arena arena = { 0 };
    size_t n = 0;
    pthread_mutex_lock(&b->change);
    pthread_rwlock_rdlock(&b->lock);
    RoleSeat **held = arena_array(&arena, RoleSeat *, b->seats.count + 1);
    map_each (&b->seats, slot) {
        RoleSeat *seat = slot->value;
        if (!is_of(seat, account, role_name)) continue;
        atomic_fetch_add(&seat->refs, 1);
        held[n++] = seat;
    }
    pthread_rwlock_unlock(&b->lock);
    for (size_t i = 0; i < n; i++) {
        read_seat(b, held[i]);
        role_book_drop(b, held[i]);
    }
    pthread_mutex_unlock(&b->change);
    arena_free(&arena);
}
