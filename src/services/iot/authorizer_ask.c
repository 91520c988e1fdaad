#include <stdlib.h>

#include "api/function.h"
#include "base/encode.h"
#include "base/json.h"
#include "generated/authorizer_records.h"
#include "identity/principal_make.h"
#include "services/iot/authorizer.h"
#include "store/worker.h"

/* One question on its way: a worker finds the authorizer and checks the token's signature, then its function is called,
 * and what it says becomes a principal. Everything that goes wrong on this way is a no. */

enum { PATIENCE_MS = 5000 }; /* Source: the guide: the function must answer within 5 seconds */

typedef struct {
    Job job; /* first */
    Env *env;
    Arena arena, scratch;
    AuthorizerQuestion q; /* in arena */
    AuthorizerDone *done;
    void *ctx;
    AuthorizerRecord authorizer; /* in arena */
    Str payload, source_arn;
    const char *reason;
    Str why;
} Ask;

static void ask_end(Ask *a, AuthorizerVerdict v) {
    if (v.result != OK) {
        v.reason = a->reason ? a->reason : "CUSTOM_AUTHORIZER_LAMBDA_EXECUTION_ERROR";
        v.why = a->why.ptr ? a->why : S("");
    }
    a->done(a->ctx, &v);
    arena_free(&a->scratch);
    arena_free(&a->arena);
    free(a);
}

static Err no(Ask *a, Err e, const char *reason, Str why) {
    a->reason = reason;
    a->why = str_dup(&a->arena, why);
    return e;
}

/* ------------------------------------------------------------------------------------------------ which, and its token
 */

static Err find(Ask *a, Txn *txn, Str name, AuthorizerRecord *out) {
    Tenant tenant = { a->q.account, a->env->region };
    if (!name.len) {
        DefaultAuthorizerRecord d;
        Err e = default_authorizer_record_peek(txn, tenant, S("default"), &a->scratch, &d);
        if (e == ERR_NOT_FOUND)
            return no(a, e, "CUSTOM_AUTHORIZER_NOT_FOUND", S("no authorizer is named, and none is the default"));
        if (e != OK) return e;
        name = d.authorizer_name;
    }
    Err e = authorizer_record_peek(txn, tenant, name, &a->arena, out);
    if (e == ERR_NOT_FOUND)
        return no(a, ERR_INVALID, "CUSTOM_AUTHORIZER_NOT_FOUND",
                  str_format(&a->scratch, "there is no authorizer %.*s", PS(str_sub(name, 0, 128))));
    if (e == OK && !str_eq(out->status, S("ACTIVE")) && !a->q.test)
        return no(a, ERR_INVALID, "CUSTOM_AUTHORIZER_NOT_FOUND",
                  str_format(&a->scratch, "the authorizer %.*s is not active", PS(name)));
    return e;
}

static yyjson_mut_val *http_data(Ask *a, yyjson_mut_doc *d) {
    const AuthorizerQuestion *q = &a->q;
    yyjson_mut_val *o = yyjson_mut_obj(d), *headers = yyjson_mut_obj_add_obj(d, o, "headers");
    for (size_t i = 0; i < q->headers_n; i++)
        if (str_is_utf8(q->headers[i].name) && str_is_utf8(q->headers[i].value))
            json_add_str(d, headers, q->headers[i].name, q->headers[i].value);
    if (q->query.len && str_is_utf8(q->query))
        json_add_str(d, o, S("queryString"), str_format(&a->scratch, "?%.*s", PS(q->query)));
    return o;
}

static yyjson_mut_val *mqtt_data(Ask *a, yyjson_mut_doc *d) {
    const AuthorizerQuestion *q = &a->q;
    yyjson_mut_val *o = yyjson_mut_obj(d);
    if (q->username.ptr) json_add_str(d, o, S("username"), q->username);
    if (q->password.ptr) json_add_str(d, o, S("password"), base64_encode(&a->scratch, q->password));
    if (q->client_id.len) json_add_str(d, o, S("clientId"), q->client_id);
    return o;
}

/* Source: the guide's example of an event */
static Str event(Ask *a, Str token, bool verified) {
    const AuthorizerQuestion *q = &a->q;
    yyjson_mut_doc *d = json_doc(&a->scratch);
    yyjson_mut_val *o = yyjson_mut_obj(d);
    if (token.ptr) json_add_str(d, o, S("token"), token);
    yyjson_mut_obj_add_bool(d, o, "signatureVerified", verified);
    yyjson_mut_val *protocols = yyjson_mut_obj_add_arr(d, o, "protocols");
    yyjson_mut_val *data = yyjson_mut_obj_add_obj(d, o, "protocolData");
    if (q->has_tls) {
        yyjson_mut_arr_add_str(d, protocols, "tls");
        yyjson_mut_val *tls = yyjson_mut_obj_add_obj(d, data, "tls");
        if (q->server_name.len) json_add_str(d, tls, S("serverName"), q->server_name);
    }
    if (q->has_http) {
        yyjson_mut_arr_add_str(d, protocols, "http");
        yyjson_mut_obj_add_val(d, data, "http", http_data(a, d));
    }
    if (q->has_mqtt) {
        yyjson_mut_arr_add_str(d, protocols, "mqtt");
        yyjson_mut_obj_add_val(d, data, "mqtt", mqtt_data(a, d));
    }
    json_add_str(d, yyjson_mut_obj_add_obj(d, o, "connectionMetadata"), S("id"), q->connection_id);
    return str_dup(&a->arena, json_write_mut(&a->scratch, o));
}

static Err check_token(Ask *a, Str *token, bool *verified) {
    const AuthorizerRecord *r = &a->authorizer;
    Str signature =
        a->q.signature.ptr ? a->q.signature : authorizer_credential(&a->q, AUTHORIZER_SIGNATURE, &a->scratch);
    *token = a->q.token;
    *verified = false;
    if (!token->ptr && r->token_key_name.len) *token = authorizer_credential(&a->q, r->token_key_name, &a->scratch);
    if (token->ptr && !str_is_utf8(*token))
        return no(a, ERR_INVALID, "CUSTOM_AUTHORIZER_PARAMETER_INVALID", S("the token is not UTF-8"));
    if (r->signing_disabled) return OK;
    if (!token->len)
        return no(a, ERR_UNAUTHENTICATED, "CUSTOM_AUTHORIZER_PARAMETER_INVALID",
                  str_format(&a->scratch, "there is no token: '%.*s' is missing", PS(r->token_key_name)));
    if (!authorizer_signed(*token, signature, r->token_signing_public_keys, &a->scratch))
        return no(a, ERR_UNAUTHENTICATED, "SECURITY_TOKEN_SIGNATURE_MISMATCH",
                  S("the token's signature is by none of the authorizer's keys"));
    *verified = true;
    return OK;
}

static Err ask_run(Job *job, Txn *txn) {
    Ask *a = (Ask *)job;
    Str token, name;
    bool verified;
    arena_reset(&a->scratch);
    a->reason = NULL;
    name = a->q.name;
    if (!name.len && !a->q.fixed) name = authorizer_credential(&a->q, AUTHORIZER_NAME, &a->scratch);
    if (!name.len) name = a->q.otherwise;
    Err e = find(a, txn, name, &a->authorizer);
    if (e == OK) e = check_token(a, &token, &verified);
    if (e != OK) return e;
    a->source_arn = str_format(&a->arena, "arn:aws:iot:%.*s:%.*s:authorizer/%.*s", PS(a->env->region), PS(a->q.account),
                               PS(a->authorizer.authorizer_name));
    a->payload = event(a, token, verified);
    return OK;
}

/* ------------------------------------------------------------------------------------------------ its function */

static Err make_principal(Ask *a, const AuthorizerAnswer *answer, const Principal **out) {
    Policy **policies = arena_array(&a->arena, Policy *, answer->policies_n);
    size_t n = 0;
    Err e = OK;
    for (; e == OK && n < answer->policies_n; n++) {
        PolicyFault fault = { 0 };
        Str name = str_format(&a->arena, "policyDocuments[%zu]", n);
        e = policy_compile(name, answer->policies[n], POLICY_IOT, &a->arena, &policies[n], &fault);
        if (e == OK) continue;
        a->why = str_format(&a->arena, "the function's answer: %.*s: %.*s", PS(name), PS(fault.reason));
        break;
    }
    if (e != OK) {
        while (n > 0) policy_release(policies[--n]);
        return ERR_MALFORMED;
    }
    *out = principal_make_custom(a->q.account, a->env->region, answer->principal_id, policies, answer->policies_n);
    return OK;
}

static void answered(void *ctx, const FunctionAnswer *said) {
    Ask *a = ctx;
    AuthorizerAnswer answer;
    AuthorizerVerdict v = { .result = said->result };
    if (said->result != OK) {
        a->why = str_dup(&a->arena, said->payload);
    } else if (said->error.len) {
        a->why = str_format(&a->arena, "the function failed: %.*s", PS(str_sub(said->payload, 0, 512)));
        v.result = ERR_IO;
    } else {
        v.result = authorizer_answer_parse(said->payload, &a->arena, &answer, &a->why);
        if (v.result == ERR_UNAUTHENTICATED) a->reason = "NOT_AUTHENTICATED";
        if (v.result == OK) v.result = make_principal(a, &answer, &v.principal);
    }
    if (v.result == OK) {
        v.disconnect_after_s = answer.disconnect_after_s;
        v.refresh_after_s = answer.refresh_after_s;
        v.cache_http = a->authorizer.enable_caching_for_http;
        v.principal_id = answer.principal_id;
        v.policies = answer.policies;
        v.policies_n = answer.policies_n;
    }
    ask_end(a, v);
}

static void ask_done(Job *job, Err e) {
    Ask *a = (Ask *)job;
    if (e != OK) {
        ask_end(a, (AuthorizerVerdict){ .result = e });
        return;
    }
    const FunctionCall call = { .account = a->q.account,
                                .region = a->env->region,
                                .function = a->authorizer.authorizer_function_arn,
                                .payload = a->payload,
                                .principal = S("iot.amazonaws.com"),
                                .source_arn = a->source_arn,
                                .patience_ms = PATIENCE_MS };
    function_call(a->env->functions, &call, answered, a);
}

static Str keep(Arena *a, Str s) {
    return s.ptr ? str_dup(a, s) : STR_NONE;
}

void authorizer_ask(Env *env, const AuthorizerQuestion *question, AuthorizerDone *done, void *ctx) {
    Ask *a = mem_new(sizeof *a);
    a->env = env;
    a->done = done;
    a->ctx = ctx;
    a->q = *question;
    Str *texts[] = { &a->q.account,     &a->q.name,  &a->q.otherwise, &a->q.connection_id,
                     &a->q.server_name, &a->q.query, &a->q.username,  &a->q.password,
                     &a->q.client_id,   &a->q.token, &a->q.signature };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) *texts[i] = keep(&a->arena, *texts[i]);
    HttpHeader *headers = arena_array(&a->arena, HttpHeader, question->headers_n);
    for (size_t i = 0; i < question->headers_n; i++)
        headers[i] =
            (HttpHeader){ keep(&a->arena, question->headers[i].name), keep(&a->arena, question->headers[i].value) };
    a->q.headers = headers;
    a->job = (Job){ .key = str_hash(question->connection_id), .run = ask_run, .done = ask_done };
    workers_submit(env->workers, &a->job);
}
