/* What a role may do: policies written into it, and policies attached to it. */
#include "base/encode.h"
#include "identity/managed_policy.h"
#include "identity/role.h"
#include "services/iam/iam.h"

enum { INLINE_CHARS_MAX = 10240, ATTACHED_MAX = 10 }; /* Source: IAM quotas */

static Err inlined(Query *q, const RoleRecord *role, RolePolicyRecord *out) {
    Str name;
    Err e = query_text(q, "PolicyName", 1, IAM_NAME_MAX, IAM_NAME_CHARS, &name);
    if (e == OK) e = role_policy_record_get(q->call->txn, iam_tenant(q), role->role_name, name, q->call->arena, out);
    if (e == ERR_NOT_FOUND)
        e = query_fail(q, 404, "NoSuchEntity", "The role policy with name %.*s cannot be found.", PS(name));
    return e;
}

static Err check_size(Query *q, const RolePolicyRecord *fresh) {
    RecordScan *scan;
    RolePolicyRecord r;
    size_t chars = fresh->document.len;
    Err e = role_policy_record_scan_of_role_name(q->call->txn, iam_tenant(q), fresh->role_name, STR_NONE, false, &scan);
    if (e != OK) return e;
    while (role_policy_record_next(scan, q->call->arena, &r))
        if (!str_eq(r.policy_name, fresh->policy_name)) chars += r.document.len;
    e = record_scan_end(scan);
    if (e == OK && chars > INLINE_CHARS_MAX)
        e = query_fail(q, 409, "LimitExceeded", "Maximum policy size of %d bytes exceeded for role %.*s",
                       INLINE_CHARS_MAX, PS(fresh->role_name));
    return e;
}

Err iam_put_role_policy(Query *q) {
    RoleRecord role;
    RolePolicyRecord r = { 0 };
    Err e = iam_role(q, "iam:PutRolePolicy", &role);
    if (e == OK) e = query_text(q, "PolicyName", 1, IAM_NAME_MAX, IAM_NAME_CHARS, &r.policy_name);
    if (e == OK) e = iam_document(q, &r.document);
    if (e == OK) e = role_record_lock(q->call->txn, iam_tenant(q), role.role_name);
    r.role_name = role.role_name;
    if (e == OK) e = check_size(q, &r);
    if (e == OK) e = role_policy_record_put(q->call->txn, iam_tenant(q), &r);
    if (e == OK) iam_role_changed(q, role.role_name);
    return e;
}

Err iam_get_role_policy(Query *q) {
    RoleRecord role;
    RolePolicyRecord r;
    Err e = iam_role(q, "iam:GetRolePolicy", &role);
    if (e == OK) e = inlined(q, &role, &r);
    if (e != OK) return e;
    query_element(q, "RoleName", r.role_name);
    query_element(q, "PolicyName", r.policy_name);
    query_element(q, "PolicyDocument", percent_encode(q->call->arena, r.document, false));
    return OK;
}

Err iam_list_role_policies(Query *q) {
    Call *c = q->call;
    RoleRecord role;
    QueryPage page;
    RecordScan *scan;
    RolePolicyRecord r;
    size_t n = 0;
    bool more = false;
    Str last = STR_NONE;
    Err e = iam_role(q, "iam:ListRolePolicies", &role);
    if (e == OK) e = query_page(q, &page);
    if (e == OK)
        e = role_policy_record_scan_of_role_name(c->txn, iam_tenant(q), role.role_name, page.after, false, &scan);
    if (e != OK) return e;
    query_open(q, "PolicyNames");
    while (!more && role_policy_record_next(scan, c->arena, &r)) {
        if (n == page.most) {
            more = true;
            break;
        }
        query_element(q, "member", r.policy_name);
        if (++n == page.most) last = record_scan_position(scan, c->arena);
    }
    query_close(q, "PolicyNames");
    query_page_end(q, more, last);
    return record_scan_end(scan);
}

Err iam_delete_role_policy(Query *q) {
    RoleRecord role;
    RolePolicyRecord r;
    Err e = iam_role(q, "iam:DeleteRolePolicy", &role);
    if (e == OK) e = inlined(q, &role, &r);
    if (e == OK) e = role_policy_record_delete(q->call->txn, iam_tenant(q), role.role_name, r.policy_name);
    if (e == OK) iam_role_changed(q, role.role_name);
    return e;
}

/* ------------------------------------------------------------------------------------------------ attached */

static Err check_attachable(Query *q, Str arn) {
    Call *c = q->call;
    IamPolicyRecord p;
    if (managed_policy_document(arn).ptr) return OK;
    Err e = iam_policy_record_get(c->txn, iam_tenant(q), str_after_last(arn, '/'), c->arena, &p);
    if (e != OK && e != ERR_NOT_FOUND) return e;
    bool same = e == OK && str_eq(arn, str_format(c->arena, "arn:aws:iam::%.*s:policy%.*s%.*s", PS(c->account),
                                                  PS(p.path), PS(p.policy_name)));
    if (same) return iam_policy_record_lock(c->txn, iam_tenant(q), p.policy_name);
    if (str_starts(arn, S("arn:aws:iam::aws:")))
        return query_fail(
            q, 404, "NoSuchEntity",
            "Policy %.*s does not exist or is not attachable. Of the policies that AWS manages Starling has "
            "those for AWS IoT; put what the role may do into a policy of your own",
            PS(arn));
    return query_fail(q, 404, "NoSuchEntity", "Policy %.*s does not exist or is not attachable.", PS(arn));
}

Err iam_attach_role_policy(Query *q) {
    Call *c = q->call;
    RoleRecord role;
    RecordScan *scan;
    RoleAttachmentRecord at;
    Str arn;
    size_t others = 0;
    Err e = iam_role(q, "iam:AttachRolePolicy", &role);
    if (e == OK) e = query_text(q, "PolicyArn", 20, 2048, NULL, &arn);
    if (e == OK) e = check_attachable(q, arn);
    if (e == OK) e = role_record_lock(c->txn, iam_tenant(q), role.role_name);
    if (e == OK)
        e = role_attachment_record_scan_of_role_name(c->txn, iam_tenant(q), role.role_name, STR_NONE, false, &scan);
    if (e != OK) return e;
    while (role_attachment_record_next(scan, c->arena, &at)) others += !str_eq(at.policy_arn, arn);
    e = record_scan_end(scan);
    if (e == OK && others >= ATTACHED_MAX)
        e = query_fail(q, 409, "LimitExceeded", "Cannot exceed quota for PoliciesPerRole: %d", ATTACHED_MAX);
    if (e != OK) return e;
    e = role_attachment_record_put(
        c->txn, iam_tenant(q),
        &(RoleAttachmentRecord){ .role_name = role.role_name, .policy_arn = arn, .created_ms = c->now_ms });
    if (e == OK) iam_role_changed(q, role.role_name);
    return e;
}

Err iam_detach_role_policy(Query *q) {
    RoleRecord role;
    Str arn;
    Err e = iam_role(q, "iam:DetachRolePolicy", &role);
    if (e == OK) e = query_text(q, "PolicyArn", 20, 2048, NULL, &arn);
    if (e == OK) e = role_attachment_record_delete(q->call->txn, iam_tenant(q), role.role_name, arn);
    if (e == ERR_NOT_FOUND) return query_fail(q, 404, "NoSuchEntity", "Policy %.*s was not found.", PS(arn));
    if (e == OK) iam_role_changed(q, role.role_name);
    return e;
}

Err iam_list_attached_role_policies(Query *q) {
    Call *c = q->call;
    RoleRecord role;
    QueryPage page;
    RecordScan *scan;
    RoleAttachmentRecord at;
    size_t n = 0;
    bool more = false;
    Str last = STR_NONE;
    Err e = iam_role(q, "iam:ListAttachedRolePolicies", &role);
    if (e == OK) e = query_page(q, &page);
    if (e == OK)
        e = role_attachment_record_scan_of_role_name(c->txn, iam_tenant(q), role.role_name, page.after, false, &scan);
    if (e != OK) return e;
    query_open(q, "AttachedPolicies");
    while (!more && role_attachment_record_next(scan, c->arena, &at)) {
        if (n == page.most) {
            more = true;
            break;
        }
        query_open(q, "member");
        query_element(q, "PolicyName", str_after_last(at.policy_arn, '/'));
        query_element(q, "PolicyArn", at.policy_arn);
        query_close(q, "member");
        if (++n == page.most) last = record_scan_position(scan, c->arena);
    }
    query_close(q, "AttachedPolicies");
    query_page_end(q, more, last);
    return record_scan_end(scan);
}
