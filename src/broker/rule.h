/* Rules as the broker sees them: somebody who is asked once a route which of them a topic concerns, and is handed the
 * messages of those routes. A topic without rules costs nothing. */
#pragma once

#include "base/str.h"

typedef struct Broker Broker;
typedef struct Principal Principal;

/* A message that rules may take; borrowed for the call. */
typedef struct {
    Str account, topic, payload;
    Str props; /* MQTT 5 publish properties, checked; STR_NONE: none */
    uint8_t qos;
    Str client_id;              /* STR_NONE: not by MQTT */
    const Principal *principal; /* NULL: the server's own message */
    Str source_ip;
    uint32_t depth; /* how many rules passed it on so far */
    int shard;      /* < SHARDS_MAX; calls of one shard come one after the other */
    void *message;  /* for broker_rule_hold */
} RuleMessage;

typedef struct {
    void *ctx; /* NULL: there are no rules */
    /* The rules that want the topic's messages; NULL: none. Kept until release, on any thread. */
    void *(*find)(void *ctx, Str account, Str topic);
    void (*release)(void *rules);
    void (*run)(void *ctx, void *rules, const RuleMessage *m); /* on the shard's thread: does not block */
} RuleHook;

/* From within run, for QoS 1: who published is not told that the message is safe until this is released. */
void *broker_rule_hold(const RuleMessage *m);
void broker_rule_release(void *hold, bool safe); /* any thread; safe false: the store refused it */
/* A rule with this filter has come, changed or gone: routes that it may concern are out of date. Any thread. */
void broker_rules_changed(Broker *broker, Str account, Str filter);
