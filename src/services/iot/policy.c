#include "services/iot/policy_shared.h"
#include "services/iot/registry.h"

/* A policy is a record that names its default version; the documents are records of their own. Whatever relies on
 * the set of a policy's versions or attachments also writes or locks the policy's record, so that two such commits
 * exclude each other. */

/* Source of the text: getmoto/moto pull 5352, quoting AWS */
static Err already_exists(Call *c, Str name) {
    c->failure.resource_id = name;
    c->failure.resource_arn = policy_arn(c, name);
    return api_fail(c, IOT_RESOURCE_ALREADY_EXISTS, "Policy cannot be created - name already exists (name=%.*s)",
                    PS(name));
}

Err iot_create_policy(Call *c, const IotCreatePolicyIn *in, IotCreatePolicyOut *out) {
    StrMap tags;
    Err e = policy_check_document(c, in->policy_name, in->policy_document);
    if (e == OK) e = tags_from(c, &in->tags, &tags);
    if (e != OK) return e;
    Str generation = rng_uuid(c->rng, c->arena);
    PolicyRecord policy = { .policy_name = in->policy_name,
                            .default_version_id = 1,
                            .last_version_id = 1,
                            .created_ms = c->now_ms,
                            .modified_ms = c->now_ms,
                            .generation_id = generation,
                            .tags = tags };
    PolicyVersionRecord version = { .policy_name = in->policy_name,
                                    .version_id = 1,
                                    .document = in->policy_document,
                                    .created_ms = c->now_ms,
                                    .modified_ms = c->now_ms,
                                    .generation_id = generation };
    e = policy_record_insert(c->txn, policy_tenant(c), &policy);
    if (e == ERR_EXISTS) return already_exists(c, in->policy_name);
    if (e == OK) e = policy_version_record_insert(c->txn, policy_tenant(c), &version);
    if (e != OK) return e;
    policy_tell(c, in->policy_name);
    *out = (IotCreatePolicyOut){ .policy_name = in->policy_name,
                                 .policy_arn = policy_arn(c, in->policy_name),
                                 .policy_document = in->policy_document,
                                 .policy_version_id = S("1") };
    return OK;
}

/* Source of the text: aws/aws-sdk-js-v3 issue 5549 */
Err iot_get_policy(Call *c, const IotGetPolicyIn *in, IotGetPolicyOut *out) {
    PolicyRecord policy;
    PolicyVersionRecord version;
    Err e = policy_record_peek(c->txn, policy_tenant(c), in->policy_name, c->arena, &policy);
    if (e == OK)
        e = policy_version_record_peek(c->txn, policy_tenant(c), in->policy_name, policy.default_version_id, c->arena,
                                       &version);
    if (e == ERR_NOT_FOUND) return api_fail(c, IOT_RESOURCE_NOT_FOUND, "Policy default version not found");
    if (e != OK) return e;
    *out = (IotGetPolicyOut){ .policy_name = policy.policy_name,
                              .policy_arn = policy_arn(c, policy.policy_name),
                              .policy_document = version.document,
                              .default_version_id = policy_version_text(c, policy.default_version_id),
                              .creation_date = { true, policy.created_ms },
                              .last_modified_date = { true, policy.modified_ms },
                              .generation_id = policy.generation_id };
    return OK;
}

/* Newest first, unless ascending order is asked for. */
Err iot_list_policies(Call *c, const IotListPoliciesIn *in, IotListPoliciesOut *out) {
    bool down = !in->ascending_order.v;
    RecordScan *scan;
    PolicyRecord policy;
    Page page;
    Err e = page_open(c, down ? S("down") : S("up"), in->marker, in->page_size, POLICY_PAGE, &page);
    if (e == OK) e = policy_record_scan_all_by_created(c->txn, policy_tenant(c), page.after, down, &scan);
    if (e != OK) return e;
    IotPolicy *items = arena_array(c->arena, IotPolicy, page.most);
    while (policy_record_next(scan, c->arena, &policy) && page_take(&page, scan))
        items[page.n - 1] = (IotPolicy){ policy.policy_name, policy_arn(c, policy.policy_name) };
    out->policies = (IotPolicies){ items, page.n, true };
    out->next_marker = page.next;
    return record_scan_end(scan);
}

static Err has_targets(Call *c, Str name, bool *out) {
    RecordScan *scan;
    PolicyAttachmentRecord at;
    Err e = policy_attachment_record_scan_by_policy(c->txn, policy_tenant(c), name, STR_NONE, false, &scan);
    if (e != OK) return e;
    *out = policy_attachment_record_next(scan, c->arena, &at);
    return record_scan_end(scan);
}

static Err has_other_versions(Call *c, const PolicyRecord *policy, bool *out) {
    RecordScan *scan;
    PolicyVersionRecord version;
    Err e = policy_version_record_scan_of_policy_name(c->txn, policy_tenant(c), policy->policy_name, STR_NONE, false,
                                                      &scan);
    if (e != OK) return e;
    bool other = false;
    while (!other && policy_version_record_next(scan, c->arena, &version))
        other = version.version_id != policy->default_version_id;
    *out = other;
    return record_scan_end(scan);
}

/* Source of the texts: rebuy-de/aws-nuke pull 320; seen in many trackers */
Err iot_delete_policy(Call *c, const IotDeletePolicyIn *in, IotDeletePolicyOut *out) {
    (void)out;
    PolicyRecord policy;
    bool attached = false, versions = false;
    Err e = policy_find(c, in->policy_name, &policy);
    if (e == OK) e = policy_record_lock(c->txn, policy_tenant(c), in->policy_name);
    if (e == OK) e = has_targets(c, in->policy_name, &attached);
    if (e == OK) e = has_other_versions(c, &policy, &versions);
    if (e != OK) return e;
    if (attached)
        return api_fail(c, IOT_DELETE_CONFLICT,
                        "The policy cannot be deleted as the policy is attached to one or more principals (name=%.*s)",
                        PS(in->policy_name));
    if (versions)
        return api_fail(c, IOT_DELETE_CONFLICT,
                        "The policy cannot be deleted as versions other than default version exist (name=%.*s)",
                        PS(in->policy_name));
    e = policy_version_record_delete(c->txn, policy_tenant(c), in->policy_name, policy.default_version_id);
    if (e == OK) e = policy_record_delete(c->txn, policy_tenant(c), in->policy_name);
    if (e == OK) policy_tell(c, in->policy_name);
    return e;
}
