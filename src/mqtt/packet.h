/* Packets: where one ends in a stream of bytes, and of what type it is. What each type holds is in the
 * header of its verb: connect.h, publish.h, subscribe.h, ack.h. Pure; knows no sockets, sessions or policies.
 *
 * All parsers of this folder take the frame's body and the connection's version, borrow from the body,
 * and leave `out` untouched on failure. Their errors mean the same everywhere (mqtt_reason_of):
 *   ERR_MALFORMED        0x81: bytes that cannot be this packet
 *   ERR_INVALID          0x82: well formed, but against the protocol
 *   ERR_LIMIT            0x95: larger than allowed
 *   ERR_NOT_IMPLEMENTED  0x84: CONNECT of another version of MQTT
 * An MQTT 3.1.1 connection is closed for each of them. */
#pragma once

#include "base/writer.h"

typedef enum { MQTT_3_1_1 = 4, MQTT_5 = 5 } MqttVersion; /* CONNECT's protocol level */

typedef enum {
    MQTT_CONNECT = 1,
    MQTT_CONNACK,
    MQTT_PUBLISH,
    MQTT_PUBACK,
    MQTT_PUBREC,
    MQTT_PUBREL,
    MQTT_PUBCOMP,
    MQTT_SUBSCRIBE,
    MQTT_SUBACK,
    MQTT_UNSUBSCRIBE,
    MQTT_UNSUBACK,
    MQTT_PINGREQ,
    MQTT_PINGRESP,
    MQTT_DISCONNECT,
    MQTT_AUTH, /* MQTT 5 only */
} MqttType;

typedef struct {
    uint8_t header; /* the first byte: type and flags */
    Str body;       /* what follows the remaining length */
    size_t total;   /* bytes of the whole packet, to go on behind it */
} MqttFrame;

static inline MqttType mqtt_type(uint8_t header) {
    return (MqttType)(header >> 4);
}
static inline uint8_t mqtt_flags(uint8_t header) {
    return header & 15;
}

/* Find the packet that `in` begins with.
 * Units:  body_bytes_max counts variable header and payload, as AWS's packet limit does
 * Errors: ERR_AGAIN (not all here yet), ERR_MALFORMED (type 0, reserved flags, a length of five bytes
 *         or with needless ones), ERR_LIMIT (both as soon as they show, before the body is there) */
NODISCARD Err mqtt_frame(Str in, size_t body_bytes_max, MqttFrame *out);

/* "PUBLISH" and so on, for logs; "unknown" for 0 and above 15. */
const char *mqtt_type_name(uint8_t type);

/* PINGREQ, PINGRESP and DISCONNECT of MQTT 3.1.1 have no body: ERR_MALFORMED when there is one. */
NODISCARD Err mqtt_parse_empty(Str body);

/* Bytes of fixed header and body together. */
size_t mqtt_frame_bytes(size_t body_bytes);

enum { MQTT_BODY_BYTES_MAX = 268435455, MQTT_PING_BYTES = 2 };

/* Two bytes each; they return the end. */
uint8_t *mqtt_write_pingreq(uint8_t *at);
uint8_t *mqtt_write_pingresp(uint8_t *at);
