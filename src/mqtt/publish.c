#include "mqtt/publish.h"

#include "mqtt/wire.h"

/* Most publishes carry no properties, so decoding them is kept out of the way; what the broker always needs
 * of them (alias, expiry) is copied out, the rest stays in the list until somebody asks. */

static Err take_props(MqttPublish *p) {
    MqttProps props;
    Err e = mqtt_props_decode(MQTT_PUBLISH, p->props, &props);
    if (e != OK) return e;
    if (mqtt_props_has(&props, MQTT_PROP_TOPIC_ALIAS)) p->topic_alias = props.topic_alias;
    p->has_message_expiry = mqtt_props_has(&props, MQTT_PROP_MESSAGE_EXPIRY);
    p->message_expiry_s = props.message_expiry_s;
    p->has_subscription_id = mqtt_props_has(&props, MQTT_PROP_SUBSCRIPTION_ID);
    return OK;
}

Err mqtt_parse_publish(MqttVersion version, uint8_t flags, Str body, MqttPublish *out) {
    MqttPublish p = { .dup = flags & 8, .qos = (flags >> 1) & 3, .retain = flags & 1 };
    if (p.qos == 3) return ERR_MALFORMED;          /* [MQTT-3.3.1-4] */
    if (p.qos == 0 && p.dup) return ERR_MALFORMED; /* [MQTT-3.3.1-2] */
    Reader r = reader_from(body);
    p.topic = wire_string(&r); /* [MQTT-3.3.2-1] */
    if (p.qos > 0) p.packet_id = reader_u16(&r);
    if (version == MQTT_5) p.props = wire_props(&r);
    p.payload = reader_rest(&r);
    if (r.bad) return ERR_MALFORMED;
    if (p.qos > 0 && p.packet_id == 0) return ERR_INVALID; /* [MQTT-2.2.1-3] */
    if (p.props.len > 0) {
        Err e = take_props(&p);
        if (e != OK) return e;
    }
    if (p.topic.len == 0 && p.topic_alias == 0) /* 3.3.2.1; [MQTT-4.7.3-1] */
        return version == MQTT_5 ? ERR_INVALID : ERR_MALFORMED;
    *out = p;
    return OK;
}

static size_t head_body_bytes(MqttVersion version, const MqttPublish *p) {
    size_t n = 2 + p->topic.len + (p->qos ? 2 : 0);
    return version == MQTT_5 ? n + wire_varint_bytes((uint32_t)p->props.len) + p->props.len : n;
}

size_t mqtt_publish_head_bytes(MqttVersion version, const MqttPublish *p) {
    size_t n = head_body_bytes(version, p);
    return 1 + wire_varint_bytes((uint32_t)(n + p->payload.len)) + n;
}

size_t mqtt_publish_id_at(MqttVersion version, const MqttPublish *p) {
    size_t n = head_body_bytes(version, p) + p->payload.len;
    return 1 + wire_varint_bytes((uint32_t)n) + 2 + p->topic.len;
}

static uint8_t *write_u16(uint8_t *at, size_t v) {
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
    return at + 2;
}

static uint8_t *write_str(uint8_t *at, Str s) {
    if (s.len) memcpy(at, s.ptr, s.len);
    return at + s.len;
}

uint8_t *mqtt_write_publish_head(uint8_t *at, MqttVersion version, const MqttPublish *p) {
    *at++ = (uint8_t)(MQTT_PUBLISH << 4 | (p->dup && p->qos ? 8 : 0) | p->qos << 1 | (p->retain ? 1 : 0));
    at = wire_write_varint(at, (uint32_t)(head_body_bytes(version, p) + p->payload.len));
    at = write_str(write_u16(at, p->topic.len), p->topic);
    if (p->qos) at = write_u16(at, p->packet_id);
    if (version == MQTT_5) at = write_str(wire_write_varint(at, (uint32_t)p->props.len), p->props);
    return at;
}

void mqtt_write_publish(Writer *w, MqttVersion version, const MqttPublish *p) {
    mqtt_write_publish_head(writer_extend(w, mqtt_publish_head_bytes(version, p)), version, p);
    writer_bytes(w, p->payload);
}
