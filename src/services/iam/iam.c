#include "services/iam/iam.h"

#include "identity/key_ring.h"
#include "identity/policy.h"
#include "identity/role_book.h"
#include "services/env.h"

/* What else IAM has (users, groups, instance profiles, providers, reports …) is answered as not implemented. */
static const QueryAction ACTIONS[] = {
    { "CreateRole", iam_create_role, false },
    { "GetRole", iam_get_role, false },
    { "ListRoles", iam_list_roles, false },
    { "UpdateRole", iam_update_role, false },
    { "UpdateAssumeRolePolicy", iam_update_assume_role_policy, true },
    { "DeleteRole", iam_delete_role, true },
    { "TagRole", iam_tag_role, true },
    { "UntagRole", iam_untag_role, true },
    { "ListRoleTags", iam_list_role_tags, false },
    { "ListInstanceProfilesForRole", iam_list_instance_profiles_for_role, false },
    { "PutRolePolicy", iam_put_role_policy, true },
    { "GetRolePolicy", iam_get_role_policy, false },
    { "ListRolePolicies", iam_list_role_policies, false },
    { "DeleteRolePolicy", iam_delete_role_policy, true },
    { "AttachRolePolicy", iam_attach_role_policy, true },
    { "DetachRolePolicy", iam_detach_role_policy, true },
    { "ListAttachedRolePolicies", iam_list_attached_role_policies, false },
    { "CreatePolicy", iam_create_policy, false },
    { "GetPolicy", iam_get_policy, false },
    { "ListPolicies", iam_list_policies, false },
    { "DeletePolicy", iam_delete_policy, true },
    { "CreatePolicyVersion", iam_create_policy_version, false },
    { "GetPolicyVersion", iam_get_policy_version, false },
    { "ListPolicyVersions", iam_list_policy_versions, false },
    { "SetDefaultPolicyVersion", iam_set_default_policy_version, true },
    { "DeletePolicyVersion", iam_delete_policy_version, true },
};

const QueryService IAM_SERVICE = { .name = "iam",
                                   .namespace = "https://iam.amazonaws.com/doc/2010-05-08/",
                                   .actions = ACTIONS,
                                   .actions_n = sizeof ACTIONS / sizeof *ACTIONS,
                                   .all_others = true };

Tenant iam_tenant(const Query *q) {
    return role_tenant(q->call->account);
}

/* A caller who may not is refused before he learns whether it is there; its path is not known then. */
Err iam_role(Query *q, const char *action, RoleRecord *out) {
    Call *c = q->call;
    Str name;
    RoleRecord role = { .path = S("/") };
    Err e = query_text(q, "RoleName", 1, IAM_ROLE_NAME_MAX, IAM_NAME_CHARS, &name);
    if (e != OK) return e;
    e = role_record_get(c->txn, iam_tenant(q), name, c->arena, &role);
    if (e != OK && e != ERR_NOT_FOUND) return e;
    bool missing = e == ERR_NOT_FOUND;
    role.role_name = name;
    e = query_authorize(q, action, role_arn(c->account, &role, c->arena));
    if (e == OK && missing)
        e = query_fail(q, 404, "NoSuchEntity", "The role with name %.*s cannot be found.", PS(name));
    if (e == OK) *out = role;
    return e;
}

/* Source: CreateRole: a slash, or a string that begins and ends with one, of "!" to DEL */
Err iam_path(Query *q, Str *out) {
    Str path = query_param(q, "Path");
    if (!path.len) path = S("/");
    bool good = path.len <= IAM_PATH_MAX && str_starts(path, S("/")) && str_ends(path, S("/"));
    for (size_t i = 0; i < path.len; i++) good &= path.ptr[i] >= 0x21 && path.ptr[i] <= 0x7f;
    if (!good)
        return query_fail(q, 400, "ValidationError",
                          "The specified value for path is invalid. It must begin and end with / and contain only "
                          "characters from ! to DEL.");
    *out = path;
    return OK;
}

Err iam_document(Query *q, Str *out) {
    Str document;
    Policy *policy = NULL;
    PolicyFault fault = { 0 };
    Err e = query_text(q, "PolicyDocument", 1, 131072, NULL, &document);
    if (e != OK) return e;
    e = policy_compile(S("policy"), document, POLICY_IAM, q->call->arena, &policy, &fault);
    policy_release(policy);
    if (e == ERR_LIMIT)
        return query_fail(q, 409, "LimitExceeded", "Cannot exceed quota for PolicySize: %d", POLICY_IAM_CHARS_MAX);
    if (e != OK) return query_fail(q, 400, "MalformedPolicyDocument", "%.*s", PS(fault.reason));
    *out = document;
    return OK;
}

void iam_write_tags(Query *q, const StrMap *tags) {
    query_open(q, "Tags");
    for (size_t i = 0; i < tags->n; i++) {
        query_open(q, "member");
        query_element(q, "Key", tags->items[i].key);
        query_element(q, "Value", tags->items[i].value);
        query_close(q, "member");
    }
    query_close(q, "Tags");
}

typedef struct {
    Str account, role;
} Changed;

static void tell_ring(Env *env, void *arg) {
    const Changed *changed = arg;
    if (env->keys) keyring_role_changed(env->keys, changed->account, changed->role);
    if (env->roles) role_book_changed(env->roles, changed->account, changed->role);
}

void iam_role_changed(Query *q, Str role_name) {
    Changed *changed = arena_new(q->call->arena, Changed);
    *changed = (Changed){ q->call->account, str_dup(q->call->arena, role_name) };
    call_after(q->call, tell_ring, changed);
}
