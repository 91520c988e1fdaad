/* PolicySlot: what a policy's name stands for now. All principals that have the policy attached share its slot, so a
 * new default version reaches them all by one exchange. Safe from every thread. */
#pragma once

#include "identity/policy.h"

typedef struct PolicySlot PolicySlot;

/* One reference, the caller's. Empty: policy_slot_get answers ERR_AGAIN until the first policy_slot_set. */
PolicySlot *policy_slot_new(void);
PolicySlot *policy_slot_fixed(Policy *policy); /* for one that never changes; takes the policy over */
PolicySlot *policy_slot_retain(PolicySlot *s);
void policy_slot_release(PolicySlot *s); /* accepts NULL */
int policy_slot_refs(const PolicySlot *s);

/* policy: taken over; NULL with why it is not there: ERR_NOT_FOUND (deleted), else it cannot be read */
void policy_slot_set(PolicySlot *s, Policy *policy, Err e);
/* Errors: as set. Owns: *out is the caller's until policy_release */
NODISCARD Err policy_slot_get(PolicySlot *s, Policy **out);
