#include <stdlib.h>

#include "broker/client.h"

/* The hot path. A publisher's last few topics are kept with their route and verdict: a hit means that the topic is
 * valid, allowed and routed, and costs a comparison. Where the subscriber's packet is the publisher's, byte for byte,
 * the very bytes that were received go out. */

/* ------------------------------------------------------------------------------------------------ acknowledging */

static void put_puback(Client *c, uint16_t id, uint8_t reason) {
    uint8_t out[MQTT_PUBACK_BYTES_MAX];
    client_put(c, out, (size_t)(mqtt_write_puback(out, c->version, id, reason) - out));
    c->shard->acks++;
}

static AckSlot *ack_slot(Client *c, uint64_t n) {
    return &c->acks[n % c->broker->o.limits.inflight_in_max];
}

static bool acks_full(const Client *c) {
    return c->acks_end - c->acks_first >= c->broker->o.limits.inflight_in_max;
}

static bool too_many(Client *c) {
    return client_leave(c, LEAVE_CLIENT_ERROR, MQTT_RECEIVE_MAXIMUM_EXCEEDED, "too many messages are unacknowledged");
}

/* MQTT 5 tells a client how many messages may be unacknowledged, 3.1.1 does not. */
static bool must_wait(const Client *c) {
    return c->owed >= OWED_MAX || (c->version == MQTT_3_1_1 && acks_full(c));
}

static void hold_back(Client *c) {
    if (c->held || !must_wait(c)) return;
    c->held = true;
    conn_pause(c->conn);
}

static void go_on(Client *c) {
    if (!c->held || c->state != CLIENT_LIVE || must_wait(c)) return;
    c->held = false;
    conn_resume(c->conn);
}

void client_owe(Client *c) {
    c->owed++;
    hold_back(c);
}

void client_paid(Client *c) {
    c->owed--;
    go_on(c);
}

void client_publish_safe(Client *c, uint64_t slot) {
    if (slot == ACK_SLOT_NONE) {
        client_paid(c);
        return;
    }
    if (c->state != CLIENT_LIVE) return;
    ack_slot(c, slot)->ready = true;
    while (c->acks_first < c->acks_end && ack_slot(c, c->acks_first)->ready) {
        AckSlot *a = ack_slot(c, c->acks_first++);
        put_puback(c, a->packet_id, a->reason);
    }
    go_on(c);
}

/* MQTT 5 is told by the PUBACK; who cannot be told so is disconnected: what is acknowledged was done. */
void client_retain_full(Client *c, uint64_t slot) {
    static const char WHY[] = "the account has as many retained messages as it may";
    client_event(c, LOG_WARN,
                 &(LogEntry){ .event = SERVICE_EVENT_PUBLISH_IN, .reason = S("THROTTLED"), .details = str_c(WHY) });
    bool told = c->version == MQTT_5 && slot != ACK_SLOT_NONE;
    if (told && c->state == CLIENT_LIVE) ack_slot(c, slot)->reason = MQTT_QUOTA_EXCEEDED;
    if (!told) client_leave(c, LEAVE_THROTTLED, MQTT_QUOTA_EXCEEDED, WHY);
    client_publish_safe(c, slot);
}

/* PUBACKs leave in the order of their PUBLISHes. */
static void acknowledge(Client *c, uint16_t id, uint8_t reason, AckWait *wait) {
    if (!wait && c->acks_first == c->acks_end) {
        put_puback(c, id, reason);
        return;
    }
    size_t max = c->broker->o.limits.inflight_in_max;
    if (!c->acks) c->acks = mem_new(max * sizeof *c->acks);
    uint64_t slot = c->acks_end++;
    *ack_slot(c, slot) = (AckSlot){ id, reason, wait == NULL };
    hold_back(c);
    if (wait) {
        wait->slot = slot;
        ack_release(wait);
    }
}

/* QoS 0 that the store or a service has yet to take: there is no PUBACK, but no end of them either. */
static void await(Client *c, AckWait *wait) {
    wait->slot = ACK_SLOT_NONE;
    client_owe(c);
    ack_release(wait);
}

/* What is wrong with one PUBLISH: MQTT 5 says it in the PUBACK, where there is one. */
static bool refuse(Client *c, const MqttPublish *p, LeaveReason why, uint8_t reason, const char *details) {
    client_event(c, LOG_ERROR,
                 &(LogEntry){ .event = SERVICE_EVENT_PUBLISH_IN,
                              .topic = p->topic,
                              .reason = why == LEAVE_AUTH_ERROR ? S("AUTHORIZATION_FAILURE") : str_c(leave_name(why)),
                              .details = str_c(details) });
    if (c->version == MQTT_5 && p->qos == 1 && why != LEAVE_CLIENT_ERROR) {
        acknowledge(c, p->packet_id, reason, NULL);
        return true;
    }
    return client_leave(c, why, reason, details);
}

/* ------------------------------------------------------------------------------------------------ topics */

/* Where a topic of this hash may be: the first of TOPIC_WAYS. They lie together, and the names that they are compared
 * with are the routes', which all publishers share: few lines of the processor's cache. */
static TopicSlot *slot_set(const Client *c, uint32_t hash) {
    return &c->topics[(hash & (c->topics_n / TOPIC_WAYS - 1u)) * TOPIC_WAYS];
}

void client_clear_topics(Client *c) {
    if (c->topics) memset(c->topics, 0, c->topics_n * sizeof *c->topics);
    c->topics_epoch = c->shard->route_epoch;
}

void client_forget_topics(Client *c) {
    free(c->topics);
    c->topics = NULL;
    c->topics_n = 0;
}

/* Four times as many when all were made anew twice: it goes through more topics than there is room for. */
static void slots_grow(Client *c) {
    size_t n = c->topics_n ? c->topics_n * 4u : TOPIC_WAYS;
    if (c->topics_n && (c->topic_turn < 2 * c->topics_n || n > TOPIC_SLOTS_MAX)) return;
    client_forget_topics(c);
    c->topics = mem_new(n * sizeof *c->topics);
    c->topics_n = (uint16_t)n;
    c->topic_turn = 0;
}

static TopicSlot *slot_find(Client *c, const uint8_t *topic, size_t len) {
    client_rebind(c);
    if (!c->topics) return NULL;
    if (c->topics_epoch != c->shard->route_epoch) client_clear_topics(c);
    bool many = c->topics_n > TOPIC_WAYS;
    uint32_t hash = many ? (uint32_t)str_hash((Str){ topic, len }) : 0;
    TopicSlot *set = slot_set(c, hash);
    for (TopicSlot *s = set; s < set + TOPIC_WAYS; s++) {
        Route *r = s->route;
        if (!r || (many && s->hash != hash) || r->topic.len != len || memcmp(r->topic.ptr, topic, len) != 0) continue;
        if (!route_current(r)) route_refresh(c->shard, r);
        return s;
    }
    return NULL;
}

static TopicSlot *slot_make(Client *c, Str topic) {
    slots_grow(c);
    Route *r = route_find(c->shard, c->space, topic); /* which may throw all others away */
    if (c->topics_epoch != c->shard->route_epoch) client_clear_topics(c);
    uint32_t hash = (uint32_t)str_hash(topic);
    TopicSlot *s = slot_set(c, hash) + c->topic_turn++ % TOPIC_WAYS;
    *s = (TopicSlot){ r, hash, client_may(c, "iot:Publish", "topic", topic, NULL, 0) };
    return s;
}

/* Reserved topics that a client may publish to. Source: developer guide, "Reserved topics". */
static bool reserved_ok(const Client *c, const Route *r) {
    return r->service != NULL || str_starts(r->topic, S("$aws/rules/")) || c->principal->kind == PRINCIPAL_SERVICE;
}

/* 0, or why it does not do. Source: MQTT 5 section 3.3.2.3.4 */
static uint8_t alias_resolve(Client *c, MqttPublish *p) {
    uint16_t max = c->broker->o.limits.topic_alias_max;
    if (p->topic_alias == 0) return 0;
    if (p->topic_alias > max) return MQTT_TOPIC_ALIAS_INVALID;
    if (!c->aliases) c->aliases = mem_new((max + 1u) * sizeof *c->aliases);
    Str *alias = &c->aliases[p->topic_alias];
    if (p->topic.len == 0) {
        p->topic = *alias;
        return alias->len > 0 ? 0 : MQTT_PROTOCOL_ERROR;
    }
    uint8_t *copy = mem_grow((void *)(uintptr_t)alias->ptr, p->topic.len);
    memcpy(copy, p->topic.ptr, p->topic.len);
    *alias = (Str){ copy, p->topic.len };
    return 0;
}

/* ------------------------------------------------------------------------------------------------ routing */

static void deliver_group(Shard *shard, Message *m, RouteGroup *g) {
    RouteMember *kept = NULL;
    uint32_t first = g->turn++;
    for (size_t i = 0; i < g->n; i++) {
        RouteMember *to = &g->members[(first + i) % g->n];
        if (to->session && !session_may_receive(to->session, m->topic)) continue;
        if (!to->online) {
            if (to->persistent && to->qos && m->qos && !kept) kept = to;
            continue;
        }
        kept = to;
        break;
    }
    if (!kept) return;
    if (kept->session)
        session_deliver(shard, kept->session, m, kept->qos, false);
    else
        relay_member(shard, kept->shard, m, kept->client_id, kept->qos);
}

/* Brings what the next deliveries need into the processor's cache: with a thousand subscribers each of them would wait
 * for memory. at: which comes now. */
static void warm(const Route *r, size_t at) {
    enum { SESSION_AHEAD = 12, CLIENT_AHEAD = 8, CONN_AHEAD = 4, LINE = 64 };
    if (at + SESSION_AHEAD < r->subs_n) __builtin_prefetch(r->subs[at + SESSION_AHEAD].session, 1);
    const Session *s = at + CLIENT_AHEAD < r->subs_n ? r->subs[at + CLIENT_AHEAD].session : NULL;
    if (s && s->client) {
        __builtin_prefetch(s->client);
        __builtin_prefetch((const char *)s->client + LINE);
        if (s->inflight) __builtin_prefetch(s->inflight + s->inflight_n, 1);
    }
    s = at + CONN_AHEAD < r->subs_n ? r->subs[at + CONN_AHEAD].session : NULL;
    if (s && s->client) {
        __builtin_prefetch(s->client->conn, 1);
        __builtin_prefetch((const char *)s->client->conn + LINE, 1);
    }
}

void publish_local(Shard *shard, Message *m, Route *r) {
    r->delivering++;
    shard->delivering++;
    for (size_t i = 0; i < r->subs_n; i++) {
        RouteSub *to = &r->subs[i];
        warm(r, i);
        if (!to->allowed || (to->no_local && to->session == m->from)) continue;
        session_deliver(shard, to->session, m, to->qos, m->retain && to->retain_as_published);
    }
    shard->delivering--;
    r->delivering--;
}

void publish_route(Shard *shard, Message *m, Route *r) {
    if (r->remote)
        for (int i = 0; i < (int)shard->broker->shards_n; i++)
            if (r->remote >> i & 1) relay_message(shard, i, m, r);
    r->delivering++;
    shard->delivering++;
    for (size_t i = 0; i < r->groups_n; i++) deliver_group(shard, m, &r->groups[i]);
    publish_local(shard, m, r);
    shard->delivering--;
    r->delivering--;
}

void hub_publish(Shard *shard, Message *m, const RuleOrigin *from) {
    Route *r = route_find(shard, m->space, m->topic);
    if (m->retain) store_retain(shard, m);
    publish_route(shard, m, r);
    if (r->rules) rule_run(shard, m, r, from);
    if (m->wait)
        ack_release(m->wait);
    else if (m->done)
        m->done(m->ctx, true);
}

/* ------------------------------------------------------------------------------------------------ PUBLISH */

static uint8_t over_limits(const Client *c, const MqttPublish *p, const MqttProps *props) {
    const BrokerLimits *l = &c->broker->o.limits;
    if (p->payload.len > l->payload_bytes_max) return MQTT_PACKET_TOO_LARGE;
    if (props->user_bytes > l->user_property_bytes_max || props->content_type.len > l->content_type_bytes_max ||
        props->correlation_data.len > l->correlation_data_bytes_max)
        return MQTT_QUOTA_EXCEEDED;
    return 0;
}

static void set_expiry(Client *c, Message *m, uint32_t seconds) {
    uint32_t max = c->broker->o.limits.message_expiry_s_max;
    if (seconds == 0) seconds = 1; /* Source: developer guide, MQTT 5 message expiry */
    if (seconds > max) seconds = max;
    m->has_expiry = true;
    m->expires_ms = clock_ms(c->broker->o.clock) + (int64_t)seconds * 1000;
}

static void tell_publish(Client *c, const MqttPublish *p) {
    client_tell(c, &(LogEntry){ .event = SERVICE_EVENT_PUBLISH_IN,
                                .success = true,
                                .topic = p->topic,
                                .more = { { .name = "retain", .text = S("True") } },
                                .more_n = p->retain ? 1 : 0 });
}

/* Behind what the client sent. In the turn's memory. */
static Str enriched(const Client *c, Str props) {
    size_t len = props.len + c->added_props.len, have;
    uint8_t *bytes = turn_room(c->shard->reactor, len, &have);
    turn_take(c->shard->reactor, len);
    if (props.len) memcpy(bytes, props.ptr, props.len);
    memcpy(bytes + props.len, c->added_props.ptr, c->added_props.len);
    return (Str){ bytes, len };
}

/* Everything about one PUBLISH that is in order. frame: the packet as it came, NULL when it must be written anew. */
static bool go(Client *c, const MqttPublish *p, TopicSlot *slot, Str props, uint8_t *frame, size_t frame_len) {
    Shard *shard = c->shard;
    if (c->added_props.len) {
        props = enriched(c, props);
        frame = NULL;
    }
    Message m = { .space = c->space,
                  .topic = p->topic,
                  .payload = p->payload,
                  .props = props,
                  .qos = p->qos,
                  .retain = p->retain,
                  .from = c->session,
                  .publisher = p->qos || p->retain || slot->route->service ? c : NULL };
    if (p->has_message_expiry) set_expiry(c, &m, p->message_expiry_s);
    if (frame) {
        Form *f = &m.forms[c->version == MQTT_5][p->qos];
        frame[0] &= 0xF6; /* neither DUP nor RETAIN for who gets it now */
        *f = (Form){ frame, frame_len, p->qos ? mqtt_publish_id_at(c->version, p) : 0 };
    }
    shard->published_in++;
    if (client_logs(c, SERVICE_EVENT_PUBLISH_IN, LOG_INFO)) tell_publish(c, p);
    if (p->retain) store_retain(shard, &m);
    if (slot->route->service) topic_request(shard, slot->route->service, &m, c->principal, c->source_ip);
    publish_route(shard, &m, slot->route);
    if (slot->route->rules)
        rule_run(shard, &m, slot->route, &(RuleOrigin){ c->client_id, c->source_ip, c->principal, 0 });
    if (p->qos)
        acknowledge(c, p->packet_id, MQTT_SUCCESS, m.wait);
    else if (m.wait)
        await(c, m.wait);
    return true;
}

/* All checks, for a topic that is new here or a packet with properties. */
static bool publish_checked(Client *c, uint8_t *frame, const MqttFrame *f) {
    MqttPublish p;
    MqttProps props = { 0 };
    Err e = mqtt_parse_publish(c->version, mqtt_flags(f->header), f->body, &p);
    if (e == OK && p.props.len) e = mqtt_props_decode(MQTT_PUBLISH, p.props, &props);
    if (e != OK) return client_leave(c, LEAVE_CLIENT_ERROR, mqtt_reason_of(e), "PUBLISH is malformed");
    if (p.qos == 2) return client_leave(c, LEAVE_CLIENT_ERROR, MQTT_QOS_NOT_SUPPORTED, "QoS 2 is not supported");
    if (p.has_subscription_id)
        return client_leave(c, LEAVE_CLIENT_ERROR, MQTT_PROTOCOL_ERROR, "PUBLISH has a subscription identifier");
    if (p.qos && acks_full(c)) return too_many(c);
    uint8_t alias = alias_resolve(c, &p);
    if (alias) return client_leave(c, LEAVE_CLIENT_ERROR, alias, "the topic alias is unknown or too large");
    MqttTopicLimits limits = { c->broker->o.limits.topic_bytes_max, c->broker->o.limits.topic_slashes_max };
    if (mqtt_topic_check(p.topic, limits) != OK)
        return refuse(c, &p, c->version == MQTT_5 ? LEAVE_FORBIDDEN : LEAVE_CLIENT_ERROR, MQTT_TOPIC_NAME_INVALID,
                      "the topic is not valid");
    uint8_t over = over_limits(c, &p, &props);
    if (over) return refuse(c, &p, LEAVE_CLIENT_ERROR, over, "the message is larger than allowed");
    TopicSlot *slot = slot_find(c, p.topic.ptr, p.topic.len);
    if (!slot) slot = slot_make(c, p.topic);
    if (!slot->allowed) return refuse(c, &p, LEAVE_AUTH_ERROR, MQTT_NOT_AUTHORIZED, "AUTHORIZATION_FAILURE");
    if (p.topic.ptr[0] == '$' && (p.retain || !reserved_ok(c, slot->route)))
        return refuse(c, &p, LEAVE_FORBIDDEN, MQTT_TOPIC_NAME_INVALID, "the topic is reserved");
    if (p.retain && !client_may(c, "iot:RetainPublish", "topic", p.topic, NULL, 0))
        return refuse(c, &p, LEAVE_AUTH_ERROR, MQTT_NOT_AUTHORIZED, "AUTHORIZATION_FAILURE");
    Str forward = STR_NONE;
    bool as_is = p.topic_alias == 0 && !p.has_message_expiry;
    if (p.props.len && as_is) forward = p.props;
    if (p.props.len && !as_is) {
        Arena scratch = { 0 };
        Str kept = mqtt_props_forward(&scratch, p.props, p.message_expiry_s);
        if (kept.len) forward = (Str){ turn_copy(c->shard->reactor, kept), kept.len };
        arena_free(&scratch);
    }
    return go(c, &p, slot, forward, as_is ? frame : NULL, f->total);
}

/* Source: AWS General Reference: 100 publishes a second and connection, the excess is discarded. */
static bool over_rate(Client *c) {
    int64_t now_s = c->shard->reactor->now_ms / 1000;
    if (now_s != c->rate_s) {
        c->rate_s = now_s;
        c->rate_n = 0;
    }
    return ++c->rate_n > c->broker->o.limits.publishes_per_s;
}

static bool discard(Client *c, const MqttFrame *f) {
    MqttPublish p;
    client_event(c, LOG_WARN, &(LogEntry){ .event = SERVICE_EVENT_PUBLISH_IN, .reason = S("THROTTLED") });
    atomic_fetch_add_explicit(&c->broker->counters.throttled, 1, memory_order_relaxed);
    if (c->version != MQTT_5 || mqtt_parse_publish(c->version, mqtt_flags(f->header), f->body, &p) != OK || p.qos != 1)
        return true;
    if (acks_full(c)) return too_many(c);
    acknowledge(c, p.packet_id, MQTT_QUOTA_EXCEEDED, NULL);
    return true;
}

bool client_publish(Client *c, uint8_t *frame, const MqttFrame *f) {
    if (c->broker->o.limits.rates && over_rate(c)) return discard(c, f);
    const uint8_t *b = f->body.ptr;
    uint8_t flags = mqtt_flags(f->header), qos = flags >> 1;
    size_t topic_len, head;
    /* Only a plain packet takes the short way: no retain, no properties, room for its acknowledgement. */
    if (f->body.len < 3 || (flags & 1) || qos > 1 || (qos == 0 && flags)) return publish_checked(c, frame, f);
    topic_len = (size_t)(b[0] << 8 | b[1]);
    head = 2 + topic_len + (qos ? 2 : 0) + (c->version == MQTT_5 ? 1 : 0);
    if (f->body.len < head || f->body.len - head > c->broker->o.limits.payload_bytes_max ||
        (c->version == MQTT_5 && b[head - 1] != 0) || acks_full(c))
        return publish_checked(c, frame, f);
    TopicSlot *slot = slot_find(c, b + 2, topic_len);
    if (!slot || !slot->allowed || b[2] == '$') return publish_checked(c, frame, f);
    MqttPublish p = { .topic = { b + 2, topic_len },
                      .payload = { b + head, f->body.len - head },
                      .packet_id = qos ? (uint16_t)(b[2 + topic_len] << 8 | b[3 + topic_len]) : 0,
                      .qos = qos };
    if (qos && p.packet_id == 0) return publish_checked(c, frame, f);
    return go(c, &p, slot, STR_NONE, frame, f->total);
}
