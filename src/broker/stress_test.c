/* Clients on several reactors publish to each other while subscriptions, principals and connections change, sessions
 * end and all is reset. What is said of it here is little: it ends, nobody is stuck, all memory comes back. A sanitizer
 * says the rest. */
#include "broker/testing/bed.h"

#include <stdio.h>

#include "broker/connection.h"

enum { REACTORS = 3, THREADS = 4, STEPS = 250, ROUNDS = 2 };

typedef struct {
    Bed *bed;
    pthread_t thread;
    uint64_t seed;
    int asked;
    _Atomic int told;
} Actor;

/* Reads what is there, acknowledges; false: the connection ended. No assertion: it is not the test's thread. */
static bool take_in(Peer *p, int wait_ms) {
    struct pollfd f = { .fd = p->fd, .events = POLLIN };
    while (poll(&f, 1, wait_ms) == 1) {
        if (p->at) {
            p->len -= p->at;
            memmove(p->in, p->in + p->at, p->len);
            p->at = 0;
        }
        if (p->cap - p->len < 65536) p->in = mem_grow(p->in, p->cap += 65536);
        ssize_t n = recv(p->fd, p->in + p->len, p->cap - p->len, 0);
        if (n <= 0) return false;
        p->len += (size_t)n;
        MqttFrame frame;
        while (p->len > p->at &&
               mqtt_frame((Str){ p->in + p->at, p->len - p->at }, MQTT_BODY_BYTES_MAX, &frame) == OK) {
            MqttPublish m;
            p->at += frame.total;
            if (mqtt_type(frame.header) == MQTT_PUBLISH &&
                mqtt_parse_publish(p->version, mqtt_flags(frame.header), frame.body, &m) == OK && m.qos)
                peer_ack(p, m.packet_id);
        }
        wait_ms = 0;
    }
    return true;
}

static const char *const TOPICS[] = { "a/1", "a/2", "b/1", "c" };
static const char *const FILTERS[] = { "a/+", "a/1", "#", "$share/g/a/#", "$share/g/b/1", "c" };

static void publish(Peer *p, Rng *rng) {
    uint64_t r = rng_u64(rng);
    peer_send_publish(p, (MqttPublish){ .topic = str_c(TOPICS[r % 4]),
                                        .payload = S("payload"),
                                        .qos = r >> 8 & 1,
                                        .retain = (r >> 9 & 15) == 0 });
}

/* MQTT 5 may end its session in the middle. */
static void disconnect(Peer *p, Rng *rng) {
    Writer w = writer_in(&p->arena);
    MqttDisconnect d = { 0 };
    if (p->version == MQTT_5 && rng_u64(rng) & 1) d.props.has = MQTT_HAS(MQTT_PROP_SESSION_EXPIRY);
    mqtt_write_disconnect(&w, p->version, &d);
    peer_send(p, writer_str(&w));
}

static void unsubscribe(Peer *p, const char *filter) {
    Writer w = writer_in(&p->arena);
    Str f = str_c(filter);
    mqtt_write_unsubscribe(&w, p->version, ++p->last_id, &(MqttProps){ 0 }, &f, 1);
    peer_send(p, writer_str(&w));
}

static void connect_one(Actor *a, Peer **p, Rng *rng) {
    uint64_t r = rng_u64(rng);
    char id[16];
    if (*p) peer_free(*p);
    *p = peer_new(a->bed, r % REACTORS, r >> 8 & 1 ? MQTT_5 : MQTT_3_1_1);
    snprintf(id, sizeof id, "c%d", (int)(r >> 16 & 3)); /* few ids: they take each other's sessions over */
    MqttConnect c = connect_as(*p, str_c(id), (r >> 24 & 3) == 0);
    c.has_will = true;
    c.will = (MqttPublish){ .topic = S("a/1"), .payload = S("will"), .qos = 1 };
    peer_send_connect(*p, &c);
}

static void *act(void *arg) {
    Actor *a = arg;
    Rng rng = { a->seed };
    Peer *p = NULL;
    connect_one(a, &p, &rng);
    for (int i = 0; i < STEPS; i++) {
        uint64_t r = rng_u64(&rng);
        if ((r & 15) < 8)
            for (uint64_t n = r >> 8 & 15; n; n--) publish(p, &rng);
        else if ((r & 15) < 11)
            peer_send_subscribe(p, &(MqttSubscription){ .filter = str_c(FILTERS[r >> 8 & 3]), .qos = 1 });
        else if ((r & 15) < 12)
            peer_send_subscribe(p, &(MqttSubscription){ .filter = str_c(FILTERS[4 + (r >> 8 & 1)]), .qos = 0 });
        else if ((r & 15) < 13)
            connect_one(a, &p, &rng);
        else if ((r & 15) == 13)
            unsubscribe(p, FILTERS[(r >> 8) % 6]);
        else if ((r & 15) == 14 && (r >> 8 & 3) == 0)
            disconnect(p, &rng);
        if (!take_in(p, (r >> 16 & 3) == 0)) connect_one(a, &p, &rng);
    }
    peer_free(p);
    return NULL;
}

static void count(void *ctx, bool safe) {

    atomic_fetch_add((_Atomic int *)ctx, safe); /* one that is not safe is missed at the end */
}

static void count_direct(void *ctx, BrokerDirectResult result) {
    (void)result;
    atomic_fetch_add((_Atomic int *)ctx, 1);
}

static void relieve(Reactor *r, void *arg) {
    (void)arg;
    shard_relieve(shard_of(r));
}

/* What the rest of the server does meanwhile. */
static void *disturb(void *arg) {
    Actor *a = arg;
    Rng rng = { a->seed };
    Broker *broker = a->bed->broker;
    for (int i = 0; i < STEPS / 2; i++) {
        uint64_t r = rng_u64(&rng);
        Arena arena = { 0 };
        BrokerConnection connection;
        BrokerSubscription *list;
        size_t n;
        if (r % 8 < 3) {
            Principal *again = principal_make_plain(BED_ACCOUNT, BED_REGION);
            broker_principal_changed(broker, BED_ACCOUNT, S("plain"), again);
            principal_release(again);
        } else if (r % 8 == 3 && (r >> 8 & 7) == 0) {
            broker_principal_changed(broker, BED_ACCOUNT, S("plain"), NULL);
        } else if (r % 8 == 4) {
            broker_evict(broker,
                         &(BrokerEviction){ .account = BED_ACCOUNT, .client_id = S("c1"), .end_session = r >> 8 & 1 });
        } else if (r % 8 == 5) {
            Err e = broker_connection(broker, BED_ACCOUNT, S("c2"), &arena, &connection);
            if (e == OK) e = broker_subscriptions(broker, BED_ACCOUNT, S("c2"), &arena, &list, &n);
            (void)e;
        } else if (r % 8 == 6) {
            a->asked++;
            broker_send_direct(
                broker,
                &(BrokerDirect){
                    .client_id = S("c3"),
                    .message = { .account = BED_ACCOUNT, .topic = S("d"), .payload = S("you"), .qos = r >> 8 & 1 },
                    .timeout_s = 60,
                    .done = count_direct,
                    .ctx = &a->told });
        } else {
            a->asked++;
            broker_publish(broker, &(BrokerMessage){ .account = BED_ACCOUNT,
                                                     .topic = S("a/2"),
                                                     .payload = S("from the server"),
                                                     .qos = 1,
                                                     .done = count,
                                                     .ctx = &a->told });
        }
        if (i % 32 == 31) broker_reset(broker);
        if (i % 4 == 0) { /* connections move, new and live ones */
            atomic_store(&a->bed->reactors[r % REACTORS]->busy_permille, 1000);
            atomic_store(&a->bed->reactors[(r + 1) % REACTORS]->busy_permille, 0);
            on_reactor(a->bed->reactors[r % REACTORS], relieve, NULL);
        }
        bed_settle(a->bed);
        broker_figures(broker);
        arena_free(&arena);
    }
    return NULL;
}

static void clients_of_several_reactors_do_not_get_into_each_others_way(void **state) {
    (void)state;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        Bed *b = bed_new(REACTORS, 3, NULL);
        Actor actors[THREADS + 1];
        Space *space = hub_space(b->broker, BED_ACCOUNT); /* its versions go round */
        for (int i = 0; i < SPACE_VERSIONS; i++) atomic_store(&space->versions[i], UINT32_MAX - 20);
        atomic_store(&space->wild_version, UINT32_MAX - 20);
        for (size_t i = 0; i <= THREADS; i++) {
            actors[i] = (Actor){ .bed = b, .seed = round * 100 + i + 1 };
            assert_int_equal(pthread_create(&actors[i].thread, NULL, i < THREADS ? act : disturb, &actors[i]), 0);
        }
        for (size_t i = 0; i <= THREADS; i++) pthread_join(actors[i].thread, NULL);
        bed_settle(b);
        assert_int_equal(atomic_load(&actors[THREADS].told), actors[THREADS].asked);
        assert_int_equal(broker_figures(b->broker).connections, 0);
        Peer *p = peer_in(b, 1, MQTT_5, "after", true), *s = peer_in(b, 0, MQTT_5, "after all", true);
        peer_subscribe(s, "z", 1); /* it still works */
        peer_publish(p, "z", "x", 1);
        peer_gets(s, "x", 1);
        peer_free(p);
        peer_free(s);
        bed_free(b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_of_several_reactors_do_not_get_into_each_others_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
