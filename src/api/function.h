/* Functions: code that AWS would run in Lambda, called by whoever needs it (authorizers, rules, hooks) without knowing
 * where it runs: in a process of this machine, or behind another Lambda endpoint. server/wire.c says which. */
#pragma once

#include "base/err.h"
#include "base/str.h"

typedef struct {
    Str account, region;
    Str function;        /* a name, or an ARN; either may end in :QUALIFIER */
    Str payload;         /* JSON; copied */
    Str principal;       /* the service that calls: "iot.amazonaws.com"; the function's resource policy must let it */
    Str source_arn;      /* on behalf of which resource: a rule's, an authorizer's ARN */
    bool event;          /* answered as soon as it is queued */
    int64_t patience_ms; /* 0: as long as the function may run */
} FunctionCall;

typedef struct {
    /* OK: the function ran, its word is in payload, and in error when it failed.
     * ERR_NOT_FOUND, ERR_DENIED, ERR_LIMIT (too many at once), ERR_AGAIN (its time ran out), ERR_IO (its process, the
     * endpoint): it has not answered, and payload says why in words. */
    Err result;
    Str payload;
    Str error; /* "Handled", "Unhandled", or STR_NONE */
} FunctionAnswer;

/* On any thread, exactly once, maybe before function_call returns; the answer is borrowed. */
typedef void FunctionDone(void *ctx, const FunctionAnswer *answer);

typedef struct Functions {
    void (*call)(struct Functions *self, const FunctionCall *call, FunctionDone *done, void *ctx);
} Functions;

static inline void function_call(Functions *f, const FunctionCall *call, FunctionDone *done, void *ctx) {
    f->call(f, call, done, ctx);
}
