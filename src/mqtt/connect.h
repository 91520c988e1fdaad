/* CONNECT, CONNACK, DISCONNECT: how a connection begins and ends. */
#pragma once

#include "mqtt/publish.h"

typedef struct {
    MqttVersion version;
    bool clean; /* clean session (3.1.1), clean start (5) */
    bool has_will;
    uint16_t keepalive_s;
    Str client_id;           /* may be empty: 3.1.1 without `clean` answers that with 0x02 [MQTT-3.1.3-8] */
    Str user_name, password; /* ptr NULL: absent */
    MqttPublish will;        /* topic, payload, props, qos, retain and message expiry */
    uint32_t will_delay_s;
    MqttProps props; /* CONNECT's own */
} MqttConnect;

/* Errors: as in packet.h; ERR_NOT_IMPLEMENTED for a version that is neither 3.1.1 nor 5 (3.1's "MQIsdp" too) */
NODISCARD Err mqtt_parse_connect(Str body, MqttConnect *out);

/* The protocol level that a CONNECT asks for, also when the rest of it is broken, to answer in its language;
 * 0 when there is none to be read. */
uint8_t mqtt_connect_level(Str body);

/* props and the will's props are left out in MQTT 3.1.1. */
void mqtt_write_connect(Writer *w, const MqttConnect *c);

typedef struct {
    bool session_present;
    uint8_t reason; /* MqttReason in MQTT 5, Mqtt3Code in 3.1.1 */
    MqttProps props;
} MqttConnack;

NODISCARD Err mqtt_parse_connack(MqttVersion version, Str body, MqttConnack *out);
void mqtt_write_connack(Writer *w, MqttVersion version, const MqttConnack *c);

typedef struct {
    uint8_t reason; /* MqttReason */
    MqttProps props;
} MqttDisconnect;

/* A server sends DISCONNECT in MQTT 5 only. AUTH has the same form; its parser too, with type MQTT_AUTH. */
NODISCARD Err mqtt_parse_disconnect(MqttVersion version, Str body, MqttDisconnect *out);
NODISCARD Err mqtt_parse_auth(MqttVersion version, Str body, MqttDisconnect *out);
void mqtt_write_disconnect(Writer *w, MqttVersion version, const MqttDisconnect *d);
