/* PUBACK, PUBREC, PUBREL, PUBCOMP: a packet id, and in MQTT 5 a reason and properties. */
#pragma once

#include "mqtt/packet.h"
#include "mqtt/props.h"

typedef struct {
    uint16_t packet_id;
    uint8_t reason; /* MqttReason; 0 in MQTT 3.1.1 */
    MqttProps props;
} MqttAck;

/* type: one of the four. */
NODISCARD Err mqtt_parse_ack(MqttVersion version, MqttType type, Str body, MqttAck *out);
void mqtt_write_ack(Writer *w, MqttVersion version, MqttType type, const MqttAck *ack);

/* The hot path: a PUBACK without properties. Returns the end. */
enum { MQTT_PUBACK_BYTES_MAX = 5 };
uint8_t *mqtt_write_puback(uint8_t *at, MqttVersion version, uint16_t packet_id, uint8_t reason);
/* The packet id of a PUBACK that says success and nothing else, 0 for any other body. */
uint16_t mqtt_puback_plain(Str body);
