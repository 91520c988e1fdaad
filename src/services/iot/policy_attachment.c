#include "services/iot/policy_target.h"

/* An attachment is a record of its own, keyed by target, indexed by policy. Attaching locks both ends: neither can
 * be deleted in a commit that did not see it, and the count of a target's policies holds. */

static Err check_room(Call *c, const PolicyTarget *t) {
    StrList have = { 0 };
    size_t most = t->kind == TARGET_GROUP ? POLICIES_PER_GROUP_MAX : POLICIES_PER_PRINCIPAL_MAX;
    Err e = target_policies(c, t->text, &have);
    if (e != OK || have.n < most) return e;
    return api_fail(c, IOT_LIMIT_EXCEEDED, "The target %.*s already has the maximum number of policies (%zu)",
                    PS(t->text), most);
}

/* Attaching twice succeeds. */
static Err attach(Call *c, Str policy_name, const PolicyTarget *t) {
    PolicyRecord policy;
    PolicyAttachmentRecord at;
    Err e = policy_find(c, policy_name, &policy);
    if (e == OK) e = policy_record_lock(c->txn, policy_tenant(c), policy_name);
    if (e == OK) e = target_hold(c, t);
    if (e != OK) return e;
    e = policy_attachment_record_get(c->txn, policy_tenant(c), t->text, policy_name, c->arena, &at);
    if (e != ERR_NOT_FOUND) return e;
    e = check_room(c, t);
    if (e != OK) return e;
    at = (PolicyAttachmentRecord){ .target = t->text, .policy_name = policy_name, .created_ms = c->now_ms };
    e = policy_attachment_record_insert(c->txn, policy_tenant(c), &at);
    if (e == OK) target_tell(c, t);
    return e;
}

/* What is not attached is detached already: DetachPolicy declares no ResourceNotFoundException. */
static Err detach(Call *c, Str policy_name, const PolicyTarget *t) {
    Err e = policy_attachment_record_delete(c->txn, policy_tenant(c), t->text, policy_name);
    if (e == ERR_NOT_FOUND) return OK;
    if (e == OK) target_tell(c, t);
    return e;
}

Err iot_attach_policy(Call *c, const IotAttachPolicyIn *in, IotAttachPolicyOut *out) {
    (void)out;
    PolicyTarget t;
    Err e = target_parse(c, in->target, &t);
    return e == OK ? attach(c, in->policy_name, &t) : e;
}

Err iot_detach_policy(Call *c, const IotDetachPolicyIn *in, IotDetachPolicyOut *out) {
    (void)out;
    PolicyTarget t;
    Err e = target_parse(c, in->target, &t);
    return e == OK ? detach(c, in->policy_name, &t) : e;
}

Err iot_attach_principal_policy(Call *c, const IotAttachPrincipalPolicyIn *in, IotAttachPrincipalPolicyOut *out) {
    (void)out;
    PolicyTarget t;
    Err e = target_parse_principal(c, in->principal, &t);
    return e == OK ? attach(c, in->policy_name, &t) : e;
}

Err iot_detach_principal_policy(Call *c, const IotDetachPrincipalPolicyIn *in, IotDetachPrincipalPolicyOut *out) {
    (void)out;
    PolicyTarget t;
    PolicyRecord policy;
    Err e = target_parse_principal(c, in->principal, &t);
    if (e == OK) e = policy_find(c, in->policy_name, &policy);
    return e == OK ? detach(c, in->policy_name, &t) : e;
}

/* A page of attachments. */
typedef struct {
    Page page;
    PolicyAttachmentRecord *items;
} Attachments;

/* The scan is ended. */
static Err fill(Call *c, RecordScan *scan, bool principals_only, Attachments *a) {
    a->items = arena_array(c->arena, PolicyAttachmentRecord, a->page.most);
    PolicyAttachmentRecord at;
    Str groups = call_arn(c, "iot", "thinggroup/");
    while (policy_attachment_record_next(scan, c->arena, &at)) {
        if (principals_only && str_starts(at.target, groups)) continue;
        if (!page_take(&a->page, scan)) break;
        a->items[a->page.n - 1] = at;
    }
    return record_scan_end(scan);
}

static Err page_of_target(Call *c, Str target, Str marker, OptInt size, bool down, Attachments *out) {
    RecordScan *scan;
    Attachments a;
    Err e = page_open(c, target, marker, size, POLICY_PAGE, &a.page);
    if (e == OK)
        e = policy_attachment_record_scan_of_target(c->txn, policy_tenant(c), target, a.page.after, down, &scan);
    if (e == OK) e = fill(c, scan, false, &a);
    if (e == OK) *out = a;
    return e;
}

static Err page_of_policy(Call *c, Str policy, Str marker, OptInt size, bool down, bool principals_only,
                          Attachments *out) {
    RecordScan *scan;
    PolicyRecord record;
    Attachments a;
    Err e = policy_look(c, policy, &record);
    if (e == OK) e = page_open(c, policy, marker, size, POLICY_PAGE, &a.page);
    if (e == OK)
        e = policy_attachment_record_scan_by_policy(c->txn, policy_tenant(c), policy, a.page.after, down, &scan);
    if (e == OK) e = fill(c, scan, principals_only, &a);
    if (e == OK) *out = a;
    return e;
}

static IotPolicies policies_of(Call *c, const Attachments *a) {
    IotPolicy *items = arena_array(c->arena, IotPolicy, a->page.n);
    for (size_t i = 0; i < a->page.n; i++)
        items[i] = (IotPolicy){ a->items[i].policy_name, policy_arn(c, a->items[i].policy_name) };
    return (IotPolicies){ items, a->page.n, true };
}

static StrList targets_of(Call *c, const Attachments *a) {
    Str *items = arena_array(c->arena, Str, a->page.n);
    for (size_t i = 0; i < a->page.n; i++) items[i] = a->items[i].target;
    return (StrList){ items, a->page.n, true };
}

static bool backwards(OptBool ascending) {
    return ascending.set && !ascending.v;
}

/* With all its ancestors': at most two a group and seven levels, so it is one page. */
static Err list_recursive(Call *c, const PolicyTarget *t, IotListAttachedPoliciesOut *out) {
    StrList targets = { 0 }, names = { 0 };
    Err e = target_add_group(c, t->name, &targets);
    for (size_t i = 0; e == OK && i < targets.n; i++) e = target_policies(c, targets.items[i], &names);
    if (e != OK) return e;
    IotPolicy *items = arena_array(c->arena, IotPolicy, names.n ? names.n : 1);
    for (size_t i = 0; i < names.n; i++) items[i] = (IotPolicy){ names.items[i], policy_arn(c, names.items[i]) };
    out->policies = (IotPolicies){ items, names.n, true };
    return OK;
}

Err iot_list_attached_policies(Call *c, const IotListAttachedPoliciesIn *in, IotListAttachedPoliciesOut *out) {
    PolicyTarget t;
    Attachments a;
    Err e = target_parse(c, in->target, &t);
    if (e == OK) e = target_check(c, &t);
    if (e != OK) return e;
    if (in->recursive.v && t.kind == TARGET_GROUP) return list_recursive(c, &t, out);
    e = page_of_target(c, in->target, in->marker, in->page_size, false, &a);
    if (e == OK) *out = (IotListAttachedPoliciesOut){ policies_of(c, &a), a.page.next };
    return e;
}

Err iot_list_principal_policies(Call *c, const IotListPrincipalPoliciesIn *in, IotListPrincipalPoliciesOut *out) {
    PolicyTarget t;
    Attachments a;
    Err e = target_parse_principal(c, in->principal, &t);
    if (e == OK) e = target_check(c, &t);
    if (e == OK) e = page_of_target(c, in->principal, in->marker, in->page_size, backwards(in->ascending_order), &a);
    if (e == OK) *out = (IotListPrincipalPoliciesOut){ policies_of(c, &a), a.page.next };
    return e;
}

Err iot_list_targets_for_policy(Call *c, const IotListTargetsForPolicyIn *in, IotListTargetsForPolicyOut *out) {
    Attachments a;
    Err e = page_of_policy(c, in->policy_name, in->marker, in->page_size, false, false, &a);
    if (e == OK) *out = (IotListTargetsForPolicyOut){ targets_of(c, &a), a.page.next };
    return e;
}

/* Certificates and Cognito identities; groups are ListTargetsForPolicy's. */
Err iot_list_policy_principals(Call *c, const IotListPolicyPrincipalsIn *in, IotListPolicyPrincipalsOut *out) {
    Attachments a;
    Err e = page_of_policy(c, in->policy_name, in->marker, in->page_size, backwards(in->ascending_order), true, &a);
    if (e == OK) *out = (IotListPolicyPrincipalsOut){ targets_of(c, &a), a.page.next };
    return e;
}
