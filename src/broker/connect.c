#include <stdlib.h>

#include "broker/client.h"
#include "identity/connection_vars.h"

/* CONNECT: check the packet, ask the policies, take the session, answer. What must wait (a session on another
 * reactor, a record to be synced) goes on in a later turn; until then the connection's input is paused. */

static void connack(Client *c, bool present, uint8_t reason, const MqttProps *props) {
    Arena scratch = { 0 };
    Writer w = writer_in(&scratch);
    MqttConnack a = { .session_present = present, .reason = reason };
    if (c->version == MQTT_5)
        a.props = *props;
    else
        a.reason = (uint8_t)mqtt_reason_to_3((MqttReason)reason);
    mqtt_write_connack(&w, c->version, &a);
    client_put_writer(c, &w);
    arena_free(&scratch);
}

static bool refuse(Client *c, LeaveReason why, uint8_t reason, const char *details) {
    MqttProps props = { 0 };
    if (c->problem_info && details) {
        props.has = MQTT_HAS(MQTT_PROP_REASON_STRING);
        props.reason_string = str_c(details);
    }
    connack(c, false, reason, &props);
    atomic_fetch_add_explicit(&c->broker->counters.connect_refused, 1, memory_order_relaxed);
    client_event(c, LOG_ERROR,
                 &(LogEntry){ .event = SERVICE_EVENT_CONNECT,
                              .reason = why == LEAVE_AUTH_ERROR ? S("AUTHORIZATION_FAILURE") : str_c(leave_name(why)),
                              .details = str_c(details) });
    return client_leave(c, why, 0, details);
}

/* ------------------------------------------------------------------------------------------------ checks */

static uint8_t check_client_id(Client *c, const MqttConnect *in, MqttProps *answer) {
    Str id = in->client_id;
    if (id.len == 0) {
        if (c->version == MQTT_3_1_1 && !in->clean) return MQTT_CLIENT_ID_NOT_VALID; /* [MQTT-3.1.3-8] */
        Arena scratch = { 0 };
        client_name(c, rng_uuid(&c->shard->rng, &scratch));
        arena_free(&scratch);
        answer->has |= MQTT_HAS(MQTT_PROP_ASSIGNED_CLIENT_ID);
        answer->assigned_client_id = c->client_id;
        return 0;
    }
    client_name(c, id);
    if (id.len > c->broker->o.limits.client_id_bytes_max || id.ptr[0] == '$') return MQTT_CLIENT_ID_NOT_VALID;
    return 0;
}

static uint8_t check_will(Client *c, const MqttConnect *in) {
    const BrokerLimits *l = &c->broker->o.limits;
    const MqttPublish *w = &in->will;
    if (!in->has_will) return 0;
    if (w->qos == 2) return MQTT_QOS_NOT_SUPPORTED;
    if (mqtt_topic_check(w->topic, (MqttTopicLimits){ l->topic_bytes_max, l->topic_slashes_max }) != OK ||
        w->topic.ptr[0] == '$')
        return MQTT_TOPIC_NAME_INVALID;
    if (w->payload.len > l->payload_bytes_max) return MQTT_PACKET_TOO_LARGE;
    return 0;
}

/* Source: developer guide: 0 and above the maximum mean the maximum, 1 to 29 mean 30. */
static void settle_keepalive(Client *c, const MqttConnect *in, MqttProps *answer) {
    const BrokerLimits *l = &c->broker->o.limits;
    uint16_t k = in->keepalive_s;
    c->keepalive_s = k == 0 || k > l->keepalive_s_max ? l->keepalive_s_max
                     : k < l->keepalive_s_min         ? l->keepalive_s_min
                                                      : k;
    if (c->keepalive_s == k) return;
    answer->has |= MQTT_HAS(MQTT_PROP_SERVER_KEEPALIVE);
    answer->server_keepalive_s = c->keepalive_s;
}

static void settle_expiry(Client *c, const MqttConnect *in, MqttProps *answer) {
    const BrokerLimits *l = &c->broker->o.limits;
    if (c->version == MQTT_3_1_1) {
        c->session_expiry_s = in->clean ? 0 : l->session_expiry_s_default;
        return;
    }
    uint32_t want = mqtt_props_has(&in->props, MQTT_PROP_SESSION_EXPIRY) ? in->props.session_expiry_s : 0;
    c->session_expiry_s = want > l->session_expiry_s_max ? l->session_expiry_s_max : want;
    if (c->session_expiry_s == want) return;
    answer->has |= MQTT_HAS(MQTT_PROP_SESSION_EXPIRY);
    answer->session_expiry_s = c->session_expiry_s;
}

/* What CONNACK tells an MQTT 5 client. Source: developer guide, "MQTT 5 supported features". */
static void state_limits(Client *c, MqttProps *a) {
    const BrokerLimits *l = &c->broker->o.limits;
    a->has |= MQTT_HAS(MQTT_PROP_RECEIVE_MAX) | MQTT_HAS(MQTT_PROP_TOPIC_ALIAS_MAX) | MQTT_HAS(MQTT_PROP_QOS_MAX) |
              MQTT_HAS(MQTT_PROP_RETAIN_AVAILABLE) | MQTT_HAS(MQTT_PROP_PACKET_BYTES_MAX) |
              MQTT_HAS(MQTT_PROP_WILDCARD_AVAILABLE) | MQTT_HAS(MQTT_PROP_SUBSCRIPTION_ID_AVAILABLE) |
              MQTT_HAS(MQTT_PROP_SHARED_AVAILABLE);
    a->receive_max = (uint16_t)l->inflight_in_max;
    a->topic_alias_max = l->topic_alias_max;
    a->qos_max = 1;
    a->retain_available = a->wildcard_available = a->shared_available = 1;
    a->packet_bytes_max = (uint32_t)l->packet_bytes_max;
}

enum { CLIENT_PACKET_BYTES_MIN = 512 }; /* Source: AWS General Reference: below it a client may not connect */

static uint8_t read_props(Client *c, const MqttProps *p) {
    if (mqtt_props_has(p, MQTT_PROP_AUTH_METHOD)) return MQTT_BAD_AUTHENTICATION_METHOD;
    if (mqtt_props_has(p, MQTT_PROP_RECEIVE_MAX) && p->receive_max < c->receive_max) c->receive_max = p->receive_max;
    if (mqtt_props_has(p, MQTT_PROP_PACKET_BYTES_MAX)) c->packet_bytes_max = p->packet_bytes_max;
    c->problem_info = !mqtt_props_has(p, MQTT_PROP_REQUEST_PROBLEM_INFO) || p->request_problem_info;
    if (c->packet_bytes_max && c->packet_bytes_max < CLIENT_PACKET_BYTES_MIN) return MQTT_PACKET_TOO_LARGE;
    return 0;
}

static uint8_t check(Client *c, const MqttConnect *in, MqttProps *answer) {
    uint8_t bad = check_client_id(c, in, answer);
    if (!bad) bad = read_props(c, &in->props);
    if (!bad) bad = check_will(c, in);
    settle_keepalive(c, in, answer);
    settle_expiry(c, in, answer);
    if (c->version == MQTT_5) state_limits(c, answer);
    return bad;
}

static bool allowed(Client *c, const MqttConnect *in) {
    Arena scratch = { 0 };
    Str attributes[2], topic_arn;
    PolicyVar extra[2] = { { S("iot:ConnectAttributes"), attributes, 0 }, { S("iot:LastWillTopic"), &topic_arn, 1 } };
    if (c->session_expiry_s > 0) attributes[extra[0].n++] = S("PersistentConnect");
    if (in->has_will) {
        attributes[extra[0].n++] = S("LastWill");
        topic_arn = str_format(&scratch, "arn:aws:iot:%.*s:%.*s:topic/%.*s", PS(c->broker->o.region),
                               PS(c->space->account), PS(in->will.topic));
    }
    bool ok = client_may(c, "iot:Connect", "client", c->client_id, extra, in->has_will ? 2 : 1);
    if (ok && in->has_will) {
        ok = client_may(c, "iot:Publish", "topic", in->will.topic, NULL, 0);
        if (ok && in->will.retain) ok = client_may(c, "iot:RetainPublish", "topic", in->will.topic, NULL, 0);
    }
    arena_free(&scratch);
    return ok;
}

static void keep_will(Client *c, const MqttConnect *in) {
    const MqttPublish *p = &in->will;
    if (!in->has_will) return;
    Arena scratch = { 0 };
    Str forward = mqtt_props_forward(&scratch, p->props, p->message_expiry_s); /* the delay is not passed on */
    Will *w = c->will = mem_new(sizeof *w + p->topic.len + p->payload.len + forward.len);
    w->topic = p->topic;
    w->payload = p->payload;
    w->props = forward;
    str_pack((uint8_t *)(w + 1), (Str *const[]){ &w->topic, &w->payload, &w->props }, 3);
    arena_free(&scratch);
    w->qos = p->qos;
    w->retain = p->retain;
    w->has_expiry = p->has_message_expiry;
    w->expiry_s = p->message_expiry_s;
    w->delay_s = in->will_delay_s;
}

/* ------------------------------------------------------------------------------------------------ the session */

static void tell_connect(Client *c) {
    const PrincipalThing *thing = connection_thing(c->principal, c->client_id);
    LogEntry e = { .event = SERVICE_EVENT_CONNECT, .success = true };
    if (thing) e.more[e.more_n++] = (LogField){ .name = "thingName", .text = thing->name };
    e.more[e.more_n++] = (LogField){ .name = "keepAliveDuration", .number = c->keepalive_s };
    e.more[e.more_n++] = (LogField){ .name = "sessionExpiry", .number = c->session_expiry_s };
    e.more[e.more_n++] = (LogField){ .name = "cleanSession", .number = c->clean, .form = LOG_FIELD_BOOL };
    client_event(c, LOG_INFO, &e);
}

static void live(Client *c, bool present) {
    MqttProps *answer = &c->connecting->answer.props;
    c->state = CLIENT_LIVE;
    atomic_fetch_add(&c->space->connections, 1);
    connack(c, present, MQTT_SUCCESS, answer);
    free(c->connecting);
    c->connecting = NULL;
    c->last_ms = c->shard->reactor->now_ms;
    client_arm(c, c->last_ms + (int64_t)c->keepalive_s * 1500);
    atomic_fetch_add_explicit(&c->broker->counters.connects, 1, memory_order_relaxed);
    tell_connect(c);
    presence_connected(c);
    client_unbind(c);
    session_pump(c->shard, c->session);
    conn_resume(c->conn);
}

static void saved(Shard *shard, void *ctx, Err e) {
    Client *c = ctx;
    (void)shard;
    if (c->state == CLIENT_CONNECTING) {
        if (e == OK)
            live(c, c->connecting->answer.session_present);
        else
            refuse(c, LEAVE_SERVER_ERROR, MQTT_SERVER_UNAVAILABLE, "the store could not take the session");
    }
    client_release(c);
}

static void got_session(Client *c, Session *s) {
    Shard *shard = c->shard;
    if (c->state == CLIENT_GONE) { /* it left while we asked */
        session_away(shard, s);
        return;
    }
    const BrokerLimits *l = &shard->broker->o.limits;
    int64_t now = clock_ms(shard->broker->o.clock);
    if (l->rates && now >= s->connected_ms &&                               /* the system's clock may have gone back */
        now - s->connected_ms < 1000 / (int64_t)l->connects_per_client_s) { /* Source: AWS General Reference */
        session_away(shard, s);
        refuse(c, LEAVE_THROTTLED, MQTT_QUOTA_EXCEEDED, "more than one CONNECT a second with this client id");
        return;
    }
    bool present = atomic_load(&s->kept) && !c->clean && s->version == c->version;
    if (!present) session_clear(shard, s);
    s->client = c;
    c->session = s;
    s->version = c->version;
    s->expiry_s = c->session_expiry_s;
    s->window = c->receive_max;
    s->sent_seq = 0;
    s->backlog = present;
    s->keepalive_s = c->keepalive_s;
    s->connected_ms = now;
    c->since_ms = reactor_now_ms(shard->reactor);
    s->presence++;
    atomic_store(&s->online, true);
    session_touch(s);
    c->connecting->answer.session_present = present;
    if (s->expiry_s == 0 && !present) {
        live(c, false);
        return;
    }
    atomic_store(&s->kept, true);
    client_retain(c);
    session_save(shard, s, saved, c);
}

typedef struct {
    Task task;
    Client *client;
    Shard *to;
    uint32_t changes; /* of principals, that both shards knew of before it was asked to move */
} MoveTask;

static void moved(Conn *conn, void *ctx) {
    MoveTask *m = ctx;
    Client *c = m->client;
    (void)conn;
    if (client_landed(c, m->changes)) session_take(c->shard, c, got_session);
    client_release(c);
    free(m);
}

static void move(Task *task, Reactor *r) {
    MoveTask *m = (MoveTask *)task;
    (void)r;
    if (m->client->state == CLIENT_GONE || conn_waiting(m->client->conn)) {
        if (m->client->state != CLIENT_GONE) session_take(m->client->shard, m->client, got_session);
        client_release(m->client);
        free(m);
        return;
    }
    client_delist(m->client);
    conn_move(m->client->conn, m->to->reactor, moved, m);
}

static bool await_auth(Client *c, Str body) {
    c->connecting->body = mem_grow(NULL, body.len);
    memcpy(c->connecting->body, body.ptr, body.len);
    c->connecting->body_len = body.len;
    c->state = CLIENT_CONNECTING;
    conn_pause(c->conn);
    return true;
}

static bool admit(Client *c, const MqttConnect *in) {
    if (atomic_load(&c->space->connections) >= c->broker->o.limits.account_connections_max)
        return refuse(c, LEAVE_THROTTLED, MQTT_QUOTA_EXCEEDED, "the account has as many connections as it may");
    client_bind(c);
    if (!allowed(c, in)) {
        presence_connect_failed(c);
        return refuse(c, LEAVE_AUTH_ERROR, MQTT_NOT_AUTHORIZED, "AUTHORIZATION_FAILURE");
    }
    keep_will(c, in);
    rng_fill(&c->shard->rng, c->session_id, sizeof c->session_id);
    c->state = CLIENT_CONNECTING;
    conn_pause(c->conn);
    Shard *to = shard_to_relieve(c->shard, 1);
    if (to == c->shard) {
        session_take(c->shard, c, got_session);
    } else { /* from a task of its own: this turn still reads from the connection */
        MoveTask *m = mem_new(sizeof *m);
        *m = (MoveTask){ .task.run = move, .client = c, .to = to };
        m->changes = atomic_load(&c->broker->principal_changes_posted);
        client_retain(c);
        reactor_post(c->shard->reactor, &m->task);
    }
    return true;
}

bool client_connect(Client *c, Str body) {
    MqttConnect in;
    Err e = mqtt_parse_connect(body, &in);
    if (e == ERR_NOT_IMPLEMENTED) {
        uint8_t level = mqtt_connect_level(body);
        c->version = level > MQTT_5 ? MQTT_5 : MQTT_3_1_1;
        return refuse(c, LEAVE_CLIENT_ERROR, MQTT_UNSUPPORTED_PROTOCOL_VERSION,
                      "the MQTT version is neither 3.1.1 nor 5");
    }
    if (e != OK) {
        if (mqtt_connect_level(body) != MQTT_5) return client_leave(c, LEAVE_CLIENT_ERROR, 0, "CONNECT is malformed");
        c->version = MQTT_5;
        return refuse(c, LEAVE_CLIENT_ERROR, mqtt_reason_of(e), "CONNECT is malformed");
    }
    c->version = in.version;
    c->clean = in.clean;
    c->problem_info = true;
    c->connecting = mem_new(sizeof *c->connecting);
    uint8_t bad = check(c, &in, &c->connecting->answer.props);
    if (bad) return refuse(c, LEAVE_CLIENT_ERROR, bad, mqtt_reason_name(bad));
    MqttAuthAnswer auth = c->auth ? c->auth->connect(c->auth, c, &in) : MQTT_AUTH_STANDS;
    if (auth == MQTT_AUTH_REFUSED) return refuse(c, LEAVE_AUTH_ERROR, MQTT_NOT_AUTHORIZED, "AUTHENTICATION_FAILURE");
    if (auth == MQTT_AUTH_ASKED) return await_auth(c, body);
    return admit(c, &in);
}

void mqtt_authenticated(Client *c, const Principal *p, int64_t renew_after_s, int64_t end_after_s, const char *why) {
    int64_t now = c->shard->reactor->now_ms;
    bool connecting = c->state == CLIENT_CONNECTING && c->connecting->body;
    Str body = connecting ? (Str){ c->connecting->body, c->connecting->body_len } : STR_NONE;
    MqttConnect in;
    if (c->state == CLIENT_GONE) {
        principal_release(p);
        return;
    }
    if (connecting) c->connecting->body = NULL;
    if (p) {
        client_become(c, p);
        if (renew_after_s) c->renew_ms = now + renew_after_s * 1000;
        if (end_after_s && !c->end_ms) c->end_ms = now + end_after_s * 1000; /* a renewal does not change it */
    }
    if (!connecting && !p)
        client_leave(c, LEAVE_AUTH_ERROR, MQTT_NOT_AUTHORIZED, why);
    else if (!connecting)
        client_arm(c, c->last_ms + (int64_t)c->keepalive_s * 1500);
    else if (!p || mqtt_parse_connect(body, &in) != OK)
        refuse(c, LEAVE_AUTH_ERROR, MQTT_NOT_AUTHORIZED, why);
    else
        admit(c, &in);
    free((void *)(uintptr_t)body.ptr);
}
