/* Kafka: producers by librdkafka, one for each set of properties, kept for as long as they are used.
 * Source: librdkafka's CONFIGURATION.md; AWS IoT developer guide, "Apache Kafka" */
#pragma once

#include "base/arena.h"
#include "base/list.h"

typedef struct KafkaClients KafkaClients;

/* Why properties do not do. Pure.
 * Shape: values that hold `${` are not looked at; *why a sentence
 * plain: brokers without TLS and on any port are allowed
 * Errors: ERR_INVALID */
NODISCARD Err kafka_properties_check(StrMap properties, bool plain, Arena *arena, Str *why);

typedef struct {
    StrMap properties; /* as the action has them: names of the Java client */
    bool plain;
    Str topic, key, payload; /* key STR_NONE: none */
    int32_t partition;       /* -1: any */
    const StrPair *headers;
    size_t headers_n;
    int64_t timeout_ms;
} KafkaMessage;

typedef struct {
    /* OK: the broker has it (with acks 0: it is sent). ERR_INVALID, ERR_LIMIT, ERR_DENIED: never; ERR_AGAIN: it may do
     * later; ERR_IO: its time ran out */
    Err result;
    Str why;
} KafkaAnswer;
/* Once a message, on any thread, maybe before kafka_send returns; the answer is borrowed. */
typedef void KafkaDone(void *ctx, const KafkaAnswer *answer);

KafkaClients *kafka_clients_new(void);
void kafka_send(KafkaClients *k, const KafkaMessage *m, KafkaDone *done, void *ctx);
/* Every message is answered when it returns, and every later one is refused. */
void kafka_clients_stop(KafkaClients *k);
void kafka_clients_free(KafkaClients *k); /* accepts NULL */
