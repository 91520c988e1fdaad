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

/* The id of a live client of this principal; false, and *client_id untouched: none is connected. Waits for one reactor
 * after the other: for what is seldom asked. */
bool broker_client_of(Broker *broker, Str account, Str principal_id, Arena *arena, Str *client_id);

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

typedef enum {
    DIRECT_SENT,      /* QoS 0: with the kernel, or about to be */
    DIRECT_CONFIRMED, /* QoS 1: its PUBACK came */
    DIRECT_TIMED_OUT,
    DIRECT_NOT_CONNECTED,
    DIRECT_NOT_ALLOWED, /* the receiver lacks iot:Receive */
    DIRECT_WINDOW_FULL, /* as many messages as it may have unacknowledged */
} BrokerDirectResult;

typedef struct {
    Str client_id;
    BrokerMessage message; /* qos 1: waits for the PUBACK; done and ctx of it are not used */
    int64_t timeout_s;
    void (*done)(void *ctx, BrokerDirectResult result); /* once, on any thread */
    void *ctx;
} BrokerDirect;

/* Sends to this client alone, subscribed or not. Not retained, not queued, not seen by rules. From any thread; does
 * not wait; everything is copied. */
void broker_send_direct(Broker *broker, const BrokerDirect *direct);
