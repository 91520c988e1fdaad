/* What the API asks of a client id: its connection, its subscriptions, an end of it, a message straight to it.
 * Called on a worker's thread, never on a reactor's: the questions wait for the turn of the client's reactor. */
#pragma once

#include "broker/broker.h"

/* Shape: what lives in the arena given; texts that are not known have ptr NULL */
typedef struct {
    bool connected;
    Str thing_name; /* that the connection acts for */
    bool clean_session;
    int64_t session_expiry_s;
    int64_t keepalive_s;
    int64_t connected_ms, disconnected_ms; /* 0: not known */
    Str disconnect_reason;                 /* CLIENT_INITIATED_DISCONNECT … */
    Str source_ip, target_ip;
    uint16_t source_port, target_port;
    bool has_session; /* a persistent one, connected or away */
} BrokerConnection;

/* Errors: ERR_NOT_FOUND: not connected, no persistent session, and gone for more than 30 minutes */
NODISCARD Err broker_connection(Broker *broker, Str account, Str client_id, Arena *arena, BrokerConnection *out);

typedef struct {
    Str filter; /* with $share/GROUP/, when it is shared */
    uint8_t qos;
} BrokerSubscription;

/* Of a connected client or a persistent session, by filter.
 * Errors: ERR_NOT_FOUND: neither */
NODISCARD Err broker_subscriptions(Broker *broker, Str account, Str client_id, Arena *arena, BrokerSubscription **out,
                                   size_t *n);

typedef struct {
    Str account, client_id; /* copied */
    bool end_session;       /* a persistent session ends, too */
    bool prevent_will;
} BrokerEviction;

/* Disconnects with the reason API_INITIATED_DISCONNECT. From any thread; does not wait. */
void broker_evict(Broker *broker, const BrokerEviction *eviction);

/* Sends to this client alone, subscribed or not, at QoS 0; who is not connected, or may not receive the topic, gets
 * nothing. Not retained, not seen by rules. From any thread; does not wait; everything is copied. */
void broker_send_direct(Broker *broker, Str client_id, const BrokerMessage *message);
