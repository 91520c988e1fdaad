/* For the broker's tests: a whole broker over a store in memory, and clients that are one end of a socket pair. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/client.h"
#include "identity/principal_make.h"
#include "store/settle.h"

enum { BED_REACTORS_MAX = 4, WAIT_MS = 20000 };

typedef struct {
    Arena arena;
    Clock clock;
    Store *store;
    Workers *workers;
    Reactor *reactors[BED_REACTORS_MAX];
    size_t reactors_n;
    Broker *broker;
    Principal *plain; /* allowed everything */
} Bed;

static const Str BED_ACCOUNT = STR_INIT("123456789012"), BED_REGION = STR_INIT("us-east-1");

/* Broker, reactors and workers over the store that is open. */
static inline void bed_serve(Bed *b, size_t reactors, int workers, const BrokerLimits *limits) {
    b->workers = workers_start(b->store, workers);
    b->reactors_n = reactors;
    for (size_t i = 0; i < reactors; i++) b->reactors[i] = reactor_new((int)i, &b->clock);
    const BrokerOptions o = { .limits = limits ? *limits : BROKER_LIMITS_AWS,
                              .clock = &b->clock,
                              .store = b->store,
                              .workers = b->workers,
                              .account = BED_ACCOUNT,
                              .region = BED_REGION,
                              .random_seed = 42 };
    b->broker = broker_new(&o, b->reactors, reactors);
    assert_int_equal(broker_load_account(b->broker, BED_ACCOUNT), OK);
    for (size_t i = 0; i < reactors; i++) reactor_start(b->reactors[i]);
}

static inline Bed *bed_new(size_t reactors, int workers, const BrokerLimits *limits) {
    Bed *b = mem_new(sizeof *b);
    Str why;
    const StoreOptions so = { .engine = "memory" };
    assert_int_equal(store_open(&so, &b->arena, &b->store, &why), OK);
    b->plain = principal_make_plain(BED_ACCOUNT, BED_REGION);
    bed_serve(b, reactors, workers, limits);
    return b;
}

/* ------------------------------------------------------------------------------------------------ quiet */

typedef struct {
    Task task;
    Job job;
    void (*run)(Reactor *r, void *arg);
    void *arg;
    bool quiet, done;
    pthread_mutex_t lock;
    pthread_cond_t over;
} Errand;

static inline void errand_over(Errand *e) {
    pthread_mutex_lock(&e->lock);
    e->done = true;
    pthread_cond_signal(&e->over);
    pthread_mutex_unlock(&e->lock);
}

static inline void errand_wait(Errand *e) {
    pthread_mutex_lock(&e->lock);
    while (!e->done) pthread_cond_wait(&e->over, &e->lock);
    pthread_mutex_unlock(&e->lock);
}

static inline Errand errand_new(void (*run)(Reactor *r, void *arg), void *arg) {
    return (Errand){ .run = run, .arg = arg, .lock = PTHREAD_MUTEX_INITIALIZER, .over = PTHREAD_COND_INITIALIZER };
}

static inline void errand_task(Task *task, Reactor *r) {
    Errand *e = (Errand *)task;
    if (e->run) e->run(r, e->arg);
    errand_over(e);
}

/* Runs on the reactor's thread; returns when it has. */
static inline void on_reactor(Reactor *r, void (*run)(Reactor *r, void *arg), void *arg) {
    Errand e = errand_new(run, arg);
    e.task.run = errand_task;
    reactor_post(r, &e.task);
    errand_wait(&e);
}

static inline Err errand_job(Job *job, Txn *txn) {
    (void)job, (void)txn;
    return OK;
}

static inline void errand_told(Job *job, Err err) {
    (void)err;
    errand_over((Errand *)((char *)job - offsetof(Errand, job)));
}

static inline void look_quiet(Reactor *r, void *arg) {
    bool *quiet = arg;
    *quiet &= shard_of(r)->batch == NULL;
    for (size_t i = 0; i < BED_REACTORS_MAX; i++) *quiet &= shard_of(r)->relays[i] == NULL;
}

/* Returns when what was under way in reactors and workers, and all that this set off, is done: what a client sent
 * and the reactor read. */
static inline void bed_settle(Bed *b) {
    for (int quiet = 0; quiet < 3;) {
        bool now = true;
        for (size_t i = 0; i < b->reactors_n; i++) on_reactor(b->reactors[i], look_quiet, &now);
        Errand e = errand_new(NULL, NULL);
        now &= workers_queued(b->workers) == 0;
        e.job = (Job){ .key = 1, .run = errand_job, .done = errand_told }; /* the key of the broker's own jobs */
        workers_submit(b->workers, &e.job);
        errand_wait(&e);
        quiet = now ? quiet + 1 : 0;
    }
}

/* The test's clock goes on; what fell due has happened when this returns. */
static inline void bed_advance(Bed *b, int64_t ms) {
    bed_settle(b);
    atomic_fetch_add(&b->clock.ahead_ms, ms);
    for (size_t i = 0; i < b->reactors_n; i++) reactor_clock_moved(b->reactors[i]);
    bed_settle(b);
}

/* Reactors have stopped. */
static inline void bed_end(Bed *b) {
    store_settle(b->reactors, b->reactors_n, &b->workers, 1);
    workers_stop(b->workers);
    broker_free(b->broker);
    for (size_t i = 0; i < b->reactors_n; i++) reactor_free(b->reactors[i]);
}

/* As a server does. */
static inline void bed_stop(Bed *b) {
    broker_shut(b->broker);
    for (size_t i = 0; i < b->reactors_n; i++) reactor_stop(b->reactors[i]);
    bed_end(b);
}

static inline void bed_free(Bed *b) {
    bed_stop(b);
    store_close(b->store);
    principal_release(b->plain);
    arena_free(&b->arena);
    free(b);
}

/* ------------------------------------------------------------------------------------------------ clients */

typedef struct {
    Bed *bed;
    int fd;
    size_t reactor; /* that it began on */
    MqttVersion version;
    const Principal *principal; /* NULL: the one that is allowed everything */
    uint8_t *in;
    size_t at, len, cap;
    uint16_t last_id;
    Arena arena; /* what was sent and received */
} Peer;

typedef struct {
    Peer *peer;
    int fd;
} Attach;

static inline void attach(Reactor *r, void *arg) {
    Attach *a = arg;
    const Principal *p = a->peer->principal ? a->peer->principal : a->peer->bed->plain;
    Conn *c = conn_new(r, a->fd, NULL, &MQTT_HANDLER, NULL);
    mqtt_attach(a->peer->bed->broker, c, &(MqttLink){ .principal = principal_retain(p) });
}

static inline Peer *peer_of(Bed *b, size_t reactor, MqttVersion version, const Principal *principal) {
    Peer *p = mem_new(sizeof *p);
    int fds[2];
    *p = (Peer){ .bed = b, .reactor = reactor, .version = version, .principal = principal };
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
    p->fd = fds[0];
    Attach a = { p, fds[1] };
    on_reactor(b->reactors[reactor], attach, &a);
    return p;
}

static inline Peer *peer_new(Bed *b, size_t reactor, MqttVersion version) {
    return peer_of(b, reactor, version, NULL);
}

/* Its end of the socket goes without a word. */
static inline void peer_free(Peer *p) {
    if (p->fd >= 0) close(p->fd);
    free(p->in);
    arena_free(&p->arena);
    free(p);
}

static inline void peer_send(Peer *p, Str bytes) {
    while (bytes.len) {
        ssize_t n = send(p->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (n <= 0) return; /* the broker closed it: what is received next says so */
        bytes = str_from(bytes, (size_t)n);
    }
}

/* The next packet; false: the connection ended. */
static inline bool peer_next(Peer *p, MqttFrame *out) {
    for (;;) {
        Str have = p->in ? (Str){ p->in + p->at, p->len - p->at } : STR_NONE;
        if (have.len && mqtt_frame(have, MQTT_BODY_BYTES_MAX, out) == OK) {
            out->body = str_dup(&p->arena, out->body);
            p->at += out->total;
            return true;
        }
        struct pollfd poll_fd = { .fd = p->fd, .events = POLLIN };
        if (poll(&poll_fd, 1, WAIT_MS) != 1) fail_msg("nothing arrived in %d ms", WAIT_MS);
        if (p->cap - p->len < 65536) p->in = mem_grow(p->in, p->cap += 65536);
        ssize_t n = recv(p->fd, p->in + p->len, p->cap - p->len, 0);
        if (n <= 0) return false;
        p->len += (size_t)n;
    }
}

static inline MqttFrame peer_expect(Peer *p, MqttType type) {
    MqttFrame f = { 0 };
    if (!peer_next(p, &f)) fail_msg("the connection ended instead of %s", mqtt_type_name((uint8_t)type));
    if (mqtt_type(f.header) != type)
        fail_msg("%s came instead of %s", mqtt_type_name(f.header >> 4), mqtt_type_name((uint8_t)type));
    return f;
}

/* The rest of what comes until the connection ends. Returns the reason of a DISCONNECT among it, else 0. */
static inline uint8_t peer_ended(Peer *p) {
    MqttFrame f;
    uint8_t reason = 0;
    while (peer_next(p, &f))
        if (mqtt_type(f.header) == MQTT_DISCONNECT && f.body.len) reason = f.body.ptr[0];
    return reason;
}

/* ------------------------------------------------------------------------------------------------ packets */

static inline MqttConnect connect_as(Peer *p, Str client_id, bool clean) {
    MqttConnect c = { .version = p->version, .clean = clean, .keepalive_s = 1200, .client_id = client_id };
    if (p->version == MQTT_5 && !clean) {
        c.props.has = MQTT_HAS(MQTT_PROP_SESSION_EXPIRY);
        c.props.session_expiry_s = 3600;
    }
    return c;
}

static inline void peer_send_connect(Peer *p, const MqttConnect *c) {
    Writer w = writer_in(&p->arena);
    mqtt_write_connect(&w, c);
    peer_send(p, writer_str(&w));
}

static inline MqttConnack peer_connack(Peer *p) {
    MqttConnack a;
    MqttFrame f = peer_expect(p, MQTT_CONNACK);
    assert_int_equal(mqtt_parse_connack(p->version, f.body, &a), OK);
    return a;
}

/* Returns whether a session was present. */
static inline bool peer_connect_with(Peer *p, const MqttConnect *c) {
    peer_send_connect(p, c);
    MqttConnack a = peer_connack(p);
    assert_int_equal(a.reason, 0);
    return a.session_present;
}

static inline bool peer_connect(Peer *p, Str client_id, bool clean) {
    MqttConnect c = connect_as(p, client_id, clean);
    return peer_connect_with(p, &c);
}

/* A client that is connected. */
static inline Peer *peer_in(Bed *b, size_t reactor, MqttVersion version, const char *client_id, bool clean) {
    Peer *p = peer_new(b, reactor, version);
    peer_connect(p, str_c(client_id), clean);
    return p;
}

static inline void peer_disconnect(Peer *p) {
    static const uint8_t BYTES[] = { 0xE0, 0 };
    peer_send(p, (Str){ BYTES, sizeof BYTES });
    peer_ended(p);
    peer_free(p);
}

static inline void peer_send_subscribe(Peer *p, const MqttSubscription *s) {
    Writer w = writer_in(&p->arena);
    mqtt_write_subscribe(&w, p->version, ++p->last_id, &(MqttProps){ 0 }, s, 1);
    peer_send(p, writer_str(&w));
}

/* Returns the code. */
static inline uint8_t peer_subscribe_with(Peer *p, const MqttSubscription *s) {
    MqttSuback a;
    peer_send_subscribe(p, s);
    MqttFrame f = peer_expect(p, MQTT_SUBACK);
    assert_int_equal(mqtt_parse_suback(p->version, f.body, &a), OK);
    assert_int_equal(a.packet_id, p->last_id);
    return a.codes.ptr[0];
}

static inline void peer_subscribe(Peer *p, const char *filter, uint8_t qos) {
    assert_int_equal(peer_subscribe_with(p, &(MqttSubscription){ .filter = str_c(filter), .qos = qos }), qos);
}

static inline void peer_unsubscribe(Peer *p, const char *filter) {
    Writer w = writer_in(&p->arena);
    Str f = str_c(filter);
    mqtt_write_unsubscribe(&w, p->version, ++p->last_id, &(MqttProps){ 0 }, &f, 1);
    peer_send(p, writer_str(&w));
    peer_expect(p, MQTT_UNSUBACK);
}

/* Packet id and the rest are the message's, but for an id of 0 with QoS 1. */
static inline void peer_send_publish(Peer *p, MqttPublish m) {
    Writer w = writer_in(&p->arena);
    if (m.qos && !m.packet_id) m.packet_id = ++p->last_id ? p->last_id : ++p->last_id;
    mqtt_write_publish(&w, p->version, &m);
    peer_send(p, writer_str(&w));
}

static inline uint16_t peer_puback(Peer *p) {
    MqttAck a;
    MqttFrame f = peer_expect(p, MQTT_PUBACK);
    assert_int_equal(mqtt_parse_ack(p->version, MQTT_PUBACK, f.body, &a), OK);
    return a.packet_id;
}

/* QoS 1: returns once it is acknowledged. */
static inline void peer_publish(Peer *p, const char *topic, const char *payload, uint8_t qos) {
    peer_send_publish(p, (MqttPublish){ .topic = str_c(topic), .payload = str_c(payload), .qos = qos });
    if (qos) assert_int_equal(peer_puback(p), p->last_id);
}

static inline void peer_ack(Peer *p, uint16_t packet_id) {
    uint8_t out[MQTT_PUBACK_BYTES_MAX];
    peer_send(p, (Str){ out, (size_t)(mqtt_write_puback(out, p->version, packet_id, 0) - out) });
}

static inline MqttPublish publish_of(Peer *p, const MqttFrame *f) {
    MqttPublish m;
    assert_int_equal(mqtt_parse_publish(p->version, mqtt_flags(f->header), f->body, &m), OK);
    return m;
}

/* The next message, not acknowledged. */
static inline MqttPublish peer_message(Peer *p) {
    MqttFrame f = peer_expect(p, MQTT_PUBLISH);
    return publish_of(p, &f);
}

/* The next message is this one; acknowledges it. */
static inline void peer_gets(Peer *p, const char *payload, uint8_t qos) {
    MqttPublish m = peer_message(p);
    if (!str_eq(m.payload, str_c(payload))) fail_msg("%.*s came instead of %s", PS(m.payload), payload);
    assert_int_equal(m.qos, qos);
    if (qos) peer_ack(p, m.packet_id);
}

static inline void peer_ping(Peer *p) {
    static const uint8_t BYTES[] = { 0xC0, 0 };
    peer_send(p, (Str){ BYTES, sizeof BYTES });
}

/* All that was on its way here has come, and it is nothing. */
static inline void peer_gets_nothing(Peer *p) {
    bed_settle(p->bed);
    peer_ping(p);
    peer_expect(p, MQTT_PINGRESP);
}

/* The broker has seen all that this client sent; messages that come meanwhile are thrown away. */
static inline void peer_sync(Peer *p) {
    MqttFrame f = { 0 };
    peer_ping(p);
    do assert_true(peer_next(p, &f));
    while (mqtt_type(f.header) != MQTT_PINGRESP);
    bed_settle(p->bed);
}
