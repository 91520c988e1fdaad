/* Message: one PUBLISH on its way through a shard, and who waits until it is safe.
 * Lives on the stack while it is routed; its bytes live in the turn's arena. */
#pragma once

#include "broker/hub.h"
#include "mqtt/publish.h"

/* Whoever waits for a QoS 1 message until every kept session has it in the store: a publisher's PUBACK, an
 * API call. Made only when there is something to wait for; counted from several threads. */
typedef struct AckWait {
    Task task; /* takes the news to the publisher's reactor */
    _Atomic int pending;
    _Atomic int failed; /* an Err: the store refused, it is not safe */
    _Atomic bool full;  /* it was to be retained, and the account has as many as it may */
    Client *client;     /* NULL: an API call */
    uint64_t slot;      /* of the PUBACK; ACK_SLOT_NONE: of QoS 0, which is paid for instead (client_owe) */
    void (*done)(void *ctx, bool safe);
    void *ctx;
} AckWait;

#define ACK_SLOT_NONE UINT64_MAX

typedef struct {
    uint8_t *bytes; /* NULL: not made yet; with QoS 1 the message's packet id is in them */
    size_t len, id_at;
} Form;

typedef struct Message {
    Space *space;
    Str topic, payload;
    Str props; /* as it is forwarded; a message expiry in it is brought up to date when it leaves */
    uint8_t qos;
    bool retain; /* the publisher asked for it */
    bool has_expiry;
    int64_t expires_ms; /* on the clock */
    const Session *from;
    const RouteAge *age;     /* of the route by which another shard sent it here; NULL: not so, or to one session */
    uint16_t packet_id;      /* in each session of the shard that has no reason for another; 0: not given yet */
    Form forms[2][2];        /* by version (3.1.1, 5) and QoS */
    struct StoredBody *body; /* in this turn's store batch, shared by all its receivers; NULL so far */
    AckWait *wait;           /* NULL so far */
    Client *publisher;       /* who gets the PUBACK or is not read meanwhile; NULL: nobody or `done` */
    void (*done)(void *ctx, bool safe);
    void *ctx;
} Message;

/* Another thing that must happen first; release it when it has. */
AckWait *message_hold(Message *m);
void ack_release(AckWait *wait);

/* Given when it is first asked for. */
uint16_t message_packet_id(Message *m, Shard *shard);
/* The whole PUBLISH in this version and QoS, encoded once. */
Form *message_form(Message *m, Shard *shard, MqttVersion version, uint8_t qos);
