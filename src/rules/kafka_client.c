#include "rules/kafka_client.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/map.h"
#include "rules/kafka_properties.h"

/* librdkafka has threads of its own and tells of each message on one that it calls background. A producer is found by
 * the text of its properties; when there are too many, one that has nothing under way goes. */

enum { CLIENTS_MAX = 64, FLUSH_MS = 1000, CLOSE_MS = 1000, WHY_BYTES = 512 };

typedef struct {
    Str key; /* behind the struct */
    rd_kafka_t *producer;
    _Atomic int under_way;
    uint64_t used; /* when last */
    pthread_mutex_t lock;
    char fault[WHY_BYTES]; /* the last that was wrong with its brokers */
    uint8_t text[];
} KafkaClient;

struct KafkaClients {
    pthread_mutex_t lock;
    Map clients;
    uint64_t uses;
    bool stopped;
};

typedef struct {
    KafkaClient *client;
    KafkaDone *done;
    void *ctx;
} Sent;

/* ------------------------------------------------------------------------------------------------ answers */

static Err err_of(rd_kafka_resp_err_t e) {
    switch (e) {
    case RD_KAFKA_RESP_ERR_NO_ERROR: return OK;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE: return ERR_LIMIT;
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION: return ERR_INVALID;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED: return ERR_DENIED;
    case RD_KAFKA_RESP_ERR__QUEUE_FULL: return ERR_AGAIN;
    default: return ERR_IO;
    }
}

static void tell(KafkaClient *c, rd_kafka_resp_err_t e, KafkaDone *done, void *ctx) {
    char text[2 * WHY_BYTES];
    pthread_mutex_lock(&c->lock);
    bool more = e != RD_KAFKA_RESP_ERR_NO_ERROR && c->fault[0];
    int n = snprintf(text, sizeof text, "%s%s%s", rd_kafka_err2str(e), more ? ": " : "", more ? c->fault : "");
    pthread_mutex_unlock(&c->lock);
    const KafkaAnswer answer = { err_of(e), { (const uint8_t *)text, (size_t)n } };
    done(ctx, &answer);
}

static void delivered(KafkaClient *c, rd_kafka_event_t *event) {
    const rd_kafka_message_t *m;
    while ((m = rd_kafka_event_message_next(event))) {
        Sent *sent = m->_private;
        if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            pthread_mutex_lock(&c->lock);
            c->fault[0] = '\0';
            pthread_mutex_unlock(&c->lock);
        }
        tell(c, m->err, sent->done, sent->ctx);
        free(sent);
        atomic_fetch_sub(&c->under_way, 1);
    }
}

/* A wrong password or certificate does not become right: what waits for it fails now. */
static void noted(KafkaClient *c, rd_kafka_t *producer, rd_kafka_event_t *event) {
    rd_kafka_resp_err_t e = rd_kafka_event_error(event);
    bool for_good = e == RD_KAFKA_RESP_ERR__AUTHENTICATION || e == RD_KAFKA_RESP_ERR__SSL;
    pthread_mutex_lock(&c->lock);
    if (e != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) /* which says less than what came before it */
        snprintf(c->fault, sizeof c->fault, "%s", rd_kafka_event_error_string(event));
    pthread_mutex_unlock(&c->lock);
    if (for_good) rd_kafka_purge(producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_NON_BLOCKING);
}

static void on_event(rd_kafka_t *producer, rd_kafka_event_t *event, void *opaque) {
    KafkaClient *c = opaque;
    if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR) delivered(c, event);
    if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR) noted(c, producer, event);
    rd_kafka_event_destroy(event);
}

/* What is wrong comes back with the message; librdkafka's lines would go to standard error. */
static void no_log(const rd_kafka_t *producer, int level, const char *facility, const char *text) {
    (void)producer, (void)level, (void)facility, (void)text;
}

/* ------------------------------------------------------------------------------------------------ producers */

static void client_free(KafkaClient *c) {
    if (c->producer) {
        rd_kafka_flush(c->producer, FLUSH_MS);
        rd_kafka_purge(c->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_flush(c->producer, CLOSE_MS);
        rd_kafka_destroy(c->producer);
    }
    pthread_mutex_destroy(&c->lock);
    free(c);
}

/* What is always so. */
static const char *const FIXED[][2] = {
    { "client.id", "starling" },
    { "linger.ms", "2" },
    { "socket.connection.setup.timeout.ms", "5000" },
    { "reconnect.backoff.max.ms", "1000" },
    { "allow.auto.create.topics", "true" },
    { "queue.buffering.max.messages", "100000" },
};

/* The background thread gets its own queue's events alone, unless told so. */
static void all_to_background(rd_kafka_t *producer) {
    rd_kafka_queue_t *all = rd_kafka_queue_get_main(producer), *background = rd_kafka_queue_get_background(producer);
    rd_kafka_queue_forward(all, background);
    rd_kafka_queue_destroy(all);
    rd_kafka_queue_destroy(background);
}

static KafkaClient *client_new(Str key, const KafkaMessage *m, Arena *arena, Str *why) {
    KafkaClient *c = mem_new(sizeof *c + key.len);
    char fault[WHY_BYTES];
    memcpy(c->text, key.ptr, key.len);
    c->key = (Str){ c->text, key.len };
    pthread_mutex_init(&c->lock, NULL);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (size_t i = 0; i < sizeof FIXED / sizeof *FIXED; i++)
        rd_kafka_conf_set(conf, FIXED[i][0], FIXED[i][1], fault, sizeof fault);
    Str timeout = str_format(arena, "%lld", (long long)m->timeout_ms);
    rd_kafka_conf_set(conf, "message.timeout.ms", str_dup_c(arena, timeout), fault, sizeof fault);
    rd_kafka_conf_set_opaque(conf, c);
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
    rd_kafka_conf_set_background_event_cb(conf, on_event);
    rd_kafka_conf_set_log_cb(conf, no_log);
    Err e = kafka_properties_apply(m->properties, conf, arena, why);
    if (e == OK) {
        c->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, fault, sizeof fault);
        if (!c->producer) *why = str_format(arena, "%s", fault);
    }
    if (c->producer) {
        all_to_background(c->producer);
        return c;
    }
    rd_kafka_conf_destroy(conf);
    client_free(c);
    return NULL;
}

static Str key_of(const KafkaMessage *m, Arena *arena) {
    Str key = S("");
    for (size_t i = 0; i < m->properties.n; i++) {
        StrPair p = m->properties.items[i];
        key = str_format(arena, "%.*s%zu:%.*s%zu:%.*s", PS(key), p.key.len, PS(p.key), p.value.len, PS(p.value));
    }
    return key;
}

/* Under the lock. */
static KafkaClient *make_room(KafkaClients *k) {
    KafkaClient *oldest = NULL;
    if (k->clients.count < CLIENTS_MAX) return NULL;
    map_each (&k->clients, slot) {
        KafkaClient *c = slot->value;
        if (atomic_load(&c->under_way) == 0 && (!oldest || c->used < oldest->used)) oldest = c;
    }
    if (oldest) map_remove(&k->clients, oldest->key);
    return oldest;
}

/* One more message is under way with it; NULL: *why says why there is none. */
static KafkaClient *client_for(KafkaClients *k, const KafkaMessage *m, Arena *arena, Str *why) {
    Str key = key_of(m, arena);
    KafkaClient *gone = NULL;
    pthread_mutex_lock(&k->lock);
    KafkaClient *c = k->stopped ? NULL : map_get(&k->clients, key);
    if (!c && !k->stopped && kafka_properties_check(m->properties, m->plain, arena, why) == OK) {
        gone = make_room(k);
        c = client_new(key, m, arena, why);
        if (c) map_put(&k->clients, c->key, c);
    }
    if (k->stopped) *why = S("the server is shutting down");
    if (c) {
        c->used = ++k->uses;
        atomic_fetch_add(&c->under_way, 1);
    }
    pthread_mutex_unlock(&k->lock);
    if (gone) client_free(gone);
    return c;
}

static rd_kafka_headers_t *headers_of(const KafkaMessage *m) {
    rd_kafka_headers_t *h = rd_kafka_headers_new(m->headers_n);
    for (size_t i = 0; i < m->headers_n; i++)
        rd_kafka_header_add(h, (const char *)m->headers[i].key.ptr, (ssize_t)m->headers[i].key.len,
                            m->headers[i].value.ptr, (ssize_t)m->headers[i].value.len);
    return h;
}

static void send_by(KafkaClient *c, const KafkaMessage *m, Arena *arena, KafkaDone *done, void *ctx) {
    Sent *sent = mem_new(sizeof *sent);
    rd_kafka_headers_t *headers = m->headers_n ? headers_of(m) : NULL;
    *sent = (Sent){ c, done, ctx };
    rd_kafka_vu_t parts[] = {
        { .vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = str_dup_c(arena, m->topic) },
        { .vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = m->partition },
        { .vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY },
        { .vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = { (void *)(uintptr_t)m->payload.ptr, m->payload.len } },
        { .vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = sent },
        { .vtype = RD_KAFKA_VTYPE_KEY, .u.mem = { (void *)(uintptr_t)m->key.ptr, m->key.len } },
        { .vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers },
    };
    size_t n = sizeof parts / sizeof *parts - (headers ? 0 : 1);
    rd_kafka_error_t *fault = rd_kafka_produceva(c->producer, parts, n);
    if (!fault) return;
    rd_kafka_resp_err_t e = rd_kafka_error_code(fault);
    rd_kafka_error_destroy(fault);
    if (headers) rd_kafka_headers_destroy(headers);
    free(sent);
    tell(c, e, done, ctx);
    atomic_fetch_sub(&c->under_way, 1);
}

void kafka_send(KafkaClients *k, const KafkaMessage *m, KafkaDone *done, void *ctx) {
    Arena arena = { 0 };
    Str why = STR_NONE;
    KafkaClient *c = client_for(k, m, &arena, &why);
    if (c)
        send_by(c, m, &arena, done, ctx);
    else
        done(ctx, &(KafkaAnswer){ ERR_INVALID, why });
    arena_free(&arena);
}

KafkaClients *kafka_clients_new(void) {
    KafkaClients *k = mem_new(sizeof *k);
    pthread_mutex_init(&k->lock, NULL);
    return k;
}

void kafka_clients_stop(KafkaClients *k) {
    pthread_mutex_lock(&k->lock);
    k->stopped = true;
    Map clients = k->clients;
    k->clients = (Map){ 0 };
    pthread_mutex_unlock(&k->lock);
    map_each (&clients, slot) client_free(slot->value);
    map_free(&clients);
}

void kafka_clients_free(KafkaClients *k) {
    if (!k) return;
    kafka_clients_stop(k);
    pthread_mutex_destroy(&k->lock);
    free(k);
}
