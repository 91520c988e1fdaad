/* Random clients against a naive model: what each session must still get, in order.
 *
 * Every message of a publisher has its number. The model keeps, for each subscriber, the numbers that it must get
 * (QoS 1, subscribed, kept or connected when the publisher's PUBACK came) and does not know more: no windows, pages,
 * reactors. Checked: nothing that was acknowledged to its publisher is lost to a kept session, the order of one
 * publisher holds, nobody gets what he did not subscribe to, nothing comes again once its PUBACK was read. */
#include "broker/testing/bed.h"

#include <stdio.h>

enum { CLIENTS = 4, TOPICS = 3, MESSAGES_MAX = 4000, STEPS = 1500, REACTORS = 3 };

typedef enum { UNWANTED, WANTED, SENT, ACKED } Fate;

typedef struct {
    char id[8];
    Peer *peer; /* NULL: away */
    bool kept;
    bool subscribed[TOPICS];
    Fate fates[MESSAGES_MAX];
    struct {
        uint16_t packet_id;
        int message;
    } unacked[200];
    size_t unacked_n;
    int64_t left_ms; /* when, on the clock */
    int last;        /* number of the last message in this connection, to check the order */
} Actor;

typedef struct {
    Bed *bed;
    Rng rng;
    Actor actors[CLIENTS];
    Peer *publisher;
    int topics[MESSAGES_MAX];
    int n;
    bool planted; /* a message that the model thinks everybody must get and nobody does */
    int lost;
} World;

static size_t below(World *w, size_t n) {
    return (size_t)(rng_u64(&w->rng) % n);
}

static void seen(World *w, Actor *a, const MqttPublish *m) {
    int64_t number = -1;
    assert_int_equal(str_to_i64(m->payload, &number), OK);
    assert_in_range(number, 0, w->n - 1);
    Fate *fate = &a->fates[number];
    if (*fate == UNWANTED) fail_msg("%s got %d, to which it was not subscribed", a->id, (int)number);
    if (*fate == ACKED) fail_msg("%s got %d again, which it had acknowledged", a->id, (int)number);
    if (number <= a->last) fail_msg("%s got %d behind %d", a->id, (int)number, a->last);
    a->last = (int)number;
    *fate = SENT;
    a->unacked[a->unacked_n].packet_id = m->packet_id;
    a->unacked[a->unacked_n++].message = (int)number;
}

/* What has come by now. False: the connection ended. */
static bool collect(World *w, Actor *a) {
    MqttFrame f = { 0 };
    bed_settle(w->bed);
    peer_ping(a->peer);
    while (peer_next(a->peer, &f)) {
        if (mqtt_type(f.header) == MQTT_PINGRESP) return true;
        if (mqtt_type(f.header) != MQTT_PUBLISH) continue;
        MqttPublish m = publish_of(a->peer, &f);
        seen(w, a, &m);
    }
    return false;
}

/* Some of what it has, not always in order. */
static void acknowledge(World *w, Actor *a, bool all) {
    collect(w, a);
    for (size_t i = 0; i < a->unacked_n;) {
        if (!all && below(w, 3) == 0) {
            i++;
            continue;
        }
        peer_ack(a->peer, a->unacked[i].packet_id);
        a->fates[a->unacked[i].message] = ACKED;
        a->unacked_n--;
        memmove(a->unacked + i, a->unacked + i + 1, (a->unacked_n - i) * sizeof *a->unacked);
    }
    collect(w, a);
}

static void forget(Actor *a) {
    memset(a->subscribed, 0, sizeof a->subscribed);
    memset(a->fates, 0, sizeof a->fates);
    a->unacked_n = 0;
    a->kept = false;
}

static void came(World *w, Actor *a, bool clean, bool expired) {
    bool present = a->kept && !clean && !expired;
    Peer *old = a->peer;
    a->peer = peer_new(w->bed, below(w, REACTORS), MQTT_5);
    MqttConnect c = connect_as(a->peer, str_c(a->id), clean);
    c.props.has |= MQTT_HAS(MQTT_PROP_RECEIVE_MAX);
    c.props.receive_max = (uint16_t)(1 + below(w, 20));
    assert_int_equal(peer_connect_with(a->peer, &c), present);
    if (old) peer_free(old);
    if (!present) forget(a);
    a->kept = !clean;
    a->unacked_n = 0;
    a->last = -1;
}

static void left(World *w, Actor *a, bool orderly) {
    acknowledge(w, a, false);
    if (orderly)
        peer_disconnect(a->peer);
    else
        peer_free(a->peer);
    a->peer = NULL;
    bed_settle(w->bed);
    a->left_ms = clock_ms(&w->bed->clock);
    if (!a->kept) forget(a);
}

static const char *topic_name(int topic) {
    static const char *const NAMES[TOPICS] = { "a/1", "a/2", "b" };
    return NAMES[topic];
}

static void publish(World *w) {
    size_t burst = 1 + below(w, 30);
    for (size_t i = 0; i < burst && w->n < MESSAGES_MAX; i++) {
        char text[12];
        int topic = w->topics[w->n] = (int)below(w, TOPICS);
        snprintf(text, sizeof text, "%d", w->n);
        for (size_t k = 0; k < CLIENTS; k++)
            if (w->actors[k].subscribed[topic]) w->actors[k].fates[w->n] = WANTED;
        peer_send_publish(w->publisher,
                          (MqttPublish){ .topic = str_c(w->planted && w->n == 50 ? "lost" : topic_name(topic)),
                                         .payload = str_c(text),
                                         .qos = 1 });
        w->n++;
    }
    for (size_t i = 0; i < burst && (int)i < w->n; i++) {
        MqttFrame f = peer_expect(w->publisher, MQTT_PUBACK);
        (void)f;
        uint16_t id = (uint16_t)(f.body.ptr[0] << 8 | f.body.ptr[1]);
        if (id == w->publisher->last_id) break;
    }
}

static void step(World *w) {
    Actor *a = &w->actors[below(w, CLIENTS)];
    int topic = (int)below(w, TOPICS);
    size_t choice = below(w, 12);
    bool expired = clock_ms(&w->bed->clock) - a->left_ms > 3602 * 1000;
    if (choice < 4) {
        publish(w);
    } else if (!a->peer) {
        came(w, a, below(w, 6) == 0, expired);
    } else if (choice < 6) {
        acknowledge(w, a, below(w, 2));
    } else if (choice == 6) {
        collect(w, a);
        peer_subscribe(a->peer, topic_name(topic), 1);
        a->subscribed[topic] = true;
    } else if (choice == 7) {
        collect(w, a);
        peer_unsubscribe(a->peer, topic_name(topic));
        a->subscribed[topic] = false;
    } else if (choice == 8) {
        left(w, a, true);
    } else if (choice == 9) {
        left(w, a, false);
    } else if (choice == 10) {
        collect(w, a);
        came(w, a, below(w, 6) == 0, false); /* taken over */
    } else if (below(w, 4) == 0) {
        for (size_t i = 0; i < CLIENTS; i++)
            if (w->actors[i].peer) left(w, &w->actors[i], false);
        peer_sync(w->publisher);
        bed_advance(w->bed, below(w, 2) ? 3605 * 1000 : 600 * 1000);
        peer_free(w->publisher); /* its keep-alive may be over */
        w->publisher = peer_in(w->bed, below(w, REACTORS), MQTT_3_1_1, "publisher", true);
    }
}

/* Everybody comes back and takes all there is. */
static void finish(World *w) {
    for (size_t i = 0; i < CLIENTS; i++) {
        Actor *a = &w->actors[i];
        if (!a->kept && !a->peer) continue;
        if (!a->peer) came(w, a, false, clock_ms(&w->bed->clock) - a->left_ms > 3602 * 1000);
        for (size_t before = 1; before;) {
            acknowledge(w, a, true);
            acknowledge(w, a, true);
            collect(w, a);
            before = a->unacked_n;
        }
        for (int n = 0; n < w->n; n++) w->lost += a->fates[n] == WANTED || a->fates[n] == SENT;
    }
}

static int run(uint64_t seed, bool planted) {
    World *w = mem_new(sizeof *w);
    w->bed = bed_new(REACTORS, 2, NULL);
    w->rng.state = seed;
    w->planted = planted;
    w->publisher = peer_in(w->bed, 0, MQTT_3_1_1, "publisher", true);
    for (int i = 0; i < CLIENTS; i++) {
        snprintf(w->actors[i].id, sizeof w->actors[i].id, "c%d", i);
        came(w, &w->actors[i], false, false);
        for (int topic = 0; planted && topic < TOPICS; topic++) {
            peer_subscribe(w->actors[i].peer, topic_name(topic), 1);
            w->actors[i].subscribed[topic] = true;
        }
    }
    if (planted)
        for (int i = 0; i < 10; i++) publish(w);
    else
        for (int i = 0; i < STEPS && w->n < MESSAGES_MAX - 40; i++) step(w);
    finish(w);
    int lost = w->lost;
    for (int i = 0; i < CLIENTS; i++)
        if (w->actors[i].peer) peer_free(w->actors[i].peer);
    peer_free(w->publisher);
    bed_free(w->bed);
    free(w);
    return lost;
}

static void nothing_that_was_acknowledged_is_lost_or_out_of_order(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        int lost = run(seed, false);
        if (lost) fail_msg("seed %d: %d messages are lost", (int)seed, lost);
    }
}

static void the_model_notices_a_lost_message(void **state) {
    (void)state;
    assert_int_equal(run(1, true), CLIENTS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_model_notices_a_lost_message),
        cmocka_unit_test(nothing_that_was_acknowledged_is_lost_or_out_of_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
