/* SUBSCRIBE and UNSUBSCRIBE and their answers. The filters stay in the packet: walk them with
 * mqtt_subscribe_next, mqtt_unsubscribe_next. Whether a filter is a good one, topic.h says. */
#pragma once

#include "mqtt/packet.h"
#include "mqtt/props.h"

typedef struct {
    uint16_t packet_id;
    size_t filters_n; /* at least 1 */
    Str filters;      /* checked: start of the walk */
    MqttProps props;
} MqttSubscribe; /* UNSUBSCRIBE too */

typedef struct {
    Str filter;
    uint8_t qos; /* 0..2: the caller answers 2 as AWS does */
    uint8_t retain_handling;
    bool no_local, retain_as_published;
} MqttSubscription;

NODISCARD Err mqtt_parse_subscribe(MqttVersion version, Str body, MqttSubscribe *out);
NODISCARD Err mqtt_parse_unsubscribe(MqttVersion version, Str body, MqttSubscribe *out);

/* The next of a checked list, false at its end. *rest starts as `filters`. */
bool mqtt_subscribe_next(Str *rest, MqttSubscription *out);
bool mqtt_unsubscribe_next(Str *rest, Str *filter);

void mqtt_write_subscribe(Writer *w, MqttVersion version, uint16_t packet_id, const MqttProps *props,
                          const MqttSubscription *subscriptions, size_t n);
void mqtt_write_unsubscribe(Writer *w, MqttVersion version, uint16_t packet_id, const MqttProps *props,
                            const Str *filters, size_t n);

typedef struct {
    uint16_t packet_id;
    Str codes; /* one byte a filter, in order: MqttReason, or granted QoS / 0x80 in MQTT 3.1.1; none in its UNSUBACK */
    MqttProps props;
} MqttSuback; /* UNSUBACK too */

NODISCARD Err mqtt_parse_suback(MqttVersion version, Str body, MqttSuback *out);
NODISCARD Err mqtt_parse_unsuback(MqttVersion version, Str body, MqttSuback *out);
void mqtt_write_suback(Writer *w, MqttVersion version, const MqttSuback *ack);
void mqtt_write_unsuback(Writer *w, MqttVersion version, const MqttSuback *ack);
