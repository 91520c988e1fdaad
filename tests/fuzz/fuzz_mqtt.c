#include "fuzz.h"

#include "mqtt/ack.h"
#include "mqtt/connect.h"
#include "mqtt/subscribe.h"
#include "mqtt/topic.h"

/* A stream of packets of either version. What a parser took is written again, and what was written is read and
 * written once more: the two writings are equal. */

/* Reads the body and, where it is good, writes what it says. */
static Err rewrite(MqttVersion v, uint8_t header, Str body, Writer *w) {
    union {
        MqttConnect connect;
        MqttConnack connack;
        MqttPublish publish;
        MqttAck ack;
        MqttSubscribe subscribe;
        MqttSuback suback;
        MqttDisconnect disconnect;
    } m;
    Err e;
    MqttSubscription subs[64];
    Str filters[64], rest;
    size_t n = 0;
    switch (mqtt_type(header)) {
    case MQTT_CONNECT:
        if ((e = mqtt_parse_connect(body, &m.connect)) == OK) mqtt_write_connect(w, &m.connect);
        if (e == OK) CHECK(mqtt_connect_level(body) == m.connect.version);
        return e;
    case MQTT_CONNACK:
        if ((e = mqtt_parse_connack(v, body, &m.connack)) == OK) mqtt_write_connack(w, v, &m.connack);
        return e;
    case MQTT_PUBLISH:
        if ((e = mqtt_parse_publish(v, mqtt_flags(header), body, &m.publish)) == OK) {
            mqtt_write_publish(w, v, &m.publish);
            CHECK(w->len == mqtt_publish_head_bytes(v, &m.publish) + m.publish.payload.len);
        }
        return e;
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP:
        if ((e = mqtt_parse_ack(v, mqtt_type(header), body, &m.ack)) == OK)
            mqtt_write_ack(w, v, mqtt_type(header), &m.ack);
        return e;
    case MQTT_SUBSCRIBE:
        if ((e = mqtt_parse_subscribe(v, body, &m.subscribe)) != OK) return e;
        for (rest = m.subscribe.filters; n < 64 && mqtt_subscribe_next(&rest, &subs[n]);) n++;
        CHECK(n == m.subscribe.filters_n || n == 64);
        mqtt_write_subscribe(w, v, m.subscribe.packet_id, &m.subscribe.props, subs, n);
        return OK;
    case MQTT_UNSUBSCRIBE:
        if ((e = mqtt_parse_unsubscribe(v, body, &m.subscribe)) != OK) return e;
        for (rest = m.subscribe.filters; n < 64 && mqtt_unsubscribe_next(&rest, &filters[n]);) n++;
        CHECK(n == m.subscribe.filters_n || n == 64);
        mqtt_write_unsubscribe(w, v, m.subscribe.packet_id, &m.subscribe.props, filters, n);
        return OK;
    case MQTT_SUBACK:
        if ((e = mqtt_parse_suback(v, body, &m.suback)) == OK) mqtt_write_suback(w, v, &m.suback);
        return e;
    case MQTT_UNSUBACK:
        if ((e = mqtt_parse_unsuback(v, body, &m.suback)) == OK) mqtt_write_unsuback(w, v, &m.suback);
        return e;
    case MQTT_DISCONNECT:
        if ((e = mqtt_parse_disconnect(v, body, &m.disconnect)) == OK) mqtt_write_disconnect(w, v, &m.disconnect);
        return e;
    case MQTT_AUTH: return mqtt_parse_auth(v, body, &m.disconnect) == OK ? ERR_AGAIN : ERR_MALFORMED;
    default: return mqtt_parse_empty(body) == OK ? ERR_AGAIN : ERR_MALFORMED;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena a = { 0 };
    Str in = { data, size };
    MqttVersion v = fuzz_choice(&in) & 1 ? MQTT_5 : MQTT_3_1_1;
    MqttFrame f, g;
    for (; mqtt_frame(in, 1 << 20, &f) == OK; in = str_from(in, f.total)) {
        CHECK(f.total == mqtt_frame_bytes(f.body.len) && f.total <= in.len);
        Writer once = writer_in(&a), twice = writer_in(&a);
        if (rewrite(v, f.header, f.body, &once) != OK) continue;
        CHECK(mqtt_frame(writer_str(&once), MQTT_BODY_BYTES_MAX, &g) == OK && g.total == once.len);
        CHECK(rewrite(v, g.header, g.body, &twice) == OK);
        CHECK(str_eq(writer_str(&once), writer_str(&twice)));
    }
    arena_free(&a);
    return 0;
}
