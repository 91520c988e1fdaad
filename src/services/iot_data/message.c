/* Source: botocore's iot-data model; AWS IoT developer guide, "HTTPS" and "MQTT 5"; AWS IoT Core quotas */
#include "services/iot_data/message.h"

#include "base/encode.h"
#include "base/json.h"
#include "base/reader.h"
#include "mqtt/props.h"
#include "mqtt/topic.h"

enum {
    PAYLOAD_BYTES_MAX = 128 * 1024,
    CONTENT_TYPE_BYTES_MAX = 256,
    CORRELATION_BYTES_MAX = 8192,
    USER_BYTES_MAX = 8192,
    EXPIRY_S_MAX = 604800,
};

static Err invalid(Call *c, const char *what, const char *rule) {
    return api_fail(c, IOT_DATA_INVALID_REQUEST, "Invalid %s: %s", what, rule);
}

/* What an MQTT string may hold. Source: MQTT 5 section 1.5.4 */
static bool is_text(Str s) {
    return str_is_utf8(s) && str_find(s, 0) == SIZE_MAX;
}

/* [{"name":"value"},…], names may repeat. */
static Err user_properties(Call *c, Str text, Str *out) {
    static const char rule[] = "must be base64 of a JSON array of objects with one string each";
    yyjson_val *list = NULL;
    Err e = json_read(c->arena, text, false, &list, NULL);
    if (e == OK && yyjson_is_str(list)) /* boto3 makes JSON of a text that is JSON already */
        e = json_read(c->arena, json_str(list), false, &list, NULL);
    if (e != OK || !yyjson_is_arr(list)) return invalid(c, "userProperties", rule);
    Writer w = writer_in(c->arena);
    size_t bytes = 0;
    yyjson_arr_iter it = yyjson_arr_iter_with(list);
    for (yyjson_val *pair; (pair = yyjson_arr_iter_next(&it));) {
        yyjson_obj_iter members = yyjson_obj_iter_with(pair);
        yyjson_val *name = yyjson_obj_iter_next(&members), *value = name ? yyjson_obj_iter_get_val(name) : NULL;
        if (yyjson_obj_size(pair) != 1 || !yyjson_is_str(value) || !is_text(json_str(name)) ||
            !is_text(json_str(value)))
            return invalid(c, "userProperties", rule);
        bytes += yyjson_get_len(name) + yyjson_get_len(value);
        if (bytes > USER_BYTES_MAX) return invalid(c, "userProperties", "names and values are more than 8192 bytes");
        mqtt_props_put_user(&w, json_str(name), json_str(value));
    }
    *out = writer_str(&w);
    return OK;
}

static Err check_message(Call *c, const MessageIn *in) {
    if (!is_text(in->topic) || mqtt_topic_check(in->topic, MQTT_TOPIC_LIMITS_AWS) != OK)
        return invalid(c, "topic", "at most 256 bytes of UTF-8 and 7 slashes, without + and #");
    if (in->payload.len > PAYLOAD_BYTES_MAX)
        return api_fail(c, IOT_DATA_REQUEST_ENTITY_TOO_LARGE, "The payload of %zu bytes exceeds the maximum of %d",
                        in->payload.len, PAYLOAD_BYTES_MAX);
    if (in->response_topic.ptr &&
        (!is_text(in->response_topic) || mqtt_topic_check(in->response_topic, MQTT_TOPIC_LIMITS_AWS) != OK))
        return invalid(c, "responseTopic", "at most 256 bytes and 7 slashes, without + and #");
    if (in->content_type.len > CONTENT_TYPE_BYTES_MAX || !is_text(in->content_type))
        return invalid(c, "contentType", "must be at most 256 bytes of UTF-8");
    if (str_eq(in->payload_format_indicator, IOT_DATA_PAYLOAD_FORMAT_INDICATOR_UTF8_DATA) && !str_is_utf8(in->payload))
        return invalid(c, "payloadFormatIndicator", "UTF8_DATA, but the payload is not UTF-8");
    return OK;
}

static Err properties(Call *c, const MessageIn *in, MqttProps *p) {
    if (in->user_properties.ptr) {
        Err e = user_properties(c, in->user_properties, &p->raw);
        if (e != OK) return e;
        p->has |= MQTT_HAS(MQTT_PROP_USER);
    }
    if (in->correlation_data.ptr) {
        if (base64_decode(c->arena, in->correlation_data, &p->correlation_data) != OK ||
            p->correlation_data.len > CORRELATION_BYTES_MAX)
            return invalid(c, "correlationData", "must be base64 of at most 8192 bytes");
        p->has |= MQTT_HAS(MQTT_PROP_CORRELATION_DATA);
    }
    if (in->content_type.ptr) {
        p->content_type = in->content_type;
        p->has |= MQTT_HAS(MQTT_PROP_CONTENT_TYPE);
    }
    if (in->response_topic.ptr) {
        p->response_topic = in->response_topic;
        p->has |= MQTT_HAS(MQTT_PROP_RESPONSE_TOPIC);
    }
    if (in->payload_format_indicator.ptr) {
        p->payload_format = str_eq(in->payload_format_indicator, IOT_DATA_PAYLOAD_FORMAT_INDICATOR_UTF8_DATA);
        p->has |= MQTT_HAS(MQTT_PROP_PAYLOAD_FORMAT);
    }
    if (in->message_expiry.set) { /* AWS moves what is out of range to its ends */
        int64_t s = in->message_expiry.v;
        p->message_expiry_s = s < 1 ? 1 : s > EXPIRY_S_MAX ? EXPIRY_S_MAX : (uint32_t)s;
        p->has |= MQTT_HAS(MQTT_PROP_MESSAGE_EXPIRY);
    }
    return OK;
}

Err message_from(Call *c, const MessageIn *in, BrokerMessage *out) {
    MqttProps props = { 0 };
    Err e = check_message(c, in);
    if (e == OK) e = properties(c, in, &props);
    if (e != OK) return e;
    BrokerMessage m = { .account = c->account, .topic = in->topic, .payload = in->payload };
    if (props.has) {
        Writer w = writer_in(c->arena);
        mqtt_props_write(&w, &props);
        Reader r = reader_from(writer_str(&w));
        reader_varint(&r); /* the length in front */
        m.props = reader_rest(&r);
    }
    *out = m;
    return OK;
}
