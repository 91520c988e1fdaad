#include <stdlib.h>

#include "broker/client.h"
#include "net/ws.h"

/* How a connection ends, whoever ends it: the client is told (MQTT 5), the will goes out or waits, presence is told,
 * the session stays or goes. Source: developer guide, "Lifecycle events" and "MQTT Last Will". */

static const struct {
    const char *name;
    bool will;
} REASONS[] = {
    [LEAVE_CLIENT] = { "CLIENT_INITIATED_DISCONNECT", false },
    [LEAVE_AUTH_ERROR] = { "AUTH_ERROR", true },
    [LEAVE_FORBIDDEN] = { "FORBIDDEN_ACCESS", true },
    [LEAVE_CLIENT_ERROR] = { "CLIENT_ERROR", true },
    [LEAVE_LOST] = { "CONNECTION_LOST", true },
    [LEAVE_DUPLICATE] = { "DUPLICATE_CLIENTID", true },
    [LEAVE_KEEP_ALIVE] = { "MQTT_KEEP_ALIVE_TIMEOUT", true },
    [LEAVE_SERVER_ERROR] = { "SERVER_ERROR", true },
    [LEAVE_SERVER] = { "SERVER_INITIATED_DISCONNECT", true },
    [LEAVE_THROTTLED] = { "THROTTLED", true },
    [LEAVE_WEBSOCKET_TTL] = { "WEBSOCKET_TTL_EXPIRATION", true },
    [LEAVE_API] = { "API_INITIATED_DISCONNECT", true },
};

const char *leave_name(LeaveReason why) {
    return REASONS[why].name;
}

static void put_disconnect(Client *c, uint8_t reason, const char *details) {
    Arena scratch = { 0 };
    Writer w = writer_in(&scratch);
    MqttDisconnect d = { .reason = reason };
    if (details && c->problem_info) {
        d.props.has = MQTT_HAS(MQTT_PROP_REASON_STRING);
        d.props.reason_string = str_c(details);
    }
    mqtt_write_disconnect(&w, MQTT_5, &d);
    client_put_writer(c, &w);
    arena_free(&scratch);
}

/* ------------------------------------------------------------------------------------------------ the will */

static void publish_will(Broker *b, Shard *shard, Space *space, const Will *w) {
    Message m = { .space = space,
                  .topic = w->topic,
                  .payload = w->payload,
                  .props = w->props,
                  .qos = w->qos,
                  .retain = w->retain,
                  .has_expiry = w->has_expiry,
                  .expires_ms = clock_ms(b->o.clock) + (int64_t)w->expiry_s * 1000 };
    hub_publish(shard, &m, &(RuleOrigin){ 0 });
}

struct DelayedWill {
    Timer timer;               /* first */
    DelayedWill *next, **link; /* of its shard */
    Broker *broker;
    Space *space;
    Str client_id; /* owned */
    uint32_t presence;
    Will *will;
};

static void delayed_free(DelayedWill *d) {
    timer_disarm(&d->timer);
    *d->link = d->next;
    if (d->next) d->next->link = d->link;
    free(d->will);
    free((void *)(uintptr_t)d->client_id.ptr);
    free(d);
}

void wills_free(Shard *shard) {
    while (shard->wills) delayed_free(shard->wills);
}

static void delayed_will(Timer *t, Reactor *r) {
    DelayedWill *d = (DelayedWill *)t;
    pthread_mutex_lock(&d->space->sessions_lock);
    Session *s = map_get(&d->space->sessions, d->client_id);
    bool back = s && atomic_load(&s->presence) != d->presence; /* [MQTT-3.1.3-9]: not when it came back in time */
    pthread_mutex_unlock(&d->space->sessions_lock);
    if (!back) publish_will(d->broker, shard_of(r), d->space, d->will);
    delayed_free(d);
}

/* It may have been taken from the client since CONNECT. */
static bool will_allowed(Client *c) {
    return client_may(c, "iot:Publish", "topic", c->will->topic, NULL, 0) &&
           (!c->will->retain || client_may(c, "iot:RetainPublish", "topic", c->will->topic, NULL, 0));
}

static void leave_will(Client *c) {
    if (!will_allowed(c)) {
        free(c->will);
        c->will = NULL;
        return;
    }
    Will *w = c->will;
    c->will = NULL;
    /* The delay is the standard's; it ends no later than the session. Source: MQTT 5 section 3.1.3.2.2 */
    uint32_t delay = w->delay_s < c->session_expiry_s ? w->delay_s : c->session_expiry_s;
    if (delay == 0 || !c->session) {
        publish_will(c->broker, c->shard, c->space, w);
        free(w);
        return;
    }
    DelayedWill *d = mem_new(sizeof *d);
    uint8_t *id = mem_grow(NULL, c->client_id.len);
    memcpy(id, c->client_id.ptr, c->client_id.len);
    *d = (DelayedWill){ .timer.fire = delayed_will,
                        .broker = c->broker,
                        .space = c->space,
                        .client_id = { id, c->client_id.len },
                        .presence = c->session->presence,
                        .will = w };
    d->next = c->shard->wills;
    if (d->next) d->next->link = &d->next;
    d->link = &c->shard->wills;
    c->shard->wills = d;
    timer_arm(c->shard->reactor, &d->timer, reactor_now_ms(c->shard->reactor) + (int64_t)delay * 1000);
}

/* ------------------------------------------------------------------------------------------------ the end */

static void tell_disconnect(Client *c, LeaveReason why, const char *details) {
    bool orderly = why == LEAVE_CLIENT;
    LogEntry e = { .event = SERVICE_EVENT_DISCONNECT,
                   .success = orderly,
                   .more = { { .name = "disconnectReason", .text = str_c(leave_name(why)) } },
                   .more_n = 1 };
    if (!orderly) e.reason = str_c(leave_name(why));
    if (!orderly && details) e.details = str_c(details);
    client_event(c, orderly ? LOG_INFO : LOG_ERROR, &e);
}

bool client_leave(Client *c, LeaveReason why, uint8_t reason, const char *details) {
    if (c->state == CLIENT_GONE) return false;
    bool was_live = c->state == CLIENT_LIVE;
    Session *s = c->session;
    c->state = CLIENT_GONE;
    client_retain(c);
    if (was_live && reason && c->version == MQTT_5) put_disconnect(c, reason, details);
    if (c->websocket && why != LEAVE_LOST) {
        uint8_t frame[4];
        conn_put(c->conn, frame, ws_close_frame(frame, WS_CLOSE_NORMAL));
    }
    client_delist(c);
    if (was_live)
        tell_disconnect(c, why, details);
    else
        client_line(c, why == LEAVE_CLIENT ? LOG_INFO : LOG_ERROR, "Connection", why == LEAVE_CLIENT, STR_NONE,
                    details ? details : leave_name(why));
    if (s && s->client == c) {
        s->disconnect_reason = leave_name(why);
        s->expiry_s = c->session_expiry_s; /* DISCONNECT may have changed it */
        session_away(c->shard, s);
    }
    if (was_live) {
        atomic_fetch_add_explicit(&c->broker->counters.disconnects, 1, memory_order_relaxed);
        atomic_fetch_sub(&c->space->connections, 1);
        presence_disconnected(c, why);
        if (c->will && REASONS[why].will) leave_will(c);
    }
    conn_finish(c->conn);
    client_release(c);
    return false;
}

bool client_disconnect(Client *c, Str body) {
    MqttDisconnect d;
    Err e = mqtt_parse_disconnect(c->version, body, &d);
    if (e != OK) return client_leave(c, LEAVE_CLIENT_ERROR, mqtt_reason_of(e), "DISCONNECT is malformed");
    if (c->version == MQTT_5 && mqtt_props_has(&d.props, MQTT_PROP_SESSION_EXPIRY)) {
        if (c->session_expiry_s == 0 && d.props.session_expiry_s > 0) /* [MQTT-3.14.2-2] */
            return client_leave(c, LEAVE_CLIENT_ERROR, MQTT_PROTOCOL_ERROR, "DISCONNECT raises a session expiry of 0");
        uint32_t max = c->broker->o.limits.session_expiry_s_max;
        c->session_expiry_s = d.props.session_expiry_s > max ? max : d.props.session_expiry_s;
    }
    if (d.reason != MQTT_DISCONNECT_WITH_WILL) {
        free(c->will);
        c->will = NULL;
    } else if (c->will) {
        leave_will(c);
    }
    return client_leave(c, LEAVE_CLIENT, 0, NULL);
}
