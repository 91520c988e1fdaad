/* Session: what the broker knows of a client id between and during its connections: subscriptions, messages under
 * way, expiry. Belongs to one shard; only that shard's thread touches it, but for the few atomic members. */
#pragma once

#include "broker/hub.h"
#include "broker/message.h"
#include "broker/tree.h"
#include "broker/store_op.h"
#include "mqtt/packet.h"

typedef struct Confirm Confirm; /* connection.c */

typedef struct {
    uint16_t packet_id;
    uint64_t seq;     /* in the store; 0: it is not there */
    MessageOp *op;    /* its write while that is under way; NULL: done, or none */
    Confirm *confirm; /* a direct message: who waits for the PUBACK */
} Inflight;

typedef struct WaitingList WaitingList; /* waiting.h */
typedef struct Hold Hold;               /* hold.c */

struct Session {
    /* what each delivery needs, side by side */
    Client *client; /* NULL: away */
    Space *space;
    _Atomic int shard_index;
    _Atomic bool online, kept;          /* kept: persistent, in the store */
    bool backlog;                       /* messages in the store come first: new ones go behind them */
    bool moving;                        /* between two shards */
    Inflight *inflight, *inflight_room; /* oldest first, in its room */
    uint32_t inflight_n, inflight_cap;
    uint16_t window, last_packet_id, keepalive_s;
    bool ids_mixed;       /* those under way do not go up in one round: window_id */
    bool ghost;           /* nothing but its version number; counted in its shard */
    WaitingList *waiting; /* NULL: none */
    Hold *hold;           /* hold.h: it has just come here: new messages wait for older ones; NULL: not */

    Str client_id;
    MqttVersion version;
    uint32_t expiry_s;
    _Atomic uint32_t presence; /* versionNumber of lifecycle events */
    Sub *subs;
    uint32_t subs_n, overlaps; /* overlaps: filters that could match what another of its filters matches */
    /* the stored queue of a kept session */
    uint64_t next_seq;  /* of the next message stored */
    uint64_t sent_seq;  /* up to here it was read and sent in this connection */
    uint64_t tried_seq; /* the same of former connections: what is sent again is marked */
    uint64_t read_seq;  /* next_seq when the page was asked for */
    uint64_t reading;   /* which page is on its way; 0: none */
    /* for GetConnection, and while away */
    Timer expiry;
    int64_t connected_ms, disconnected_ms;
    const char *disconnect_reason;
    Str principal_id; /* of the last connection, while away; owned */
    uint8_t id_bytes[];
};

Str session_principal(const Session *s); /* the id of whose connection it is, or was */
/* The session of this client id when it is this shard's, else NULL. */
Session *session_here(Shard *shard, Space *space, Str client_id);

/* A new one in the space. Under its sessions_lock, but for those that the store brings back. */
Session *session_add(Shard *shard, Space *space, Str client_id);

/* Its topics' routes are out of date. */
void session_touch(Session *s);
/* Nothing but its version number is there, or more again. */
void session_ghost(Shard *shard, Session *s, bool is);
/* Ends subscriptions and messages, here and in the store. The Session itself stays, for its version number. */
void session_clear(Shard *shard, Session *s);
/* The client left: keep it, or clear it, and let it go after its time. */
void session_away(Shard *shard, Session *s);
void session_free(Session *s); /* when the broker ends */

bool session_may_receive(const Session *s, Str topic);
void session_note_overlaps(Session *s);

/* ---- from shard to shard (handover.c) ---- */

/* The session of this client id in the space of its account; made when there is none. Runs `got` on the shard's
 * thread once the session is the shard's and no other connection has it (a former one is told to go). */
typedef void SessionGotFn(Client *client, Session *session);
void session_take(Shard *shard, Client *client, SessionGotFn *got);
bool session_quiet(const Session *s); /* nothing of it is under way on its shard */
/* It is the other shard's from now on, connected as it is. */
void session_depart(Shard *shard, Session *s, Shard *to);
/* Whether it is this shard's, but has not arrived. */
bool session_in_transit(const Shard *shard, Space *space, Str client_id);

/* ---- messages ---- */

/* Hands a message to a session of this shard. */
void session_deliver(Shard *shard, Session *s, Message *m, uint8_t qos, bool retain);
/* … one that is older than what waits in its hold. */
void session_deliver_older(Shard *shard, Session *s, Message *m, uint8_t qos, bool retain);
/* The subscriber acknowledged. false: no such packet id is under way. */
bool session_acked(Shard *shard, Session *s, uint16_t packet_id);
/* A message for this session alone, outside of its subscriptions and queue. false: its window is full. */
bool session_send_direct(Shard *shard, Session *s, Message *m, Confirm *confirm);
void confirm_done(Confirm *c, bool came);
/* Sends on what waits: from memory, or a page from the store. */
void session_pump(Shard *shard, Session *s);
/* Saves the record of a kept session; done may be NULL. */
void session_save(Shard *shard, Session *s, StoreOpDone *done, void *ctx);
