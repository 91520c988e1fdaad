/* Broker: takes messages in and hands them to who subscribed. Safe from every thread. */
#pragma once

#include "base/arena.h"

typedef struct Broker Broker;

/* A message as the server itself or an API call publishes it. Everything is copied. */
typedef struct {
    Str account, topic, payload;
    uint8_t qos; /* 0 or 1 */
    bool retain;
    Str props; /* MQTT 5 publish properties, encoded without their length; STR_NONE: none */
} BrokerMessage;

void broker_publish(Broker *broker, const BrokerMessage *message);

/* Live connections of this principal close: MQTT, WebSocket and kept-alive HTTP. */
void broker_disconnect_principal(Broker *broker, Str account, Str principal_id);
