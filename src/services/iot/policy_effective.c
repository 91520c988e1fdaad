#include "services/iot/policy_effective.h"

#include "api/error.h"

static bool has(const Effective *e, Str name) {
    for (size_t i = 0; i < e->n; i++)
        if (str_eq(e->policies[i].name, name)) return true;
    return false;
}

static void append(Call *c, Effective *to, EffectivePolicy policy) {
    EffectivePolicy *grown = arena_array(c->arena, EffectivePolicy, to->n + 1);
    if (to->n) memcpy(grown, to->policies, to->n * sizeof *grown);
    grown[to->n++] = policy;
    to->policies = grown;
}

static Err default_document(Call *c, Str name, Str *out) {
    PolicyRecord policy;
    PolicyVersionRecord version;
    Err e = policy_look(c, name, &policy);
    if (e == OK)
        e = policy_version_record_peek(c->txn, policy_tenant(c), name, policy.default_version_id, c->arena, &version);
    if (e == OK) *out = version.document;
    return e;
}

Err effective_add(Call *c, Effective *to, Str policy_name) {
    Str document;
    if (has(to, policy_name)) return OK;
    Err e = default_document(c, policy_name, &document);
    if (e == OK) append(c, to, (EffectivePolicy){ policy_name, document });
    return e;
}

static Err add_targets(Call *c, Effective *to, const StrList *targets) {
    StrList names = { 0 };
    Err e = OK;
    for (size_t i = 0; e == OK && i < targets->n; i++) e = target_policies(c, targets->items[i], &names);
    for (size_t i = 0; e == OK && i < names.n; i++) e = effective_add(c, to, names.items[i]);
    return e;
}

static Err add_groups_of_thing(Call *c, Effective *to, Str thing_name) {
    ThingRecord thing;
    Err e = thing_record_peek(c->txn, policy_tenant(c), thing_name, c->arena, &thing);
    if (e == ERR_NOT_FOUND) return api_fail(c, IOT_RESOURCE_NOT_FOUND, "Thing %.*s not found", PS(thing_name));
    RecordScan *scan;
    GroupMemberRecord member;
    StrList targets = { 0 };
    if (e == OK) e = group_member_record_scan_by_thing(c->txn, policy_tenant(c), thing_name, STR_NONE, false, &scan);
    if (e != OK) return e;
    Err inner = OK;
    while (inner == OK && group_member_record_next(scan, c->arena, &member))
        inner = target_add_group(c, member.thing_group_name, &targets);
    e = record_scan_end(scan);
    if (e == OK) e = inner;
    return e == OK ? add_targets(c, to, &targets) : e;
}

static Err add_principal(Call *c, Effective *to, Str principal) {
    PolicyTarget t;
    Err e = target_parse_principal(c, principal, &t);
    if (e == OK) e = target_check(c, &t);
    if (e != OK) return e;
    if (t.kind == TARGET_COGNITO) return add_targets(c, to, &(StrList){ &t.text, 1, true });
    Loaded *loaded = arena_new(c->arena, Loaded);
    e = directory_load(c->txn, c->account, c->region, t.name, c->arena, loaded);
    if (e != OK) return e;
    to->certificate = loaded;
    for (size_t i = 0; e == OK && i < loaded->policies_n; i++) e = effective_add(c, to, loaded->policies[i]);
    return e;
}

Err effective_policies(Call *c, Str principal, Str thing_name, Effective *out) {
    Effective all = { 0 };
    if (!principal.len && !thing_name.len)
        return api_fail(c, IOT_INVALID_REQUEST, "A principal or a thing name is needed");
    Err e = principal.len ? add_principal(c, &all, principal) : OK;
    if (e == OK && thing_name.len) e = add_groups_of_thing(c, &all, thing_name);
    if (e == OK) *out = all;
    return e;
}

Err effective_no_pool(Call *c, Str identity_pool_id) {
    if (!identity_pool_id.len) return OK;
    return api_fail(c, API_NOT_IMPLEMENTED,
                    "cognitoIdentityPoolId is not implemented yet: there are no identity pools, got %.*s",
                    PS(identity_pool_id));
}

Err iot_get_effective_policies(Call *c, const IotGetEffectivePoliciesIn *in, IotGetEffectivePoliciesOut *out) {
    Effective all;
    Err e = effective_no_pool(c, in->cognito_identity_pool_id);
    if (e == OK) e = effective_policies(c, in->principal, in->thing_name, &all);
    if (e != OK) return e;
    IotEffectivePolicy *items = arena_array(c->arena, IotEffectivePolicy, all.n ? all.n : 1);
    for (size_t i = 0; i < all.n; i++)
        items[i] =
            (IotEffectivePolicy){ all.policies[i].name, policy_arn(c, all.policies[i].name), all.policies[i].document };
    out->effective_policies = (IotEffectivePolicies){ items, all.n, true };
    return OK;
}
