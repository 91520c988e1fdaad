/* PUBLISH: one message. The hot path: parsing allocates nothing, and what stands in front of the payload
 * is written apart from it, so that a payload is never copied for its header's sake. */
#pragma once

#include "mqtt/packet.h"
#include "mqtt/props.h"

typedef struct {
    Str topic; /* valid UTF-8 without U+0000; may be empty in MQTT 5 with an alias. mqtt_topic_check does the rest */
    Str payload;
    Str props; /* MQTT 5: the checked list without its length, for mqtt_props_decode and _forward; else empty */
    uint32_t message_expiry_s;
    uint16_t packet_id;   /* 0 with QoS 0 */
    uint16_t topic_alias; /* 0: none */
    uint8_t qos;          /* 0..2: the caller refuses 2, as AWS does */
    bool dup, retain;
    bool has_message_expiry, has_subscription_id; /* a client may not send the latter: 0x82 [MQTT-3.3.4-6] */
} MqttPublish;

/* flags: mqtt_flags of the first byte. */
NODISCARD Err mqtt_parse_publish(MqttVersion version, uint8_t flags, Str body, MqttPublish *out);

/* The packet without its payload: fixed header, topic, packet id, properties. Of `p` only topic, props,
 * packet_id, qos, dup, retain and payload.len count; props are left out in MQTT 3.1.1. Topic and props
 * together with the payload must stay below MQTT_BODY_BYTES_MAX, the topic below 64 KB. */
size_t mqtt_publish_head_bytes(MqttVersion version, const MqttPublish *p);
uint8_t *mqtt_write_publish_head(uint8_t *at, MqttVersion version, const MqttPublish *p); /* returns the end */

/* Where in a written packet its packet id stands (two bytes, big endian), to put in another for another receiver. */
size_t mqtt_publish_id_at(MqttVersion version, const MqttPublish *p);
static inline void mqtt_put_packet_id(uint8_t *at, uint16_t id) {
    at[0] = (uint8_t)(id >> 8);
    at[1] = (uint8_t)id;
}
/* Ids go round: behind 65,535 comes 1. */
static inline uint16_t mqtt_packet_id_after(uint16_t id) {
    return id == UINT16_MAX ? 1 : (uint16_t)(id + 1);
}

/* Head and payload. */
void mqtt_write_publish(Writer *w, MqttVersion version, const MqttPublish *p);
