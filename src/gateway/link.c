#include "gateway/entries.h"

#include <stdlib.h>

#include "gateway/custom_auth.h"
#include "identity/principal_make.h"
#include "services/iot/first_seen.h"

/* A client certificate is a claim until the directory has said whose it is: input waits for that. The answer may
 * come from another thread; it is posted back. A change of principals between question and answer asks again.
 * A refused certificate ends the connection at its first byte, not before: HTTP is told so. */

Link *link_new(Gateway *g, Conn *c, bool plain) {
    Link *l = mem_new(sizeof *l);
    l->gateway = g;
    l->conn = c;
    l->plain = plain;
    l->refs = 1;
    conn_retain(c);
    Link **first = &g->links[c->reactor->index];
    l->next = *first;
    if (l->next) l->next->prev = l;
    *first = l;
    return l;
}

void link_retain(Link *l) {
    l->refs++;
}

void link_unlist(Link *l) {
    Link **first = &l->gateway->links[l->conn->reactor->index];
    if (l->prev)
        l->prev->next = l->next;
    else if (*first == l)
        *first = l->next;
    if (l->next) l->next->prev = l->prev;
    l->next = l->prev = NULL;
}

void link_release(Link *l) {
    if (--l->refs > 0) return;
    http_parser_free(l->parser);
    ws_decoder_free(l->ws);
    free(l->ws_left);
    domain_release(l->domain);
    principal_release((Principal *)(uintptr_t)l->principal);
    principal_release(l->custom.principal);
    conn_release(l->conn);
    free(l);
}

/* ------------------------------------------------------------------------------------------------ identity */

typedef struct {
    Task task;
    Link *link;
    DirectoryAnswer answer;
} Identified;

static void refuse(Link *l, const DirectoryAnswer *a) {
    char ip[INET6_ADDRSTRLEN];
    atomic_fetch_add(&l->gateway->counters.not_authenticated, 1);
    log_line(l->gateway->o.log, LOG_WARN, "event=Connection.AuthNError reason=%s certificate=%s ip=%.*s",
             a->reason ? a->reason : err_name(a->error), l->fingerprint, PS(conn_address(&l->conn->peer, ip)));
    entries_not_let_in(l, S("AWS_X509"), str_c(a->reason ? a->reason : err_name(a->error)), STR_NONE);
    tls_forget(l->conn);
    bool pending = a->status && strcmp(a->status, "PENDING_ACTIVATION") == 0;
    l->certificate = a->error == ERR_NOT_FOUND || pending ? LINK_CERTIFICATE_FIRST_SEEN : LINK_CERTIFICATE_REFUSED;
    principal_release((Principal *)(uintptr_t)l->principal);
    l->principal = NULL;
}

static void answered(Link *l, const DirectoryAnswer *a) {
    if (l->gone) {
        principal_release((Principal *)(uintptr_t)a->principal);
        return;
    }
    principal_release((Principal *)(uintptr_t)l->principal);
    l->principal = a->principal;
    if (!link_current(l)) { /* something changed while we asked */
        link_identify(l, l->resume);
        return;
    }
    l->certificate = LINK_CERTIFICATE_KNOWN;
    if (a->error != OK) refuse(l, a);
    l->resume(l);
}

bool link_refused(const Link *l) {
    return l->certificate == LINK_CERTIFICATE_REFUSED || l->certificate == LINK_CERTIFICATE_FIRST_SEEN;
}

static void first_seen_told(void *ctx, bool registered) {
    (void)ctx, (void)registered; /* this connection fails in either case */
}

void link_first_seen(Link *l) {
    if (l->certificate != LINK_CERTIFICATE_FIRST_SEEN) return;
    Arena arena = { 0 };
    TlsChain chain = tls_peer_chain(l->conn, &arena);
    l->certificate = LINK_CERTIFICATE_REFUSED;
    iot_first_seen(l->gateway->o.env, link_account(l), chain.der, chain.n, first_seen_told, NULL);
    arena_free(&arena);
}

static void identified(Task *task, Reactor *r) {
    Identified *i = (Identified *)task;
    (void)r;
    answered(i->link, &i->answer);
    link_release(i->link);
    free(i);
}

static void directory_done(void *ctx, const DirectoryAnswer *answer) {
    Identified *i = ctx;
    i->answer = *answer;
    i->task.run = identified;
    reactor_post(i->link->conn->reactor, &i->task);
}

bool link_current(const Link *l) {
    if (l->certificate == LINK_CERTIFICATE_NONE) return true;
    if (l->principal && real_ms() > l->principal->not_after_ms) return false;
    return l->asked_generation == directory_generation(l->gateway->o.env->directory);
}

Str link_account(const Link *l) {
    return l->account.digits[0] ? str_c(l->account.digits) : l->gateway->o.env->account;
}

bool link_takes(const Link *l, const Principal *key) {
    return !l->account.digits[0] || str_eq(key->account, str_c(l->account.digits));
}

SigV4Fault link_foreign(const Link *l, Str service, Arena *arena) {
    SigV4Fault fault =
        sigv4_fault(SIGV4_UNKNOWN_KEY, service, arena,
                    "The access key is of another account than this endpoint, which is %s's.", l->account.digits);
    fault.code = "ForbiddenException"; /* Source: what the data plane answers at another account's endpoint */
    fault.status = 403;
    return fault;
}

/* One that named no account stays with that of its certificate. */
static Str account_of(const Link *l) {
    if (l->account.digits[0]) return str_c(l->account.digits);
    return l->principal ? l->principal->account : STR_NONE;
}

void link_identify(Link *l, void (*known)(Link *l)) {
    Identified *i = mem_new(sizeof *i);
    i->link = l;
    link_retain(l);
    l->certificate = LINK_CERTIFICATE_ASKED;
    l->resume = known;
    l->asked_generation = directory_generation(l->gateway->o.env->directory); /* before it is asked */
    conn_pause(l->conn);
    Directory *d = l->gateway->o.env->directory;
    Err e = directory_certificate(d, account_of(l), str_c(l->fingerprint), directory_done, i, &i->answer.principal);
    if (e == ERR_AGAIN) return;
    i->answer.error = e;
    answered(l, &i->answer);
    link_release(l);
    free(i);
}

/* ------------------------------------------------------------------------------------------------ the first byte */

/* What the name that the client asked for means: whose it is, and what holds there. */
static void take_name(Link *l, Str name) {
    DomainBook *domains = l->gateway->o.env->domains;
    endpoint_account(name, &l->account);
    if (!domains) return;
    l->domain = domain_book_find(domains, name, &l->domain_named);
    if (l->domain && l->domain_named && l->domain->account.len == ACCOUNT_DIGITS)
        memcpy(l->account.digits, l->domain->account.ptr, ACCOUNT_DIGITS);
}

bool link_asks(const Link *l) {
    return l->domain && l->domain_named && str_starts(l->domain->authentication_type, S("CUSTOM_AUTH"));
}

/* Source: the guide's table of authentication types and application protocols; AuthNError's reasons */
const char *link_forbids(const Link *l, LinkVia via, LinkBy by) {
    static const Str PROTOCOLS[] = { STR_INIT("SECURE_MQTT"), STR_INIT("MQTT_WSS"), STR_INIT("HTTPS") };
    const Domain *d = l->domain;
    if (!d || !l->domain_named) return NULL;
    if (!d->enabled) return "DOMAIN_CONFIGURATION_DISABLED";
    Str protocol = d->application_protocol, type = d->authentication_type;
    bool fits = !protocol.len || str_eq(protocol, S("DEFAULT")) || str_eq(protocol, PROTOCOLS[via]);
    if (str_eq(type, S("AWS_X509"))) fits &= by == BY_CERTIFICATE;
    if (str_eq(type, S("AWS_SIGV4"))) fits &= by == BY_SIGNATURE;
    if (str_starts(type, S("CUSTOM_AUTH"))) fits &= by == BY_AUTHORIZER;
    if (str_eq(type, S("CUSTOM_AUTH_X509"))) fits &= l->principal != NULL; /* the certificate is asked for as well */
    return fits ? NULL : "DOMAIN_CONFIGURATION_INVALID";
}

static void proceed(Link *l) {
    conn_resume(l->conn);
}

static void secured(Conn *c) {
    Link *l = c->owner;
    take_name(l, tls_server_name(c));
    if (!tls_peer_fingerprint(c, l->fingerprint)) return;
    link_identify(l, proceed);
}

/* Under the ALPN name of custom authentication, and where the domain wants an authorizer, a certificate is nobody's
 * word. */
static LinkBy mqtt_by(const Link *l) {
    bool custom = !l->principal || str_eq(tls_alpn(l->conn), S("mqtt")) || link_asks(l);
    return custom ? BY_AUTHORIZER : BY_CERTIFICATE;
}

static void to_mqtt(Link *l) {
    bool custom = mqtt_by(l) == BY_AUTHORIZER;
    MqttLink m = { .principal = l->principal, .server_name = tls_server_name(l->conn) };
    if (custom) {
        m.auth = custom_auth_mqtt(l, false, NULL);
        m.principal = principal_make_nobody(link_account(l));
        principal_release(l->principal);
    }
    l->principal = NULL;
    link_unlist(l);
    mqtt_attach(l->gateway->o.env->broker, l->conn, &m);
    link_release(l);
}

static size_t front_input(Conn *c, uint8_t *bytes, size_t len) {
    Link *l = c->owner;
    Str alpn = tls_alpn(c);
    bool mqtt = bytes[0] == 0x10, http = (bytes[0] >= 'A' && bytes[0] <= 'Z') || (bytes[0] >= 'a' && bytes[0] <= 'z');
    char ip[INET6_ADDRSTRLEN];
    if (link_refused(l)) {
        link_first_seen(l);
        if (!http) {
            conn_close(c, CLOSE_BY_SERVER);
            return len;
        }
    }
    bool may = mqtt && (l->principal || !l->plain);
    const char *forbidden = may ? link_forbids(l, VIA_MQTT, mqtt_by(l)) : NULL;
    if (may && !forbidden) {
        to_mqtt(l);
        return MQTT_HANDLER.input(c, bytes, len);
    }
    if (http && !l->plain && !str_eq(alpn, S("x-amzn-mqtt-ca"))) {
        c->handler = &HTTP_HANDLER;
        return http_input(c, bytes, len);
    }
    log_line(l->gateway->o.log, LOG_WARN, "event=Connection ip=%.*s reason=\"%s\" first_byte=0x%02x",
             PS(conn_address(&c->peer, ip)), forbidden ? forbidden : "neither MQTT nor HTTP", bytes[0]);
    atomic_fetch_add(&l->gateway->counters.not_authenticated, 1);
    conn_close(c, CLOSE_BY_SERVER);
    return len;
}

static void front_closed(Conn *c) {
    Link *l = c->owner;
    if (c->handshaking && c->ssl) atomic_fetch_add(&l->gateway->counters.tls_failed, 1);
    l->gone = true;
    link_unlist(l);
    link_release(l);
}

const ConnHandler FRONT_HANDLER = { .input = front_input, .secured = secured, .closed = front_closed };

/* ------------------------------------------------------------------------------------------------ changes */

typedef struct {
    Task task;
    Gateway *gateway;
    Str account, id; /* ptr NULL: everybody's */
    uint8_t data[];
} GoneTask;

/* Certificates alone: what came with a key is a call, or no longer a Link. */
static bool is_of(const Link *l, const GoneTask *t) {
    if (!t->id.ptr) return true;
    if (!str_eq(str_c(l->fingerprint), t->id)) return false;
    return !l->principal || str_eq(l->principal->account, t->account);
}

static void close_links(Task *task, Reactor *r) {
    GoneTask *t = (GoneTask *)task;
    for (Link *l = t->gateway->links[r->index], *next; l; l = next) {
        next = l->next;
        if (is_of(l, t)) conn_close(l->conn, CLOSE_BY_SERVER);
    }
    free(t);
}

/* principal_id STR_NONE: everybody's */
static void post_close(Gateway *g, Str account, Str principal_id) {
    for (size_t i = 0; i < g->reactors_n; i++) {
        GoneTask *t = mem_new(sizeof *t + principal_id.len + account.len);
        t->task.run = close_links;
        t->gateway = g;
        if (principal_id.ptr) {
            memcpy(t->data, principal_id.ptr, principal_id.len);
            memcpy(t->data + principal_id.len, account.ptr, account.len);
            t->id = (Str){ t->data, principal_id.len };
            t->account = (Str){ t->data + principal_id.len, account.len };
        }
        reactor_post(g->reactors[i], &t->task);
    }
}

void gateway_principal_changed(Gateway *g, Str account, Str principal_id, const Principal *now) {
    broker_principal_changed(g->o.env->broker, account, principal_id, now);
    if (!now) post_close(g, account, principal_id);
}

void gateway_shut(Gateway *g) {
    atomic_store(&g->shut, true); /* before: what comes to a reactor behind that sees it */
    post_close(g, STR_NONE, STR_NONE);
}
