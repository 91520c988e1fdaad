/* Compiled policies, shared by all principals that have them attached. Safe from every thread. */
#pragma once

#include "identity/policy.h"

typedef struct PolicyCache PolicyCache;

PolicyCache *policy_cache_new(size_t policies_max);
void policy_cache_free(PolicyCache *cache); /* accepts NULL */

/* The policy compiled from exactly this document; compiled now where it was not, or was another.
 * Errors: those of policy_compile. Owns: *out is the caller's until policy_release */
NODISCARD Err policy_cache_get(PolicyCache *cache, Str account, Str name, Str document, Arena *scratch, Policy **out);
