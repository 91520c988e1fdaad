/* Roles themselves. */
#include "base/encode.h"
#include "generated/roles_records.h"
#include "identity/role.h"
#include "services/iam/iam.h"

enum { SESSION_S_DEFAULT = 3600, SESSION_S_MIN = 3600, SESSION_S_MAX = 43200, DESCRIPTION_MAX = 1000 };
enum { TAGS_MAX = 50 };

static void write_role(Query *q, const char *name, const RoleRecord *r, bool whole) {
    Call *c = q->call;
    query_open(q, name);
    query_element(q, "Path", r->path);
    query_element(q, "RoleName", r->role_name);
    query_element(q, "RoleId", r->role_id);
    query_element(q, "Arn", role_arn(c->account, r, c->arena));
    query_time(q, "CreateDate", r->created_ms);
    query_element(q, "AssumeRolePolicyDocument", percent_encode(c->arena, r->trust_policy, false));
    if (r->description.len) query_element(q, "Description", r->description);
    query_element(q, "MaxSessionDuration", str_format(c->arena, "%lld", (long long)r->session_s_max));
    if (whole && r->tags.n) iam_write_tags(q, &r->tags);
    query_close(q, name);
}

static Err trust(Query *q, const char *param, Str *out) {
    Str document, why;
    Err e = query_text(q, param, 1, 131072, NULL, &document);
    if (e != OK) return e;
    e = role_trust_check(document, q->call->arena, &why);
    if (e == ERR_LIMIT) return query_fail(q, 409, "LimitExceeded", "%.*s", PS(why));
    if (e != OK) return query_fail(q, 400, "MalformedPolicyDocument", "%.*s", PS(why));
    *out = document;
    return OK;
}

static Err description(Query *q, Str *out) {
    Str text = query_param(q, "Description");
    if (!text.ptr) return OK;
    Err e = query_text(q, "Description", 0, DESCRIPTION_MAX, NULL, &text);
    if (e == OK) *out = text;
    return e;
}

Err iam_create_role(Query *q) {
    Call *c = q->call;
    RoleRecord r = { .created_ms = c->now_ms };
    Err e = query_text(q, "RoleName", 1, IAM_ROLE_NAME_MAX, IAM_NAME_CHARS, &r.role_name);
    if (e == OK) e = iam_path(q, &r.path);
    if (e == OK) e = query_authorize(q, "iam:CreateRole", role_arn(c->account, &r, c->arena));
    if (e == OK) e = trust(q, "AssumeRolePolicyDocument", &r.trust_policy);
    if (e == OK) e = description(q, &r.description);
    if (e == OK)
        e = query_number(q, "MaxSessionDuration", SESSION_S_DEFAULT, SESSION_S_MIN, SESSION_S_MAX, &r.session_s_max);
    if (e == OK) e = query_tags(q, &r.tags);
    if (e == OK && query_param(q, "PermissionsBoundary").len)
        e = query_fail(q, 501, "NotImplemented",
                       "PermissionsBoundary is not implemented yet: a role would be "
                       "let do more than its boundary says");
    if (e != OK) return e;
    r.role_id = role_new_id(c->rng, c->arena);
    e = role_record_insert(c->txn, iam_tenant(q), &r);
    if (e == ERR_EXISTS)
        return query_fail(q, 409, "EntityAlreadyExists", "Role with name %.*s already exists.", PS(r.role_name));
    if (e == OK) e = deleted_role_record_delete(c->txn, iam_tenant(q), r.role_name);
    if (e == ERR_NOT_FOUND) e = OK;
    if (e == OK) iam_role_changed(q, r.role_name);
    if (e == OK) write_role(q, "Role", &r, true);
    return e;
}

Err iam_get_role(Query *q) {
    RoleRecord r;
    Err e = iam_role(q, "iam:GetRole", &r);
    if (e == OK) write_role(q, "Role", &r, true);
    return e;
}

Err iam_list_roles(Query *q) {
    Call *c = q->call;
    QueryPage page;
    RecordScan *scan;
    RoleRecord r;
    size_t n = 0;
    bool more = false;
    Str last = STR_NONE, prefix = query_param(q, "PathPrefix");
    Err e = query_authorize(q, "iam:ListRoles", S("*"));
    if (e == OK) e = query_page(q, &page);
    if (e == OK) e = role_record_scan(c->txn, iam_tenant(q), page.after, false, &scan);
    if (e != OK) return e;
    query_open(q, "Roles");
    while (!more && role_record_next(scan, c->arena, &r)) {
        if (!str_starts(r.path, prefix)) continue;
        if (n == page.most) {
            more = true;
            break;
        }
        write_role(q, "member", &r, false);
        if (++n == page.most) last = record_scan_position(scan, c->arena);
    }
    query_close(q, "Roles");
    query_page_end(q, more, last);
    return record_scan_end(scan);
}

Err iam_update_role(Query *q) {
    RoleRecord r;
    Err e = iam_role(q, "iam:UpdateRole", &r);
    if (e == OK) e = description(q, &r.description);
    if (e == OK)
        e = query_number(q, "MaxSessionDuration", r.session_s_max, SESSION_S_MIN, SESSION_S_MAX, &r.session_s_max);
    return e == OK ? role_record_put(q->call->txn, iam_tenant(q), &r) : e;
}

Err iam_update_assume_role_policy(Query *q) {
    RoleRecord r;
    Err e = iam_role(q, "iam:UpdateAssumeRolePolicy", &r);
    if (e == OK) e = trust(q, "PolicyDocument", &r.trust_policy);
    if (e == OK) iam_role_changed(q, r.role_name);
    return e == OK ? role_record_put(q->call->txn, iam_tenant(q), &r) : e;
}

static Err check_bare(Query *q, const RoleRecord *r) {
    Call *c = q->call;
    RecordScan *scan;
    RoleAttachmentRecord at;
    RolePolicyRecord inlined;
    Err e = role_attachment_record_scan_of_role_name(c->txn, iam_tenant(q), r->role_name, STR_NONE, false, &scan);
    if (e != OK) return e;
    bool any = role_attachment_record_next(scan, c->arena, &at);
    e = record_scan_end(scan);
    if (e == OK && any)
        e = query_fail(q, 409, "DeleteConflict", "Cannot delete entity, must detach all policies first.");
    if (e == OK) e = role_policy_record_scan_of_role_name(c->txn, iam_tenant(q), r->role_name, STR_NONE, false, &scan);
    if (e != OK) return e;
    any = role_policy_record_next(scan, c->arena, &inlined);
    e = record_scan_end(scan);
    return e == OK && any ? query_fail(q, 409, "DeleteConflict", "Cannot delete entity, must delete policies first.")
                          : e;
}

Err iam_delete_role(Query *q) {
    Call *c = q->call;
    RoleRecord r;
    Err e = iam_role(q, "iam:DeleteRole", &r);
    if (e == OK) e = role_record_lock(q->call->txn, iam_tenant(q), r.role_name); /* who attaches locks it, too */
    if (e == OK) e = check_bare(q, &r);
    if (e == OK) e = role_record_delete(q->call->txn, iam_tenant(q), r.role_name);
    if (e != OK) return e;
    const DeletedRoleRecord gone = { .role_name = r.role_name,
                                     .arn = role_arn(c->account, &r, c->arena),
                                     .deleted_ms = c->now_ms };
    e = deleted_role_record_put(c->txn, iam_tenant(q), &gone);
    if (e == OK) iam_role_changed(q, r.role_name);
    return e;
}

Err iam_list_instance_profiles_for_role(Query *q) {
    RoleRecord r;
    Err e = iam_role(q, "iam:ListInstanceProfilesForRole", &r);
    if (e != OK) return e;
    query_element(q, "InstanceProfiles", S("")); /* there is nothing that could have one */
    query_page_end(q, false, STR_NONE);
    return OK;
}

/* ------------------------------------------------------------------------------------------------ tags */

static void tag_remove(StrMap *tags, Str key) {
    for (size_t i = 0; i < tags->n; i++)
        if (str_eq_nocase(tags->items[i].key, key)) tags->items[i--] = tags->items[--tags->n];
}

Err iam_tag_role(Query *q) {
    RoleRecord r;
    StrMap more;
    Err e = iam_role(q, "iam:TagRole", &r);
    if (e == OK) e = query_tags(q, &more);
    if (e != OK) return e;
    StrPair *items = arena_array(q->call->arena, StrPair, r.tags.n + more.n + 1);
    if (r.tags.n) memcpy(items, r.tags.items, r.tags.n * sizeof *items);
    StrMap all = { items, r.tags.n, true };
    for (size_t i = 0; i < more.n; i++) {
        tag_remove(&all, more.items[i].key);
        all.items[all.n++] = more.items[i];
    }
    if (all.n > TAGS_MAX)
        return query_fail(q, 409, "LimitExceeded", "The number of tags has reached the maximum limit.");
    r.tags = all;
    return role_record_put(q->call->txn, iam_tenant(q), &r);
}

Err iam_untag_role(Query *q) {
    RoleRecord r;
    Err e = iam_role(q, "iam:UntagRole", &r);
    if (e != OK) return e;
    StrList keys = query_list(q, "TagKeys");
    for (size_t i = 0; i < keys.n; i++) tag_remove(&r.tags, keys.items[i]);
    return role_record_put(q->call->txn, iam_tenant(q), &r);
}

Err iam_list_role_tags(Query *q) {
    RoleRecord r;
    Err e = iam_role(q, "iam:ListRoleTags", &r);
    if (e != OK) return e;
    iam_write_tags(q, &r.tags);
    query_page_end(q, false, STR_NONE);
    return OK;
}
