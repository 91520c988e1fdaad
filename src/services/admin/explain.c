/* What a decision would be, for a principal as it stands in the store now, and why. The certificate is read here and
 * not taken from the directory, so that an explanation never shows a cache's past. */
#include "base/clock.h"
#include "identity/connection_vars.h"
#include "identity/explain.h"
#include "identity/key_ring.h"
#include "identity/principal_make.h"
#include "services/admin/respond.h"
#include "services/env.h"

enum { POLICIES_KEPT = 16 };

/* Shape: *status: the certificate's, NULL for a key */
static Err certificate_principal(Admin *a, Str account, Str id, PolicyBook *book, const Principal **out,
                                 const char **status) {
    Call *c = a->call;
    Loaded loaded = { 0 };
    Principal *p = NULL;
    Err e = directory_load(c->txn, account, c->region, id, c->arena, &loaded);
    if (e != OK) return e;
    if (!loaded.status)
        return admin_fail(
            a, 404, "ResourceNotFoundException",
            "no certificate %.*s is registered in account %.*s; one of another account is asked for with --account",
            PS(str_sub(id, 0, 100)), PS(account));
    PrincipalSpec spec = { .account = account, .region = c->region, .id = id, .loaded = &loaded, .policies = book };
    e = principal_make(&spec, c->arena, &p);
    if (e != OK) return e;
    *out = p;
    *status = loaded.status;
    return OK;
}

static Err find_principal(Admin *a, Str account, Str name, PolicyBook *book, const Principal **out,
                          const char **status) {
    size_t cert = str_find_str(name, S(":cert/"));
    if (cert != SIZE_MAX) name = str_from(name, cert + 6);
    bool key = str_starts(name, S("AKIA")) || str_starts(name, S("ASIA"));
    if (!key) return certificate_principal(a, account, name, book, out, status);
    *status = NULL;
    const Principal *p = keyring_principal(a->call->env->keys, name);
    if (p && !keyring_alive(a->call->env->keys, name, real_ms())) *status = "Inactive";
    if (p && admin_may_touch(a, p->account)) {
        *out = p;
        return OK;
    }
    principal_release((Principal *)(uintptr_t)p);
    return admin_fail(a, 404, "ResourceNotFoundException", "there is no access key %.*s", PS(str_sub(name, 0, 100)));
}

static Err explain(Admin *a, const Principal *p, const char *status, yyjson_val *body) {
    Call *c = a->call;
    Str action = json_str(json_get(body, S("action"))), resource = json_str(json_get(body, S("resource")));
    const ConnectionFacts facts = { .client_id = json_str(json_get(body, S("clientId"))),
                                    .source_ip = json_str(json_get(body, S("sourceIp"))),
                                    .domain_name = json_str(json_get(body, S("domainName"))),
                                    .secure = S("true") };
    if (str_find(action, ':') == SIZE_MAX) action = str_format(c->arena, "iot:%.*s", PS(action));
    if (!str_starts(resource, S("arn:")) && !str_eq(resource, S("*")))
        resource = str_format(c->arena, "arn:aws:iot:%.*s:%.*s:%.*s", PS(c->region), PS(p->account), PS(resource));
    const PolicyVar *vars;
    size_t vars_n;
    connection_vars(p, &facts, c->arena, &vars, &vars_n);
    PrincipalBound bound;
    PolicyWhy why = { 0 };
    principal_bind(p, vars, vars_n, c->arena, &bound);
    Moment moment;
    PolicyVar now[MOMENT_VARS];
    moment_vars(c->now_ms, &moment, now);
    PolicyDecision d = policy_decide(bound.policies, action, resource, now, MOMENT_VARS, c->arena, &why);
    static const Str words[] = { STR_INIT("implicitDeny"), STR_INIT("explicitDeny"), STR_INIT("allowed") };
    yyjson_mut_doc *doc = json_doc(c->arena);
    yyjson_mut_val *out = yyjson_mut_obj(doc);
    bool usable = !status || str_eq(str_c(status), S("ACTIVE"));
    Str text = policy_explain(d, action, resource, &why, c->arena);
    if (!usable) { /* whatever its policies say */
        text = str_format(c->arena, "DENIED (not let in at all): %.*s is %s\n  its policies alone would say: %.*s",
                          PS(p->arn), status, PS(text));
        d = POLICY_IMPLICIT_DENY;
    }
    json_add_str(doc, out, S("decision"), words[d]);
    json_add_str(doc, out, S("principal"), p->arn);
    if (status) json_add_str(doc, out, S("status"), str_c(status));
    json_add_str(doc, out, S("text"), text);
    principal_unbind(&bound);
    return admin_answer(a, 200, doc, out);
}

Err admin_policy_explain(Admin *a) {
    yyjson_val *body;
    Err e = admin_body(a, &body);
    if (e != OK) return e;
    Str name = json_str(json_get(body, S("principal")));
    if (!name.len || !json_str(json_get(body, S("action"))).len || !json_str(json_get(body, S("resource"))).len)
        return admin_fail(a, 400, "InvalidRequestException",
                          "principal (a certificate's id or ARN, or an access key id), action and resource are needed");
    Str account = json_str(json_get(body, S("account")));
    if (!account.len) account = a->call->account;
    if (!admin_may_touch(a, account))
        return admin_fail(a, 403, "AccessDeniedException", "an access key of account %.*s cannot see account %.*s",
                          PS(a->call->account), PS(str_sub(account, 0, 20)));
    PolicyBook *book = policy_book_new(a->call->env->store, a->call->region, POLICIES_KEPT);
    const Principal *p = NULL;
    const char *status = NULL;
    e = find_principal(a, account, name, book, &p, &status);
    if (e == OK) e = explain(a, p, status, body);
    principal_release(p);
    policy_book_free(book);
    return e;
}
