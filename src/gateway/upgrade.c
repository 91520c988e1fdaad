#include <stdlib.h>

#include "base/json.h"
#include "gateway/custom_auth.h"
#include "gateway/entries.h"
#include "gateway/internal.h"
#include "identity/principal_make.h"

/* From HTTP to WebSocket: who opens it, by a signature in the query or the headers, by the client certificate, or by a
 * custom authorizer's word, for which the upgrade waits. Who gives nothing may still name an authorizer in CONNECT, as
 * awsiotsdk's websockets_with_custom_authorizer does: until then it is nobody. */

static void refused(Link *l, int status, const char *code, Str message) {
    ApiResponse rs = { .status = status,
                       .headers = { { S("Content-Type"), S("application/json") },
                                    { S("x-amzn-ErrorType"), str_c(code) } },
                       .headers_n = 2 };
    Arena arena = { 0 };
    l->keep_alive = false;
    yyjson_mut_doc *doc = json_doc(&arena);
    yyjson_mut_val *body = yyjson_mut_obj(doc);
    json_add_str(doc, body, S("message"), message);
    rs.body = json_write_mut(&arena, body);
    atomic_fetch_add(&l->gateway->counters.not_authenticated, 1);
    http_answer(l, &rs, false, &arena);
    arena_free(&arena);
}

static ApiRequest request_of(const HttpRequest *rq) {
    return (ApiRequest){ rq->method, rq->path, rq->query, rq->headers, rq->headers_n, rq->body };
}

/* A signature's principal. */
static Err signer(Link *l, const ApiRequest *in, Arena *arena, const Principal **out, SigV4Fault *fault) {
    SigV4 sig;
    const Principal *who;
    Err e = keyring_authenticate(l->gateway->o.env->keys, in, real_ms(), arena, &sig, &who, fault);
    if (e != OK) return e;
    if (!link_takes(l, who)) {
        principal_release(who);
        *fault = link_foreign(l, sig.service, arena);
        return ERR_UNAUTHENTICATED;
    }
    if (str_eq(sig.service, S("iotdevicegateway")) || str_eq(sig.service, S("iotdata"))) {
        *out = who;
        return OK;
    }
    principal_release(who);
    *fault = sigv4_fault(SIGV4_MISMATCH, sig.service, arena,
                         "Credential should be scoped to correct service: 'iotdevicegateway'.");
    return ERR_UNAUTHENTICATED;
}

/* m->principal and m->auth are taken over. */
static void opened(Link *l, const HttpRequest *rq, Str answer, MqttLink *m) {
    m->websocket = true;
    m->server_name = ws_host(http_header(rq->headers, rq->headers_n, S("host")));
    l->call = NULL;
    conn_put(l->conn, answer.ptr, answer.len);
    ws_begin(l, m);
}

/* ------------------------------------------------------------------------------------------------ custom */

typedef struct {
    Link *link; /* kept by the question; the request lives in its parser */
    HttpRequest request;
    Arena arena;
    Str answer;
} Upgrade;

static void told(void *ctx, const CustomVerdict *v) {
    Upgrade *u = ctx;
    Link *l = u->link;
    const ApiRequest in = request_of(&u->request);
    if (l->gone) {
        principal_release(v->principal);
    } else if (v->result != OK) {
        refused(l, 403, "ForbiddenException", S("Forbidden"));
    } else {
        MqttLink m = { .principal = v->principal,
                       .auth = custom_auth_mqtt(l, true, &in),
                       .renew_after_s = v->refresh_after_s,
                       .end_after_s = v->disconnect_after_s };
        opened(l, &u->request, u->answer, &m);
    }
    arena_free(&u->arena);
    free(u);
}

static void ask(Link *l, const HttpRequest *rq, Str answer) {
    Upgrade *u = mem_new(sizeof *u);
    u->link = l;
    u->request = *rq;
    u->answer = str_dup(&u->arena, answer);
    const ApiRequest in = request_of(rq);
    custom_auth_request(l, &in, told, u);
}

void upgrade_start(Link *l, const HttpRequest *rq) {
    Arena arena = { 0 };
    Str protocol, answer;
    SigV4Fault fault;
    const ApiRequest in = request_of(rq);
    bool has_signature = sigv4_present(&in);
    MqttLink m = { 0 };
    bool custom = !has_signature && (custom_auth_asked(&in) || link_asks(l));
    LinkBy by = has_signature ? BY_SIGNATURE : custom || !l->principal ? BY_AUTHORIZER : BY_CERTIFICATE;
    Err e = ws_handshake(&arena, rq, &protocol, &answer);
    if (link_forbids(l, VIA_WEBSOCKET, by)) {
        refused(l, 403, "ForbiddenException", S("Forbidden"));
    } else if (e != OK) {
        refused(l, e == ERR_NOT_IMPLEMENTED ? 426 : 400, "InvalidRequestException",
                S("a WebSocket handshake of version 13 with the subprotocol mqtt is expected"));
    } else if (custom) {
        ask(l, rq, answer);
    } else if (has_signature && signer(l, &in, &arena, &m.principal, &fault) != OK) {
        entries_bad_signature(l, &fault);
        refused(l, fault.status, fault.code, fault.message);
    } else {
        bool known = m.principal || l->principal;
        if (!m.principal) m.principal = known ? principal_retain(l->principal) : principal_make_nobody(link_account(l));
        m.auth = custom_auth_mqtt(l, known, &in);
        opened(l, rq, answer, &m);
    }
    arena_free(&arena);
}
