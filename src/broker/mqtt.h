/* MQTT connections: what the gateway hands to the broker. */
#pragma once

#include "broker/broker.h"
#include "mqtt/connect.h"
#include "net/conn.h"

typedef struct Client Client; /* an MQTT connection */

/* Who a client is, where the connection itself does not say: asked when CONNECT comes, and again when the answer is no
 * longer good. Belongs to the client's reactor; freed by `gone`. */
typedef enum { MQTT_AUTH_STANDS, MQTT_AUTH_ASKED, MQTT_AUTH_REFUSED } MqttAuthAnswer;
typedef struct MqttAuth MqttAuth;
struct MqttAuth {
    /* STANDS: the principal it came with. ASKED: mqtt_authenticated follows, once, in a later turn. */
    MqttAuthAnswer (*connect)(MqttAuth *auth, Client *c, const MqttConnect *in);
    void (*renew)(MqttAuth *auth, Client *c); /* mqtt_authenticated follows, once */
    void (*gone)(MqttAuth *auth);
};

/* What carries an MQTT connection, as the gateway knows it. */
typedef struct {
    const Principal *principal; /* taken over */
    bool websocket;             /* every packet leaves in a frame of its own */
    Str server_name;            /* SNI or Host, for iot:DomainName */
    MqttAuth *auth;             /* NULL: the principal stands; taken over */
    int64_t renew_after_s;      /* with auth; 0: not */
    int64_t end_after_s;        /* the connection ends then; 0: not */
} MqttLink;
/* Speaks MQTT on the connection from here on: takes its handler and owner. Returns what gives bytes to it (for
 * a WebSocket, whose frames the gateway takes off). */
Client *mqtt_attach(Broker *broker, Conn *c, const MqttLink *link);
size_t mqtt_input(Client *client, uint8_t *bytes, size_t len);
void mqtt_drained(Client *client);              /* ConnHandler's */
void mqtt_closed(Client *client, bool orderly); /* orderly: a WebSocket Close frame */
extern const ConnHandler MQTT_HANDLER;

void mqtt_retain(Client *client); /* on its reactor; so are the others */
void mqtt_release(Client *client);
Reactor *mqtt_reactor(const Client *client); /* between ASKED and mqtt_authenticated it stays */
/* The answer to MqttAuth. principal: taken over; NULL: it may not (go on to) be connected, `why` for the log. */
void mqtt_authenticated(Client *client, const Principal *principal, int64_t renew_after_s, int64_t end_after_s,
                        const char *why);
