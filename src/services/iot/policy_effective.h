/* The policies that decide what a principal may do: its own and those of its things' groups with their ancestors. */
#pragma once

#include "identity/directory_load.h"
#include "services/iot/policy_target.h"

typedef struct {
    Str name, document; /* of the default version */
} EffectivePolicy;

typedef struct {
    EffectivePolicy *policies; /* each once */
    size_t n;
    const Loaded *certificate; /* NULL: the principal is none */
} Effective;

/* principal: an ARN of a certificate or a Cognito identity, or STR_NONE; thing_name: whose groups count too, or
 * STR_NONE. Errors: ERR_API: InvalidRequestException (neither is given), ResourceNotFoundException */
NODISCARD Err effective_policies(Call *c, Str principal, Str thing_name, Effective *out);
/* A Cognito identity pool, whose roles would count: there are none here.
 * Errors: ERR_API, NotImplementedException where one is given */
NODISCARD Err effective_no_pool(Call *c, Str identity_pool_id);
/* Appends the policy's default version where it is not there yet. Errors: ERR_API, ResourceNotFoundException */
NODISCARD Err effective_add(Call *c, Effective *to, Str policy_name);
