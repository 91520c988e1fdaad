/* Call: one operation being carried out, whatever carried it (HTTPS, an MQTT request topic, the edge).
 * The operation owns validation, state and events; the binding that made the Call owns its authorisation
 * and the shape of its errors. Runs on a worker, possibly twice: what goes outward goes to the outbox. */
#pragma once

#include "base/arena.h"
#include "base/rng.h"
#include "store/record.h"

typedef struct Env Env;                 /* what handlers may reach: services/env.h */
typedef struct Principal Principal;     /* who asks: identity/principal.h */
typedef struct ApiOp ApiOp;             /* which operation: api/op.h */
typedef struct ApiError ApiError;       /* one error of a service, as its model declares it: api/op.h */
typedef struct ApiPatterns ApiPatterns; /* the compiled patterns of all models: api/pattern.h */

/* Something to do after the commit, in order, on the worker's thread; arg lives in the call's arena. */
typedef struct Outgoing {
    struct Outgoing *next;
    void (*run)(Env *env, void *arg);
    void *arg;
} Outgoing;

typedef struct Call {
    const ApiOp *op;
    const struct ApiService *service; /* that was meant where there is no op: the shape of errors is its */
    Env *env;
    const Principal *principal;
    Str account, region;
    Str source_ip;
    Str request_id; /* a UUID */
    int64_t now_ms; /* the clock's, read once */
    Arena *arena;   /* lives until the answer is sent */
    Rng *rng;
    Txn *txn;
    Outgoing *outbox, **outbox_tail; /* reset before each run */
    struct {
        const ApiError *error; /* NULL: none */
        Str message;
        Str resource_id, resource_arn; /* members that ResourceAlreadyExistsException carries */
    } failure;
    const ApiPatterns *patterns; /* NULL: values are not held against patterns */
    /* The answer waits for these: see call_hold. */
    _Atomic int holds;
    void (*answer)(struct Call *c);
    bool traced;           /* errors, and answers without output, carry a traceId: data planes over HTTPS */
    bool validate_replies; /* tests: an answer that breaks its model becomes a 500 that says how */
} Call;

static inline Tenant call_tenant(const Call *c) {
    return (Tenant){ c->account, c->region };
}

/* Sets the call's failure and returns ERR_API: return api_fail(c, IOT_RESOURCE_NOT_FOUND, "Thing %.*s ...", PS(n)); */
NODISCARD Err api_fail(Call *c, const ApiError *error, const char *format, ...) PRINTF_LIKE(3, 4);
/* Appends to the outbox. */
void call_after(Call *c, void (*run)(Env *env, void *arg), void *arg);
/* From an entry of the outbox: the answer waits until each hold is released, on any thread; for what must be safe
 * before the caller is told so. */
void call_hold(Call *c);
void call_release(Call *c);
/* arn:aws:SERVICE:REGION:ACCOUNT:REST */
Str call_arn(Call *c, const char *service, const char *format, ...) PRINTF_LIKE(3, 4);
