#include "broker/space.h"

#include <stdlib.h>

Space *space_new(Str account) {
    Space *s = mem_new(sizeof *s + account.len);
    uint8_t *name = (uint8_t *)(s + 1);
    memcpy(name, account.ptr, account.len);
    s->account = (Str){ name, account.len };
    pthread_rwlock_init(&s->lock, NULL);
    pthread_mutex_init(&s->sessions_lock, NULL);
    tree_init(&s->tree);
    return s;
}

void space_free(Space *s) {
    tree_free(&s->tree);
    map_free(&s->sessions);
    pthread_rwlock_destroy(&s->lock);
    pthread_mutex_destroy(&s->sessions_lock);
    free(s);
}

void space_touch(Space *s, Str first_level) {
    _Atomic uint32_t *v =
        str_eq(first_level, S("+")) || str_eq(first_level, S("#")) ? &s->wild_version : space_version(s, first_level);
    atomic_fetch_add_explicit(v, 1, memory_order_release);
}
