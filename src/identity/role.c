/* A trust policy is decided by the same engine as every other: of its statements those are taken whose principal is the
 * one who asks, without the principal and on "*", which is what a role's trust is about. */
#include "identity/role.h"

#include <openssl/evp.h>

#include "base/json.h"
#include "identity/managed_policy.h"

enum { ID_CHARS = 17 };

static Str id_of(const char *prefix, const uint8_t *bytes, Arena *arena) {
    static const char BASE32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    uint8_t id[ID_CHARS];
    for (size_t i = 0; i < ID_CHARS; i++) id[i] = (uint8_t)BASE32[bytes[i] & 31];
    return str_format(arena, "%s%.*s", prefix, ID_CHARS, (const char *)id);
}

Str role_unique_id(const char *prefix, Str account, Str name, Arena *arena) {
    Str text = str_format(arena, "%.*s/%.*s", PS(account), PS(name));
    uint8_t hash[EVP_MAX_MD_SIZE] = { 0 };
    EVP_Digest(text.ptr, text.len, hash, NULL, EVP_sha256(), NULL);
    return id_of(prefix, hash, arena);
}

Str role_new_id(Rng *rng, Arena *arena) {
    uint8_t random[ID_CHARS];
    rng_fill(rng, random, sizeof random);
    return id_of("AROA", random, arena);
}

Str role_arn(Str account, const RoleRecord *role, Arena *arena) {
    return str_format(arena, "arn:aws:iam::%.*s:role%.*s%.*s", PS(account), PS(role->path), PS(role->role_name));
}

bool role_arn_account(Str arn, Str *account) {
    Str rest = arn;
    if (!str_eq(str_cut(&rest, ':'), S("arn")) || !str_starts(str_cut(&rest, ':'), S("aws"))) return false;
    if (!str_eq(str_cut(&rest, ':'), S("iam")) || str_cut(&rest, ':').len) return false;
    Str id = str_cut(&rest, ':');
    for (size_t i = 0; i < id.len; i++)
        if (id.ptr[i] < '0' || id.ptr[i] > '9') return false;
    if (id.len != 12 || !rest.ptr || !str_starts(rest, S("role/")) || rest.len == 5) return false;
    *account = id;
    return true;
}

Err role_of_arn(Txn *txn, Str account, Str arn, Arena *arena, RoleRecord *out) {
    Str name = str_after_last(arn, '/');
    RoleRecord role;
    if (name.len == arn.len) return ERR_NOT_FOUND;
    Err e = role_record_get(txn, role_tenant(account), name, arena, &role);
    if (e == OK && !str_eq(role_arn(account, &role, arena), arn)) return ERR_NOT_FOUND;
    if (e == OK) *out = role;
    return e;
}

/* ------------------------------------------------------------------------------------------------ what it may do */

typedef struct {
    Arena *arena;
    Str *items;
    size_t n, cap;
} Documents;

static void add(Documents *d, Str document) {
    if (d->n == d->cap) {
        Str *more = arena_array(d->arena, Str, d->cap * 2 + 8);
        if (d->n) memcpy(more, d->items, d->n * sizeof *more);
        d->items = more;
        d->cap = d->cap * 2 + 8;
    }
    d->items[d->n++] = document;
}

Err role_managed_document(Txn *txn, Str account, Str arn, Arena *arena, Str *out) {
    Str aws = managed_policy_document(arn);
    if (aws.ptr) {
        *out = aws;
        return OK;
    }
    IamPolicyRecord policy;
    IamPolicyVersionRecord version;
    Err e = iam_policy_record_peek(txn, role_tenant(account), str_after_last(arn, '/'), arena, &policy);
    if (e == OK && !str_eq(arn, str_format(arena, "arn:aws:iam::%.*s:policy%.*s%.*s", PS(account), PS(policy.path),
                                           PS(policy.policy_name))))
        e = ERR_NOT_FOUND;
    if (e == OK)
        e = iam_policy_version_record_peek(txn, role_tenant(account), policy.policy_name, policy.default_version, arena,
                                           &version);
    if (e == OK) *out = version.document;
    return e;
}

static Err add_attached(Txn *txn, Str account, Str role_name, Documents *d) {
    RecordScan *scan;
    RoleAttachmentRecord at;
    Err e = role_attachment_record_scan_of_role_name(txn, role_tenant(account), role_name, STR_NONE, false, &scan);
    if (e != OK) return e;
    Err inner = OK;
    while (inner == OK && role_attachment_record_next(scan, d->arena, &at)) {
        Str document;
        inner = role_managed_document(txn, account, at.policy_arn, d->arena, &document);
        if (inner == OK) add(d, document);
        if (inner == ERR_NOT_FOUND) inner = OK; /* one that is gone allows nothing */
    }
    e = record_scan_end(scan);
    return inner != OK ? inner : e;
}

Err role_documents(Txn *txn, Str account, Str role_name, Str role_id, Arena *arena, StrList *out) {
    RecordScan *scan;
    RoleRecord role;
    RolePolicyRecord inlined;
    Documents d = { .arena = arena };
    *out = (StrList){ 0 };
    Err e = role_record_peek(txn, role_tenant(account), role_name, arena, &role);
    if (e == ERR_NOT_FOUND || (e == OK && role_id.ptr && !str_eq(role.role_id, role_id))) return OK;
    if (e == OK) e = role_policy_record_scan_of_role_name(txn, role_tenant(account), role_name, STR_NONE, false, &scan);
    if (e != OK) return e;
    while (role_policy_record_next(scan, arena, &inlined)) add(&d, inlined.document);
    e = record_scan_end(scan);
    if (e == OK) e = add_attached(txn, account, role_name, &d);
    if (e == OK) *out = (StrList){ d.items, d.n, true };
    return e;
}

/* Whether documents, taken together, allow it. Errors: ERR_DENIED, ERR_CORRUPT */
static Err decide(const StrList *documents, Str action, Str resource, const PolicyVar *vars, size_t vars_n,
                  Arena *arena) {
    Policy **policies = arena_array(arena, Policy *, documents->n);
    size_t n = 0;
    Err e = OK;
    for (; e == OK && n < documents->n; n += e == OK) {
        PolicyFault fault;
        e = policy_compile(S("role"), documents->items[n], POLICY_IAM, arena, &policies[n], &fault);
    }
    if (e == OK) {
        PolicyBound *bound;
        policy_bind(policies, n, vars, vars_n, arena, &bound);
        if (policy_decide(bound, action, resource, NULL, 0, NULL, NULL) != POLICY_ALLOWED) e = ERR_DENIED;
    } else {
        e = ERR_CORRUPT;
    }
    for (size_t i = 0; i < n; i++) policy_release(policies[i]);
    return e;
}

/* ------------------------------------------------------------------------------------------------ who may be it */

static bool names_account(Str value, Str account) {
    if (str_eq(value, account)) return true;
    Str root = S(":root"), begin = S("arn:aws:iam::");
    return str_starts(value, begin) && str_ends(value, root) &&
           str_eq(str_sub(value, begin.len, value.len - root.len), account);
}

static bool is_taker(Str kind, Str value, const RoleTaker *t) {
    if (str_eq(value, S("*"))) return str_eq(kind, S("AWS")) || t->service.ptr;
    if (t->service.ptr) return str_eq(kind, S("Service")) && str_eq(value, t->service);
    return str_eq(kind, S("AWS")) && (str_eq(value, t->arn) || names_account(value, t->account));
}

/* t NULL: everybody */
static bool principal_has(yyjson_val *principal, const RoleTaker *t) {
    if (!t || str_eq(json_str(principal), S("*"))) return true;
    size_t i, max, k, n;
    yyjson_val *kind, *values, *value;
    yyjson_obj_foreach(principal, i, max, kind, values) {
        if (yyjson_is_str(values) && is_taker(json_str(kind), json_str(values), t)) return true;
        yyjson_arr_foreach(values, k, n, value) if (is_taker(json_str(kind), json_str(value), t)) return true;
    }
    return false;
}

static bool principal_is_sound(yyjson_val *principal, Str *why) {
    static const Str KINDS[] = { STR_INIT("AWS"), STR_INIT("Service"), STR_INIT("Federated"),
                                 STR_INIT("CanonicalUser") };
    size_t i, max;
    yyjson_val *kind, *values;
    if (str_eq(json_str(principal), S("*"))) return true;
    *why = S("Invalid principal in policy");
    if (!yyjson_is_obj(principal) || yyjson_obj_size(principal) == 0) return false;
    yyjson_obj_foreach(principal, i, max, kind, values) {
        bool known = false;
        for (size_t n = 0; n < sizeof KINDS / sizeof *KINDS; n++) known |= str_eq(json_str(kind), KINDS[n]);
        if (!known || !(yyjson_is_str(values) || (yyjson_is_arr(values) && yyjson_arr_size(values)))) return false;
    }
    return true;
}

/* A statement as the engine takes it. *why: what is wrong with it; ptr NULL: nothing. */
static yyjson_mut_val *plain_statement(yyjson_mut_doc *doc, yyjson_val *statement, Str *why) {
    *why = STR_NONE;
    if (!yyjson_is_obj(statement)) {
        *why = S("Syntax errors in policy: a Statement must be an object");
        return NULL;
    }
    if (json_get(statement, S("Resource")) || json_get(statement, S("NotResource")))
        *why = S("Has prohibited field Resource");
    else if (json_get(statement, S("NotPrincipal")))
        *why = S("NotPrincipal is not supported in a trust policy here: name the principals that are trusted");
    else if (!json_get(statement, S("Principal")))
        *why = S("Missing required field Principal");
    else if (principal_is_sound(json_get(statement, S("Principal")), why))
        *why = STR_NONE;
    if (why->ptr) return NULL;
    yyjson_mut_val *plain = yyjson_val_mut_copy(doc, statement);
    yyjson_mut_obj_remove_key(plain, "Principal");
    yyjson_mut_obj_add_str(doc, plain, "Resource", "*");
    return plain;
}

Err role_plain_trust(Str document, const RoleTaker *t, Arena *arena, Str *out, size_t *n, Str *why) {
    yyjson_val *root;
    Err e = json_read(arena, document, false, &root, why);
    if (e != OK) {
        *why = str_format(arena, "Syntax errors in policy: not JSON, %.*s", PS(*why));
        return e;
    }
    yyjson_val *statements = json_get(root, S("Statement"));
    yyjson_mut_doc *doc = json_doc(arena);
    yyjson_mut_val *plain = yyjson_val_mut_copy(doc, root), *list = yyjson_mut_arr(doc);
    size_t count = yyjson_is_arr(statements) ? yyjson_arr_size(statements) : statements ? 1 : 0;
    yyjson_val *s = yyjson_is_arr(statements) ? yyjson_arr_get_first(statements) : statements;
    for (size_t i = 0; i < count; i++, s = unsafe_yyjson_get_next(s)) {
        yyjson_mut_val *one = plain_statement(doc, s, why);
        if (!one) return ERR_INVALID;
        if (principal_has(json_get(s, S("Principal")), t)) yyjson_mut_arr_append(list, one);
    }
    *n = yyjson_mut_arr_size(list);
    if (yyjson_mut_is_obj(plain)) {
        yyjson_mut_obj_remove_key(plain, "Statement");
        yyjson_mut_obj_add_val(doc, plain, "Statement", list);
    }
    *out = json_write_mut(arena, plain);
    return OK;
}

Err role_trust_check(Str document, Arena *arena, Str *why) {
    Str plain;
    size_t n;
    Policy *policy = NULL;
    PolicyFault fault = { 0 };
    if (document.len > 8 * ROLE_TRUST_CHARS_MAX || str_code_points(document) > ROLE_TRUST_CHARS_MAX) {
        *why = str_format(arena, "Cannot exceed quota for ACLSizePerRole: %d", ROLE_TRUST_CHARS_MAX);
        return ERR_LIMIT;
    }
    Err e = role_plain_trust(document, NULL, arena, &plain, &n, why);
    if (e != OK) return e;
    e = policy_compile(S("trust"), plain, POLICY_IAM, arena, &policy, &fault);
    policy_release(policy);
    if (e != OK) *why = fault.reason;
    return e;
}

Err role_trusts(const RoleRecord *role, const RoleTaker *taker, Arena *arena) {
    Str plain, why;
    size_t n;
    if (role_plain_trust(role->trust_policy, taker, arena, &plain, &n, &why) != OK) return ERR_CORRUPT;
    if (n == 0) return ERR_DENIED;
    const StrList one = { &plain, 1, true };
    return decide(&one, S("sts:AssumeRole"), S("*"), taker->vars, taker->vars_n, arena);
}
