/* Reasons: the one-byte codes by which MQTT says how something ended, and their names for logs. */
#pragma once

#include "base/str.h"

/* MQTT 5. Source: MQTT 5 section 2.4 */
typedef enum {
    MQTT_SUCCESS = 0x00, /* also: normal disconnection, granted QoS 0 */
    MQTT_GRANTED_QOS_1 = 0x01,
    MQTT_GRANTED_QOS_2 = 0x02,
    MQTT_DISCONNECT_WITH_WILL = 0x04,
    MQTT_NO_MATCHING_SUBSCRIBERS = 0x10,
    MQTT_NO_SUBSCRIPTION_EXISTED = 0x11,
    MQTT_CONTINUE_AUTHENTICATION = 0x18,
    MQTT_REAUTHENTICATE = 0x19,
    MQTT_UNSPECIFIED_ERROR = 0x80,
    MQTT_MALFORMED_PACKET = 0x81,
    MQTT_PROTOCOL_ERROR = 0x82,
    MQTT_IMPLEMENTATION_SPECIFIC_ERROR = 0x83,
    MQTT_UNSUPPORTED_PROTOCOL_VERSION = 0x84,
    MQTT_CLIENT_ID_NOT_VALID = 0x85,
    MQTT_BAD_USER_NAME_OR_PASSWORD = 0x86,
    MQTT_NOT_AUTHORIZED = 0x87,
    MQTT_SERVER_UNAVAILABLE = 0x88,
    MQTT_SERVER_BUSY = 0x89,
    MQTT_BANNED = 0x8A,
    MQTT_SERVER_SHUTTING_DOWN = 0x8B,
    MQTT_BAD_AUTHENTICATION_METHOD = 0x8C,
    MQTT_KEEP_ALIVE_TIMEOUT = 0x8D,
    MQTT_SESSION_TAKEN_OVER = 0x8E,
    MQTT_TOPIC_FILTER_INVALID = 0x8F,
    MQTT_TOPIC_NAME_INVALID = 0x90,
    MQTT_PACKET_ID_IN_USE = 0x91,
    MQTT_PACKET_ID_NOT_FOUND = 0x92,
    MQTT_RECEIVE_MAXIMUM_EXCEEDED = 0x93,
    MQTT_TOPIC_ALIAS_INVALID = 0x94,
    MQTT_PACKET_TOO_LARGE = 0x95,
    MQTT_MESSAGE_RATE_TOO_HIGH = 0x96,
    MQTT_QUOTA_EXCEEDED = 0x97,
    MQTT_ADMINISTRATIVE_ACTION = 0x98,
    MQTT_PAYLOAD_FORMAT_INVALID = 0x99,
    MQTT_RETAIN_NOT_SUPPORTED = 0x9A,
    MQTT_QOS_NOT_SUPPORTED = 0x9B,
    MQTT_USE_ANOTHER_SERVER = 0x9C,
    MQTT_SERVER_MOVED = 0x9D,
    MQTT_SHARED_SUBSCRIPTIONS_NOT_SUPPORTED = 0x9E,
    MQTT_CONNECTION_RATE_EXCEEDED = 0x9F,
    MQTT_MAXIMUM_CONNECT_TIME = 0xA0,
    MQTT_SUBSCRIPTION_IDS_NOT_SUPPORTED = 0xA1,
    MQTT_WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED = 0xA2,
} MqttReason;

/* MQTT 3.1.1's CONNACK return codes (section 3.2.2.3), its SUBACK's failure, and the code of AWS's own. */
typedef enum {
    MQTT3_ACCEPTED = 0,
    MQTT3_UNACCEPTABLE_VERSION = 1,
    MQTT3_IDENTIFIER_REJECTED = 2,
    MQTT3_SERVER_UNAVAILABLE = 3,
    MQTT3_BAD_USER_NAME_OR_PASSWORD = 4,
    MQTT3_NOT_AUTHORIZED = 5,
    MQTT3_NOT_AUTHORIZED_AWS = 7, /* Source: AWS IoT developer guide, MQTT: 7 where the standard has 5 */
    MQTT3_SUBACK_FAILURE = 0x80,
} Mqtt3Code;

/* The reason that MQTT 5 gives for what a parser of this folder returned:
 * ERR_MALFORMED 0x81, ERR_INVALID 0x82, ERR_LIMIT 0x95, ERR_NOT_IMPLEMENTED 0x84, else 0x80. */
MqttReason mqtt_reason_of(Err e);

/* The CONNACK return code that tells an MQTT 3.1.1 client the same as this reason. */
Mqtt3Code mqtt_reason_to_3(MqttReason reason);

/* May a packet of this type (MqttType) carry this reason? Source: MQTT 5 section 2.4 */
bool mqtt_reason_allowed(uint8_t type, uint8_t reason);

/* The standard's name, e.g. "Topic Name invalid"; "unknown reason" for a byte that is none. */
const char *mqtt_reason_name(uint8_t reason);
