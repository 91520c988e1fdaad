#include "identity/principal.h"

#include <stdatomic.h>
#include <stdlib.h>

/* The count is the only thing in a snapshot that changes, so the const of the interface is cast away here and
 * nowhere else. */

Principal *principal_retain(const Principal *p) {
    Principal *mine = (Principal *)(uintptr_t)p;
    atomic_fetch_add_explicit(&mine->refs, 1, memory_order_relaxed);
    return mine;
}

void principal_release(const Principal *p) {
    Principal *mine = (Principal *)(uintptr_t)p;
    if (!mine || atomic_fetch_sub_explicit(&mine->refs, 1, memory_order_acq_rel) != 1) return;
    for (size_t i = 0; i < mine->policies_n; i++) policy_slot_release(mine->policies[i]);
    arena_free(&mine->arena);
    free(mine);
}

static void unhold(PrincipalBound *b) {
    for (size_t i = 0; i < b->held_n; i++) policy_release(b->held[i]);
    b->held_n = 0;
}

void principal_bind(const Principal *p, const PolicyVar *vars, size_t vars_n, Arena *arena, PrincipalBound *out) {
    PrincipalBound b = { .held = arena_array(arena, Policy *, p->policies_n) };
    for (size_t i = 0; i < p->policies_n; i++) {
        Err e = policy_slot_get(p->policies[i], &b.held[b.held_n]);
        if (e == OK) b.held_n++;
        if (e == OK || e == ERR_NOT_FOUND) continue;
        unhold(&b);
        break;
    }
    policy_bind(b.held, b.held_n, vars, vars_n, arena, &b.policies);
    *out = b;
}

void principal_unbind(PrincipalBound *b) {
    unhold(b);
    *b = (PrincipalBound){ 0 };
}
