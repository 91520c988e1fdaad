/* Properties: what MQTT 5 adds to its packets, as a list of (identifier, value). A table says which
 * property has which type and may stand in which packets; everything here walks it. Pure. */
#pragma once

#include "base/writer.h"

typedef enum {
    MQTT_PROP_PAYLOAD_FORMAT = 0x01,
    MQTT_PROP_MESSAGE_EXPIRY = 0x02,
    MQTT_PROP_CONTENT_TYPE = 0x03,
    MQTT_PROP_RESPONSE_TOPIC = 0x08,
    MQTT_PROP_CORRELATION_DATA = 0x09,
    MQTT_PROP_SUBSCRIPTION_ID = 0x0B,
    MQTT_PROP_SESSION_EXPIRY = 0x11,
    MQTT_PROP_ASSIGNED_CLIENT_ID = 0x12,
    MQTT_PROP_SERVER_KEEPALIVE = 0x13,
    MQTT_PROP_AUTH_METHOD = 0x15,
    MQTT_PROP_AUTH_DATA = 0x16,
    MQTT_PROP_REQUEST_PROBLEM_INFO = 0x17,
    MQTT_PROP_WILL_DELAY = 0x18,
    MQTT_PROP_REQUEST_RESPONSE_INFO = 0x19,
    MQTT_PROP_RESPONSE_INFO = 0x1A,
    MQTT_PROP_SERVER_REFERENCE = 0x1C,
    MQTT_PROP_REASON_STRING = 0x1F,
    MQTT_PROP_RECEIVE_MAX = 0x21,
    MQTT_PROP_TOPIC_ALIAS_MAX = 0x22,
    MQTT_PROP_TOPIC_ALIAS = 0x23,
    MQTT_PROP_QOS_MAX = 0x24,
    MQTT_PROP_RETAIN_AVAILABLE = 0x25,
    MQTT_PROP_USER = 0x26,
    MQTT_PROP_PACKET_BYTES_MAX = 0x27,
    MQTT_PROP_WILDCARD_AVAILABLE = 0x28,
    MQTT_PROP_SUBSCRIPTION_ID_AVAILABLE = 0x29,
    MQTT_PROP_SHARED_AVAILABLE = 0x2A,
} MqttPropId;

/* Stands for a packet type where the will's properties inside CONNECT are meant. */
enum { MQTT_WILL = 0 };

/* The properties of one packet, decoded. A value counts only where its bit in `has` is set
 * (mqtt_props_has); for writing, set bit and value by hand or with MQTT_HAS. */
typedef struct {
    uint64_t has; /* bit n: property n */
    Str raw;      /* the list as it came, without its length; holds the user properties, also for writing */
    size_t user_n, user_bytes; /* user properties: how many, and the bytes of all names and values */

    uint32_t message_expiry_s, session_expiry_s, will_delay_s, packet_bytes_max, subscription_id;
    uint16_t server_keepalive_s, receive_max, topic_alias_max, topic_alias;
    uint8_t payload_format, request_problem_info, request_response_info, qos_max, retain_available;
    uint8_t wildcard_available, subscription_id_available, shared_available;
    Str content_type, response_topic, correlation_data, assigned_client_id, auth_method, auth_data;
    Str response_info, server_reference, reason_string;
} MqttProps;

#define MQTT_HAS(id) (UINT64_C(1) << (id))
static inline bool mqtt_props_has(const MqttProps *p, MqttPropId id) {
    return p->has >> id & 1;
}

/* Decode and check the properties of a packet of this type (MqttType or MQTT_WILL).
 * Shape:  raw: the list without its length
 * Errors: ERR_MALFORMED (unknown, or not of this packet, or cut short, or bad UTF-8),
 *         ERR_INVALID (twice, or a value that the protocol forbids) */
NODISCARD Err mqtt_props_decode(uint8_t type, Str raw, MqttProps *out);

/* Write the list with its length in front: what `has` names, then the user properties found in `raw`.
 * Several subscription identifiers become one. */
void mqtt_props_write(Writer *w, const MqttProps *props);

/* Add one user property to a list (no length in front); such a list serves as `raw`, or as a publish's props. */
void mqtt_props_put_user(Writer *w, Str name, Str value);

/* The next user property of a checked list; false at its end. Order is kept. *rest starts as `raw`. */
bool mqtt_props_next_user(Str *rest, Str *name, Str *value);

/* What a receiver gets of a publisher's (or a will's) checked properties: all but topic alias, subscription
 * identifiers and will delay; the message expiry, where there is one, becomes expiry_s.
 * Owns: the result is `raw` itself when nothing changes, else lives in the arena */
Str mqtt_props_forward(Arena *arena, Str raw, uint32_t expiry_s);
