/* Client: one live MQTT connection. Its files are its packets: connect.c, publish.c, subscribe.c, and leave.c for
 * how it ends. Belongs to its shard's thread. */
#pragma once

#include "broker/hub.h"
#include "broker/route.h"
#include "broker/session.h"
#include "mqtt/ack.h"
#include "mqtt/connect.h"
#include "mqtt/reason.h"
#include "mqtt/subscribe.h"
#include "mqtt/topic.h"

typedef enum { CLIENT_NEW, CLIENT_CONNECTING, CLIENT_LIVE, CLIENT_GONE } ClientState;

/* A topic that was published to lately: valid, routed, decided. A client has TOPIC_WAYS of them, and more in sets of as
 * many when it goes through more topics than that: powers of 4. */
enum { TOPIC_WAYS = 4, TOPIC_SLOTS_MAX = 256 };
typedef struct {
    Route *route; /* has the topic's name; NULL: the slot is free */
    uint32_t hash;
    bool allowed;
} TopicSlot;

/* A PUBACK that is owed, in the order of the PUBLISHes. */
typedef struct {
    uint16_t packet_id;
    uint8_t reason;
    bool ready;
} AckSlot;

typedef struct {
    Str topic, payload, props;
    uint8_t qos;
    bool retain, has_expiry;
    uint32_t expiry_s, delay_s;
} Will;

typedef struct Binding Binding; /* client.c */

/* What is needed until CONNACK. */
typedef struct {
    MqttConnack answer;
    uint8_t *body; /* of the CONNECT, while its client is asked for; NULL: not */
    size_t body_len;
} Connecting;

struct Client {
    /* what each message needs, side by side */
    Broker *broker;
    Shard *shard;
    Conn *conn;
    Space *space;
    Session *session;
    int64_t last_ms;
    int refs;
    ClientState state;
    MqttVersion version;
    uint32_t packet_bytes_max;
    uint32_t bound_version; /* the space's policy_version when it was bound */
    uint32_t judged;        /* by which version of the service log; 0: none */
    LogVerdict *verdict;    /* on what it tells of the client; NULL: nothing */
    bool websocket, clean, problem_info;
    bool held;                     /* input is paused: too much is unacknowledged or owed */
    bool timed;                    /* its policies ask what time it is */
    uint16_t topics_n, topic_turn; /* topic_turn: slots made since topics_n changed */
    uint32_t topics_epoch;         /* the shard's route_epoch that their routes are of */
    TopicSlot *topics;             /* topics_n; NULL: has not published */
    AckSlot *acks;                 /* a ring of inflight_in_max */
    uint64_t acks_first, acks_end;
    uint32_t owed;   /* what the store or a service was asked and has not done, but for what a PUBACK waits for */
    Str added_props; /* what its thing's type adds to its publishes, encoded; owned, mostly absent */

    const Principal *principal;
    Binding *binding;    /* its policies with its variables put in; NULL: not since the last change, or not lately */
    Client *next, *prev; /* of the shard */
    Client *next_principal, *prev_principal; /* of the same principal on this shard */
    Str client_id, server_name, source_ip;   /* in `texts` */
    uint8_t *texts;
    uint8_t session_id[UUID_RAW_BYTES];
    MqttAuth *auth;
    int64_t since_ms;         /* of its CONNECT, the reactor's clock */
    int64_t renew_ms, end_ms; /* the reactor's clock; 0: never */
    Connecting *connecting;   /* NULL: it is not */
    uint16_t keepalive_s, receive_max;
    uint32_t session_expiry_s;
    Will *will;
    Str *aliases;   /* topic_alias_max + 1, each malloc'ed; NULL: none used */
    int64_t rate_s; /* --aws-quotas: the second that is being counted */
    uint32_t rate_n;
};

void client_name(Client *c, Str client_id); /* copied */
/* Another principal from now on. Takes it over. */
void client_become(Client *c, const Principal *p);
void client_rebound(Client *c);             /* its principal is another: what was decided is decided anew */
void client_arm(Client *c, int64_t due_ms); /* its timer: then, or when it is to be renewed or to end */

static inline void client_retain(Client *c) {
    c->refs++;
}
void client_release(Client *c);

/* In the shard's lists: of all, and of its principal. */
void client_enlist(Client *c);
void client_delist(Client *c);
/* On the shard that its connection has moved to. changes: of principals, that all shards knew of before it left. false:
 * its own may be one that came meanwhile, so it has been disconnected. */
bool client_landed(Client *c, uint32_t changes);

/* Forgets what was decided for this connection and binds its policies again: its principal changed. */
void client_bind(Client *c);
/* … and when a policy of its account did, at its next decision. */
static inline void client_rebind(Client *c) {
    if (atomic_load_explicit(&c->space->policy_version, memory_order_acquire) != c->bound_version) client_bind(c);
}
/* Gives back what decisions need; the next one binds again. For connections that are idle. */
void client_unbind(Client *c);
bool client_may(Client *c, const char *action, const char *resource_kind, Str resource, const PolicyVar *extra,
                size_t extra_n);

/* One packet, with a frame around it on a WebSocket. */
void client_put(Client *c, const uint8_t *bytes, size_t len);
void client_put_writer(Client *c, const Writer *w);
/* A message. own_id: another packet id than the form has; 0: as it is. bits: MESSAGE_RETAIN, MESSAGE_DUP. */
enum { MESSAGE_RETAIN = 1, MESSAGE_DUP = 8 }; /* of the fixed header */
void client_put_message(Client *c, const Form *form, uint16_t own_id, uint8_t bits);

/* The verbs. Each returns false when the connection is closing. */
bool client_connect(Client *c, Str body);
bool client_publish(Client *c, uint8_t *frame, const MqttFrame *f);
bool client_puback(Client *c, Str body);
bool client_subscribe(Client *c, Str body);
bool client_unsubscribe(Client *c, Str body);
bool client_disconnect(Client *c, Str body);

void client_forget_topics(Client *c);               /* the memory of those it published to */
void client_clear_topics(Client *c);                /* they are decided and routed anew */
void client_publish_safe(Client *c, uint64_t slot); /* its PUBACK may leave */
void client_retain_full(Client *c, uint64_t slot);  /* its message was not retained: the account has too many */

/* Packets come faster than a disk takes them: from OWED_MAX on a client is not read until some are done, or what it
 * asked for would pile up in memory. Each client_owe is paid once, whatever became of the client. */
enum { OWED_MAX = 100 };
void client_owe(Client *c);
void client_paid(Client *c);

/* Why it ends: AWS's name, and what MQTT 5 is told. Source: developer guide, "Lifecycle events". */
typedef enum {
    LEAVE_CLIENT, /* DISCONNECT, WebSocket Close */
    LEAVE_AUTH_ERROR,
    LEAVE_FORBIDDEN,
    LEAVE_CLIENT_ERROR,
    LEAVE_LOST,
    LEAVE_DUPLICATE,
    LEAVE_KEEP_ALIVE,
    LEAVE_SERVER_ERROR,
    LEAVE_SERVER,
    LEAVE_THROTTLED,
    LEAVE_API,
    LEAVE_WEBSOCKET_TTL,
} LeaveReason;
const char *leave_name(LeaveReason why);
void wills_free(Shard *shard); /* those that still wait */
/* Ends the connection: DISCONNECT for MQTT 5 where the server ends it (reason 0: none), will, presence, session.
 * details: a sentence for the log and the reason string; may be NULL. Always returns false. */
bool client_leave(Client *c, LeaveReason why, uint8_t reason, const char *details);

/* Lifecycle events. Source: the same page. */
void presence_connected(Client *c);
void presence_disconnected(Client *c, LeaveReason why);
void presence_connect_failed(Client *c);
void presence_subscriptions(Client *c, const char *what, const Str *filters, size_t n);

/* Routes one message of this shard: relays, groups, topic service, local subscribers. */
void publish_route(Shard *shard, Message *m, Route *r);
/* … only the local subscribers. */
void publish_local(Shard *shard, Message *m, Route *r);
/* When routed: the PUBACK at once where nothing holds it. */
void hub_publish(Shard *shard, Message *m, const RuleOrigin *from); /* finds the route first */
/* To another shard, this turn: the topic's subscribers there, or one member of a share group. */
void relay_message(Shard *shard, int to, Message *m, const Route *r);
void relay_member(Shard *shard, int to, Message *m, Str client_id, uint8_t qos);
void relays_submit(Shard *shard);
void topic_request(Shard *shard, const TopicService *service, Message *m, const Principal *who, Str source_ip);

/* An entry of the service log about this connection, where it is asked for: of the entry, event, success, topic,
 * reason, details and more are given, a level where it is neither INFO nor ERROR. */
void client_tell(Client *c, const LogEntry *entry);
/* The same, and a line of the server's own log. */
void client_event(Client *c, LogLevel own, const LogEntry *entry);
/* Only that line. */
void client_line(Client *c, LogLevel own, const char *event, bool success, Str topic, const char *reason);
void client_judge(Client *c);
/* Cheap, for what comes with every message. */
static inline bool client_logs(Client *c, ServiceEvent event, LogLevel level) {
    const _Atomic uint32_t *version = c->broker->log_version;
    if (!version) return false;
    if (atomic_load_explicit(version, memory_order_relaxed) != c->judged) client_judge(c);
    return c->verdict && log_verdict_has(c->verdict, event, level);
}
