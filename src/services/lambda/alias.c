/* Source: botocore's lambda model; Lambda developer guide, "Using aliases", "Routing traffic to different versions" */
#include "services/lambda/alias.h"

#include "api/page.h"

#define PAGE ((PageSize){ 50, 10000 })
enum { MILLION = 1000000 };

static bool is_version(Str qualifier) {
    if (str_eq(qualifier, LAMBDA_LATEST)) return true;
    for (size_t i = 0; i < qualifier.len; i++)
        if (qualifier.ptr[i] < '0' || qualifier.ptr[i] > '9') return false;
    return true;
}

Err alias_version(Txn *txn, Tenant tenant, Str function, Str qualifier, Rng *rng, Arena *arena, Str *out) {
    LambdaAliasRecord a;
    if (!qualifier.len || is_version(qualifier)) {
        *out = qualifier.len ? qualifier : LAMBDA_LATEST;
        return OK;
    }
    Err e = lambda_alias_record_peek(txn, tenant, function, qualifier, arena, &a);
    if (e != OK) return e;
    bool other = a.other_version.len && rng && (int64_t)(rng_u64(rng) % MILLION) < a.other_ppm;
    *out = other ? a.other_version : a.version;
    return OK;
}

/* ------------------------------------------------------------------------------------------------ records */

static Str alias_arn(Call *c, Str function, Str name) {
    return lambda_arn(c->arena, &(LambdaName){ c->account, c->region, function, name });
}

static Err find(Call *c, Str function, Str name, LambdaAliasRecord *out) {
    Err e = lambda_alias_record_get(c->txn, call_tenant(c), function, name, c->arena, out);
    if (e != ERR_NOT_FOUND) return e;
    return api_fail(c, LAMBDA_RESOURCE_NOT_FOUND, "Cannot find alias arn: %.*s", PS(alias_arn(c, function, name)));
}

/* The function, whichever version is named beside it. */
static Err function_of(Call *c, Str text, LambdaName *name) {
    LambdaFunctionRecord f;
    Err e = lambda_name_of(c, text, STR_NONE, name);
    name->qualifier = STR_NONE;
    return e == OK ? lambda_need(c, name, &f) : e;
}

static Err need_version(Call *c, const LambdaName *function, Str version) {
    LambdaName n = *function;
    LambdaFunctionRecord f;
    n.qualifier = version;
    return lambda_need(c, &n, &f);
}

/* Two versions at most, neither of them $LATEST. Source: "Routing traffic to different versions" */
static Err route(Call *c, const LambdaName *function, const LambdaAliasRoutingConfiguration *to, LambdaAliasRecord *a) {
    if (!to) return OK;
    a->other_version = STR_NONE;
    a->other_ppm = 0;
    if (!to->additional_version_weights.n) return OK;
    if (to->additional_version_weights.n > 1)
        return api_fail(c, LAMBDA_INVALID_PARAMETER_VALUE,
                        "Number of items in AdditionalVersionWeights cannot be greater than 1");
    Str version = to->additional_version_weights.items[0].key;
    double weight = to->additional_version_weights.items[0].value.v;
    if (str_eq(version, a->version))
        return api_fail(
            c, LAMBDA_INVALID_PARAMETER_VALUE,
            "Invalid function version %.*s. Function version %.*s is already included in routing configuration.",
            PS(version), PS(version));
    if (str_eq(version, LAMBDA_LATEST) || str_eq(a->version, LAMBDA_LATEST))
        return api_fail(c, LAMBDA_INVALID_PARAMETER_VALUE,
                        "$LATEST is not supported for an alias pointing to more than 1 version");
    a->other_version = version;
    a->other_ppm = (int64_t)(weight * MILLION + 0.5);
    return need_version(c, function, version);
}

static LambdaAliasConfiguration configuration(Call *c, const LambdaAliasRecord *a) {
    LambdaAliasConfiguration o = { .alias_arn = alias_arn(c, a->function_name, a->name),
                                   .name = a->name,
                                   .function_version = a->version,
                                   .description = a->description.ptr ? a->description : S(""),
                                   .revision_id = a->revision_id };
    if (!a->other_version.len) return o;
    o.routing_config = arena_new(c->arena, LambdaAliasRoutingConfiguration);
    LambdaAdditionalVersionWeights *w = &o.routing_config->additional_version_weights;
    w->items = arena_new(c->arena, LambdaAdditionalVersionWeightsEntry);
    w->items[0].key = a->other_version;
    w->items[0].value = (OptDouble){ true, (double)a->other_ppm / MILLION };
    w->n = 1;
    w->set = true;
    return o;
}

/* Answers that are a configuration: the models' structs of both are one shape. */
#define ALIAS_ANSWER(out, a)                                                                                           \
    do {                                                                                                               \
        _Static_assert(sizeof *(out) == sizeof(LambdaAliasConfiguration), "one shape");                                \
        LambdaAliasConfiguration made = configuration(c, (a));                                                         \
        memcpy((out), &made, sizeof made);                                                                             \
    } while (0)

/* ------------------------------------------------------------------------------------------------ operations */

Err lambda_create_alias(Call *c, const LambdaCreateAliasIn *in, LambdaCreateAliasOut *out) {
    LambdaName function;
    Err e = function_of(c, in->function_name, &function);
    if (e == OK) e = need_version(c, &function, in->function_version);
    if (e != OK) return e;
    LambdaAliasRecord a = { .function_name = function.name,
                            .name = in->name,
                            .version = in->function_version,
                            .description = in->description,
                            .revision_id = rng_uuid(c->rng, c->arena) };
    e = route(c, &function, in->routing_config, &a);
    if (e == OK) e = lambda_alias_record_insert(c->txn, call_tenant(c), &a);
    if (e == ERR_EXISTS)
        return api_fail(c, LAMBDA_RESOURCE_CONFLICT, "Alias already exists: %.*s",
                        PS(alias_arn(c, function.name, in->name)));
    if (e == OK) ALIAS_ANSWER(out, &a);
    return e;
}

Err lambda_get_alias(Call *c, const LambdaGetAliasIn *in, LambdaGetAliasOut *out) {
    LambdaName function;
    LambdaAliasRecord a;
    Err e = function_of(c, in->function_name, &function);
    if (e == OK) e = find(c, function.name, in->name, &a);
    if (e == OK) ALIAS_ANSWER(out, &a);
    return e;
}

Err lambda_update_alias(Call *c, const LambdaUpdateAliasIn *in, LambdaUpdateAliasOut *out) {
    LambdaName function;
    LambdaAliasRecord a;
    Err e = function_of(c, in->function_name, &function);
    if (e == OK) e = find(c, function.name, in->name, &a);
    if (e == OK) e = lambda_expect_revision(c, in->revision_id, a.revision_id);
    if (e == OK && in->function_version.len) e = need_version(c, &function, in->function_version);
    if (e != OK) return e;
    if (in->function_version.len) a.version = in->function_version;
    if (in->description.ptr) a.description = in->description;
    e = route(c, &function, in->routing_config, &a);
    a.revision_id = rng_uuid(c->rng, c->arena);
    if (e == OK) e = lambda_alias_record_put(c->txn, call_tenant(c), &a);
    if (e == OK) ALIAS_ANSWER(out, &a);
    return e;
}

/* One that is not there is deleted already. Source: moto's and AWS's answer: 204 */
Err lambda_delete_alias(Call *c, const LambdaDeleteAliasIn *in, LambdaDeleteAliasOut *out) {
    LambdaName function;
    (void)out;
    Err e = function_of(c, in->function_name, &function);
    if (e == OK) e = lambda_alias_record_delete(c->txn, call_tenant(c), function.name, in->name);
    return e == ERR_NOT_FOUND ? OK : e;
}

Err lambda_list_aliases(Call *c, const LambdaListAliasesIn *in, LambdaListAliasesOut *out) {
    LambdaName function;
    Page page;
    RecordScan *scan;
    LambdaAliasRecord a;
    Err e = function_of(c, in->function_name, &function);
    if (e == OK)
        e = page_open(c, str_format(c->arena, "%.*s/%.*s", PS(function.name), PS(in->function_version)), in->marker,
                      in->max_items, PAGE, &page);
    if (e == OK)
        e = lambda_alias_record_scan_of_function_name(c->txn, call_tenant(c), function.name, page.after, false, &scan);
    if (e != OK) return e;
    LambdaAliasConfiguration *items = arena_array(c->arena, LambdaAliasConfiguration, page.most);
    while (lambda_alias_record_next(scan, c->arena, &a)) {
        bool meant = !in->function_version.len || str_eq(in->function_version, a.version) ||
                     str_eq(in->function_version, a.other_version);
        if (!meant) continue;
        if (!page_take(&page, scan)) break;
        items[page.n - 1] = configuration(c, &a);
    }
    out->aliases = (LambdaAliasList){ .items = items, .n = page.n, .set = true };
    out->next_marker = page.next;
    return record_scan_end(scan);
}

/* ------------------------------------------------------------------------------------------------ for the function */

Err alias_revision(Call *c, Str function, Str name, Str *out) {
    LambdaAliasRecord a;
    Err e = lambda_alias_record_get(c->txn, call_tenant(c), function, name, c->arena, &a);
    if (e == OK) *out = a.revision_id;
    return e;
}

Err alias_touch(Call *c, Str function, Str name) {
    LambdaAliasRecord a;
    Err e = lambda_alias_record_get(c->txn, call_tenant(c), function, name, c->arena, &a);
    if (e != OK) return e;
    a.revision_id = rng_uuid(c->rng, c->arena);
    return lambda_alias_record_put(c->txn, call_tenant(c), &a);
}

/* Source of the text: as AWS answers DeleteFunction of a version */
Err alias_none_means(Call *c, Str function, Str version) {
    RecordScan *scan;
    LambdaAliasRecord a;
    Str by = STR_NONE;
    Err e = lambda_alias_record_scan_of_function_name(c->txn, call_tenant(c), function, STR_NONE, false, &scan);
    if (e != OK) return e;
    while (!by.ptr && lambda_alias_record_next(scan, c->arena, &a))
        if (str_eq(a.version, version) || str_eq(a.other_version, version)) by = a.name;
    e = record_scan_end(scan);
    if (e != OK || !by.ptr) return e;
    return api_fail(c, LAMBDA_RESOURCE_CONFLICT, "Version %.*s cannot be deleted: the alias %.*s references it",
                    PS(version), PS(by));
}

Err alias_delete_all(Call *c, Str function) {
    for (bool any = true; any;) {
        RecordScan *scan;
        LambdaAliasRecord a;
        Err e = lambda_alias_record_scan_of_function_name(c->txn, call_tenant(c), function, STR_NONE, false, &scan);
        if (e != OK) return e;
        any = lambda_alias_record_next(scan, c->arena, &a);
        e = record_scan_end(scan);
        if (e == OK && any) e = lambda_alias_record_delete(c->txn, call_tenant(c), function, a.name);
        if (e != OK) return e;
    }
    return OK;
}
