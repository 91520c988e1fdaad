/* The account's own policies and their versions. A role that has one attached does what its default version says. */
#include "base/encode.h"
#include "identity/managed_policy.h"
#include "identity/role.h"
#include "services/iam/iam.h"

enum { VERSIONS_MAX = 5 }; /* Source: IAM quotas */

static Str policy_arn(const Query *q, const IamPolicyRecord *p) {
    return str_format(q->call->arena, "arn:aws:iam::%.*s:policy%.*s%.*s", PS(q->call->account), PS(p->path),
                      PS(p->policy_name));
}

static Err count_roles(Query *q, Str arn, size_t *out) {
    RecordScan *scan;
    RoleAttachmentRecord at;
    size_t n = 0;
    Err e = role_attachment_record_scan_by_policy(q->call->txn, iam_tenant(q), arn, STR_NONE, false, &scan);
    if (e != OK) return e;
    while (role_attachment_record_next(scan, q->call->arena, &at)) n++;
    *out = n;
    return record_scan_end(scan);
}

static Str version_id(Query *q, int64_t version) {
    return str_format(q->call->arena, "v%lld", (long long)version);
}

static Err write_policy(Query *q, const char *name, const IamPolicyRecord *p) {
    size_t roles = 0;
    Str arn = policy_arn(q, p);
    Err e = count_roles(q, arn, &roles);
    if (e != OK) return e;
    query_open(q, name);
    query_element(q, "PolicyName", p->policy_name);
    query_element(q, "PolicyId", p->policy_id);
    query_element(q, "Arn", arn);
    query_element(q, "Path", p->path);
    query_element(q, "DefaultVersionId", version_id(q, p->default_version));
    query_element(q, "AttachmentCount", str_format(q->call->arena, "%zu", roles));
    query_element(q, "PermissionsBoundaryUsageCount", S("0"));
    query_element(q, "IsAttachable", S("true"));
    if (p->description.len) query_element(q, "Description", p->description);
    query_time(q, "CreateDate", p->created_ms);
    query_time(q, "UpdateDate", p->updated_ms);
    if (p->tags.n) iam_write_tags(q, &p->tags);
    query_close(q, name);
    return OK;
}

static Err missing(Query *q, Str arn) {
    return query_fail(q, 404, "NoSuchEntity", "Policy %.*s was not found.", PS(str_sub(arn, 0, 200)));
}

/* The parameter PolicyArn's policy. One that AWS manages may be read: *managed is its document then. */
static Err find(Query *q, const char *action, IamPolicyRecord *out, Str *managed) {
    Str arn;
    IamPolicyRecord p;
    Err e = query_text(q, "PolicyArn", 20, 2048, NULL, &arn);
    if (e == OK) e = query_authorize(q, action, arn);
    if (e != OK) return e;
    if (managed && (*managed = managed_policy_document(arn)).ptr) {
        size_t prefix = sizeof "arn:aws:iam::aws:policy" - 1;
        Str name = str_after_last(arn, '/');
        *out = (IamPolicyRecord){ .policy_name = name,
                                  .policy_id = role_unique_id("ANPA", S("aws"), name, q->call->arena),
                                  .path = str_sub(arn, prefix, arn.len - name.len),
                                  .default_version = 1 };
        return OK;
    }
    e = iam_policy_record_get(q->call->txn, iam_tenant(q), str_after_last(arn, '/'), q->call->arena, &p);
    if (e == ERR_NOT_FOUND || (e == OK && !str_eq(policy_arn(q, &p), arn))) return missing(q, arn);
    if (e == OK) *out = p;
    return e;
}

/* Whoever has it attached does something else from now on. */
static Err tell_roles(Query *q, const IamPolicyRecord *p) {
    RecordScan *scan;
    RoleAttachmentRecord at;
    Err e =
        role_attachment_record_scan_by_policy(q->call->txn, iam_tenant(q), policy_arn(q, p), STR_NONE, false, &scan);
    if (e != OK) return e;
    while (role_attachment_record_next(scan, q->call->arena, &at)) iam_role_changed(q, at.role_name);
    return record_scan_end(scan);
}

static Err put_version(Query *q, const IamPolicyRecord *p, Str document) {
    return iam_policy_version_record_put(q->call->txn, iam_tenant(q),
                                         &(IamPolicyVersionRecord){ .policy_name = p->policy_name,
                                                                    .version = p->last_version,
                                                                    .document = document,
                                                                    .created_ms = q->call->now_ms });
}

Err iam_create_policy(Query *q) {
    Call *c = q->call;
    Str document;
    IamPolicyRecord p = { .default_version = 1, .last_version = 1, .created_ms = c->now_ms, .updated_ms = c->now_ms };
    Err e = query_text(q, "PolicyName", 1, IAM_NAME_MAX, IAM_NAME_CHARS, &p.policy_name);
    if (e == OK) e = iam_path(q, &p.path);
    if (e == OK) e = query_authorize(q, "iam:CreatePolicy", policy_arn(q, &p));
    if (e == OK) e = iam_document(q, &document);
    if (e == OK) e = query_tags(q, &p.tags);
    if (e == OK && query_param(q, "Description").ptr) e = query_text(q, "Description", 0, 1000, NULL, &p.description);
    if (e != OK) return e;
    p.policy_id = role_unique_id("ANPA", c->account, p.policy_name, c->arena);
    e = iam_policy_record_insert(c->txn, iam_tenant(q), &p);
    if (e == ERR_EXISTS)
        return query_fail(q, 409, "EntityAlreadyExists",
                          "A policy called %.*s already exists. Duplicate names are not allowed.", PS(p.policy_name));
    if (e == OK) e = put_version(q, &p, document);
    return e == OK ? write_policy(q, "Policy", &p) : e;
}

static void write_managed(Query *q, const char *element, Str arn) {
    size_t prefix = sizeof "arn:aws:iam::aws:policy" - 1;
    Str name = str_after_last(arn, '/');
    query_open(q, element);
    query_element(q, "PolicyName", name);
    query_element(q, "PolicyId", role_unique_id("ANPA", S("aws"), name, q->call->arena));
    query_element(q, "Arn", arn);
    query_element(q, "Path", str_sub(arn, prefix, arn.len - name.len));
    query_element(q, "DefaultVersionId", S("v1"));
    query_element(q, "IsAttachable", S("true"));
    query_close(q, element);
}

Err iam_get_policy(Query *q) {
    IamPolicyRecord p;
    Str managed;
    Err e = find(q, "iam:GetPolicy", &p, &managed);
    if (e != OK) return e;
    if (!managed.ptr) return write_policy(q, "Policy", &p);
    write_managed(q, "Policy", query_param(q, "PolicyArn"));
    return OK;
}

/* Those of AWS that are here: what roles may have attached. */
static void list_managed(Query *q) {
    Str arn;
    for (size_t i = 0; (arn = managed_policy_arn(i)).ptr; i++) write_managed(q, "member", arn);
}

Err iam_list_policies(Query *q) {
    Call *c = q->call;
    QueryPage page;
    RecordScan *scan;
    IamPolicyRecord p;
    size_t n = 0;
    bool more = false;
    Str last = STR_NONE, scope = query_param(q, "Scope");
    Err e = query_authorize(q, "iam:ListPolicies", S("*"));
    bool local = !scope.ptr || !str_eq(scope, S("AWS")), managed = !scope.ptr || !str_eq(scope, S("Local"));
    if (e == OK && scope.ptr && !str_eq(scope, S("All")) && local && managed)
        e = query_fail(q, 400, "ValidationError", "Scope '%.*s' is none of All, AWS and Local",
                       PS(str_sub(scope, 0, 64)));
    if (e == OK) e = query_page(q, &page);
    if (e == OK) e = iam_policy_record_scan(c->txn, iam_tenant(q), page.after, false, &scan);
    if (e != OK) return e;
    query_open(q, "Policies");
    if (managed && !page.after.len) list_managed(q); /* few: all on the first page */
    while (e == OK && local && !more && iam_policy_record_next(scan, c->arena, &p)) {
        if (n == page.most) {
            more = true;
            break;
        }
        e = write_policy(q, "member", &p);
        if (++n == page.most) last = record_scan_position(scan, c->arena);
    }
    query_close(q, "Policies");
    query_page_end(q, more, last);
    Err end = record_scan_end(scan);
    return e == OK ? end : e;
}

static Err delete_versions(Query *q, const IamPolicyRecord *p) {
    for (int64_t v = 1; v <= p->last_version; v++) {
        Err e = iam_policy_version_record_delete(q->call->txn, iam_tenant(q), p->policy_name, v);
        if (e != OK && e != ERR_NOT_FOUND) return e;
    }
    return OK;
}

static Err count_versions(Query *q, const IamPolicyRecord *p, size_t *out) {
    RecordScan *scan;
    IamPolicyVersionRecord v;
    size_t n = 0;
    Err e = iam_policy_version_record_scan_of_policy_name(q->call->txn, iam_tenant(q), p->policy_name, STR_NONE, false,
                                                          &scan);
    if (e != OK) return e;
    while (iam_policy_version_record_next(scan, q->call->arena, &v)) n++;
    *out = n;
    return record_scan_end(scan);
}

Err iam_delete_policy(Query *q) {
    IamPolicyRecord p;
    size_t roles = 0, versions = 0;
    Err e = find(q, "iam:DeletePolicy", &p, NULL);
    if (e == OK) e = iam_policy_record_lock(q->call->txn, iam_tenant(q), p.policy_name);
    if (e == OK) e = count_roles(q, policy_arn(q, &p), &roles);
    if (e == OK && roles) e = query_fail(q, 409, "DeleteConflict", "Cannot delete a policy attached to entities.");
    if (e == OK) e = count_versions(q, &p, &versions);
    if (e == OK && versions > 1)
        e = query_fail(
            q, 409, "DeleteConflict",
            "This policy has more than one version. Before you delete a policy, you must delete the policy's "
            "versions. The default version is deleted with the policy.");
    if (e == OK) e = delete_versions(q, &p);
    return e == OK ? iam_policy_record_delete(q->call->txn, iam_tenant(q), p.policy_name) : e;
}

/* ------------------------------------------------------------------------------------------------ versions */

static void write_version(Query *q, const char *name, const IamPolicyVersionRecord *v, bool is_default, bool whole) {
    query_open(q, name);
    if (whole) query_element(q, "Document", percent_encode(q->call->arena, v->document, false));
    query_element(q, "VersionId", version_id(q, v->version));
    query_element(q, "IsDefaultVersion", is_default ? S("true") : S("false"));
    query_time(q, "CreateDate", v->created_ms);
    query_close(q, name);
}

static Err version_of(Query *q, const IamPolicyRecord *p, IamPolicyVersionRecord *out) {
    Str id;
    int64_t number = 0;
    Err e = query_text(q, "VersionId", 2, 10, NULL, &id);
    if (e != OK) return e;
    e = ERR_NOT_FOUND;
    if (str_starts(id, S("v")) && str_to_i64(str_from(id, 1), &number) == OK)
        e = iam_policy_version_record_get(q->call->txn, iam_tenant(q), p->policy_name, number, q->call->arena, out);
    if (e == ERR_NOT_FOUND)
        e = query_fail(q, 404, "NoSuchEntity", "Policy %.*s version %.*s does not exist or is not attachable.",
                       PS(policy_arn(q, p)), PS(id));
    return e;
}

Err iam_create_policy_version(Query *q) {
    IamPolicyRecord p;
    Str document;
    size_t versions = 0;
    bool as_default = str_eq_nocase(query_param(q, "SetAsDefault"), S("true"));
    Err e = find(q, "iam:CreatePolicyVersion", &p, NULL);
    if (e == OK) e = iam_document(q, &document);
    if (e == OK) e = count_versions(q, &p, &versions);
    if (e == OK && versions >= VERSIONS_MAX)
        e = query_fail(
            q, 409, "LimitExceeded",
            "A managed policy can have up to %d versions. Before you create a new version, you must delete an "
            "existing version.",
            VERSIONS_MAX);
    if (e != OK) return e;
    p.last_version++;
    p.updated_ms = q->call->now_ms;
    if (as_default) p.default_version = p.last_version;
    e = put_version(q, &p, document);
    if (e == OK) e = iam_policy_record_put(q->call->txn, iam_tenant(q), &p);
    if (e == OK && as_default) e = tell_roles(q, &p);
    if (e != OK) return e;
    const IamPolicyVersionRecord v = { .version = p.last_version, .created_ms = q->call->now_ms };
    write_version(q, "PolicyVersion", &v, as_default, false);
    return OK;
}

Err iam_get_policy_version(Query *q) {
    IamPolicyRecord p;
    IamPolicyVersionRecord v;
    Str managed;
    Err e = find(q, "iam:GetPolicyVersion", &p, &managed);
    if (e == OK && managed.ptr) {
        v = (IamPolicyVersionRecord){ .version = 1, .document = managed };
        if (!str_eq(query_param(q, "VersionId"), S("v1"))) return missing(q, query_param(q, "PolicyArn"));
    } else if (e == OK) {
        e = version_of(q, &p, &v);
    }
    if (e == OK) write_version(q, "PolicyVersion", &v, v.version == p.default_version, true);
    return e;
}

Err iam_list_policy_versions(Query *q) {
    IamPolicyRecord p;
    IamPolicyVersionRecord v;
    RecordScan *scan;
    Err e = find(q, "iam:ListPolicyVersions", &p, NULL);
    if (e == OK)
        e = iam_policy_version_record_scan_of_policy_name(q->call->txn, iam_tenant(q), p.policy_name, STR_NONE, true,
                                                          &scan);
    if (e != OK) return e;
    query_open(q, "Versions");
    while (iam_policy_version_record_next(scan, q->call->arena, &v))
        write_version(q, "member", &v, v.version == p.default_version, false);
    query_close(q, "Versions");
    query_page_end(q, false, STR_NONE); /* five at most */
    return record_scan_end(scan);
}

Err iam_set_default_policy_version(Query *q) {
    IamPolicyRecord p;
    IamPolicyVersionRecord v;
    Err e = find(q, "iam:SetDefaultPolicyVersion", &p, NULL);
    if (e == OK) e = version_of(q, &p, &v);
    if (e != OK) return e;
    p.default_version = v.version;
    p.updated_ms = q->call->now_ms;
    e = iam_policy_record_put(q->call->txn, iam_tenant(q), &p);
    return e == OK ? tell_roles(q, &p) : e;
}

Err iam_delete_policy_version(Query *q) {
    IamPolicyRecord p;
    IamPolicyVersionRecord v;
    Err e = find(q, "iam:DeletePolicyVersion", &p, NULL);
    if (e == OK) e = version_of(q, &p, &v);
    if (e == OK && v.version == p.default_version)
        e = query_fail(q, 409, "DeleteConflict", "Cannot delete the default version of a policy.");
    return e == OK ? iam_policy_version_record_delete(q->call->txn, iam_tenant(q), p.policy_name, v.version) : e;
}
