/* The operations on authorizers that are not plain, and what is particular of those that are (models/iot.resource).
 * Source: botocore's iot model; AWS IoT developer guide, "Creating and managing custom authorizers" */
#include "services/iot/authorizer.h"

#include "generated/iot_resources.h"
#include "identity/directory.h"
#include "services/env.h"

enum { ACTIVE_MAX = 32 }; /* Source: AWS IoT Core quotas */

static bool is_active(const AuthorizerRecord *r) {
    return str_eq(r->status, IOT_AUTHORIZER_STATUS_ACTIVE);
}

static Err check_active(Call *c, const AuthorizerRecord *wanted) {
    RecordScan *scan;
    AuthorizerRecord r;
    size_t n = 0;
    if (!is_active(wanted)) return OK;
    Err e = authorizer_record_scan(c->txn, call_tenant(c), STR_NONE, false, &scan);
    if (e != OK) return e;
    while (authorizer_record_next(scan, c->arena, &r))
        n += is_active(&r) && !str_eq(r.authorizer_name, wanted->authorizer_name);
    e = record_scan_end(scan);
    if (e == OK && n >= ACTIVE_MAX)
        return api_fail(c, IOT_LIMIT_EXCEEDED, "%d authorizers are active already: deactivate one first", ACTIVE_MAX);
    return e;
}

static Err check(Call *c, const AuthorizerRecord *r) {
    for (size_t i = 0; i < r->token_signing_public_keys.n; i++)
        if (!authorizer_key_ok(r->token_signing_public_keys.items[i].value))
            return api_fail(c, IOT_INVALID_REQUEST, "The public key %.*s is not an RSA key of 2048 bits or more in PEM",
                            PS(r->token_signing_public_keys.items[i].key));
    if (!r->signing_disabled && !r->token_key_name.len)
        return api_fail(c, IOT_INVALID_REQUEST, "tokenKeyName is missing: it is required unless signing is disabled");
    if (!r->signing_disabled && r->token_signing_public_keys.n == 0)
        return api_fail(c, IOT_INVALID_REQUEST,
                        "tokenSigningPublicKeys are missing: they are required unless signing is disabled");
    return check_active(c, r);
}

Err iot_authorizer_creating(Call *c, const IotCreateAuthorizerIn *in, AuthorizerRecord *record) {
    (void)in;
    if (!record->status.len) record->status = IOT_AUTHORIZER_STATUS_INACTIVE;
    return check(c, record);
}

static void end_kept(Env *env, void *arg) {
    (void)arg;
    directory_authorizers_changed(env->directory);
}

Err iot_authorizer_updating(Call *c, const IotUpdateAuthorizerIn *in, const AuthorizerRecord *old,
                            AuthorizerRecord *record) {
    (void)in, (void)old;
    call_after(c, end_kept, NULL);
    return check(c, record);
}

static Err default_of(Call *c, DefaultAuthorizerRecord *out) {
    return default_authorizer_record_get(c->txn, call_tenant(c), S("default"), c->arena, out);
}

Err iot_authorizer_deleting(Call *c, const IotDeleteAuthorizerIn *in, const AuthorizerRecord *record) {
    DefaultAuthorizerRecord d;
    (void)in;
    call_after(c, end_kept, NULL);
    if (is_active(record))
        return api_fail(c, IOT_DELETE_CONFLICT, "Authorizer %.*s is active: set its status to INACTIVE first",
                        PS(record->authorizer_name));
    Err e = default_of(c, &d);
    if (e == OK && str_eq(d.authorizer_name, record->authorizer_name))
        return api_fail(c, IOT_DELETE_CONFLICT, "Authorizer %.*s is the default authorizer: clear that first",
                        PS(record->authorizer_name));
    return e == ERR_NOT_FOUND ? OK : e;
}

/* ------------------------------------------------------------------------------------------------ the default one */

Err iot_set_default_authorizer(Call *c, const IotSetDefaultAuthorizerIn *in, IotSetDefaultAuthorizerOut *out) {
    AuthorizerRecord r;
    DefaultAuthorizerRecord d;
    Err e = iot_authorizer_need(c, in->authorizer_name, &r);
    if (e == OK) e = default_of(c, &d);
    if (e == OK && !str_eq(d.authorizer_name, in->authorizer_name))
        return api_fail(c, IOT_RESOURCE_ALREADY_EXISTS, "Authorizer %.*s is the default already: clear it first",
                        PS(d.authorizer_name));
    if (e != OK && e != ERR_NOT_FOUND) return e;
    d = (DefaultAuthorizerRecord){ .name = S("default"), .authorizer_name = in->authorizer_name };
    e = default_authorizer_record_put(c->txn, call_tenant(c), &d);
    if (e == OK)
        *out = (IotSetDefaultAuthorizerOut){ .authorizer_name = r.authorizer_name,
                                             .authorizer_arn = iot_authorizer_arn(c, r.authorizer_name) };
    return e;
}

static Err no_default(Call *c) {
    return api_fail(c, IOT_RESOURCE_NOT_FOUND, "There is no default authorizer");
}

Err iot_clear_default_authorizer(Call *c, const IotClearDefaultAuthorizerIn *in, IotClearDefaultAuthorizerOut *out) {
    (void)in, (void)out;
    call_after(c, end_kept, NULL);
    Err e = default_authorizer_record_delete(c->txn, call_tenant(c), S("default"));
    return e == ERR_NOT_FOUND ? no_default(c) : e;
}

Err iot_describe_default_authorizer(Call *c, const IotDescribeDefaultAuthorizerIn *in,
                                    IotDescribeDefaultAuthorizerOut *out) {
    DefaultAuthorizerRecord d;
    (void)in;
    Err e = default_of(c, &d);
    if (e == ERR_NOT_FOUND) return no_default(c);
    if (e != OK) return e;
    IotDescribeAuthorizerOut described = { 0 };
    e = iot_describe_authorizer(c, &(IotDescribeAuthorizerIn){ .authorizer_name = d.authorizer_name }, &described);
    if (e == OK) out->authorizer_description = described.authorizer_description;
    return e;
}

/* ------------------------------------------------------------------------------------------------ TestInvokeAuthorizer
 */

typedef struct {
    Call *call;
    AuthorizerQuestion question;
    IotTestInvokeAuthorizerOut *out;
} Test;

static void tested(void *ctx, const AuthorizerVerdict *v) {
    Test *t = ctx;
    Call *c = t->call;
    principal_release(v->principal);
    if (v->result == OK) {
        StrList documents = { arena_array(c->arena, Str, v->policies_n), v->policies_n, true };
        for (size_t i = 0; i < v->policies_n; i++) documents.items[i] = str_dup(c->arena, v->policies[i]);
        *t->out = (IotTestInvokeAuthorizerOut){ .is_authenticated = { true, true },
                                                .principal_id = str_dup(c->arena, v->principal_id),
                                                .policy_documents = documents,
                                                .refresh_after_in_seconds = { true, v->refresh_after_s },
                                                .disconnect_after_in_seconds = { true, v->disconnect_after_s } };
    } else if (v->result == ERR_UNAUTHENTICATED && strcmp(v->reason, "NOT_AUTHENTICATED") == 0) {
        *t->out = (IotTestInvokeAuthorizerOut){ .is_authenticated = { true, false } };
    } else {
        bool ours = v->result == ERR_UNAUTHENTICATED || v->result == ERR_INVALID;
        Err e = api_fail(c, ours ? IOT_INVALID_REQUEST : IOT_INVALID_RESPONSE, "%s: %.*s", v->reason, PS(v->why));
        (void)e;
    }
    call_release(c);
}

static void test_now(Env *env, void *arg) {
    Test *t = arg;
    call_hold(t->call);
    authorizer_ask(env, &t->question, tested, t);
}

Err iot_test_invoke_authorizer(Call *c, const IotTestInvokeAuthorizerIn *in, IotTestInvokeAuthorizerOut *out) {
    AuthorizerRecord r;
    Err e = iot_authorizer_need(c, in->authorizer_name, &r);
    if (e != OK) return e;
    if (in->token.ptr && !in->token_signature.ptr && !r.signing_disabled)
        return api_fail(c, IOT_INVALID_REQUEST, "tokenSignature is missing: the authorizer's tokens are signed");
    Test *t = arena_new(c->arena, Test);
    AuthorizerQuestion *q = &t->question;
    t->call = c;
    t->out = out;
    *q = (AuthorizerQuestion){ .account = c->account,
                               .name = in->authorizer_name,
                               .test = true,
                               .connection_id = rng_uuid(c->rng, c->arena),
                               .token = in->token,
                               .signature = in->token_signature };
    if (in->tls_context) {
        q->has_tls = true;
        q->server_name = in->tls_context->server_name;
    }
    if (in->http_context) {
        q->has_http = true;
        HttpHeader *headers = arena_array(c->arena, HttpHeader, in->http_context->headers.n);
        for (size_t i = 0; i < in->http_context->headers.n; i++)
            headers[i] =
                (HttpHeader){ in->http_context->headers.items[i].key, in->http_context->headers.items[i].value };
        q->headers = headers;
        q->headers_n = in->http_context->headers.n;
        q->query = in->http_context->query_string;
        if (str_starts(q->query, S("?"))) q->query = str_from(q->query, 1);
    }
    if (in->mqtt_context) {
        q->has_mqtt = true;
        q->username = in->mqtt_context->username;
        q->password = in->mqtt_context->password;
        q->client_id = in->mqtt_context->client_id;
    }
    call_after(c, test_now, t);
    return OK;
}
