/* Reading a role takes several records and compiling its policies some ten microseconds each, so whoever asks often
 * keeps what came of it (role_book.h). Variables differ from question to question and are bound then. */
#include <stdatomic.h>
#include <stdlib.h>

#include "generated/roles_records.h"
#include "identity/role.h"

struct RoleRights {
    _Atomic int refs;
    Arena arena;
    Str arn, name, account, service;
    bool gone;     /* deleted */
    Policy *trust; /* the statements about the service; NULL: none */
    Policy **policies;
    size_t policies_n;
};

RoleRights *role_rights_retain(RoleRights *r) {
    atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    return r;
}

void role_rights_release(RoleRights *r) {
    if (!r || atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) > 1) return;
    for (size_t i = 0; i < r->policies_n; i++) policy_release(r->policies[i]);
    policy_release(r->trust);
    arena_free(&r->arena);
    free(r);
}

static Err compile(Str document, Policy **out) {
    Arena scratch = { 0 };
    PolicyFault fault;
    Err e = policy_compile(S("role"), document, POLICY_IAM, &scratch, out, &fault);
    arena_free(&scratch);
    return e == OK ? OK : ERR_CORRUPT;
}

static Err compile_trust(RoleRights *r, const RoleRecord *role, Arena *scratch) {
    Str plain, why;
    size_t n;
    const RoleTaker taker = { .service = r->service };
    if (role_plain_trust(role->trust_policy, &taker, scratch, &plain, &n, &why) != OK) return ERR_CORRUPT;
    return n ? compile(plain, &r->trust) : OK;
}

static Err compile_policies(RoleRights *r, const StrList *documents) {
    Err e = OK;
    r->policies = arena_array(&r->arena, Policy *, documents->n + 1);
    for (size_t i = 0; e == OK && i < documents->n; i++) {
        e = compile(documents->items[i], &r->policies[r->policies_n]);
        if (e == OK) r->policies_n++;
    }
    return e;
}

/* One that was deleted lets nobody do anything: what it forbade is not open now. */
static bool was_deleted(Txn *txn, Str account, Str arn, Arena *scratch) {
    DeletedRoleRecord row;
    return deleted_role_record_get(txn, role_tenant(account), str_after_last(arn, '/'), scratch, &row) == OK &&
           str_eq(row.arn, arn);
}

static Err read(Txn *txn, RoleRights *r, Arena *scratch) {
    RoleRecord role;
    StrList documents;
    Err e = role_of_arn(txn, r->account, r->arn, scratch, &role);
    if (e == ERR_NOT_FOUND && was_deleted(txn, r->account, r->arn, scratch)) {
        r->gone = true;
        return OK;
    }
    if (e == OK) e = compile_trust(r, &role, scratch);
    if (e == OK) e = role_documents(txn, r->account, role.role_name, role.role_id, scratch, &documents);
    return e == OK ? compile_policies(r, &documents) : e;
}

Err role_rights_read(Txn *txn, Str account, Str arn, Str service, RoleRights **out) {
    Arena scratch = { 0 };
    RoleRights *r = mem_new(sizeof *r);
    r->refs = 1;
    r->arn = str_dup(&r->arena, arn);
    r->name = str_after_last(r->arn, '/');
    r->account = str_dup(&r->arena, account);
    r->service = str_dup(&r->arena, service);
    Err e = read(txn, r, &scratch);
    arena_free(&scratch);
    if (e == OK)
        *out = r;
    else
        role_rights_release(r);
    return e;
}

static PolicyDecision decide(Policy *const *policies, size_t n, Str action, Str resource, const PolicyVar *vars,
                             size_t vars_n, Arena *arena) {
    PolicyBound *bound;
    policy_bind(policies, n, vars, vars_n, arena, &bound);
    return policy_decide(bound, action, resource, NULL, 0, NULL, NULL);
}

/* Source: IAM user guide, "Troubleshoot access denied error messages" */
Err role_rights_may(const RoleRights *r, Str action, Str resource, const PolicyVar *vars, size_t vars_n, Arena *arena,
                    Str *why) {
    PolicyDecision d =
        r->trust ? decide(&r->trust, 1, S("sts:AssumeRole"), S("*"), vars, vars_n, arena) : POLICY_IMPLICIT_DENY;
    if (r->gone || d != POLICY_ALLOWED) {
        *why = str_format(arena, "%.*s is not authorized to perform: sts:AssumeRole on resource: %.*s because %s",
                          PS(r->service), PS(r->arn),
                          r->gone ? "the role was deleted" : "the trust policy of the role does not let it");
        return ERR_DENIED;
    }
    d = decide(r->policies, r->policies_n, action, resource, vars, vars_n, arena);
    if (d == POLICY_ALLOWED) return OK;
    bool explicit = d == POLICY_EXPLICIT_DENY;
    *why = str_format(arena,
                      "User: arn:aws:sts::%.*s:assumed-role/%.*s is not authorized to perform: %.*s on resource: %.*s "
                      "%s%.*s%s",
                      PS(r->account), PS(r->name), PS(action), PS(resource),
                      explicit ? "with an explicit deny in an identity-based policy"
                               : "because no identity-based policy allows the ",
                      explicit ? 0 : (int)action.len, (const char *)action.ptr, explicit ? "" : " action");
    return ERR_DENIED;
}

Err role_may(Txn *txn, const RoleQuestion *q, Arena *arena, Str *why) {
    RoleRights *r;
    Err e = role_rights_read(txn, q->account, q->role_arn, q->service, &r);
    if (e == ERR_NOT_FOUND)
        *why = str_format(arena, "there is no role %.*s in account %.*s: make it with `aws iam create-role`",
                          PS(str_sub(q->role_arn, 0, 200)), PS(q->account));
    if (e == ERR_CORRUPT) *why = S("a policy of the role that is stored is none");
    if (e != OK) return e;
    e = role_rights_may(r, q->action, q->resource, q->vars, q->vars_n, arena, why);
    role_rights_release(r);
    return e;
}
