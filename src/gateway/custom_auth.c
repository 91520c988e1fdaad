#include "gateway/custom_auth.h"

#include <stdlib.h>

#include "gateway/entries.h"
#include "gateway/internal.h"

/* Nobody waits on a reactor: the question goes to a worker and to the function, and what is said comes back as a task.
 * Whoever asked is kept until then, and looked at again: it may have left. */

bool custom_auth_asked(const ApiRequest *rq) {
    if (http_header(rq->headers, rq->headers_n, AUTHORIZER_NAME).ptr) return true;
    for (Str rest = rq->query; rest.ptr;) {
        Str pair = str_cut(&rest, '&');
        if (str_eq_nocase(str_cut(&pair, '='), AUTHORIZER_NAME)) return true;
    }
    return false;
}

/* What of the connection itself goes into a question. */
static AuthorizerQuestion question(Link *l, const ApiRequest *rq, Arena *arena) {
    AuthorizerQuestion q = { .account = link_account(l),
                             .connection_id = rng_pool_uuid(&l->gateway->ids[l->conn->reactor->index], arena),
                             .has_tls = !l->plain,
                             .server_name = tls_server_name(l->conn) };
    const Domain *d = l->domain;
    if (d && d->authorizer.len) {
        q.otherwise = d->authorizer;
        q.fixed = !d->authorizer_override;
    }
    if (rq) {
        q.has_http = true;
        q.headers = rq->headers;
        q.headers_n = rq->headers_n;
        q.query = rq->query;
    }
    return q;
}

static void log_refusal(Gateway *g, Str ip, const AuthorizerQuestion *q, const AuthorizerVerdict *v) {
    Str account = q->account, client_id = q->client_id.len ? q->client_id : S("-");
    atomic_fetch_add(&g->counters.not_authenticated, 1);
    log_line(g->o.log, LOG_WARN,
             "event=Connection.AuthNError reason=%s account=%.*s client=%.*s ip=%.*s details=\"%.*s\"", v->reason,
             PS(account), PS(client_id), PS(ip), PS(str_sub(v->why, 0, 512)));
    entries_authorizer_refused(g, &(AuthorizerRefusal){ .account = q->account,
                                                        .client_id = q->client_id,
                                                        .source_ip = ip,
                                                        .server_name = q->server_name,
                                                        .reason = str_c(v->reason),
                                                        .details = str_sub(v->why, 0, 512) });
}

/* ------------------------------------------------------------------------------------------------ a request */

typedef struct {
    Task task;
    Link *link;
    Reactor *reactor;
    CustomDone *done;
    void *ctx;
    CustomVerdict verdict;
    Arena arena;
    Str ip, account, server_name;
} Asking;

static void request_told(Task *task, Reactor *r) {
    Asking *a = (Asking *)task;
    (void)r;
    a->done(a->ctx, &a->verdict);
    link_release(a->link);
    arena_free(&a->arena);
    free(a);
}

static CustomVerdict verdict_from(const AuthorizerVerdict *v) {
    return (CustomVerdict){ v->result, v->principal, v->disconnect_after_s, v->refresh_after_s, v->cache_http };
}

static void request_said(void *ctx, const AuthorizerVerdict *v) {
    Asking *a = ctx;
    a->verdict = verdict_from(v);
    if (v->result != OK && v->result != ERR_NOT_FOUND)
        log_refusal(a->link->gateway, a->ip,
                    &(AuthorizerQuestion){ .account = a->account, .server_name = a->server_name }, v);
    a->task.run = request_told;
    reactor_post(a->reactor, &a->task);
}

void custom_auth_request(Link *l, const ApiRequest *rq, CustomDone *done, void *ctx) {
    char ip[INET6_ADDRSTRLEN];
    Asking *a = mem_new(sizeof *a);
    a->link = l;
    a->reactor = l->conn->reactor;
    a->done = done;
    a->ctx = ctx;
    a->ip = str_dup(&a->arena, conn_address(&l->conn->peer, ip));
    link_retain(l);
    AuthorizerQuestion q = question(l, rq, &a->arena);
    a->account = str_dup(&a->arena, q.account);
    a->server_name = q.server_name.ptr ? str_dup(&a->arena, q.server_name) : STR_NONE;
    authorizer_ask(l->gateway->o.env, &q, request_said, a);
}

/* ------------------------------------------------------------------------------------------------ an MQTT connection
 */

typedef struct {
    MqttAuth auth; /* first */
    Gateway *gateway;
    bool known;
    AuthorizerQuestion q; /* in arena; for renewals, too */
    Arena arena;
    Str ip;
} Connection;

typedef struct {
    Task task;
    Connection *of;
    Client *client;
    Reactor *reactor;
    CustomVerdict verdict;
} Waiting;

static void connection_told(Task *task, Reactor *r) {
    Waiting *w = (Waiting *)task;
    CustomVerdict *v = &w->verdict;
    (void)r;
    mqtt_authenticated(w->client, v->principal, v->refresh_after_s, v->disconnect_after_s,
                       "CUSTOM_AUTHENTICATION_FAILURE");
    mqtt_release(w->client);
    free(w);
}

static void connection_said(void *ctx, const AuthorizerVerdict *v) {
    Waiting *w = ctx;
    w->verdict = verdict_from(v);
    if (v->result != OK) log_refusal(w->of->gateway, w->of->ip, &w->of->q, v);
    w->task.run = connection_told;
    reactor_post(w->reactor, &w->task);
}

static void ask(Connection *of, Client *c) {
    Waiting *w = mem_new(sizeof *w);
    w->of = of;
    w->client = c;
    w->reactor = mqtt_reactor(c);
    mqtt_retain(c);
    authorizer_ask(of->gateway->o.env, &of->q, connection_said, w);
}

static Str keep(Arena *a, Str s) {
    return s.ptr ? str_dup(a, s) : STR_NONE;
}

static MqttAuthAnswer on_connect(MqttAuth *auth, Client *c, const MqttConnect *in) {
    Connection *of = (Connection *)auth;
    const AuthorizerQuestion mqtt = { .username = in->user_name };
    Arena scratch = { 0 };
    bool named = authorizer_credential(&mqtt, AUTHORIZER_NAME, &scratch).ptr != NULL;
    arena_free(&scratch);
    if (of->known && !named) return MQTT_AUTH_STANDS;
    of->q.has_mqtt = true;
    of->q.username = keep(&of->arena, in->user_name);
    of->q.password = keep(&of->arena, in->password);
    of->q.client_id = keep(&of->arena, in->client_id);
    ask(of, c);
    return MQTT_AUTH_ASKED;
}

static void on_renew(MqttAuth *auth, Client *c) {
    ask((Connection *)auth, c);
}

static void on_gone(MqttAuth *auth) {
    Connection *of = (Connection *)auth;
    arena_free(&of->arena);
    free(of);
}

MqttAuth *custom_auth_mqtt(Link *l, bool known, const ApiRequest *rq) {
    char ip[INET6_ADDRSTRLEN];
    Connection *of = mem_new(sizeof *of);
    Arena *a = &of->arena;
    of->auth = (MqttAuth){ on_connect, on_renew, on_gone };
    of->gateway = l->gateway;
    of->known = known;
    of->ip = str_dup(a, conn_address(&l->conn->peer, ip));
    of->q = question(l, rq, a);
    of->q.account = str_dup(a, of->q.account);
    of->q.server_name = keep(a, of->q.server_name);
    of->q.query = keep(a, of->q.query);
    of->q.otherwise = keep(a, of->q.otherwise);
    HttpHeader *headers = arena_array(a, HttpHeader, of->q.headers_n);
    for (size_t i = 0; i < of->q.headers_n; i++)
        headers[i] = (HttpHeader){ keep(a, of->q.headers[i].name), keep(a, of->q.headers[i].value) };
    of->q.headers = headers;
    return &of->auth;
}
