/* MQTT connections: what the gateway hands to the broker. */
#pragma once

#include "broker/broker.h"
#include "net/conn.h"

typedef struct Client Client; /* an MQTT connection */

/* What carries an MQTT connection, as the gateway knows it. */
typedef struct {
    const Principal *principal; /* taken over */
    bool websocket;             /* every packet leaves in a frame of its own */
    Str server_name;            /* SNI or Host, for iot:DomainName */
} MqttLink;
/* Speaks MQTT on the connection from here on: takes its handler and owner. Returns what gives bytes to it (for
 * a WebSocket, whose frames the gateway takes off). */
Client *mqtt_attach(Broker *broker, Conn *c, const MqttLink *link);
size_t mqtt_input(Client *client, uint8_t *bytes, size_t len);
void mqtt_drained(Client *client);              /* ConnHandler's */
void mqtt_closed(Client *client, bool orderly); /* orderly: a WebSocket Close frame */
extern const ConnHandler MQTT_HANDLER;
