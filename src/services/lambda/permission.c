/* A function's resource policy: who but its own account's users may call it. Each statement is a record; the document
 * is written out of them. Source: Lambda developer guide, "Using resource-based policies for Lambda" */
#include "base/json.h"
#include "identity/policy_glob.h"
#include "services/lambda/alias.h"

enum { POLICY_BYTES_MAX = 20 << 10 }; /* Source: Lambda quotas */

static bool all_digits(Str s) {
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] < '0' || s.ptr[i] > '9') return false;
    return s.len == 12;
}

static yyjson_mut_val *statement(Call *c, yyjson_mut_doc *d, const LambdaPermissionRecord *p) {
    yyjson_mut_val *o = yyjson_mut_obj(d), *condition = yyjson_mut_obj(d);
    LambdaName name = { c->account, c->region, p->function_name, p->qualifier };
    json_add_str(d, o, S("Sid"), p->statement_id);
    json_add_str(d, o, S("Effect"), S("Allow"));
    if (str_eq(p->principal, S("*"))) {
        json_add_str(d, o, S("Principal"), p->principal);
    } else {
        yyjson_mut_val *principal = yyjson_mut_obj_add_obj(d, o, "Principal");
        bool aws = all_digits(p->principal) || str_starts(p->principal, S("arn:"));
        Str who =
            all_digits(p->principal) ? str_format(c->arena, "arn:aws:iam::%.*s:root", PS(p->principal)) : p->principal;
        json_add_str(d, principal, aws ? S("AWS") : S("Service"), who);
    }
    json_add_str(d, o, S("Action"), p->action);
    json_add_str(d, o, S("Resource"), lambda_arn(c->arena, &name));
    if (p->source_account.len || p->principal_org_id.len || p->event_source_token.len) {
        yyjson_mut_val *equals = yyjson_mut_obj_add_obj(d, condition, "StringEquals");
        if (p->source_account.len) json_add_str(d, equals, S("AWS:SourceAccount"), p->source_account);
        if (p->principal_org_id.len) json_add_str(d, equals, S("aws:PrincipalOrgID"), p->principal_org_id);
        if (p->event_source_token.len) json_add_str(d, equals, S("lambda:EventSourceToken"), p->event_source_token);
    }
    if (p->source_arn.len)
        json_add_str(d, yyjson_mut_obj_add_obj(d, condition, "ArnLike"), S("AWS:SourceArn"), p->source_arn);
    if (yyjson_mut_obj_size(condition)) yyjson_mut_obj_add_val(d, o, "Condition", condition);
    return o;
}

/* The policy of this function, or of one of its versions; STR_NONE: it has none. */
static Err document(Call *c, const LambdaName *n, Str *out) {
    yyjson_mut_doc *d = json_doc(c->arena);
    yyjson_mut_val *o = yyjson_mut_obj(d);
    json_add_str(d, o, S("Version"), S("2012-10-17"));
    json_add_str(d, o, S("Id"), S("default"));
    yyjson_mut_val *all = yyjson_mut_obj_add_arr(d, o, "Statement");
    RecordScan *scan;
    LambdaPermissionRecord p;
    Err e = lambda_permission_record_scan_of_function_name(c->txn, call_tenant(c), n->name, STR_NONE, false, &scan);
    if (e != OK) return e;
    while (lambda_permission_record_next(scan, c->arena, &p))
        if (str_eq(p.qualifier, n->qualifier)) yyjson_mut_arr_append(all, statement(c, d, &p));
    e = record_scan_end(scan);
    if (e == OK) *out = yyjson_mut_arr_size(all) ? json_write_mut(c->arena, o) : STR_NONE;
    return e;
}

static bool is_alias(const LambdaName *name, const LambdaFunctionRecord *f) {
    return name->qualifier.len && !str_eq(name->qualifier, f->version);
}

/* Its policy belongs to a function that is there; a change of it is a change of the function. */
static Err begin(Call *c, Str text, Str qualifier, Str revision, LambdaName *name, LambdaFunctionRecord *f) {
    Err e = lambda_name_of(c, text, qualifier, name);
    if (e == OK) e = lambda_need(c, name, f);
    if (e == OK && is_alias(name, f)) e = alias_revision(c, name->name, name->qualifier, &f->revision_id);
    if (e == OK) e = lambda_expect_revision(c, revision, f->revision_id);
    if (!name->qualifier.ptr) name->qualifier = S("");
    return e;
}

static Err changed(Call *c, const LambdaName *name, LambdaFunctionRecord *f) {
    if (is_alias(name, f)) return alias_touch(c, name->name, name->qualifier);
    f->revision_id = rng_uuid(c->rng, c->arena);
    return lambda_function_record_put(c->txn, call_tenant(c), f);
}

Err lambda_add_permission(Call *c, const LambdaAddPermissionIn *in, LambdaAddPermissionOut *out) {
    LambdaName name;
    LambdaFunctionRecord f;
    Err e = begin(c, in->function_name, in->qualifier, in->revision_id, &name, &f);
    if (e != OK) return e;
    if (in->function_url_auth_type.len || in->invoked_via_function_url.v)
        return api_fail(c, LAMBDA_INVALID_PARAMETER_VALUE, "There are no function URLs here");
    LambdaPermissionRecord p = { .function_name = name.name,
                                 .qualifier = name.qualifier,
                                 .statement_id = in->statement_id,
                                 .action = in->action,
                                 .principal = in->principal,
                                 .source_arn = in->source_arn,
                                 .source_account = in->source_account,
                                 .event_source_token = in->event_source_token,
                                 .principal_org_id = in->principal_org_id };
    e = lambda_permission_record_insert(c->txn, call_tenant(c), &p);
    if (e == ERR_EXISTS)
        return api_fail(c, LAMBDA_RESOURCE_CONFLICT,
                        "The statement id (%.*s) provided already exists. Please provide a new statement id, or remove "
                        "the existing statement.",
                        PS(in->statement_id));
    Str policy;
    if (e == OK) e = document(c, &name, &policy);
    if (e == OK && policy.len > POLICY_BYTES_MAX)
        return api_fail(c, LAMBDA_POLICY_LENGTH_EXCEEDED, "The final policy size (%zu) is bigger than the limit (%d).",
                        policy.len, POLICY_BYTES_MAX);
    if (e != OK) return e;
    yyjson_mut_doc *d = json_doc(c->arena);
    out->statement = json_write_mut(c->arena, statement(c, d, &p));
    return changed(c, &name, &f);
}

Err lambda_remove_permission(Call *c, const LambdaRemovePermissionIn *in, LambdaRemovePermissionOut *out) {
    LambdaName name;
    LambdaFunctionRecord f;
    (void)out;
    Err e = begin(c, in->function_name, in->qualifier, in->revision_id, &name, &f);
    if (e == OK)
        e = lambda_permission_record_delete(c->txn, call_tenant(c), name.name, name.qualifier, in->statement_id);
    if (e == ERR_NOT_FOUND)
        return api_fail(c, LAMBDA_RESOURCE_NOT_FOUND, "Statement %.*s is not found in resource policy.",
                        PS(in->statement_id));
    return e == OK ? changed(c, &name, &f) : e;
}

Err lambda_get_policy(Call *c, const LambdaGetPolicyIn *in, LambdaGetPolicyOut *out) {
    LambdaName name;
    LambdaFunctionRecord f;
    Str policy = STR_NONE;
    Err e = begin(c, in->function_name, in->qualifier, STR_NONE, &name, &f);
    if (e == OK) e = document(c, &name, &policy);
    if (e == OK && !policy.ptr)
        return api_fail(c, LAMBDA_RESOURCE_NOT_FOUND, "The resource you requested does not exist.");
    if (e == OK) *out = (LambdaGetPolicyOut){ .policy = policy, .revision_id = f.revision_id };
    return e;
}

/* ------------------------------------------------------------------------------------------------ enforced */

/* A condition ArnLike: * and ? stand for characters. */
static bool arn_like(Str pattern, Str arn, Arena *a) {
    uint8_t *text = arena_bytes(a, pattern.len);
    for (size_t i = 0; i < pattern.len; i++)
        text[i] = pattern.ptr[i] == '*' ? GLOB_ANY : pattern.ptr[i] == '?' ? GLOB_ONE : pattern.ptr[i];
    Glob g = glob_from((Str){ text, pattern.len });
    return arn.len && glob_is_literal(arn) && glob_match(&g, arn);
}

static bool allows(const LambdaPermissionRecord *p, Str principal, Str source_arn, Str source_account, Arena *a) {
    if (!str_eq(p->action, S("lambda:InvokeFunction")) && !str_eq(p->action, S("lambda:*")) &&
        !str_eq(p->action, S("*")))
        return false;
    if (!str_eq(p->principal, principal) && !str_eq(p->principal, S("*"))) return false;
    if (p->source_arn.len && !arn_like(p->source_arn, source_arn, a)) return false;
    if (p->source_account.len && !str_eq(p->source_account, source_account)) return false;
    return !p->event_source_token.len && !p->principal_org_id.len; /* nobody here has these */
}

Err lambda_permits(Txn *txn, Tenant tenant, Str name, Str qualifier, Str principal, Str source_arn, Str source_account,
                   Arena *arena, bool *out) {
    RecordScan *scan;
    LambdaPermissionRecord p;
    bool yes = false;
    Err e = lambda_permission_record_scan_of_function_name(txn, tenant, name, STR_NONE, false, &scan);
    if (e != OK) return e;
    while (!yes && lambda_permission_record_next(scan, arena, &p))
        yes = p.qualifier.len == qualifier.len && str_eq(p.qualifier, qualifier) &&
              allows(&p, principal, source_arn, source_account, arena);
    e = record_scan_end(scan);
    if (e == OK) *out = yes;
    return e;
}
