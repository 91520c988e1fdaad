/* Republish: the result goes to another topic, as the server's own message: no policy is asked, and rules see it again.
 * Source: AWS IoT developer guide, "Republish"; botocore's RepublishAction, MqttHeaders */
#include <stdlib.h>

#include "base/encode.h"
#include "base/reader.h"
#include "broker/broker.h"
#include "generated/iot.h"
#include "mqtt/props.h"
#include "mqtt/topic.h"
#include "rules/actions/kinds.h"

enum {
    PAYLOAD_BYTES_MAX = 128 * 1024,
    CONTENT_TYPE_BYTES_MAX = 256,
    CORRELATION_BYTES_MAX = 8192,
    USER_BYTES_MAX = 8192,
    EXPIRY_S_MAX = 604800,
    /* A rule that matches what it publishes would go on for ever. Source: observed limit of nested republishing */
    DEPTH_MAX = 32,
};

static Str topic_of(const IotRepublishAction *a) {
    return str_starts(a->topic, S("$$")) ? str_from(a->topic, 1) : a->topic; /* `$$aws/…` stands for `$aws/…` */
}

static Str resource(Arena *arena, const void *action) {
    (void)arena;
    return topic_of(action);
}

static bool is_text(Str s) {
    return str_is_utf8(s) && str_find(s, 0) == SIZE_MAX;
}

static bool has_template(Str s) {
    return str_find_str(s, S("${")) != SIZE_MAX;
}

static Err check_headers(ActionCheck *c, const IotMqttHeaders *h) {
    Str p = h->payload_format_indicator;
    if (p.ptr && !has_template(p) && !str_eq(p, S("UNSPECIFIED_BYTES")) && !str_eq(p, S("UTF8_DATA")))
        return action_refuse(c, "payloadFormatIndicator '%.*s' is neither UNSPECIFIED_BYTES nor UTF8_DATA", PS(p));
    int64_t s;
    if (h->message_expiry.ptr && !has_template(h->message_expiry) && str_to_i64(h->message_expiry, &s) != OK)
        return action_refuse(c, "messageExpiry '%.*s' is no number of seconds", PS(h->message_expiry));
    Str bytes;
    if (h->correlation_data.ptr && !has_template(h->correlation_data) &&
        base64_decode(c->arena, h->correlation_data, &bytes) != OK)
        return action_refuse(c, "correlationData '%.*s' is not base64", PS(h->correlation_data));
    return OK;
}

static Err check(ActionCheck *c, const void *action) {
    const IotRepublishAction *a = action;
    Str topic = topic_of(a);
    if (!has_template(topic) && (!is_text(topic) || mqtt_topic_check(topic, MQTT_TOPIC_LIMITS_AWS) != OK))
        return action_refuse(c,
                             "The topic '%.*s' of a republish action is not one to publish to: at most 256 bytes and "
                             "7 slashes, without + and #",
                             PS(topic));
    return a->headers ? check_headers(c, a->headers) : OK;
}

/* Errors: ERR_INVALID with *why */
static Err put_users(const IotUserProperties *list, Arena *arena, MqttProps *p, const char **why) {
    Writer w = writer_in(arena);
    size_t bytes = 0;
    for (size_t i = 0; i < list->n; i++) {
        Str key = list->items[i].key, value = list->items[i].value;
        bytes += key.len + value.len;
        *why = "a user property is not valid UTF-8 or holds U+0000";
        if (!is_text(key) || !is_text(value)) return ERR_INVALID;
        *why = "the user properties are more than 8192 bytes";
        if (bytes > USER_BYTES_MAX) return ERR_INVALID;
        mqtt_props_put_user(&w, key, value);
    }
    if (list->n) p->has |= MQTT_HAS(MQTT_PROP_USER);
    p->raw = writer_str(&w);
    return OK;
}

/* An empty header is left out: its template was Undefined. */
static Err put_texts(const IotMqttHeaders *h, Arena *arena, MqttProps *p, const char **why) {
    if (h->content_type.len) {
        *why = "contentType is longer than 256 bytes or not valid UTF-8";
        if (h->content_type.len > CONTENT_TYPE_BYTES_MAX || !is_text(h->content_type)) return ERR_INVALID;
        p->content_type = h->content_type;
        p->has |= MQTT_HAS(MQTT_PROP_CONTENT_TYPE);
    }
    if (h->response_topic.len) {
        *why = "responseTopic is not a topic to publish to";
        if (!is_text(h->response_topic) || mqtt_topic_check(h->response_topic, MQTT_TOPIC_LIMITS_AWS) != OK)
            return ERR_INVALID;
        p->response_topic = h->response_topic;
        p->has |= MQTT_HAS(MQTT_PROP_RESPONSE_TOPIC);
    }
    if (h->correlation_data.len) {
        *why = "correlationData is not base64 of at most 8192 bytes";
        if (base64_decode(arena, h->correlation_data, &p->correlation_data) != OK ||
            p->correlation_data.len > CORRELATION_BYTES_MAX)
            return ERR_INVALID;
        p->has |= MQTT_HAS(MQTT_PROP_CORRELATION_DATA);
    }
    return OK;
}

static Err put_numbers(const IotMqttHeaders *h, Str payload, MqttProps *p, const char **why) {
    if (h->payload_format_indicator.len) {
        bool utf8 = str_eq(h->payload_format_indicator, S("UTF8_DATA"));
        *why = "payloadFormatIndicator is neither UNSPECIFIED_BYTES nor UTF8_DATA";
        if (!utf8 && !str_eq(h->payload_format_indicator, S("UNSPECIFIED_BYTES"))) return ERR_INVALID;
        *why = "payloadFormatIndicator is UTF8_DATA, but the payload is not UTF-8";
        if (utf8 && !str_is_utf8(payload)) return ERR_INVALID;
        p->payload_format = utf8;
        p->has |= MQTT_HAS(MQTT_PROP_PAYLOAD_FORMAT);
    }
    if (h->message_expiry.len) {
        int64_t s;
        *why = "messageExpiry is no number of seconds";
        if (str_to_i64(h->message_expiry, &s) != OK) return ERR_INVALID;
        p->message_expiry_s = s < 1 ? 1 : s > EXPIRY_S_MAX ? EXPIRY_S_MAX : (uint32_t)s;
        p->has |= MQTT_HAS(MQTT_PROP_MESSAGE_EXPIRY);
    }
    return OK;
}

static Err headers(const IotMqttHeaders *h, Str payload, Arena *arena, Str *out, const char **why) {
    MqttProps p = { 0 };
    Err e = put_texts(h, arena, &p, why);
    if (e == OK) e = put_numbers(h, payload, &p, why);
    if (e == OK) e = put_users(&h->user_properties, arena, &p, why);
    if (e != OK || !p.has) return e;
    Writer w = writer_in(arena);
    mqtt_props_write(&w, &p);
    Reader r = reader_from(writer_str(&w));
    reader_varint(&r); /* the length in front */
    *out = reader_rest(&r);
    return OK;
}

static void published(void *ctx, bool safe) {
    ActionRun *run = ctx;
    action_done(run, safe ? (ActionResult){ .outcome = ACTION_DONE }
                          : (ActionResult){ .outcome = ACTION_AGAIN,
                                            .why = S("The message was not stored for every persistent session") });
}

/* STR_NONE, or why it cannot be published. */
static Str fault(const ActionRun *run, Str topic, Str *props) {
    const ActionItem *item = &run->items[0];
    const IotRepublishAction *a = item->action;
    const char *why = "";
    if (item->depth >= DEPTH_MAX)
        return str_format(run->arena,
                          "it comes from a message that rules have republished too often: rules that match what they "
                          "publish go in a circle (%u rounds, where one that makes several counts as more)",
                          item->depth);
    if (!is_text(topic) || mqtt_topic_check(topic, MQTT_TOPIC_LIMITS_AWS) != OK)
        return str_format(run->arena, "'%.*s' is not a topic to publish to", PS(topic));
    if (!broker_open_topic(run->env->broker, topic))
        return str_format(run->arena, "the topic '%.*s' is reserved", PS(topic));
    if (a->headers && headers(a->headers, item->payload, run->arena, props, &why) != OK)
        return str_format(run->arena, "%s", why);
    return STR_NONE;
}

static void start(ActionRun *run) {
    const ActionItem *item = &run->items[0];
    const IotRepublishAction *a = item->action;
    Str topic = topic_of(a), props = STR_NONE, why = fault(run, topic, &props);
    if (why.ptr) {
        action_failed(run, "Failed to republish to topic: %.*s", PS(why));
        return;
    }
    bool wait = a->qos.v == 1;
    broker_publish(run->env->broker, &(BrokerMessage){ .account = run->account,
                                                       .topic = topic,
                                                       .payload = item->payload,
                                                       .qos = (uint8_t)a->qos.v,
                                                       .props = props,
                                                       .principal = run->env->self,
                                                       .rule_depth = item->depth + 1,
                                                       .done = wait ? published : NULL,
                                                       .ctx = run });
    if (!wait) action_done(run, (ActionResult){ .outcome = ACTION_DONE });
}

const ActionKind ACTION_REPUBLISH = {
    .member = STR_INIT("republish"),
    .failed = STR_INIT("RepublishAction"),
    .check = check,
    .resource = resource,
    .right = { "iot:Publish", "arn:aws:iot:{region}:{account}:topic/{}" },
    .start = start,
    .payload_bytes_max = PAYLOAD_BYTES_MAX,
    .local = true,
};
