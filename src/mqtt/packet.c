#include "mqtt/wire.h"

/* The first byte of a packet says which flags its type may have, so bytes that are not MQTT at all are
 * turned away before their "length" is waited for. */

/* Flags of PUBREL, SUBSCRIBE, UNSUBSCRIBE are 2, of the others 0; PUBLISH uses all [MQTT-2.1.3-1]. */
static bool flags_are_allowed(uint8_t header) {
    switch (mqtt_type(header)) {
    case MQTT_PUBLISH: return true;
    case MQTT_PUBREL:
    case MQTT_SUBSCRIBE:
    case MQTT_UNSUBSCRIBE: return mqtt_flags(header) == 2;
    default: return header >> 4 && mqtt_flags(header) == 0;
    }
}

Err mqtt_frame(Str in, size_t body_bytes_max, MqttFrame *out) {
    if (in.len == 0) return ERR_AGAIN;
    if (!flags_are_allowed(in.ptr[0])) return ERR_MALFORMED;
    size_t length = 0, at = 1;
    for (int shift = 0;; shift += 7) {
        if (at == in.len) return ERR_AGAIN;
        uint8_t b = in.ptr[at++];
        length |= (size_t)(b & 127) << shift;
        if (!(b & 128)) {
            if (shift > 0 && b == 0) return ERR_MALFORMED; /* not the shortest [MQTT-1.5.5-1] */
            break;
        }
        if (shift == 21) return ERR_MALFORMED;
    }
    if (length > body_bytes_max) return ERR_LIMIT;
    if (in.len - at < length) return ERR_AGAIN;
    *out = (MqttFrame){ .header = in.ptr[0], .body = { in.ptr + at, length }, .total = at + length };
    return OK;
}

const char *mqtt_type_name(uint8_t type) {
    static const char *const names[] = { "unknown", "CONNECT",  "CONNACK",    "PUBLISH", "PUBACK",      "PUBREC",
                                         "PUBREL",  "PUBCOMP",  "SUBSCRIBE",  "SUBACK",  "UNSUBSCRIBE", "UNSUBACK",
                                         "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH" };
    return names[type < sizeof names / sizeof *names ? type : 0];
}

Err mqtt_parse_empty(Str body) {
    return body.len == 0 ? OK : ERR_MALFORMED;
}

size_t mqtt_frame_bytes(size_t body_bytes) {
    return 1 + wire_varint_bytes((uint32_t)body_bytes) + body_bytes;
}

static uint8_t *write_empty(uint8_t *at, MqttType type) {
    at[0] = (uint8_t)(type << 4);
    at[1] = 0;
    return at + MQTT_PING_BYTES;
}

uint8_t *mqtt_write_pingreq(uint8_t *at) {
    return write_empty(at, MQTT_PINGREQ);
}

uint8_t *mqtt_write_pingresp(uint8_t *at) {
    return write_empty(at, MQTT_PINGRESP);
}
