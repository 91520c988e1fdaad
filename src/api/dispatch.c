#include "api/dispatch.h"

#include "api/answer.h"
#include "api/bind.h"
#include "api/error.h"
#include "api/route.h"
#include "api/validate.h"

Err api_match(const ApiService *s, const ApiRequest *rq, Arena *a, ApiMatch *out) {
    if (s->protocol == API_REST_JSON) return route_rest(s, rq->method, rq->path, rq->query, a, out);
    if (!str_eq(rq->method, S("POST"))) return ERR_INVALID;
    return route_target(s, http_header(rq->headers, rq->headers_n, S("X-Amz-Target")), out);
}

Err api_no_match(Call *c, const ApiService *s, const ApiRequest *rq, Err e) {
    Str path = str_sub(rq->path, 0, 256);
    c->service = s;
    if (e == ERR_INVALID)
        return api_fail(c, api_error_of(s, API_METHOD_NOT_ALLOWED), "%.*s has no %.*s in %.*s", PS(path),
                        PS(rq->method), PS(s->name));
    if (e == ERR_MALFORMED)
        return api_fail(c, s->invalid ? s->invalid : API_VALIDATION,
                        "The path %.*s has a %% without two hexadecimal digits", PS(path));
    if (s->protocol == API_REST_JSON)
        return api_fail(c, s->unknown ? s->unknown : API_UNKNOWN_OPERATION, "No operation of %.*s has the path %.*s",
                        PS(s->name), PS(path));
    Str target = http_header(rq->headers, rq->headers_n, S("X-Amz-Target"));
    return api_fail(c, API_UNKNOWN_OPERATION,
                    "X-Amz-Target '%.*s' names no operation of %.*s: it must be %.*s.OPERATION",
                    PS(str_sub(target, 0, 128)), PS(s->name), PS(s->target));
}

/* Whoever leaves an idempotency token out gets one of his own. */
static void fill_tokens(Call *c, void *in) {
    for (size_t i = 0; i < c->op->in->members_n; i++) {
        const ApiMember *m = &c->op->in->members[i];
        Str *slot = (Str *)(void *)((char *)in + m->offset);
        if (m->token && !slot->ptr && c->rng) *slot = rng_uuid(c->rng, c->arena);
    }
}

/* Whether its input travels as JSON. */
static bool takes_json(const ApiShape *in) {
    for (size_t i = 0; i < in->members_n; i++) {
        const ApiMember *m = &in->members[i];
        if (m->where == API_IN_BODY || (m->where == API_IN_PAYLOAD && m->shape->kind == API_STRUCT)) return true;
    }
    return false;
}

/* SDKs before rest-json had a type of its own say application/x-amz-json-1.0 (aws-sdk-ios issue 2341 shows one);
 * devices post with curl, which says it sends a form: the data planes take any (AWS IoT developer guide, "HTTPS"). */
static Err check_type(Call *c, const ApiOp *op, const ApiRequest *rq) {
    Str given = http_header(rq->headers, rq->headers_n, S("Content-Type")), rest = given;
    Str type = str_trim(str_cut(&rest, ';')), amz = S("application/x-amz-json-");
    if (!given.len || c->traced || !str_trim(rq->body).len || !takes_json(op->in)) return OK;
    if (str_eq_nocase(type, S("application/json")) || str_eq_nocase(str_sub(type, 0, amz.len), amz)) return OK;
    return api_fail(c, api_error_of(op->service, API_UNSUPPORTED_TYPE),
                    "The Content-Type '%.*s' cannot be read: the body must be application/json",
                    PS(str_sub(given, 0, 128)));
}

Err api_prepare(Call *c, const ApiMatch *m, const ApiRequest *rq, void **in) {
    const ApiService *s = m->op->service;
    Str why = S("");
    void *made = arena_alloc(c->arena, m->op->in->element_size);
    c->op = m->op;
    if (check_type(c, m->op, rq) != OK) return ERR_API;
    if (api_bind(c->arena, m, rq, made, &why) != OK)
        return api_fail(c, api_error_of(s, API_SERIALIZATION), "%.*s", PS(why));
    fill_tokens(c, made);
    if (api_validate(c->arena, s, c->patterns, m->op->in, made, &why) != OK)
        return api_fail(c, s->invalid ? s->invalid : API_VALIDATION, "%.*s", PS(why));
    *in = made;
    return OK;
}

Err api_run(Call *c, const void *in, void **out) {
    void *made = arena_alloc(c->arena, c->op->out_size);
    memset(&c->failure, 0, sizeof c->failure); /* of an earlier run */
    Err e = c->op->run(c, in, made);
    if (e == ERR_NOT_IMPLEMENTED && !c->failure.error)
        return api_fail(c, API_NOT_IMPLEMENTED, "%.*s of %.*s is not implemented yet", PS(c->op->name),
                        PS(c->op->service->name));
    if (e == OK) *out = made;
    return e;
}

/* What an error without an AWS error of its own means to a client. */
static void explain(Call *c, Err e) {
    const ApiError *error = e == ERR_DENIED                    ? API_ACCESS_DENIED
                            : e == ERR_AGAIN || e == ERR_LIMIT ? API_THROTTLING
                            : e == ERR_NOT_IMPLEMENTED         ? API_NOT_IMPLEMENTED
                            : e == ERR_FULL                    ? API_UNAVAILABLE
                                                               : API_INTERNAL_FAILURE;
    const ApiService *s = c->op ? c->op->service : NULL;
    c->failure.error = api_error_of(s, error);
    if (!c->failure.message.ptr)
        c->failure.message = str_format(c->arena, "%.*s: %s", PS(c->op ? c->op->name : S("The request")), err_name(e));
}

void api_answer(Call *c, Err e, const void *out, ApiResponse *rs) {
    Str why;
    if (e == OK && answer_output(c, out, c->validate_replies, rs, &why) != OK) {
        memset(&c->failure, 0, sizeof c->failure);
        c->failure.message =
            str_format(c->arena, "The answer of %.*s breaks its model: %.*s", PS(c->op->name), PS(why));
        e = ERR_CORRUPT;
    }
    if (e == OK) return;
    if (e != ERR_API || !c->failure.error) explain(c, e);
    answer_failure(c, rs);
}
