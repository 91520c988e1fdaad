/* For the tests of this folder: any packet parsed by its first byte, and every truncation of it tried. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>

#include "mqtt/ack.h"
#include "mqtt/connect.h"
#include "mqtt/subscribe.h"

typedef union {
    MqttConnect connect;
    MqttConnack connack;
    MqttPublish publish;
    MqttAck ack;
    MqttSubscribe subscribe;
    MqttSuback suback;
    MqttDisconnect disconnect;
} Any;

static inline Err parse(MqttVersion v, uint8_t header, Str body, Any *out) {
    switch (mqtt_type(header)) {
    case MQTT_CONNECT: return mqtt_parse_connect(body, &out->connect);
    case MQTT_CONNACK: return mqtt_parse_connack(v, body, &out->connack);
    case MQTT_PUBLISH: return mqtt_parse_publish(v, mqtt_flags(header), body, &out->publish);
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP: return mqtt_parse_ack(v, mqtt_type(header), body, &out->ack);
    case MQTT_SUBSCRIBE: return mqtt_parse_subscribe(v, body, &out->subscribe);
    case MQTT_SUBACK: return mqtt_parse_suback(v, body, &out->suback);
    case MQTT_UNSUBSCRIBE: return mqtt_parse_unsubscribe(v, body, &out->subscribe);
    case MQTT_UNSUBACK: return mqtt_parse_unsuback(v, body, &out->suback);
    case MQTT_DISCONNECT: return mqtt_parse_disconnect(v, body, &out->disconnect);
    case MQTT_AUTH: return mqtt_parse_auth(v, body, &out->disconnect);
    default: return mqtt_parse_empty(body);
    }
}

/* A copy that ends where its memory ends, so that a sanitizer sees a step beyond. */
static inline Err parse_copy(MqttVersion v, uint8_t header, Str body, Any *out) {
    uint8_t *copy = malloc(body.len ? body.len : 1);
    if (body.len) memcpy(copy, body.ptr, body.len);
    Err e = parse(v, header, (Str){ copy, body.len }, out);
    free(copy);
    return e;
}

/* One whole packet: its frame is found only when all of it is there. */
static inline MqttFrame frame_of(Str bytes) {
    MqttFrame f = { .total = 99999 };
    for (size_t n = 0; n < bytes.len; n++) {
        assert_int_equal(mqtt_frame(str_sub(bytes, 0, n), MQTT_BODY_BYTES_MAX, &f), ERR_AGAIN);
        assert_int_equal(f.total, 99999);
    }
    assert_int_equal(mqtt_frame(bytes, MQTT_BODY_BYTES_MAX, &f), OK);
    assert_int_equal(f.total, bytes.len);
    assert_int_equal(mqtt_frame_bytes(f.body.len), bytes.len);
    return f;
}

/* Every truncation of the body is refused with `out` untouched, but for the lengths named: there the
 * packet may end by its own rules. */
static inline void refuses_truncations(MqttVersion v, Str bytes, const size_t *whole, size_t whole_n) {
    MqttFrame f = frame_of(bytes);
    for (size_t n = 0; n < f.body.len; n++) {
        Any got, before;
        memset(&before, 0x5A, sizeof before);
        got = before;
        bool may_end = false;
        for (size_t i = 0; i < whole_n; i++) may_end |= whole[i] == n;
        Err e = parse_copy(v, f.header, str_sub(f.body, 0, n), &got);
        if (may_end != (e == OK)) print_error("%s of %zu bytes: %s\n", mqtt_type_name(f.header >> 4), n, err_name(e));
        assert_int_equal(e == OK, may_end);
        if (!may_end) assert_memory_equal(&got, &before, sizeof got);
    }
    Any got;
    assert_int_equal(parse_copy(v, f.header, f.body, &got), OK);
}
#define LENGTHS(...) (const size_t[]){ __VA_ARGS__ }, sizeof((const size_t[]){ __VA_ARGS__ }) / sizeof(size_t)
#define NOWHERE NULL, 0

static const MqttVersion both[] = { MQTT_3_1_1, MQTT_5 };
#define each_version(v) for (const MqttVersion *v = both; v < both + 2; v++)

static inline Str user_list(Arena *a) {
    Writer w = writer_in(a);
    mqtt_props_put_user(&w, S("k"), S("v"));
    return writer_str(&w);
}
