/* The way of a request through the API: match, prepare, run, answer. What the gateway calls, and all it needs
 * to know: which operation it is stays data. Pure but for the handler that api_run calls.
 *
 *   api_match    whose operation is it?                     (before authorisation: m.op->name)
 *   api_prepare  its typed input, decoded and validated
 *   api_run      its handler, on a worker, perhaps twice
 *   api_answer   the bytes to send, whichever step failed: failures stand in the Call */
#pragma once

#include "api/call.h"
#include "api/op.h"
#include "api/request.h"

enum { API_LABELS_MAX = 8, API_HEADERS_MAX = 24 };

typedef struct {
    const ApiOp *op;
    Str labels[API_LABELS_MAX]; /* of the path, decoded, in its order */
    size_t labels_n;
} ApiMatch;

typedef struct {
    int status;
    HttpHeader headers[API_HEADERS_MAX]; /* Content-Type, x-amzn-RequestId, x-amzn-ErrorType, those of the output */
    size_t headers_n;
    Str body;
} ApiResponse;

/* Every service there is a model of, by name. (Defined by what the build makes of models/.) */
const ApiService *const *api_services(size_t *n);

/* Errors: ERR_NOT_FOUND (no operation has such a path or target), ERR_INVALID (one has, with another verb),
 *         ERR_MALFORMED (a '%' without two hex digits). Give them to api_no_match.
 * Owns:   labels live in the arena or in the request */
NODISCARD Err api_match(const ApiService *s, const ApiRequest *rq, Arena *a, ApiMatch *out);
/* Sets c->failure as AWS answers a request that api_match refused with e; c->op stays NULL. Returns ERR_API. */
NODISCARD Err api_no_match(Call *c, const ApiService *s, const ApiRequest *rq, Err e);

/* Sets c->op. Shape: *in = the generated input struct, in the call's arena. Errors: ERR_API */
NODISCARD Err api_prepare(Call *c, const ApiMatch *m, const ApiRequest *rq, void **in);
/* Calls c->op's handler. Shape: *out = the generated output struct, in the call's arena.
 * Errors: ERR_API; what the handler returns else, ERR_CONFLICT above all: roll back and run again */
NODISCARD Err api_run(Call *c, const void *in, void **out);
/* e is OK or what any step before returned; out may be NULL unless it is OK. An e without a failure in the
 * Call is answered with InternalFailureException (429 for ERR_AGAIN and ERR_LIMIT, 403 for ERR_DENIED).
 * Owns: all of *rs lives in the call's arena or the output */
void api_answer(Call *c, Err e, const void *out, ApiResponse *rs);
