/* Broker: takes messages in and hands them to who subscribed, keeps the sessions of those who are away, and tells
 * of comings and goings. Knows neither TLS nor HTTP: who a connection belongs to, the gateway says.
 * Source: AWS IoT developer guide, "MQTT"; OASIS MQTT 3.1.1 and 5. */
#pragma once

#include "api/call.h"
#include "api/service_log.h"
#include "broker/limits.h"
#include "base/clock.h"
#include "base/log.h"
#include "broker/rule.h"
#include "store/worker.h"

typedef struct Broker Broker;
typedef struct Reactor Reactor;

/* A PUBLISH on a reserved topic, carried out by a service on a worker, in a transaction; called from an outbox it may
 * publish answers. Errors stay in the answers: what it returns undoes the transaction. */
typedef Err TopicRequestFn(Call *c, Str topic, Str payload);
typedef struct {
    bool (*takes)(Str topic);
    TopicRequestFn *run;
} TopicService;

/* An event for a line of the server's own log. */
typedef struct {
    LogLevel level;
    const char *event; /* "Connect", "Publish-In" … */
    bool success;
    Str account, client_id, principal_id, topic, source_ip;
    const char *reason; /* NULL: none */
} BrokerEvent;

typedef struct {
    BrokerLimits limits;
    const Clock *clock;
    Store *store;
    Workers *workers;
    Env *env; /* handed to the calls of topic services */
    Str account, region;
    const TopicService *services;
    size_t services_n;
    RuleHook rules;
    void (*on_event)(void *ctx, const BrokerEvent *event); /* NULL: nobody listens; any thread */
    void *on_event_ctx;
    ServiceLog *service_log; /* NULL: none */
    uint64_t random_seed;    /* 0: the system's */
} BrokerOptions;

Broker *broker_new(const BrokerOptions *options, Reactor **reactors, size_t n);
/* Brings the kept sessions and their subscriptions back. Before the first connection. */
NODISCARD Err broker_load_account(Broker *broker, Str account);
/* Clients are told that the server goes down; on each reactor's own thread, before reactor_stop. Who comes later, from
 * another reactor, is told in that turn. */
void broker_shut(Broker *broker);
/* For tests between which a server is emptied: every connection and session ends, no will is sent. Waits for the
 * reactors: not on one. What is stored of sessions is deleted by the workers; retained messages are the caller's. */
void broker_reset(Broker *broker);
/* After the reactors ended and all that was under way has: store_settle. */
void broker_free(Broker *broker);

/* A message as the server itself or an API call publishes it. Everything is copied. */
typedef struct {
    Str account, topic, payload;
    uint8_t qos; /* 0 or 1 */
    bool retain;
    Str props; /* MQTT 5 publish properties, encoded without their length; STR_NONE: none */
    /* On whose behalf: a topic that is a service's is carried out by it, with this principal's name; NULL: nobody's,
     * and no service is asked. Retained while it is needed. */
    const Principal *principal;
    Str source_ip;       /* with a principal */
    uint32_t rule_depth; /* how many rules passed it on so far */
    /* QoS 1, may be NULL: once every session that is kept has it. On any thread. */
    void (*done)(void *ctx, bool safe); /* safe false: the store refused it */
    void *ctx;
} BrokerMessage;

/* Whether others than the server may publish there: every topic but for the reserved ones ($…) that no service and no
 * rule takes. */
bool broker_open_topic(const Broker *broker, Str topic);
/* From any thread. */
void broker_publish(Broker *broker, const BrokerMessage *message);

/* The directory's listener: a principal has changed, or may not be connected any more (now NULL). */
void broker_principal_changed(Broker *broker, Str account, Str principal_id, const Principal *now);
/* The same for a revoked one: its live connections close. */
void broker_disconnect_principal(Broker *broker, Str account, Str principal_id);
/* Its other listener: one of the account's policies stands for something else. */
void broker_policies_changed(Broker *broker, Str account);
/* Once a second, on any thread: what was decided by the time (aws:CurrentTime) is decided again. */
void broker_time_passes(Broker *broker);

typedef struct {
    uint64_t connections, sessions, subscriptions, connects, connects_refused;
    uint64_t published_in, delivered, dropped_slow, dropped_full, queued, denied;
} BrokerFigures;
BrokerFigures broker_figures(Broker *broker);
