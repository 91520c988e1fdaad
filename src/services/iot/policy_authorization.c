#include "identity/connection_vars.h"
#include "identity/x509.h"
#include "services/iot/policy_effective.h"

/* TestAuthorization decides with the engine that connections are decided by, over what the store holds now. A
 * request's resources count together: it is allowed when each of them is, and denied explicitly when one is. The
 * compiled policies are gone before the answer is written: what it names of them is copied. */

typedef struct {
    Policy **policies;
    size_t n;
    PolicyBound *bound;
} Bench;

static bool contains(const StrList *list, Str s) {
    for (size_t i = 0; i < list->n; i++)
        if (str_eq(list->items[i], s)) return true;
    return false;
}

static Err compile(Call *c, const Effective *all, const StrList *skip, Bench *b) {
    b->policies = arena_array(c->arena, Policy *, all->n ? all->n : 1);
    for (size_t i = 0; i < all->n; i++) {
        PolicyFault fault;
        if (contains(skip, all->policies[i].name)) continue;
        if (policy_compile(all->policies[i].name, all->policies[i].document, POLICY_IOT, c->arena, &b->policies[b->n],
                           &fault) != OK)
            return ERR_CORRUPT;
        b->n++;
    }
    return OK;
}

static Err bind(Call *c, const Effective *all, Str client_id, Bench *b) {
    Principal who = { 0 };
    if (all->certificate) {
        CertInfo certificate;
        Str why;
        if (x509_parse(all->certificate->pem, c->arena, &certificate, &why) != OK) return ERR_CORRUPT;
        who.vars = certificate.vars;
        who.vars_n = certificate.vars_n;
        who.things = all->certificate->things;
        who.things_n = all->certificate->things_n;
    }
    const PolicyVar *vars;
    size_t vars_n;
    const ConnectionFacts facts = { .client_id = client_id.len ? client_id : STR_NONE, .secure = S("true") };
    connection_vars(&who, &facts, c->arena, &vars, &vars_n);
    policy_bind(b->policies, b->n, vars, vars_n, c->arena, &b->bound);
    return OK;
}

static Str action_of(Str type) {
    if (str_eq(type, IOT_ACTION_TYPE_PUBLISH)) return S("iot:Publish");
    if (str_eq(type, IOT_ACTION_TYPE_SUBSCRIBE)) return S("iot:Subscribe");
    if (str_eq(type, IOT_ACTION_TYPE_RECEIVE)) return S("iot:Receive");
    return str_eq(type, IOT_ACTION_TYPE_CONNECT) ? S("iot:Connect") : STR_NONE;
}

static IotPolicies as_policies(Call *c, const StrList *names) {
    IotPolicy *items = arena_array(c->arena, IotPolicy, names->n ? names->n : 1);
    for (size_t i = 0; i < names->n; i++) items[i] = (IotPolicy){ names->items[i], policy_arn(c, names->items[i]) };
    return (IotPolicies){ items, names->n, true };
}

typedef struct {
    PolicyDecision decision;
    StrList allowed, denied, missing;
} Verdict;

static Verdict judge(Call *c, const Bench *b, Str action, const StrList *resources) {
    Verdict v = { .decision = POLICY_ALLOWED, .missing = { .set = true } };
    Moment moment;
    PolicyVar now[MOMENT_VARS];
    moment_vars(c->now_ms, &moment, now);
    for (size_t i = 0; i < resources->n; i++) {
        PolicyWhy why;
        PolicyDecision d = policy_decide(b->bound, action, resources->items[i], now, MOMENT_VARS, c->arena, &why);
        StrList *to = d == POLICY_ALLOWED ? &v.allowed : &v.denied;
        for (size_t k = 0; k < why.matched_n && d != POLICY_IMPLICIT_DENY; k++)
            list_add_once(c, to, str_dup(c->arena, policy_name(why.matched[k])));
        for (size_t k = 0; k < why.missing_n; k++) list_add_once(c, &v.missing, str_dup(c->arena, why.missing[k]));
        if (d == POLICY_EXPLICIT_DENY || (d == POLICY_IMPLICIT_DENY && v.decision == POLICY_ALLOWED)) v.decision = d;
    }
    return v;
}

/* Where nothing allows it, all policies that were asked are named. */
static IotDenied *denied_of(Call *c, const Bench *b, const Verdict *v) {
    StrList silent = { 0 };
    if (v->decision == POLICY_IMPLICIT_DENY)
        for (size_t i = 0; i < b->n; i++)
            if (!contains(&v->allowed, policy_name(b->policies[i])))
                list_add_once(c, &silent, str_dup(c->arena, policy_name(b->policies[i])));
    IotDenied *d = arena_new(c->arena, IotDenied);
    d->implicit_deny = arena_new(c->arena, IotImplicitDeny);
    d->explicit_deny = arena_new(c->arena, IotExplicitDeny);
    d->implicit_deny->policies = as_policies(c, &silent);
    d->explicit_deny->policies = as_policies(c, &v->denied);
    return d;
}

static Err result_of(Call *c, const Bench *b, const IotAuthInfo *info, IotAuthResult *out) {
    Str action = action_of(info->action_type);
    if (!action.ptr || !info->resources.n)
        return api_fail(c, IOT_INVALID_REQUEST,
                        "Each of authInfos needs an actionType (PUBLISH, SUBSCRIBE, RECEIVE or CONNECT) and resources");
    Verdict v = judge(c, b, action, &info->resources);
    IotAllowed *allowed = arena_new(c->arena, IotAllowed);
    IotAuthInfo *asked = arena_new(c->arena, IotAuthInfo);
    allowed->policies = as_policies(c, &v.allowed);
    *asked = *info;
    *out = (IotAuthResult){ .auth_info = asked,
                            .allowed = allowed,
                            .denied = denied_of(c, b, &v),
                            .auth_decision = v.decision == POLICY_ALLOWED         ? S("ALLOWED")
                                             : v.decision == POLICY_EXPLICIT_DENY ? S("EXPLICIT_DENY")
                                                                                  : S("IMPLICIT_DENY"),
                            .missing_context_values = v.missing };
    return OK;
}

Err iot_test_authorization(Call *c, const IotTestAuthorizationIn *in, IotTestAuthorizationOut *out) {
    Effective all;
    Bench b = { 0 };
    Err e = effective_no_pool(c, in->cognito_identity_pool_id);
    if (e == OK) e = effective_policies(c, in->principal, STR_NONE, &all);
    for (size_t i = 0; e == OK && i < in->policy_names_to_add.n; i++)
        e = effective_add(c, &all, in->policy_names_to_add.items[i]);
    if (e != OK) return e;
    IotAuthResult *results = arena_array(c->arena, IotAuthResult, in->auth_infos.n ? in->auth_infos.n : 1);
    e = compile(c, &all, &in->policy_names_to_skip, &b);
    if (e == OK) e = bind(c, &all, in->client_id, &b);
    for (size_t i = 0; e == OK && i < in->auth_infos.n; i++)
        e = result_of(c, &b, &in->auth_infos.items[i], &results[i]);
    for (size_t i = 0; i < b.n; i++) policy_release(b.policies[i]);
    if (e == OK) out->auth_results = (IotAuthResults){ results, in->auth_infos.n, true };
    return e;
}
