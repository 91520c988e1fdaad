#include "broker/client.h"

#include <stdio.h>
#include <stdlib.h>

#include "identity/connection_vars.h"
#include "net/ws.h"

/* From bytes to packets to verbs. Input stops while CONNECT is being decided and while an MQTT 3.1.1 publisher has as
 * many unacknowledged messages as it may. */

/* ------------------------------------------------------------------------------------------------ output */

/* Each packet a frame and each frame a TLS record: AWSIoTPythonSDK reads one frame when select() says that the socket
 * has something, and does not see what OpenSSL holds already. Source: its cores.py and paho/client.py */
static void frame_begin(Client *c, size_t len) {
    uint8_t head[WS_HEADER_BYTES_MAX];
    if (!c->websocket) return;
    conn_cut(c->conn);
    conn_put(c->conn, head, ws_frame_header(head, len, WS_BINARY));
}

void client_put(Client *c, const uint8_t *bytes, size_t len) {
    frame_begin(c, len);
    conn_put(c->conn, bytes, len);
}

void client_put_writer(Client *c, const Writer *w) {
    client_put(c, w->ptr, w->len);
}

enum { COPY_BYTES_MAX = 512 }; /* below it a copy is cheaper than a segment */

void client_put_message(Client *c, const Form *form, uint16_t own_id, uint8_t bits) {
    frame_begin(c, form->len);
    if (!own_id && !bits) {
        conn_put_ref(c->conn, form->bytes, form->len);
        return;
    }
    size_t copied = form->len <= COPY_BYTES_MAX ? form->len : own_id ? form->id_at + 2 : 1;
    uint8_t *to = conn_room(c->conn, copied);
    memcpy(to, form->bytes, copied);
    if (copied < form->len) conn_put_ref(c->conn, form->bytes + copied, form->len - copied);
    to[0] |= bits;
    if (own_id) mqtt_put_packet_id(to + form->id_at, own_id);
}

/* ------------------------------------------------------------------------------------------------ policy */

struct Binding {
    PrincipalBound bound;
    Arena arena;
};

static void bind_policies(Client *c) {
    Binding *b = c->binding = mem_new(sizeof *b);
    const Principal *p = c->principal;
    const ConnectionFacts facts = { .client_id = c->client_id,
                                    .source_ip = c->source_ip,
                                    .domain_name = c->server_name.len ? c->server_name : STR_NONE,
                                    .secure = c->conn->ssl ? S("true") : S("false") };
    const PolicyVar *vars;
    size_t n;
    b->arena.block_bytes = 512;
    connection_vars(p, &facts, &b->arena, &vars, &n);
    principal_bind(p, vars, n, &b->arena, &b->bound);
    c->timed = moment_matters(b->bound.policies);
    if (c->timed) atomic_store_explicit(&c->space->timed, true, memory_order_relaxed);
}

void client_unbind(Client *c) {
    if (!c->binding) return;
    principal_unbind(&c->binding->bound);
    arena_free(&c->binding->arena);
    free(c->binding);
    c->binding = NULL;
}

/* Source: AWS IoT developer guide, "Adding propagating attributes": only of clients that came with a certificate */
static void bind_enrichment(Client *c) {
    const Principal *p = c->principal;
    const PrincipalThing *thing = p->kind == PRINCIPAL_CERTIFICATE ? connection_thing(p, c->client_id) : NULL;
    free((void *)(uintptr_t)c->added_props.ptr);
    c->added_props = STR_NONE;
    if (!thing || thing->properties_n == 0) return;
    Arena scratch = { 0 };
    Writer w = writer_in(&scratch);
    for (size_t i = 0; i < thing->properties_n; i++) {
        Str value = thing->properties[i].value;
        mqtt_props_put_user(&w, thing->properties[i].key, value.ptr ? value : c->client_id);
    }
    uint8_t *bytes = mem_grow(NULL, w.len);
    memcpy(bytes, w.ptr, w.len);
    c->added_props = (Str){ bytes, w.len };
    arena_free(&scratch);
}

void client_bind(Client *c) {
    c->bound_version = atomic_load_explicit(&c->space->policy_version, memory_order_acquire); /* before the policies */
    client_unbind(c);
    bind_policies(c);
    bind_enrichment(c);
    client_clear_topics(c);
    c->judged = 0; /* it may be in other groups now */
}

/* What is decided by the time is kept for a second at most: broker_time_passes. */
static PolicyDecision decide(Client *c, Str action, Str arn, const PolicyVar *extra, size_t n) {
    enum { EXTRA_MAX = 4 };
    Moment moment;
    PolicyVar all[EXTRA_MAX + MOMENT_VARS];
    if (!c->timed || n > EXTRA_MAX) return policy_decide(c->binding->bound.policies, action, arn, extra, n, NULL, NULL);
    if (n) memcpy(all, extra, n * sizeof *all);
    moment_vars(clock_ms(c->broker->o.clock), &moment, all + n);
    return policy_decide(c->binding->bound.policies, action, arn, all, n + MOMENT_VARS, NULL, NULL);
}

bool client_may(Client *c, const char *action, const char *kind, Str resource, const PolicyVar *extra, size_t n) {
    uint8_t text[1024];
    const Broker *b = c->broker;
    client_rebind(c);
    int head =
        snprintf((char *)text, sizeof text, "arn:aws:iot:%.*s:%.*s:%s/", PS(b->o.region), PS(c->space->account), kind);
    if (head < 0 || (size_t)head + resource.len > sizeof text) return false;
    if (resource.len) memcpy(text + head, resource.ptr, resource.len);
    Str arn = { text, (size_t)head + resource.len };
    if (!c->binding) bind_policies(c);
    bool ok = decide(c, str_c(action), arn, extra, n) == POLICY_ALLOWED;
    if (!ok) atomic_fetch_add_explicit(&c->broker->counters.denied, 1, memory_order_relaxed);
    return ok;
}

/* ------------------------------------------------------------------------------------------------ what is logged */

void client_judge(Client *c) {
    const PrincipalThing *thing = connection_thing(c->principal, c->client_id);
    const LogSubject subject = { .account = c->space->account,
                                 .client_id = c->client_id,
                                 .principal_id = c->principal->id,
                                 .source_ip = c->source_ip,
                                 .groups = thing ? thing->groups : NULL,
                                 .groups_n = thing ? thing->groups_n : 0 };
    LogVerdict v = { 0 };
    uint64_t any = 0;
    service_log_judge(c->broker->o.service_log, &subject, &v);
    for (size_t i = 0; i < sizeof v.on / sizeof *v.on; i++) any |= v.on[i];
    c->judged = v.version;
    free(c->verdict);
    c->verdict = NULL;
    if (!any) return;
    c->verdict = mem_new(sizeof v);
    *c->verdict = v;
}

void client_tell(Client *c, const LogEntry *entry) {
    LogEntry e = *entry;
    if (e.level == LOG_DEBUG && e.event != SERVICE_EVENT_PING) e.level = e.success ? LOG_INFO : LOG_ERROR;
    if (!client_logs(c, e.event, e.level)) return;
    e.now_ms = clock_ms(c->broker->o.clock);
    e.account = c->space->account;
    e.protocol = S("MQTT");
    e.client_id = c->client_id;
    e.principal_id = c->principal->id;
    e.source_ip = c->source_ip;
    e.source_port = ntohs(c->conn->peer.sin6_port);
    service_log_write(c->broker->o.service_log, &e);
}

void client_line(Client *c, LogLevel own, const char *event, bool success, Str topic, const char *reason) {
    const BrokerOptions *o = &c->broker->o;
    if (!o->on_event) return;
    BrokerEvent e = { .level = own,
                      .event = event,
                      .success = success,
                      .account = c->space->account,
                      .client_id = c->client_id,
                      .principal_id = c->principal->id,
                      .topic = topic,
                      .source_ip = c->source_ip,
                      .reason = reason };
    o->on_event(o->on_event_ctx, &e);
}

void client_event(Client *c, LogLevel own, const LogEntry *e) {
    Str why = e->details.ptr ? e->details : e->reason; /* literals all: they end with a zero */
    client_line(c, own, (const char *)service_event_name(e->event).ptr, e->success, e->topic, (const char *)why.ptr);
    client_tell(c, e);
}

/* ------------------------------------------------------------------------------------------------ input */

static bool ping(Client *c, Str body) {
    if (body.len) return client_leave(c, LEAVE_CLIENT_ERROR, MQTT_MALFORMED_PACKET, "PINGREQ has a body");
    uint8_t out[MQTT_PING_BYTES];
    client_put(c, out, (size_t)(mqtt_write_pingresp(out) - out));
    if (client_logs(c, SERVICE_EVENT_PING, LOG_DEBUG)) {
        int64_t now = clock_ms(c->broker->o.clock); /* asked and answered within one turn */
        client_tell(c, &(LogEntry){ .event = SERVICE_EVENT_PING,
                                    .success = true,
                                    .more = { { .name = "requestTimestamp", .number = now },
                                              { .name = "responseTimestamp", .number = now },
                                              { .name = "latency" } },
                                    .more_n = 3 });
    }
    return true;
}

bool client_puback(Client *c, Str body) {
    uint16_t id = mqtt_puback_plain(body);
    if (!id) {
        MqttAck ack;
        Err e = mqtt_parse_ack(c->version, MQTT_PUBACK, body, &ack);
        if (e != OK) return client_leave(c, LEAVE_CLIENT_ERROR, mqtt_reason_of(e), "PUBACK is malformed");
        id = ack.packet_id;
    }
    if (!session_acked(c->shard, c->session, id)) return true; /* of a connection before this one */
    session_pump(c->shard, c->session);
    return true;
}

static bool verb(Client *c, uint8_t *frame, const MqttFrame *f) {
    MqttType type = mqtt_type(f->header);
    if (c->state == CLIENT_NEW) {
        if (type == MQTT_CONNECT) return client_connect(c, f->body);
        return client_leave(c, LEAVE_CLIENT_ERROR, 0, "the first packet is not CONNECT");
    }
    switch (type) {
    case MQTT_PUBLISH: return client_publish(c, frame, f);
    case MQTT_PUBACK: return client_puback(c, f->body);
    case MQTT_SUBSCRIBE: return client_subscribe(c, f->body);
    case MQTT_UNSUBSCRIBE: return client_unsubscribe(c, f->body);
    case MQTT_PINGREQ: return ping(c, f->body);
    case MQTT_DISCONNECT: return client_disconnect(c, f->body);
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP: return client_leave(c, LEAVE_CLIENT_ERROR, MQTT_QOS_NOT_SUPPORTED, "QoS 2 is not supported");
    case MQTT_CONNECT: return client_leave(c, LEAVE_CLIENT_ERROR, MQTT_PROTOCOL_ERROR, "a second CONNECT");
    default: return client_leave(c, LEAVE_CLIENT_ERROR, MQTT_PROTOCOL_ERROR, "a packet that a client may not send");
    }
}

static bool reading(const Client *c) {
    return (c->state == CLIENT_NEW || c->state == CLIENT_LIVE) && !c->held;
}

/* A client that publishes next what a message made it (a delta, a request) has its PUBLISH held back by Nagle's
 * algorithm until the PUBACK before it is acknowledged, which a kernel with nothing to answer puts off by 40 ms. */
static void acknowledge_at_once(const Client *c) {
    if (c->topics && c->state == CLIENT_LIVE && !conn_waiting(c->conn)) conn_acknowledge(c->conn);
}

size_t mqtt_input(Client *c, uint8_t *bytes, size_t len) {
    size_t at = 0;
    bool only_acks = true;
    client_retain(c);
    c->last_ms = c->shard->reactor->now_ms;
    while (at < len && reading(c)) {
        MqttFrame f;
        Err e = mqtt_frame((Str){ bytes + at, len - at }, c->broker->o.limits.packet_bytes_max, &f);
        if (e == ERR_AGAIN) break;
        if (e != OK) {
            client_leave(c, LEAVE_CLIENT_ERROR, mqtt_reason_of(e),
                         e == ERR_LIMIT ? "the packet is too large" : "the bytes are not an MQTT packet");
            break;
        }
        only_acks &= mqtt_type(f.header) == MQTT_PUBACK;
        verb(c, bytes + at, &f);
        at += f.total;
    }
    if (at && only_acks) acknowledge_at_once(c);
    if (c->state == CLIENT_GONE) at = len;
    client_release(c);
    return at;
}

static size_t on_input(Conn *conn, uint8_t *bytes, size_t len) {
    return mqtt_input(conn->owner, bytes, len);
}

void mqtt_closed(Client *c, bool orderly) {
    if (c->state != CLIENT_GONE)
        client_leave(c,
                     orderly                             ? LEAVE_CLIENT
                     : c->conn->why == CLOSE_SLOW_READER ? LEAVE_SERVER
                                                         : LEAVE_LOST,
                     0, NULL);
    client_release(c);
}

static void on_closed(Conn *conn) {
    mqtt_closed(conn->owner, false);
}

void mqtt_drained(Client *c) {
    if (c->state == CLIENT_LIVE) session_pump(c->shard, c->session);
}

static void on_drained(Conn *conn) {
    mqtt_drained(conn->owner);
}

const ConnHandler MQTT_HANDLER = { .input = on_input, .closed = on_closed, .drained = on_drained };

/* ------------------------------------------------------------------------------------------------ life */

enum { WEBSOCKET_TTL_MS = 24 * 3600 * 1000 }; /* Source: AWS General Reference: of a signed one */

void client_arm(Client *c, int64_t due) {
    if (c->renew_ms && c->renew_ms < due) due = c->renew_ms;
    if (c->end_ms && c->end_ms < due) due = c->end_ms;
    timer_arm(c->conn->reactor, &c->conn->timer, due);
}

/* Once in one and a half times the keep-alive. */
static void rest(Client *c, int64_t due) {
    client_unbind(c);
    client_arm(c, due);
}

/* What it may was good for a time. */
static void renew(Client *c, int64_t now) {
    if (!c->renew_ms || now < c->renew_ms) return;
    c->renew_ms = 0;
    c->auth->renew(c->auth, c);
}

static void on_timer(Timer *t, Reactor *r) {
    Conn *conn = (Conn *)((char *)t - offsetof(Conn, timer));
    Client *c = conn->timed; /* a WebSocket's owner is its Link */
    if (c->state == CLIENT_NEW || c->state == CLIENT_CONNECTING) {
        client_leave(c, LEAVE_CLIENT_ERROR, 0, "no CONNECT in time");
        return;
    }
    const Principal *p = c->principal;
    int64_t due = c->last_ms + (int64_t)c->keepalive_s * 1500;
    bool signed_ws = c->websocket && p->kind == PRINCIPAL_ACCESS_KEY;
    if (signed_ws && r->now_ms - c->since_ms > WEBSOCKET_TTL_MS)
        client_leave(c, LEAVE_WEBSOCKET_TTL, MQTT_MAXIMUM_CONNECT_TIME, "a WebSocket lives 24 hours");
    else if (real_ms() > p->not_after_ms)
        client_leave(c, LEAVE_AUTH_ERROR, MQTT_NOT_AUTHORIZED, "its certificate or key has ended");
    else if (c->end_ms && r->now_ms >= c->end_ms)
        client_leave(c, LEAVE_SERVER, MQTT_MAXIMUM_CONNECT_TIME, "its authorizer let it in for this time");
    else if (due > r->now_ms) {
        renew(c, r->now_ms);
        if (c->state != CLIENT_GONE) rest(c, due);
    } else
        client_leave(c, LEAVE_KEEP_ALIVE, MQTT_KEEP_ALIVE_TIMEOUT,
                     "nothing came in one and a half times the keep-alive");
}

/* All in one piece: they are short, and each malloc costs 16 bytes more. */
static void keep_texts(Client *c, Str client_id, Str server_name, Str source_ip) {
    uint8_t *texts = mem_grow(NULL, client_id.len + server_name.len + source_ip.len);
    c->client_id = client_id;
    c->server_name = server_name;
    c->source_ip = source_ip;
    str_pack(texts, (Str *const[]){ &c->client_id, &c->server_name, &c->source_ip }, 3);
    free(c->texts);
    c->texts = texts;
}

void client_name(Client *c, Str client_id) {
    keep_texts(c, client_id, c->server_name, c->source_ip);
}

Client *mqtt_attach(Broker *b, Conn *conn, const MqttLink *link) {
    Client *c = mem_new(sizeof *c);
    char address[INET6_ADDRSTRLEN];
    c->broker = b;
    c->shard = shard_of(conn->reactor);
    c->conn = conn;
    c->refs = 1;
    c->version = MQTT_3_1_1;
    c->websocket = link->websocket;
    c->principal = link->principal;
    c->space = hub_space(b, c->principal->account);
    keep_texts(c, STR_NONE, link->server_name, conn_address(&conn->peer, address));
    c->receive_max = (uint16_t)b->o.limits.inflight_out_max;
    conn_retain(conn);
    conn->out_bytes_max = b->o.limits.out_bytes_max;
    conn->timer.fire = on_timer;
    conn->timed = c;
    timer_arm(conn->reactor, &conn->timer, reactor_now_ms(conn->reactor) + b->o.limits.connect_wait_s * 1000);
    if (!link->websocket) {
        conn->handler = &MQTT_HANDLER;
        conn->owner = c;
    }
    c->auth = link->auth;
    int64_t now = reactor_now_ms(conn->reactor);
    if (link->renew_after_s) c->renew_ms = now + link->renew_after_s * 1000;
    if (link->end_after_s) c->end_ms = now + link->end_after_s * 1000;
    client_enlist(c);
    return c;
}

void mqtt_retain(Client *c) {
    client_retain(c);
}

void mqtt_release(Client *c) {
    client_release(c);
}

Reactor *mqtt_reactor(const Client *c) {
    return c->shard->reactor;
}

void client_become(Client *c, const Principal *p) {
    client_delist(c);
    principal_release(c->principal);
    c->principal = p;
    client_enlist(c);
    if (c->session) client_rebound(c);
}

void client_enlist(Client *c) {
    Shard *shard = c->shard;
    c->prev = NULL;
    c->next = shard->clients;
    if (c->next) c->next->prev = c;
    shard->clients = c;
    Client *same = map_get(&shard->principals, c->principal->id);
    c->prev_principal = NULL;
    c->next_principal = same;
    if (same) same->prev_principal = c;
    map_put(&shard->principals, c->principal->id, c);
}

void client_delist(Client *c) {
    Shard *shard = c->shard;
    if (c->prev)
        c->prev->next = c->next;
    else
        shard->clients = c->next;
    if (c->next) c->next->prev = c->prev;
    if (c->next_principal) c->next_principal->prev_principal = c->prev_principal;
    if (c->prev_principal)
        c->prev_principal->next_principal = c->next_principal;
    else if (c->next_principal)
        map_put(&shard->principals, c->next_principal->principal->id, c->next_principal);
    else
        map_remove(&shard->principals, c->principal->id);
}

void client_release(Client *c) {
    if (--c->refs > 0) return;
    if (c->aliases)
        for (size_t i = 0; i <= c->broker->o.limits.topic_alias_max; i++) free((void *)(uintptr_t)c->aliases[i].ptr);
    free(c->aliases);
    free((void *)(uintptr_t)c->added_props.ptr);
    client_forget_topics(c);
    if (c->connecting) free(c->connecting->body);
    free(c->connecting);
    free(c->verdict);
    if (c->auth) c->auth->gone(c->auth);
    free(c->acks);
    free(c->will);
    principal_release((Principal *)(uintptr_t)c->principal);
    client_unbind(c);
    free(c->texts);
    conn_release(c->conn);
    free(c);
}
