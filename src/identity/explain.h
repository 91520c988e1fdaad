/* The human text of a policy decision, as `starling policy explain` prints it. */
#pragma once

#include "identity/policy.h"

/* Shape: lines ending in '\n'; the first says the decision, the last what would change it */
Str policy_explain(PolicyDecision decision, Str action, Str resource, const PolicyWhy *why, Arena *arena);
