#include "gateway/entries.h"

#include "generated/iot_data.h"
#include "identity/connection_vars.h"
#include "services/env.h"

/* The operations that have entries, and where in their input stands what an entry names.
 * Source: AWS IoT developer guide, "CloudWatch AWS IoT log entries" */

enum { NOWHERE = -1 };
#define AT(op, member) (int)offsetof(IotData##op##In, member)

static const struct {
    Str op;
    ServiceEvent event;
    int topic, client, thing, shadow;
} LOGGED[] = {
    { STR_INIT("Publish"), SERVICE_EVENT_PUBLISH_IN, AT(Publish, topic), NOWHERE, NOWHERE, NOWHERE },
    { STR_INIT("DeleteConnection"), SERVICE_EVENT_DELETE_CONNECTION, NOWHERE, AT(DeleteConnection, client_id), NOWHERE,
      NOWHERE },
    { STR_INIT("GetConnection"), SERVICE_EVENT_GET_CONNECTION, NOWHERE, AT(GetConnection, client_id), NOWHERE,
      NOWHERE },
    { STR_INIT("ListSubscriptions"), SERVICE_EVENT_LIST_SUBSCRIPTIONS, NOWHERE, AT(ListSubscriptions, client_id),
      NOWHERE, NOWHERE },
    { STR_INIT("SendDirectMessage"), SERVICE_EVENT_SEND_DIRECT_MESSAGE, AT(SendDirectMessage, topic),
      AT(SendDirectMessage, client_id), NOWHERE, NOWHERE },
    { STR_INIT("GetRetainedMessage"), SERVICE_EVENT_GET_RETAINED_MESSAGE, AT(GetRetainedMessage, topic), NOWHERE,
      NOWHERE, NOWHERE },
    { STR_INIT("ListRetainedMessages"), SERVICE_EVENT_LIST_RETAINED_MESSAGE, NOWHERE, NOWHERE, NOWHERE, NOWHERE },
    { STR_INIT("GetThingShadow"), SERVICE_EVENT_GET_THING_SHADOW, NOWHERE, NOWHERE, AT(GetThingShadow, thing_name),
      AT(GetThingShadow, shadow_name) },
    { STR_INIT("UpdateThingShadow"), SERVICE_EVENT_UPDATE_THING_SHADOW, NOWHERE, NOWHERE,
      AT(UpdateThingShadow, thing_name), AT(UpdateThingShadow, shadow_name) },
    { STR_INIT("DeleteThingShadow"), SERVICE_EVENT_DELETE_THING_SHADOW, NOWHERE, NOWHERE,
      AT(DeleteThingShadow, thing_name), AT(DeleteThingShadow, shadow_name) },
};

static Str text_at(const void *in, int offset) {
    return in && offset != NOWHERE ? *(const Str *)(const void *)((const char *)in + offset) : STR_NONE;
}

static LogEntry begin(const Link *l, ServiceEvent event, bool success) {
    return (LogEntry){ .event = event,
                       .level = success ? LOG_INFO : LOG_ERROR,
                       .success = success,
                       .now_ms = clock_ms(l->gateway->o.env->clock),
                       .protocol = S("HTTP"),
                       .source_port = ntohs(l->conn->peer.sin6_port) };
}

/* A named shadow by its name, the classic one by its thing's, as the guide's samples have it. */
static void name_shadow(LogEntry *e, Str thing, Str shadow) {
    if (!thing.ptr) return;
    e->more[e->more_n++] = (LogField){ .name = "deviceShadowName", .text = shadow.len ? shadow : thing };
}

static void tell_call(const Link *l, const Call *c, const void *in, int status, size_t i) {
    LogEntry e = begin(l, LOGGED[i].event, status < 400);
    e.account = c->account;
    e.trace_id = c->request_id;
    e.topic = text_at(in, LOGGED[i].topic);
    e.client_id = text_at(in, LOGGED[i].client);
    e.principal_id = c->principal->id;
    e.source_ip = c->source_ip;
    name_shadow(&e, text_at(in, LOGGED[i].thing), text_at(in, LOGGED[i].shadow));
    if (!e.success && c->failure.error) {
        e.reason = status == 403 ? S("AUTHORIZATION_FAILURE") : c->failure.error->name;
        e.details = c->failure.message;
    }
    const PrincipalThing *thing = connection_thing(c->principal, STR_NONE);
    const LogSubject subject = { .account = e.account,
                                 .client_id = e.client_id,
                                 .principal_id = e.principal_id,
                                 .source_ip = e.source_ip,
                                 .groups = thing ? thing->groups : NULL,
                                 .groups_n = thing ? thing->groups_n : 0 };
    service_log_tell(c->env->service_log, &subject, &e);
}

void entries_call(const Link *l, const Call *c, const void *in, int status) {
    if (!c->op || !c->principal || !service_log_any(c->env->service_log)) return;
    if (!str_eq(c->op->service->name, S("iot-data"))) return;
    for (size_t i = 0; i < sizeof LOGGED / sizeof *LOGGED; i++)
        if (str_eq(c->op->name, LOGGED[i].op)) tell_call(l, c, in, status, i);
}

void entries_not_let_in(const Link *l, Str type, Str reason, Str details) {
    ServiceLog *log = l->gateway->o.env->service_log;
    char source[INET6_ADDRSTRLEN], target[INET6_ADDRSTRLEN];
    if (!service_log_any(log)) return;
    LogEntry e = begin(l, SERVICE_EVENT_AUTHN_ERROR, false);
    Str server_name = tls_server_name(l->conn);
    e.protocol = STR_NONE;
    e.account = link_account(l);
    const struct sockaddr_in6 local = conn_local(l->conn);
    e.source_ip = conn_address(&l->conn->peer, source);
    e.reason = reason;
    e.details = details;
    if (l->fingerprint[0]) e.principal_id = str_c(l->fingerprint);
    e.more[e.more_n++] = (LogField){ .name = "authenticationType", .text = type };
    e.more[e.more_n++] = (LogField){ .name = "targetIp", .text = conn_address(&local, target) };
    e.more[e.more_n++] = (LogField){ .name = "targetPort", .number = l->conn->local_port };
    if (server_name.len) e.more[e.more_n++] = (LogField){ .name = "serverNameIndication", .text = server_name };
    const LogSubject subject = { .account = e.account, .principal_id = e.principal_id, .source_ip = e.source_ip };
    service_log_tell(log, &subject, &e);
}

void entries_authorizer_refused(const Gateway *g, const AuthorizerRefusal *r) {
    ServiceLog *log = g->o.env->service_log;
    if (!service_log_any(log)) return;
    LogEntry e = { .event = SERVICE_EVENT_AUTHN_ERROR,
                   .level = LOG_ERROR,
                   .now_ms = clock_ms(g->o.env->clock),
                   .account = r->account,
                   .client_id = r->client_id,
                   .source_ip = r->source_ip,
                   .reason = r->reason,
                   .details = r->details };
    e.more[e.more_n++] = (LogField){ .name = "authenticationType", .text = S("CUSTOM_AUTH") };
    if (r->server_name.len) e.more[e.more_n++] = (LogField){ .name = "serverNameIndication", .text = r->server_name };
    const LogSubject subject = { .account = r->account, .client_id = r->client_id, .source_ip = r->source_ip };
    service_log_tell(log, &subject, &e);
}

void entries_bad_signature(const Link *l, const SigV4Fault *f) {
    Str code = str_c(f->query_code);
    Str reason = str_eq(code, S("SignatureDoesNotMatch")) ? S("SECURITY_TOKEN_SIGNATURE_MISMATCH")
                 : str_eq(code, S("ExpiredToken"))        ? S("SECURITY_TOKEN_EXPIRED")
                                                          : S("SECURITY_TOKEN_INVALID");
    entries_not_let_in(l, S("AWS_SIGV4"), reason, f->message);
}
