/* CreateFunction, GetFunction, ListFunctions, DeleteFunction. What AWS would run elsewhere than in a process with a
 * package (images, layers, VPCs) is refused by name. Source: botocore's lambda model; the texts: as AWS answers */
#include "services/lambda/settings.h"

#include "api/page.h"
#include "services/lambda/alias.h"
#include "services/lambda/download.h"

#define PAGE ((PageSize){ 50, 50 }) /* Source: ListFunctions: 50 at most, whatever is asked */

static Err refuse_foreign(Call *c, const LambdaCreateFunctionIn *in) {
    const LambdaForeign foreign = { .vpc = in->vpc_config && in->vpc_config->subnet_ids.n,
                                    .layers = in->layers.n > 0,
                                    .files = in->file_system_configs.n > 0,
                                    .image = in->image_config || str_eq(in->package_type, S("Image")),
                                    .dead_letter = in->dead_letter_config && in->dead_letter_config->target_arn.len,
                                    .snap_start =
                                        in->snap_start && str_eq(in->snap_start->apply_on, S("PublishedVersions")),
                                    .kms = in->kms_key_arn.len > 0,
                                    .signing = in->code_signing_config_arn.len > 0,
                                    .capacity = in->capacity_provider_config || in->durable_config ||
                                                in->tenancy_config || in->runtime_config || in->accelerator_config };
    return lambda_refuse_foreign(c, &foreign);
}

static Err exists(Call *c, Str name) {
    return api_fail(c, LAMBDA_RESOURCE_CONFLICT, "Function already exist: %.*s", PS(name));
}

Err lambda_create_function(Call *c, const LambdaCreateFunctionIn *in, LambdaCreateFunctionOut *out) {
    LambdaName name;
    LambdaFunctionRecord f = { .version = LAMBDA_LATEST, .ephemeral_mb = 512, .timeout_s = 3, .memory_mb = 128 }, have;
    Err e = lambda_name_of(c, in->function_name, STR_NONE, &name);
    if (e == OK) e = refuse_foreign(c, in);
    if (e != OK) return e;
    f.function_name = name.name;
    f.role = in->role;
    const LambdaSettings settings = { .runtime = in->runtime,
                                      .handler = in->handler,
                                      .description = in->description,
                                      .timeout = in->timeout,
                                      .memory_size = in->memory_size,
                                      .environment = in->environment,
                                      .ephemeral_storage = in->ephemeral_storage,
                                      .tracing_config = in->tracing_config,
                                      .logging_config = in->logging_config };
    e = lambda_settings_apply(c, &settings, &f);
    if (e == OK) e = lambda_architecture(c, in->architectures, &f);
    if (e == OK) e = lambda_function_record_get(c->txn, call_tenant(c), f.function_name, f.version, c->arena, &have);
    if (e == OK) return exists(c, f.function_name);
    if (e != ERR_NOT_FOUND) return e;
    const LambdaPackage package = { in->code->zip_file, in->code->s3_bucket, in->code->s3_key, in->code->image_uri };
    e = lambda_package_store(c, &package, false, &f);
    if (e != OK) return e;
    if (in->tags.n > 50) return api_fail(c, LAMBDA_INVALID_PARAMETER_VALUE, "%zu tags are more than 50", in->tags.n);
    f.tags = in->tags;
    lambda_touch(c, &f);
    e = lambda_function_record_insert(c->txn, call_tenant(c), &f);
    if (e == ERR_EXISTS) return exists(c, f.function_name);
    LambdaFunctionRecord published = f;
    if (e == OK && in->publish.v) e = lambda_publish(c, &f, STR_NONE, &published);
    if (e != OK) return e;
    LAMBDA_ANSWER(out, lambda_configuration(c, &published, in->publish.v ? published.version : STR_NONE));
    return OK;
}

Err lambda_get_function(Call *c, const LambdaGetFunctionIn *in, LambdaGetFunctionOut *out) {
    LambdaName name;
    LambdaFunctionRecord f, latest;
    Err e = lambda_name_of(c, in->function_name, in->qualifier, &name);
    if (e == OK) e = lambda_need(c, &name, &f);
    if (e == OK) e = lambda_function_record_get(c->txn, call_tenant(c), name.name, LAMBDA_LATEST, c->arena, &latest);
    if (e != OK) return e;
    out->configuration = lambda_configuration(c, &f, name.qualifier);
    out->code = arena_new(c->arena, LambdaFunctionCodeLocation);
    out->code->repository_type = S("S3");
    if (c->env->lambda) out->code->location = download_url(c, &f);
    if (latest.tags.n) out->tags = (StrMap){ latest.tags.items, latest.tags.n, true };
    if (latest.reserved_and_one) {
        out->concurrency = arena_new(c->arena, LambdaConcurrency);
        out->concurrency->reserved_concurrent_executions = (OptInt){ true, latest.reserved_and_one - 1 };
    }
    return OK;
}

Err lambda_get_function_configuration(Call *c, const LambdaGetFunctionConfigurationIn *in,
                                      LambdaGetFunctionConfigurationOut *out) {
    LambdaName name;
    LambdaFunctionRecord f;
    Err e = lambda_name_of(c, in->function_name, in->qualifier, &name);
    if (e == OK) e = lambda_need(c, &name, &f);
    if (e == OK) LAMBDA_ANSWER(out, lambda_configuration(c, &f, name.qualifier));
    return e;
}

Err lambda_list_functions(Call *c, const LambdaListFunctionsIn *in, LambdaListFunctionsOut *out) {
    bool all = str_eq(in->function_version, S("ALL"));
    Page page;
    RecordScan *scan;
    LambdaFunctionRecord f;
    Err e = page_open(c, all ? S("ALL") : S(""), in->marker, in->max_items, PAGE, &page);
    if (e == OK) e = lambda_function_record_scan(c->txn, call_tenant(c), page.after, false, &scan);
    if (e != OK) return e;
    LambdaFunctionConfiguration *items = arena_array(c->arena, LambdaFunctionConfiguration, page.most);
    while (lambda_function_record_next(scan, c->arena, &f)) {
        if (!all && !str_eq(f.version, LAMBDA_LATEST)) continue;
        if (!page_take(&page, scan)) break;
        items[page.n - 1] = *lambda_configuration(c, &f, all ? f.version : STR_NONE);
    }
    out->functions = (LambdaFunctionList){ .items = items, .n = page.n, .set = true };
    out->next_marker = page.next;
    return record_scan_end(scan);
}

Err lambda_list_versions_by_function(Call *c, const LambdaListVersionsByFunctionIn *in,
                                     LambdaListVersionsByFunctionOut *out) {
    LambdaName name;
    Page page;
    RecordScan *scan;
    LambdaFunctionRecord f;
    Err e = lambda_name_of(c, in->function_name, STR_NONE, &name);
    if (e == OK) e = lambda_need(c, &name, &f);
    if (e == OK) e = page_open(c, name.name, in->marker, in->max_items, PAGE, &page);
    if (e == OK)
        e = lambda_function_record_scan_of_function_name(c->txn, call_tenant(c), name.name, page.after, false, &scan);
    if (e != OK) return e;
    LambdaFunctionConfiguration *items = arena_array(c->arena, LambdaFunctionConfiguration, page.most);
    while (lambda_function_record_next(scan, c->arena, &f)) {
        if (!page_take(&page, scan)) break;
        items[page.n - 1] = *lambda_configuration(c, &f, f.version);
    }
    out->versions = (LambdaFunctionList){ .items = items, .n = page.n, .set = true };
    out->next_marker = page.next;
    return record_scan_end(scan);
}

Err lambda_publish_version(Call *c, const LambdaPublishVersionIn *in, LambdaPublishVersionOut *out) {
    LambdaName name;
    LambdaFunctionRecord f, published;
    Err e = lambda_name_of(c, in->function_name, STR_NONE, &name);
    if (e == OK) e = lambda_need(c, &name, &f);
    if (e == OK) e = lambda_expect_revision(c, in->revision_id, f.revision_id);
    if (e == OK && in->code_sha256.len && !str_eq(in->code_sha256, lambda_configuration(c, &f, STR_NONE)->code_sha256))
        return api_fail(c, LAMBDA_INVALID_PARAMETER_VALUE,
                        "CodeSHA256 (%.*s) is different from current CodeSHA256 in $LATEST. Please try again with the "
                        "CodeSHA256 in $LATEST.",
                        PS(in->code_sha256));
    if (e == OK) e = lambda_publish(c, &f, in->description, &published);
    if (e == OK) LAMBDA_ANSWER(out, lambda_configuration(c, &published, published.version));
    return e;
}

/* ------------------------------------------------------------------------------------------------ deletion */

static Err delete_versions(Call *c, Str name) {
    for (bool any = true; any;) {
        RecordScan *scan;
        LambdaFunctionRecord f;
        Err e = lambda_function_record_scan_of_function_name(c->txn, call_tenant(c), name, STR_NONE, false, &scan);
        if (e != OK) return e;
        any = lambda_function_record_next(scan, c->arena, &f);
        e = record_scan_end(scan);
        if (e == OK && any) e = lambda_function_record_delete(c->txn, call_tenant(c), name, f.version);
        if (e != OK) return e;
    }
    return OK;
}

static Err delete_permissions(Call *c, Str name) {
    for (bool any = true; any;) {
        RecordScan *scan;
        LambdaPermissionRecord p;
        Err e = lambda_permission_record_scan_of_function_name(c->txn, call_tenant(c), name, STR_NONE, false, &scan);
        if (e != OK) return e;
        any = lambda_permission_record_next(scan, c->arena, &p);
        e = record_scan_end(scan);
        if (e == OK && any)
            e = lambda_permission_record_delete(c->txn, call_tenant(c), name, p.qualifier, p.statement_id);
        if (e != OK) return e;
    }
    return OK;
}

Err lambda_delete_function(Call *c, const LambdaDeleteFunctionIn *in, LambdaDeleteFunctionOut *out) {
    LambdaName name;
    LambdaFunctionRecord f;
    Err e = lambda_name_of(c, in->function_name, in->qualifier, &name);
    if (e == OK) e = lambda_need(c, &name, &f);
    if (e == OK && name.qualifier.len && str_eq(name.qualifier, LAMBDA_LATEST))
        return api_fail(c, LAMBDA_INVALID_PARAMETER_VALUE,
                        "$LATEST version cannot be deleted without deleting the function.");
    if (e == OK && name.qualifier.len && !str_eq(name.qualifier, f.version))
        return api_fail(c, LAMBDA_INVALID_PARAMETER_VALUE, "%.*s is an alias: DeleteAlias deletes it",
                        PS(name.qualifier));
    if (e == OK && name.qualifier.len) e = alias_none_means(c, name.name, name.qualifier);
    if (e == OK && name.qualifier.len)
        e = lambda_function_record_delete(c->txn, call_tenant(c), name.name, name.qualifier);
    if (e == OK && !name.qualifier.len) e = delete_versions(c, name.name);
    if (e == OK && !name.qualifier.len) e = delete_permissions(c, name.name);
    if (e == OK && !name.qualifier.len) e = alias_delete_all(c, name.name);
    if (e == OK) e = lambda_drop_code(c, name.name);
    if (e == OK) out->status_code = (OptInt){ true, 204 };
    return e;
}
