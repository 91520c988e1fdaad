#include "services/sts/sts.h"

#include "base/clock.h"
#include "identity/key_ring.h"
#include "identity/temporary_key.h"
#include "services/env.h"

enum { SESSION_NAME_MIN = 2, SESSION_NAME_MAX = 64, SECONDS_DEFAULT = 3600, SECONDS_MIN = 900, SECONDS_MAX = 43200 };
enum { SESSION_POLICY_CHARS_MAX = 2048, SESSION_POLICIES_MAX = 10 };

static Str user_id(const Principal *p) {
    for (size_t i = 0; i < p->vars_n; i++)
        if (str_eq(p->vars[i].name, S("aws:userid")) && p->vars[i].n) return p->vars[i].values[0];
    return p->id;
}

/* Needs no permission, and no policy can take it away. Source: STS API reference, GetCallerIdentity */
static Err get_caller_identity(Query *q) {
    const Principal *p = q->call->principal;
    query_element(q, "Arn", p->arn);
    query_element(q, "UserId", user_id(p));
    query_element(q, "Account", p->account);
    return OK;
}

/* ------------------------------------------------------------------------------------------------ AssumeRole */

/* What would make the session's rights smaller than the role's, and is not there, is refused: never ignored. */
static Err check_plain(Query *q) {
    static const char *const NARROWER[] = { "Tags.member.1.Key", "TransitiveTagKeys.member.1", "SerialNumber",
                                            "TokenCode" };
    for (size_t i = 0; i < sizeof NARROWER / sizeof *NARROWER; i++)
        if (query_param(q, NARROWER[i]).ptr)
            return query_fail(q, 501, "NotImplemented", "AssumeRole with %s is not implemented yet", NARROWER[i]);
    return OK;
}

/* arn:aws:iam::ACCOUNT:role/… */
static Str account_of(Str arn) {
    Str begin = S("arn:aws:iam::");
    if (!str_starts(arn, begin)) return STR_NONE;
    Str rest = str_from(arn, begin.len);
    return str_cut(&rest, ':');
}

static Err denied(Query *q, Str arn) {
    return query_fail(q, 403, "AccessDenied",
                      "User: %.*s is not authorized to perform: sts:AssumeRole on resource: %.*s",
                      PS(q->call->principal->arn), PS(arn));
}

static void key_counts(Env *env, void *arg) {
    const Str *id = arg;
    keyring_changed(env->keys, *id);
}

static Err trusted_role(Query *q, Str arn, RoleRecord *out) {
    Call *c = q->call;
    Str external = query_param(q, "ExternalId");
    PolicyVar vars[8];
    size_t n = 0;
    if (external.ptr) vars[n++] = (PolicyVar){ S("sts:ExternalId"), &external, 1 };
    for (size_t i = 0; i < c->principal->vars_n && n < sizeof vars / sizeof *vars; i++)
        vars[n++] = c->principal->vars[i];
    const RoleTaker taker = { .arn = c->principal->arn, .account = c->account, .vars = vars, .vars_n = n };
    Err e = role_of_arn(c->txn, account_of(arn), arn, c->arena, out);
    if (e == OK) e = role_trusts(out, &taker, c->arena);
    return e == ERR_NOT_FOUND || e == ERR_DENIED ? denied(q, arn) : e; /* whether it is there is nobody's business */
}

/* One document by itself, or one of the role's account by its ARN.
 * Source: AssumeRole: Policy of 1 to 2048 characters, up to 10 PolicyArns; MalformedPolicyDocument 400 */
static Err add_session_policy(Query *q, Str document, StrList *out) {
    Policy *policy;
    PolicyFault fault;
    Err e = policy_compile(S("session"), document, POLICY_IAM, q->call->arena, &policy, &fault);
    if (e != OK)
        return query_fail(q, 400, "MalformedPolicyDocument", "The session policy is not valid: %.*s", PS(fault.reason));
    policy_release(policy);
    out->items[out->n++] = document;
    return OK;
}

static Err session_policies(Query *q, Str account, StrList *out) {
    Call *c = q->call;
    Str document;
    *out = (StrList){ arena_array(c->arena, Str, SESSION_POLICIES_MAX + 1), 0, true };
    Err e = OK;
    if (query_param(q, "Policy").ptr) {
        e = query_text(q, "Policy", 1, SESSION_POLICY_CHARS_MAX, NULL, &document);
        if (e == OK) e = add_session_policy(q, document, out);
    }
    for (int i = 1; e == OK; i++) {
        Str name = str_format(c->arena, "PolicyArns.member.%d.arn", i), arn = query_param(q, str_dup_c(c->arena, name));
        if (!arn.ptr) break;
        if (i > SESSION_POLICIES_MAX)
            return query_fail(q, 400, "ValidationError", "PolicyArns: at most %d are taken", SESSION_POLICIES_MAX);
        e = role_managed_document(c->txn, account, arn, c->arena, &document);
        if (e == ERR_NOT_FOUND)
            return query_fail(q, 400, "ValidationError", "The session policy %.*s does not exist in the role's account",
                              PS(str_sub(arn, 0, 256)));
        if (e == OK) e = add_session_policy(q, document, out);
    }
    return e;
}

static Err assume_role(Query *q) {
    Call *c = q->call;
    Str arn = STR_NONE, session = STR_NONE;
    int64_t seconds = 0;
    RoleRecord role;
    AccessKey key;
    Err e = query_text(q, "RoleArn", 20, 2048, NULL, &arn);
    if (e == OK) e = query_text(q, "RoleSessionName", SESSION_NAME_MIN, SESSION_NAME_MAX, "_=,.@-+", &session);
    if (e == OK) e = query_number(q, "DurationSeconds", SECONDS_DEFAULT, SECONDS_MIN, SECONDS_MAX, &seconds);
    if (e == OK) e = check_plain(q);
    if (e == OK) e = query_authorize(q, "sts:AssumeRole", arn);
    if (e == OK) e = trusted_role(q, arn, &role);
    if (e == OK && seconds > role.session_s_max)
        e = query_fail(q, 400, "ValidationError",
                       "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.");
    if (e != OK) return e;
    TemporaryKeySpec spec = { .account = account_of(arn), .role = &role, .session = session, .seconds = seconds };
    e = session_policies(q, spec.account, &spec.policies);
    if (e == OK) e = temporary_key_issue(c->txn, &spec, real_ms(), c->rng, c->arena, &key);
    if (e != OK) return e;
    Str *id = arena_new(c->arena, Str);
    *id = key.id;
    call_after(c, key_counts, id);
    query_open(q, "Credentials");
    query_element(q, "AccessKeyId", key.id);
    query_element(q, "SecretAccessKey", key.secret);
    query_element(q, "SessionToken", key.session_token);
    query_time(q, "Expiration", key.expires_ms);
    query_close(q, "Credentials");
    query_open(q, "AssumedRoleUser");
    query_element(q, "AssumedRoleId", str_format(c->arena, "%.*s:%.*s", PS(role.role_id), PS(session)));
    query_element(q, "Arn",
                  str_format(c->arena, "arn:aws:sts::%.*s:assumed-role/%.*s/%.*s", PS(key.account), PS(role.role_name),
                             PS(session)));
    query_close(q, "AssumedRoleUser");
    return OK;
}

static const QueryAction ACTIONS[] = {
    { "GetCallerIdentity", get_caller_identity, false },
    { "AssumeRole", assume_role, false },
};
static const Str OTHERS[] = { STR_INIT("AssumeRoleWithSAML"),
                              STR_INIT("AssumeRoot"),
                              STR_INIT("AssumeRoleWithWebIdentity"),
                              STR_INIT("GetAccessKeyInfo"),
                              STR_INIT("DecodeAuthorizationMessage"),
                              STR_INIT("GetFederationToken"),
                              STR_INIT("GetSessionToken"),
                              STR_INIT("GetWebIdentityToken"),
                              STR_INIT("GetDelegatedAccessToken") };

const QueryService STS_SERVICE = { .name = "sts",
                                   .namespace = "https://sts.amazonaws.com/doc/2011-06-15/",
                                   .actions = ACTIONS,
                                   .actions_n = sizeof ACTIONS / sizeof *ACTIONS,
                                   .others = OTHERS,
                                   .others_n = sizeof OTHERS / sizeof *OTHERS };
