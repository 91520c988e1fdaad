#include "services/lambda/shared.h"

#include <time.h>

#include "base/encode.h"
#include "services/lambda/alias.h"

Err lambda_name_parse(Str text, Str qualifier, Str account, Str region, LambdaName *out) {
    LambdaName n = { .account = account, .region = region };
    Str parts[8], rest = text;
    size_t count = 0;
    while (rest.ptr && count < 8) parts[count++] = str_cut(&rest, ':');
    if (rest.ptr) return ERR_MALFORMED;
    size_t at = 0;
    if (count >= 7 && str_eq(parts[0], S("arn"))) {
        if (!str_eq(parts[2], S("lambda")) || !str_eq(parts[5], S("function"))) return ERR_MALFORMED;
        n.region = parts[3];
        n.account = parts[4];
        at = 6;
    } else if (count >= 3 && str_eq(parts[1], S("function"))) {
        n.account = parts[0];
        at = 2;
    } else if (count >= 2 && str_eq(parts[0], S("function"))) {
        at = 1;
    }
    if (count - at < 1 || count - at > 2 || parts[at].len == 0) return ERR_MALFORMED;
    n.name = parts[at];
    if (count - at == 2) n.qualifier = parts[at + 1];
    if (qualifier.len && n.qualifier.len && !str_eq(qualifier, n.qualifier)) return ERR_INVALID;
    if (qualifier.len) n.qualifier = qualifier;
    *out = n;
    return OK;
}

Str lambda_arn(Arena *a, const LambdaName *n) {
    return str_format(a, "arn:aws:lambda:%.*s:%.*s:function:%.*s%s%.*s", PS(n->region), PS(n->account), PS(n->name),
                      n->qualifier.len ? ":" : "", PS(n->qualifier));
}

Err lambda_name_of(Call *c, Str text, Str qualifier, LambdaName *out) {
    LambdaName n;
    Err e = lambda_name_parse(text, qualifier, c->account, c->region, &n);
    if (e == ERR_INVALID)
        return api_fail(c, LAMBDA_INVALID_PARAMETER_VALUE,
                        "The derived qualifier from the function name does not match the specified qualifier.");
    if (e != OK)
        return api_fail(c, LAMBDA_INVALID_PARAMETER_VALUE, "'%.*s' is neither the name nor the ARN of a function",
                        PS(text));
    if (!str_eq(n.account, c->account) || !str_eq(n.region, c->region)) return lambda_not_found(c, &n);
    *out = n;
    return OK;
}

Err lambda_not_found(Call *c, const LambdaName *n) {
    return api_fail(c, LAMBDA_RESOURCE_NOT_FOUND, "Function not found: %.*s", PS(lambda_arn(c->arena, n)));
}

Err lambda_need(Call *c, const LambdaName *n, LambdaFunctionRecord *out) {
    Str version;
    Err e = alias_version(c->txn, call_tenant(c), n->name, n->qualifier, c->rng, c->arena, &version);
    if (e == OK) e = lambda_function_record_get(c->txn, call_tenant(c), n->name, version, c->arena, out);
    return e == ERR_NOT_FOUND ? lambda_not_found(c, n) : e;
}

Err lambda_expect_revision(Call *c, Str expected, Str have) {
    if (!expected.len || str_eq(expected, have)) return OK;
    return api_fail(c, LAMBDA_PRECONDITION_FAILED,
                    "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API "
                    "to retrieve the latest Revision Id");
}

void lambda_touch(Call *c, LambdaFunctionRecord *f) {
    f->revision_id = rng_uuid(c->rng, c->arena);
    f->modified_ms = c->now_ms;
}

/* Source: GetFunction: 2026-01-02T03:04:05.678+0000 */
static Str modified(Arena *a, int64_t ms) {
    time_t s = (time_t)(ms / 1000);
    struct tm t;
    gmtime_r(&s, &t);
    return str_format(a, "%04d-%02d-%02dT%02d:%02d:%02d.%03d+0000", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday,
                      t.tm_hour, t.tm_min, t.tm_sec, (int)(ms % 1000));
}

static Str base64_of_hex(Arena *a, Str hex) {
    Str bytes;
    return hex_decode(a, hex, &bytes) == OK ? base64_encode(a, bytes) : STR_NONE;
}

LambdaFunctionConfiguration *lambda_configuration(Call *c, const LambdaFunctionRecord *f, Str qualifier) {
    LambdaFunctionConfiguration *o = arena_new(c->arena, LambdaFunctionConfiguration);
    LambdaName name = { c->account, c->region, f->function_name, qualifier };
    Str *architecture = arena_new(c->arena, Str);
    *architecture = f->architecture;
    *o = (LambdaFunctionConfiguration){ .function_name = f->function_name,
                                        .function_arn = lambda_arn(c->arena, &name),
                                        .runtime = f->runtime,
                                        .role = f->role,
                                        .handler = f->handler.len ? f->handler : STR_NONE,
                                        .code_size = { true, f->code_bytes },
                                        .description = f->description.ptr ? f->description : S(""),
                                        .timeout = { true, f->timeout_s },
                                        .memory_size = { true, f->memory_mb },
                                        .last_modified = modified(c->arena, f->modified_ms),
                                        .code_sha256 = base64_of_hex(c->arena, f->code_sha256),
                                        .version = f->version,
                                        .revision_id = f->revision_id,
                                        .state = S("Active"),
                                        .last_update_status = S("Successful"),
                                        .package_type = S("Zip"),
                                        .architectures = { architecture, 1, true } };
    o->tracing_config = arena_new(c->arena, LambdaTracingConfigResponse);
    o->tracing_config->mode = f->tracing_mode.len ? f->tracing_mode : S("PassThrough");
    o->ephemeral_storage = arena_new(c->arena, LambdaEphemeralStorage);
    o->ephemeral_storage->size = (OptInt){ true, f->ephemeral_mb };
    o->snap_start = arena_new(c->arena, LambdaSnapStartResponse);
    *o->snap_start = (LambdaSnapStartResponse){ .apply_on = S("None"), .optimization_status = S("Off") };
    o->logging_config = arena_new(c->arena, LambdaLoggingConfig);
    *o->logging_config =
        (LambdaLoggingConfig){ .log_format = S("Text"),
                               .log_group = str_format(c->arena, "/aws/lambda/%.*s", PS(f->function_name)) };
    if (f->environment.n) {
        o->environment = arena_new(c->arena, LambdaEnvironmentResponse);
        o->environment->variables = f->environment;
        o->environment->variables.set = true;
    }
    return o;
}
