/* Admin: what the commands of `starling` ask a running server and AWS has no API for, under /_starling/, as JSON.
 * Requests are signed with scope `starling` (ADMIN_SERVICE) and need the IAM action starling:Name on *. */
#pragma once

#include "api/dispatch.h"

#define ADMIN_SERVICE "starling"
#define ADMIN_PREFIX "/_starling/"

/* What the server tells of itself; filled by whoever wires it. */
typedef struct {
    const char *name; /* "connections" */
    int64_t value;
} AdminFigure;
typedef size_t AdminFiguresFn(Env *env, AdminFigure *out, size_t out_max);

/* The newest log lines, oldest first, from after position `from` (0: all that are kept); *next for the next time. */
typedef Str AdminLogsFn(Env *env, uint64_t from, Arena *arena, uint64_t *next);

typedef struct {
    AdminFiguresFn *figures; /* NULL: none */
    AdminLogsFn *logs;       /* NULL: none are kept */
    int64_t started_ms;
} AdminSource;

bool admin_has(Str path);       /* whatever the method */
Str admin_routes(Arena *arena); /* Shape: "GET /_starling/status, …" */

/* Carries out one request, on a worker, in c->txn; c->principal is set and is an access key.
 * Returns: OK or ERR_API with *rs filled (an error, too, is an answer: commit unless ERR_API), else a store error as
 *          handlers give it (run it again on ERR_CONFLICT). The caller runs the outbox after the commit. */
NODISCARD Err admin_handle(Call *c, const AdminSource *source, const ApiRequest *rq, ApiResponse *rs);
