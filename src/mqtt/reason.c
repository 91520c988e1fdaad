#include "mqtt/reason.h"

#include "mqtt/packet.h"

/* One row a code: its name and the packets that may carry it. */
typedef struct {
    uint8_t code;
    uint16_t types; /* bit n: MqttType n */
    const char *name;
} Row;

#define IN(type) (1u << MQTT_##type)
#define ACKS (IN(PUBACK) | IN(PUBREC))
#define SUBS (IN(SUBACK) | IN(UNSUBACK))
#define ENDS (IN(CONNACK) | IN(DISCONNECT))

/* Source: MQTT 5 section 2.4, table 2-6 */
static const Row rows[] = {
    { 0x00, ENDS | ACKS | IN(PUBREL) | IN(PUBCOMP) | SUBS | IN(AUTH), "Success" },
    { 0x01, IN(SUBACK), "Granted QoS 1" },
    { 0x02, IN(SUBACK), "Granted QoS 2" },
    { 0x04, IN(DISCONNECT), "Disconnect with Will Message" },
    { 0x10, ACKS, "No matching subscribers" },
    { 0x11, IN(UNSUBACK), "No subscription existed" },
    { 0x18, IN(AUTH), "Continue authentication" },
    { 0x19, IN(AUTH), "Re-authenticate" },
    { 0x80, ENDS | ACKS | SUBS, "Unspecified error" },
    { 0x81, ENDS, "Malformed Packet" },
    { 0x82, ENDS, "Protocol Error" },
    { 0x83, ENDS | ACKS | SUBS, "Implementation specific error" },
    { 0x84, IN(CONNACK), "Unsupported Protocol Version" },
    { 0x85, IN(CONNACK), "Client Identifier not valid" },
    { 0x86, IN(CONNACK), "Bad User Name or Password" },
    { 0x87, ENDS | ACKS | SUBS, "Not authorized" },
    { 0x88, IN(CONNACK), "Server unavailable" },
    { 0x89, ENDS, "Server busy" },
    { 0x8A, IN(CONNACK), "Banned" },
    { 0x8B, IN(DISCONNECT), "Server shutting down" },
    { 0x8C, ENDS, "Bad authentication method" },
    { 0x8D, IN(DISCONNECT), "Keep Alive timeout" },
    { 0x8E, IN(DISCONNECT), "Session taken over" },
    { 0x8F, SUBS | IN(DISCONNECT), "Topic Filter invalid" },
    { 0x90, ENDS | ACKS, "Topic Name invalid" },
    { 0x91, ACKS | SUBS, "Packet Identifier in use" },
    { 0x92, IN(PUBREL) | IN(PUBCOMP), "Packet Identifier not found" },
    { 0x93, IN(DISCONNECT), "Receive Maximum exceeded" },
    { 0x94, IN(DISCONNECT), "Topic Alias invalid" },
    { 0x95, ENDS, "Packet too large" },
    { 0x96, IN(DISCONNECT), "Message rate too high" },
    { 0x97, ENDS | ACKS | IN(SUBACK), "Quota exceeded" },
    { 0x98, IN(DISCONNECT), "Administrative action" },
    { 0x99, ENDS | ACKS, "Payload format invalid" },
    { 0x9A, ENDS, "Retain not supported" },
    { 0x9B, ENDS, "QoS not supported" },
    { 0x9C, ENDS, "Use another server" },
    { 0x9D, ENDS, "Server moved" },
    { 0x9E, IN(SUBACK) | IN(DISCONNECT), "Shared Subscriptions not supported" },
    { 0x9F, ENDS, "Connection rate exceeded" },
    { 0xA0, IN(DISCONNECT), "Maximum connect time" },
    { 0xA1, IN(SUBACK) | IN(DISCONNECT), "Subscription Identifiers not supported" },
    { 0xA2, IN(SUBACK) | IN(DISCONNECT), "Wildcard Subscriptions not supported" },
};

static const Row *row_of(uint8_t code) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].code == code) return &rows[i];
    return NULL;
}

MqttReason mqtt_reason_of(Err e) {
    switch (e) {
    case OK: return MQTT_SUCCESS;
    case ERR_MALFORMED: return MQTT_MALFORMED_PACKET;
    case ERR_INVALID: return MQTT_PROTOCOL_ERROR;
    case ERR_LIMIT: return MQTT_PACKET_TOO_LARGE;
    case ERR_NOT_IMPLEMENTED: return MQTT_UNSUPPORTED_PROTOCOL_VERSION;
    default: return MQTT_UNSPECIFIED_ERROR;
    }
}

Mqtt3Code mqtt_reason_to_3(MqttReason reason) {
    switch (reason) {
    case MQTT_SUCCESS: return MQTT3_ACCEPTED;
    case MQTT_UNSUPPORTED_PROTOCOL_VERSION: return MQTT3_UNACCEPTABLE_VERSION;
    case MQTT_CLIENT_ID_NOT_VALID: return MQTT3_IDENTIFIER_REJECTED;
    case MQTT_BAD_USER_NAME_OR_PASSWORD: return MQTT3_BAD_USER_NAME_OR_PASSWORD;
    case MQTT_NOT_AUTHORIZED:
    case MQTT_BANNED: return MQTT3_NOT_AUTHORIZED_AWS;
    default: return MQTT3_SERVER_UNAVAILABLE;
    }
}

bool mqtt_reason_allowed(uint8_t type, uint8_t reason) {
    const Row *row = row_of(reason);
    return row && type < 16 && row->types >> type & 1;
}

const char *mqtt_reason_name(uint8_t reason) {
    const Row *row = row_of(reason);
    return row ? row->name : "unknown reason";
}
