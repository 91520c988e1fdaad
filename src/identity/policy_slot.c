#include "identity/policy_slot.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* Read when a connection binds its variables, which is rare beside decisions: a mutex held for a pointer and a count
 * does. */

struct PolicySlot {
    _Atomic int refs;
    pthread_mutex_t lock; /* guards what follows */
    Policy *policy;
    Err error; /* why there is none */
};

PolicySlot *policy_slot_new(void) {
    PolicySlot *s = mem_new(sizeof *s);
    atomic_init(&s->refs, 1);
    pthread_mutex_init(&s->lock, NULL);
    s->error = ERR_AGAIN;
    return s;
}

PolicySlot *policy_slot_fixed(Policy *policy) {
    PolicySlot *s = policy_slot_new();
    policy_slot_set(s, policy, OK);
    return s;
}

PolicySlot *policy_slot_retain(PolicySlot *s) {
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void policy_slot_release(PolicySlot *s) {
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1) return;
    policy_release(s->policy);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

int policy_slot_refs(const PolicySlot *s) {
    return atomic_load_explicit(&s->refs, memory_order_acquire);
}

void policy_slot_set(PolicySlot *s, Policy *policy, Err e) {
    pthread_mutex_lock(&s->lock);
    Policy *old = s->policy;
    s->policy = policy;
    s->error = e;
    pthread_mutex_unlock(&s->lock);
    policy_release(old);
}

Err policy_slot_get(PolicySlot *s, Policy **out) {
    pthread_mutex_lock(&s->lock);
    Err e = s->error;
    if (e == OK) *out = policy_retain(s->policy);
    pthread_mutex_unlock(&s->lock);
    return e;
}
