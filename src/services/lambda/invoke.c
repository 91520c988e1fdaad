/* Invoke. Synchronous: the answer waits for the runner, after the commit. Asynchronous: acknowledged when it is stored.
 */
#include "base/encode.h"
#include "base/json.h"
#include "services/lambda/shared.h"

/* Source: Lambda quotas */
enum { PAYLOAD_BYTES_MAX = 6 << 20, EVENT_BYTES_MAX = 1 << 20 };

typedef struct {
    Call *call;
    LambdaInvokeOut *out;
    LambdaEventRecord event;
    Tenant tenant;
    RunnerCall *run; /* made when the commit is done: the handler may run twice */
    LambdaFunctionRecord function;
    LambdaName name;
    Str payload, client_context;
    bool want_log;
} Waiting;

static const ApiError *error_of(Err e) {
    switch (e) {
    case ERR_LIMIT: return LAMBDA_TOO_MANY_REQUESTS;
    case ERR_IO: return LAMBDA_INVALID_RUNTIME;
    default: return LAMBDA_SERVICE;
    }
}

/* On the runner's thread. */
static void invoked(RunnerCall *run) {
    Waiting *w = run->ctx;
    Call *c = w->call;
    if (run->result != OK) {
        Err e = api_fail(c, error_of(run->result), "%.*s", PS(run->answer));
        (void)e;
    } else {
        w->out->payload = str_dup(c->arena, run->answer);
        if (run->error.len) w->out->function_error = str_dup(c->arena, run->error);
        if (run->log.ptr) w->out->log_result = base64_encode(c->arena, run->log);
    }
    runner_call_free(run);
    call_release(c);
}

static void invoke_now(Env *env, void *arg) {
    Waiting *w = arg;
    RunnerCall *run = lambda_call_new(env->lambda, w->tenant, &w->function, &w->name);
    call_hold(w->call);
    run->request_id = str_dup(&run->arena, w->call->request_id);
    run->payload = str_dup(&run->arena, w->payload);
    run->client_context = str_dup(&run->arena, w->client_context);
    run->want_log = w->want_log;
    run->done = invoked;
    run->ctx = w;
    lambda_dispatch(env->lambda, run, w->function.code_sha256);
}

static void event_now(Env *env, void *arg) {
    Waiting *w = arg;
    lambda_event_begin(env->lambda, w->tenant, &w->event);
}

static Err check_payload(Call *c, Str payload, size_t most) {
    yyjson_val *v;
    Str why = S("");
    if (payload.len > most)
        return api_fail(c, LAMBDA_REQUEST_TOO_LARGE,
                        "Request must be smaller than %zu bytes for the InvokeFunction operation", most);
    if (json_read(c->arena, payload, true, &v, &why) == OK) return OK;
    return api_fail(c, LAMBDA_INVALID_REQUEST_CONTENT, "Could not parse request body into json: %.*s", PS(why));
}

Err lambda_invoke(Call *c, const LambdaInvokeIn *in, LambdaInvokeOut *out) {
    LambdaName name;
    LambdaFunctionRecord f, latest;
    bool event = str_eq(in->invocation_type, S("Event"));
    Str payload = in->payload.len ? in->payload : S("{}");
    Err e = lambda_name_of(c, in->function_name, in->qualifier, &name);
    if (e == OK) e = lambda_need(c, &name, &f);
    if (e == OK)
        e = lambda_function_record_get(c->txn, call_tenant(c), f.function_name, LAMBDA_LATEST, c->arena, &latest);
    if (e == OK && (in->durable_execution_name.len || in->tenant_id.len))
        return api_fail(c, LAMBDA_INVALID_PARAMETER_VALUE, "There are no durable executions and no tenants here");
    if (e == OK) e = check_payload(c, payload, event ? EVENT_BYTES_MAX : PAYLOAD_BYTES_MAX);
    if (e != OK) return e;
    if (str_eq(in->invocation_type, S("DryRun"))) {
        out->status_code = (OptInt){ true, 204 };
        return OK;
    }
    f.reserved_and_one = latest.reserved_and_one;
    Waiting *w = arena_new(c->arena, Waiting);
    *w = (Waiting){ .call = c,
                    .out = out,
                    .tenant = call_tenant(c),
                    .function = f,
                    .name = name,
                    .payload = payload,
                    .client_context = in->client_context,
                    .want_log = str_eq(in->log_type, S("Tail")) };
    out->status_code = (OptInt){ true, event ? 202 : 200 };
    if (!event) {
        out->executed_version = f.version;
        call_after(c, invoke_now, w);
        return OK;
    }
    w->event = (LambdaEventRecord){ .event_id = c->request_id,
                                    .function_name = f.function_name,
                                    .version = f.version,
                                    .invoked_arn = lambda_arn(c->arena, &name),
                                    .payload = payload,
                                    .accepted_ms = c->now_ms,
                                    .due_ms = c->now_ms };
    call_after(c, event_now, w);
    return lambda_event_store(c->txn, w->tenant, &w->event);
}
