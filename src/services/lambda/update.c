/* UpdateFunctionCode, UpdateFunctionConfiguration, versions, and what of AWS's newer settings a client asks for. */
#include "services/lambda/settings.h"

Err lambda_drop_code(Call *c, Str name) {
    StrList used = { arena_array(c->arena, Str, 0), 0, true };
    RecordScan *scan;
    LambdaFunctionRecord f;
    LambdaCodeRecord code;
    Err e = lambda_function_record_scan_of_function_name(c->txn, call_tenant(c), name, STR_NONE, false, &scan);
    if (e != OK) return e;
    size_t cap = 0;
    while (lambda_function_record_next(scan, c->arena, &f)) {
        if (used.n == cap) {
            Str *more = arena_array(c->arena, Str, cap = cap ? 2 * cap : 16);
            if (used.n) memcpy(more, used.items, used.n * sizeof *more);
            used.items = more;
        }
        used.items[used.n++] = f.code_sha256;
    }
    e = record_scan_end(scan);
    Str after = STR_NONE;
    while (e == OK) {
        e = lambda_code_record_scan_of_function_name(c->txn, call_tenant(c), name, after, false, &scan);
        if (e != OK) return e;
        bool any = lambda_code_record_next(scan, c->arena, &code);
        if (any) after = record_scan_position(scan, c->arena);
        e = record_scan_end(scan);
        if (e != OK || !any) return e;
        bool is_used = false;
        for (size_t i = 0; i < used.n; i++) is_used |= str_eq(used.items[i], code.code_sha256);
        if (!is_used) e = lambda_code_record_delete(c->txn, call_tenant(c), name, code.code_sha256);
    }
    return e;
}

Err lambda_publish(Call *c, LambdaFunctionRecord *latest, Str description, LambdaFunctionRecord *out) {
    LambdaFunctionRecord before, f = *latest;
    Err e = OK;
    if (latest->last_version) {
        Str number = str_format(c->arena, "%lld", (long long)latest->last_version);
        e = lambda_function_record_get(c->txn, call_tenant(c), f.function_name, number, c->arena, &before);
        /* nothing has changed since: the version that is there. Source: PublishVersion */
        if (e == OK && str_eq(before.code_sha256, f.code_sha256) && before.modified_ms >= f.modified_ms) {
            *out = before;
            return OK;
        }
        if (e == ERR_NOT_FOUND) e = OK;
        if (e != OK) return e;
    }
    latest->last_version++;
    e = lambda_function_record_put(c->txn, call_tenant(c), latest);
    f.version = str_format(c->arena, "%lld", (long long)latest->last_version);
    f.revision_id = rng_uuid(c->rng, c->arena);
    f.modified_ms = c->now_ms;
    f.tags = (StrMap){ 0 };
    f.reserved_and_one = f.last_version = 0;
    if (description.ptr) f.description = description;
    if (e == OK) e = lambda_function_record_put(c->txn, call_tenant(c), &f);
    if (e == OK) *out = f;
    return e;
}

Err lambda_update_function_code(Call *c, const LambdaUpdateFunctionCodeIn *in, LambdaUpdateFunctionCodeOut *out) {
    LambdaName name;
    LambdaFunctionRecord f;
    const LambdaPackage package = { in->zip_file, in->s3_bucket, in->s3_key, in->image_uri };
    Err e = lambda_name_of(c, in->function_name, STR_NONE, &name);
    if (e == OK) e = lambda_need(c, &name, &f);
    if (e == OK) e = lambda_expect_revision(c, in->revision_id, f.revision_id);
    if (e == OK) e = lambda_package_store(c, &package, in->dry_run.v, &f);
    if (e == OK) e = lambda_architecture(c, in->architectures, &f);
    if (e != OK) return e;
    LambdaFunctionRecord published = f;
    if (!in->dry_run.v) {
        lambda_touch(c, &f);
        e = lambda_function_record_put(c->txn, call_tenant(c), &f);
        published = f;
        if (e == OK && in->publish.v) e = lambda_publish(c, &f, STR_NONE, &published);
        if (e == OK) e = lambda_drop_code(c, f.function_name);
    }
    if (e == OK) LAMBDA_ANSWER(out, lambda_configuration(c, &published, in->publish.v ? published.version : STR_NONE));
    return e;
}

Err lambda_update_function_configuration(Call *c, const LambdaUpdateFunctionConfigurationIn *in,
                                         LambdaUpdateFunctionConfigurationOut *out) {
    LambdaName name;
    LambdaFunctionRecord f;
    const LambdaForeign foreign = {
        .vpc = in->vpc_config && in->vpc_config->subnet_ids.n,
        .layers = in->layers.n > 0,
        .files = in->file_system_configs.n > 0,
        .image = in->image_config != NULL,
        .dead_letter = in->dead_letter_config && in->dead_letter_config->target_arn.len,
        .snap_start = in->snap_start && str_eq(in->snap_start->apply_on, S("PublishedVersions")),
        .kms = in->kms_key_arn.len > 0,
        .capacity = in->capacity_provider_config || in->durable_config || in->runtime_config || in->accelerator_config
    };
    const LambdaSettings settings = { .runtime = in->runtime,
                                      .handler = in->handler,
                                      .description = in->description,
                                      .timeout = in->timeout,
                                      .memory_size = in->memory_size,
                                      .environment = in->environment,
                                      .ephemeral_storage = in->ephemeral_storage,
                                      .tracing_config = in->tracing_config,
                                      .logging_config = in->logging_config };
    Err e = lambda_name_of(c, in->function_name, STR_NONE, &name);
    if (e == OK) e = lambda_need(c, &name, &f);
    if (e == OK) e = lambda_expect_revision(c, in->revision_id, f.revision_id);
    if (e == OK) e = lambda_refuse_foreign(c, &foreign);
    if (e == OK) e = lambda_settings_apply(c, &settings, &f);
    if (e != OK) return e;
    if (in->role.len) f.role = in->role;
    lambda_touch(c, &f);
    e = lambda_function_record_put(c->txn, call_tenant(c), &f);
    if (e == OK) LAMBDA_ANSWER(out, lambda_configuration(c, &f, STR_NONE));
    return e;
}

/* ------------------------------------------------------------------------------------------------ concurrency */

/* The function itself: these have no versions. Source of the text: as AWS answers */
static Err latest_of(Call *c, Str text, LambdaFunctionRecord *f) {
    LambdaName name;
    Err e = lambda_name_of(c, text, STR_NONE, &name);
    if (e == OK && name.qualifier.len && !str_eq(name.qualifier, LAMBDA_LATEST))
        return api_fail(
            c, LAMBDA_INVALID_PARAMETER_VALUE,
            "This operation is permitted on Lambda functions only. Aliases and versions do not support this "
            "operation. Please specify either a function name or an unqualified function ARN.");
    name.qualifier = STR_NONE;
    return e == OK ? lambda_need(c, &name, f) : e;
}

static Err reserve(Call *c, Str text, int64_t and_one) {
    LambdaFunctionRecord f;
    Err e = latest_of(c, text, &f);
    if (e != OK) return e;
    f.reserved_and_one = and_one;
    return lambda_function_record_put(c->txn, call_tenant(c), &f);
}

Err lambda_put_function_concurrency(Call *c, const LambdaPutFunctionConcurrencyIn *in,
                                    LambdaPutFunctionConcurrencyOut *out) {
    Err e = reserve(c, in->function_name, in->reserved_concurrent_executions.v + 1);
    if (e == OK) out->reserved_concurrent_executions = in->reserved_concurrent_executions;
    return e;
}

Err lambda_get_function_concurrency(Call *c, const LambdaGetFunctionConcurrencyIn *in,
                                    LambdaGetFunctionConcurrencyOut *out) {
    LambdaFunctionRecord f;
    Err e = latest_of(c, in->function_name, &f);
    if (e == OK && f.reserved_and_one) out->reserved_concurrent_executions = (OptInt){ true, f.reserved_and_one - 1 };
    return e;
}

Err lambda_delete_function_concurrency(Call *c, const LambdaDeleteFunctionConcurrencyIn *in,
                                       LambdaDeleteFunctionConcurrencyOut *out) {
    (void)out;
    return reserve(c, in->function_name, 0);
}

/* ------------------------------------------------------------------------------------------------ answers that are
 * always the same */

Err lambda_get_function_code_signing_config(Call *c, const LambdaGetFunctionCodeSigningConfigIn *in,
                                            LambdaGetFunctionCodeSigningConfigOut *out) {
    LambdaFunctionRecord f;
    Err e = latest_of(c, in->function_name, &f);
    if (e == OK) out->function_name = f.function_name; /* none: code is not signed here */
    return e;
}

Err lambda_get_runtime_management_config(Call *c, const LambdaGetRuntimeManagementConfigIn *in,
                                         LambdaGetRuntimeManagementConfigOut *out) {
    LambdaName name;
    LambdaFunctionRecord f;
    Err e = lambda_name_of(c, in->function_name, in->qualifier, &name);
    if (e == OK) e = lambda_need(c, &name, &f);
    if (e != OK) return e;
    out->update_runtime_on = S("Auto");
    out->function_arn = lambda_arn(c->arena, &name);
    return OK;
}

Err lambda_get_function_recursion_config(Call *c, const LambdaGetFunctionRecursionConfigIn *in,
                                         LambdaGetFunctionRecursionConfigOut *out) {
    LambdaFunctionRecord f;
    Err e = latest_of(c, in->function_name, &f);
    if (e == OK) out->recursive_loop = S("Allow"); /* nothing is watched for loops */
    return e;
}

/* ------------------------------------------------------------------------------------------------ tags */

Err lambda_list_tags(Call *c, const LambdaListTagsIn *in, LambdaListTagsOut *out) {
    LambdaFunctionRecord f;
    Err e = latest_of(c, in->resource, &f);
    if (e == OK) out->tags = (StrMap){ f.tags.items, f.tags.n, true };
    return e;
}

static size_t index_of(const StrMap *m, Str key) {
    size_t i = 0;
    while (i < m->n && !str_eq(m->items[i].key, key)) i++;
    return i;
}

Err lambda_tag_resource(Call *c, const LambdaTagResourceIn *in, LambdaTagResourceOut *out) {
    LambdaFunctionRecord f;
    (void)out;
    Err e = latest_of(c, in->resource, &f);
    if (e != OK) return e;
    StrMap tags = { arena_array(c->arena, StrPair, f.tags.n + in->tags.n), f.tags.n, true };
    if (f.tags.n) memcpy(tags.items, f.tags.items, f.tags.n * sizeof *tags.items);
    for (size_t i = 0; i < in->tags.n; i++) {
        size_t at = index_of(&tags, in->tags.items[i].key);
        tags.items[at] = in->tags.items[i];
        if (at == tags.n) tags.n++;
    }
    if (tags.n > 50) return api_fail(c, LAMBDA_INVALID_PARAMETER_VALUE, "%zu tags are more than 50", tags.n);
    f.tags = tags;
    return lambda_function_record_put(c->txn, call_tenant(c), &f);
}

Err lambda_untag_resource(Call *c, const LambdaUntagResourceIn *in, LambdaUntagResourceOut *out) {
    LambdaFunctionRecord f;
    (void)out;
    Err e = latest_of(c, in->resource, &f);
    if (e != OK) return e;
    for (size_t i = 0; i < in->tag_keys.n; i++) {
        size_t at = index_of(&f.tags, in->tag_keys.items[i]);
        if (at < f.tags.n) f.tags.items[at] = f.tags.items[--f.tags.n];
    }
    return lambda_function_record_put(c->txn, call_tenant(c), &f);
}
