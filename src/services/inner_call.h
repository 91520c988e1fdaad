/* An operation called by the server itself, on a thread that may wait: in a transaction of its own, committed before
 * this returns; what the handler sends outward leaves after that. Nobody is asked for permission. */
#pragma once

#include "api/op.h"
#include "services/env.h"
#include "store/record.h"
#include "base/rng.h"

typedef struct {
    Env *env;
    Tenant tenant;
    Rng *rng;
    Arena *arena; /* holds what comes back */
} InnerCall;

/* Shape:  in, *out: the operation's generated structs; *code the error's name, *message its text
 * Errors: ERR_API with both; ERR_NOT_IMPLEMENTED: it has no handler; what the store says, which both then tell, too */
NODISCARD Err inner_call(const InnerCall *who, const ApiService *service, Str operation, const void *in, void **out,
                         Str *code, Str *message);
