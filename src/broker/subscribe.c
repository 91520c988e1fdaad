#include <stdlib.h>

#include "base/json.h"
#include "broker/client.h"

/* SUBSCRIBE: each filter is judged by itself; what was granted is in the tree before the SUBACK leaves, and in the
 * store where the session is kept. Retained messages follow the SUBACK, to filters without wildcard only (AWS). */

enum { FILTERS_MAX = 64 }; /* of one packet, whatever the setting says */

typedef struct {
    Str filter;
    uint8_t qos;
} WantRetained;

typedef struct {
    Client *client;
    Arena arena;
    bool unsubscribe;
    uint16_t packet_id;
    uint8_t codes[FILTERS_MAX];
    size_t n;
    WantRetained retained[FILTERS_MAX];
    size_t retained_n;
    Str changed[FILTERS_MAX]; /* for the lifecycle event */
    size_t changed_n;
} Answer;

static void answer(Answer *a) {
    Client *c = a->client;
    Writer w = writer_in(&a->arena);
    MqttSuback ack = { .packet_id = a->packet_id, .codes = { a->codes, a->n } };
    if (a->unsubscribe) {
        mqtt_write_unsuback(&w, c->version, &ack);
    } else {
        if (c->version == MQTT_3_1_1)
            for (size_t i = 0; i < a->n; i++)
                if (a->codes[i] >= MQTT_UNSPECIFIED_ERROR) a->codes[i] = MQTT3_SUBACK_FAILURE;
        mqtt_write_suback(&w, c->version, &ack);
    }
    client_put_writer(c, &w);
    for (size_t i = 0; i < a->retained_n; i++)
        store_read_retained(c->shard, c, a->retained[i].filter, a->retained[i].qos);
    presence_subscriptions(c, a->unsubscribe ? "unsubscribed" : "subscribed", a->changed, a->changed_n);
}

static void answer_free(Answer *a) {
    client_release(a->client);
    arena_free(&a->arena);
    free(a);
}

static void saved(Shard *shard, void *ctx, Err e) {
    Answer *a = ctx;
    (void)shard;
    if (a->client->state == CLIENT_LIVE) {
        if (e == OK)
            answer(a);
        else
            client_leave(a->client, LEAVE_SERVER_ERROR, MQTT_UNSPECIFIED_ERROR,
                         "the store could not take a subscription");
    }
    client_paid(a->client);
    answer_free(a);
}

static bool finish(Client *c, Answer *a) {
    if (a->changed_n) session_note_overlaps(c->session);
    if (a->changed_n && atomic_load_explicit(&c->session->kept, memory_order_relaxed)) {
        client_owe(c);
        session_save(c->shard, c->session, saved, a);
        return true;
    }
    answer(a);
    answer_free(a);
    return true;
}

static Answer *answer_new(Client *c, uint16_t packet_id, bool unsubscribe) {
    Answer *a = mem_new(sizeof *a);
    a->client = c;
    a->packet_id = packet_id;
    a->unsubscribe = unsubscribe;
    client_retain(c);
    return a;
}

/* ------------------------------------------------------------------------------------------------ SUBSCRIBE */

static MqttTopicLimits limits_of(const Client *c) {
    return (MqttTopicLimits){ c->broker->o.limits.topic_bytes_max, c->broker->o.limits.topic_slashes_max };
}

static bool share_room(const Client *c, const MqttFilter *f, const Sub *there) {
    const BrokerLimits *l = &c->broker->o.limits;
    if (there) return true;
    if (f->group.len > l->share_group_bytes_max) return false;
    const ShareGroup *group = tree_group(&c->space->tree, f->group, f->filter);
    return group ? group->members_n < l->shares_per_group_max : c->space->tree.groups_n < l->share_groups_max;
}

static uint8_t add(Client *c, const MqttSubscription *want, const MqttFilter *f, Answer *a) {
    Session *s = c->session;
    Space *space = c->space;
    bool made = false;
    pthread_rwlock_wrlock(&space->lock);
    Sub *sub = tree_find(&space->tree, s->subs, f->group, f->filter);
    uint8_t bad = 0;
    const BrokerLimits *l = &c->broker->o.limits;
    if (!sub &&
        (s->subs_n >= l->subscriptions_per_connection_max || space->tree.subs_n >= l->account_subscriptions_max))
        bad = MQTT_QUOTA_EXCEEDED;
    if (!bad && f->group.ptr && !share_room(c, f, sub)) bad = MQTT_QUOTA_EXCEEDED;
    if (!bad) {
        sub = tree_add(&space->tree, s, &s->subs, f->group, f->filter, &made);
        sub->qos = want->qos;
        sub->no_local = want->no_local;
        sub->retain_as_published = want->retain_as_published;
        s->subs_n += made;
        space_touch(space, tree_first_level(sub));
    }
    pthread_rwlock_unlock(&space->lock);
    if (bad) return bad;
    a->changed[a->changed_n++] = str_dup(&a->arena, want->filter);
    if (!f->wildcard && !f->group.ptr && (want->retain_handling == 0 || (want->retain_handling == 1 && made)))
        a->retained[a->retained_n++] = (WantRetained){ str_dup(&a->arena, f->filter), want->qos };
    return want->qos;
}

/* What a client may subscribe to below `$`. Source: developer guide, "Reserved topics" */
static bool reserved_ok(Str filter) {
    static const Str BELOW_AWS[] = { STR_INIT("things"),
                                     STR_INIT("certificates"),
                                     STR_INIT("provisioning-templates"),
                                     STR_INIT("events"),
                                     STR_INIT("sitewise"),
                                     STR_INIT("commands"),
                                     STR_INIT("iotwireless"),
                                     STR_INIT("device_location"),
                                     STR_INIT("+"),
                                     STR_INIT("#") };
    Str rest = filter;
    if (filter.ptr[0] != '$') return true;
    if (!str_eq(str_cut(&rest, '/'), S("$aws"))) return false;
    Str second = str_cut(&rest, '/');
    for (size_t i = 0; i < sizeof BELOW_AWS / sizeof *BELOW_AWS; i++)
        if (str_eq(second, BELOW_AWS[i])) return true;
    return false;
}

/* The code of one filter; *denied where its policy forbids it. */
static uint8_t judge(Client *c, const MqttSubscription *want, Answer *a, bool *denied) {
    MqttFilter f;
    if (mqtt_filter_parse(want->filter, limits_of(c), &f) != OK || !reserved_ok(f.filter))
        return MQTT_TOPIC_FILTER_INVALID;
    if (f.group.ptr && want->no_local) return MQTT_PROTOCOL_ERROR; /* [MQTT-3.8.3-4] */
    if (!client_may(c, "iot:Subscribe", "topicfilter", want->filter, NULL, 0)) {
        *denied = true;
        return MQTT_NOT_AUTHORIZED;
    }
    return add(c, want, &f, a);
}

/* Over MQTT 5 one entry tells of all filters, see tell_packet. */
static void tell_filter(Client *c, Str filter, bool denied) {
    LogEntry e = { .event = SERVICE_EVENT_SUBSCRIBE,
                   .success = !denied,
                   .topic = filter,
                   .reason = denied ? S("AUTHORIZATION_FAILURE") : STR_NONE };
    if (c->version == MQTT_5)
        client_line(c, denied ? LOG_ERROR : LOG_INFO, "Subscribe", !denied, filter, (const char *)e.reason.ptr);
    else
        client_event(c, denied ? LOG_ERROR : LOG_INFO, &e);
}

/* Source: AWS IoT developer guide, "Subscribe log entry" */
static void tell_packet(Client *c, Str filters, const uint8_t *codes) {
    LogEntry e = { .event = SERVICE_EVENT_SUBSCRIBE, .success = true };
    MqttSubscription want;
    if (c->version != MQTT_5 || !(client_logs(c, e.event, LOG_INFO) || client_logs(c, e.event, LOG_ERROR))) return;
    Arena arena = { 0 };
    yyjson_mut_doc *doc = json_doc(&arena);
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    for (Str rest = filters; mqtt_subscribe_next(&rest, &want); codes++) {
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, list);
        json_add_str(doc, o, S("topicName"), want.filter);
        yyjson_mut_obj_add_uint(doc, o, "reasonCode", *codes);
        if (*codes >= MQTT_UNSPECIFIED_ERROR) e.success = false;
        if (*codes == MQTT_NOT_AUTHORIZED) e.reason = S("AUTHORIZATION_FAILURE");
    }
    e.more[e.more_n++] =
        (LogField){ .name = "subscriptions", .text = json_write_mut(&arena, list), .form = LOG_FIELD_JSON };
    client_tell(c, &e);
    arena_free(&arena);
}

bool client_subscribe(Client *c, Str body) {
    MqttSubscribe in;
    Err e = mqtt_parse_subscribe(c->version, body, &in);
    if (e != OK) return client_leave(c, LEAVE_CLIENT_ERROR, mqtt_reason_of(e), "SUBSCRIBE is malformed");
    size_t max = c->broker->o.limits.filters_per_subscribe_max;
    if (in.filters_n > (max < FILTERS_MAX ? max : FILTERS_MAX))
        return client_leave(c, LEAVE_CLIENT_ERROR, MQTT_QUOTA_EXCEEDED, "SUBSCRIBE has more filters than allowed");
    if (mqtt_props_has(&in.props, MQTT_PROP_SUBSCRIPTION_ID))
        return client_leave(c, LEAVE_CLIENT_ERROR, MQTT_SUBSCRIPTION_IDS_NOT_SUPPORTED,
                            "subscription identifiers are not supported");
    Answer *a = answer_new(c, in.packet_id, false);
    MqttSubscription want;
    for (Str rest = in.filters; mqtt_subscribe_next(&rest, &want);) {
        bool denied = false;
        if (want.qos == 2) {
            answer_free(a);
            return client_leave(c, LEAVE_CLIENT_ERROR, MQTT_QOS_NOT_SUPPORTED, "QoS 2 is not supported");
        }
        a->codes[a->n++] = judge(c, &want, a, &denied);
        tell_filter(c, want.filter, denied);
        if (denied && c->version == MQTT_3_1_1) { /* Source: reference 01 section 9; SDK issue 125 */
            answer_free(a);
            return client_leave(c, LEAVE_AUTH_ERROR, 0, "AUTHORIZATION_FAILURE");
        }
    }
    tell_packet(c, in.filters, a->codes);
    return finish(c, a);
}

/* ------------------------------------------------------------------------------------------------ UNSUBSCRIBE */

static bool drop(Client *c, const MqttFilter *f) {
    Session *s = c->session;
    pthread_rwlock_wrlock(&c->space->lock);
    Sub *sub = tree_find(&c->space->tree, s->subs, f->group, f->filter);
    if (sub) {
        s->subs_n--;
        space_touch(c->space, tree_first_level(sub));
        tree_remove(&c->space->tree, &s->subs, sub);
    }
    pthread_rwlock_unlock(&c->space->lock);
    return sub != NULL;
}

bool client_unsubscribe(Client *c, Str body) {
    MqttSubscribe in;
    Err e = mqtt_parse_unsubscribe(c->version, body, &in);
    if (e != OK) return client_leave(c, LEAVE_CLIENT_ERROR, mqtt_reason_of(e), "UNSUBSCRIBE is malformed");
    if (in.filters_n > FILTERS_MAX)
        return client_leave(c, LEAVE_CLIENT_ERROR, MQTT_QUOTA_EXCEEDED, "UNSUBSCRIBE has more filters than allowed");
    Answer *a = answer_new(c, in.packet_id, true);
    Str filter;
    for (Str rest = in.filters; mqtt_unsubscribe_next(&rest, &filter);) {
        MqttFilter f;
        bool ok = mqtt_filter_parse(filter, limits_of(c), &f) == OK;
        bool there = ok && drop(c, &f);
        a->codes[a->n++] = !ok ? MQTT_TOPIC_FILTER_INVALID : there ? MQTT_SUCCESS : MQTT_NO_SUBSCRIPTION_EXISTED;
        if (there) a->changed[a->changed_n++] = str_dup(&a->arena, filter);
    }
    client_event(c, LOG_INFO, &(LogEntry){ .event = SERVICE_EVENT_UNSUBSCRIBE, .success = true });
    return finish(c, a);
}
