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
    for (size_t i = 0; i < mine->policies_n; i++) policy_release(mine->policies[i]);
    arena_free(&mine->arena);
    free(mine);
}
