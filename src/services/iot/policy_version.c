#include "services/iot/policy_shared.h"

static Err count_versions(Call *c, Str name, size_t *out) {
    RecordScan *scan;
    PolicyVersionRecord version;
    size_t n = 0;
    Err e = policy_version_record_scan_of_policy_name(c->txn, policy_tenant(c), name, STR_NONE, false, &scan);
    if (e != OK) return e;
    while (policy_version_record_next(scan, c->arena, &version)) n++;
    *out = n;
    return record_scan_end(scan);
}

/* Makes it the default and says so to who is connected. */
static Err set_default(Call *c, PolicyRecord *policy, int64_t version_id) {
    if (policy->default_version_id == version_id) return OK;
    policy->default_version_id = version_id;
    policy->modified_ms = c->now_ms;
    policy->generation_id = rng_uuid(c->rng, c->arena);
    policy_tell(c, policy->policy_name);
    return policy_record_put(c->txn, policy_tenant(c), policy);
}

/* Source of the text: hashicorp/terraform-provider-aws issue 30314 */
static Err check_room(Call *c, Str name) {
    size_t n;
    Err e = count_versions(c, name, &n);
    if (e != OK || n < POLICY_VERSIONS_MAX) return e;
    return api_fail(c, IOT_VERSIONS_LIMIT_EXCEEDED, "The policy %.*s already has the maximum number of versions (%d)",
                    PS(name), POLICY_VERSIONS_MAX);
}

/* The policy's record is written in any case: its last version's number grows. */
Err iot_create_policy_version(Call *c, const IotCreatePolicyVersionIn *in, IotCreatePolicyVersionOut *out) {
    PolicyRecord policy;
    Err e = policy_find(c, in->policy_name, &policy);
    if (e == OK) e = policy_check_document(c, in->policy_name, in->policy_document);
    if (e == OK) e = check_room(c, in->policy_name);
    if (e != OK) return e;
    PolicyVersionRecord version = { .policy_name = in->policy_name,
                                    .version_id = ++policy.last_version_id,
                                    .document = in->policy_document,
                                    .created_ms = c->now_ms,
                                    .modified_ms = c->now_ms,
                                    .generation_id = rng_uuid(c->rng, c->arena) };
    e = policy_version_record_insert(c->txn, policy_tenant(c), &version);
    if (e == OK)
        e = in->set_as_default.v ? set_default(c, &policy, version.version_id)
                                 : policy_record_put(c->txn, policy_tenant(c), &policy);
    if (e != OK) return e;
    *out = (IotCreatePolicyVersionOut){ .policy_arn = policy_arn(c, in->policy_name),
                                        .policy_document = in->policy_document,
                                        .policy_version_id = policy_version_text(c, version.version_id),
                                        .is_default_version = { true, in->set_as_default.v } };
    return OK;
}

Err iot_get_policy_version(Call *c, const IotGetPolicyVersionIn *in, IotGetPolicyVersionOut *out) {
    PolicyRecord policy;
    PolicyVersionRecord version;
    Err e = policy_look(c, in->policy_name, &policy);
    if (e == OK) e = policy_find_version(c, in->policy_name, in->policy_version_id, &version);
    if (e != OK) return e;
    *out = (IotGetPolicyVersionOut){ .policy_arn = policy_arn(c, in->policy_name),
                                     .policy_name = in->policy_name,
                                     .policy_document = version.document,
                                     .policy_version_id = policy_version_text(c, version.version_id),
                                     .is_default_version = { true, version.version_id == policy.default_version_id },
                                     .creation_date = { true, version.created_ms },
                                     .last_modified_date = { true, version.modified_ms },
                                     .generation_id = version.generation_id };
    return OK;
}

/* Newest first. Source: observed with the AWS CLI in public transcripts of list-policy-versions */
Err iot_list_policy_versions(Call *c, const IotListPolicyVersionsIn *in, IotListPolicyVersionsOut *out) {
    PolicyRecord policy;
    RecordScan *scan;
    Err e = policy_look(c, in->policy_name, &policy);
    if (e == OK)
        e = policy_version_record_scan_of_policy_name(c->txn, policy_tenant(c), in->policy_name, STR_NONE, true, &scan);
    if (e != OK) return e;
    IotPolicyVersion *items = arena_array(c->arena, IotPolicyVersion, POLICY_VERSIONS_MAX);
    size_t n = 0;
    PolicyVersionRecord v;
    while (n < POLICY_VERSIONS_MAX && policy_version_record_next(scan, c->arena, &v))
        items[n++] = (IotPolicyVersion){ policy_version_text(c, v.version_id),
                                         { true, v.version_id == policy.default_version_id },
                                         { true, v.created_ms } };
    e = record_scan_end(scan);
    if (e == OK) out->policy_versions = (IotPolicyVersions){ items, n, true };
    return e;
}

/* Source: DeletePolicyVersion ("You cannot delete the default version of a policy using this action") */
Err iot_delete_policy_version(Call *c, const IotDeletePolicyVersionIn *in, IotDeletePolicyVersionOut *out) {
    (void)out;
    PolicyRecord policy;
    PolicyVersionRecord version;
    Err e = policy_find(c, in->policy_name, &policy);
    if (e == OK) e = policy_find_version(c, in->policy_name, in->policy_version_id, &version);
    if (e != OK) return e;
    if (version.version_id == policy.default_version_id)
        return api_fail(c, IOT_INVALID_REQUEST,
                        "Cannot delete the default version of a policy (name=%.*s, version=%.*s)", PS(in->policy_name),
                        PS(in->policy_version_id));
    return policy_version_record_delete(c->txn, policy_tenant(c), in->policy_name, version.version_id);
}

Err iot_set_default_policy_version(Call *c, const IotSetDefaultPolicyVersionIn *in,
                                   IotSetDefaultPolicyVersionOut *out) {
    (void)out;
    PolicyRecord policy;
    PolicyVersionRecord version;
    Err e = policy_find(c, in->policy_name, &policy);
    if (e == OK) e = policy_find_version(c, in->policy_name, in->policy_version_id, &version);
    return e == OK ? set_default(c, &policy, version.version_id) : e;
}
