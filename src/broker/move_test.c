/* Sessions go from reactor to reactor, moved while they are connected or taken over, while messages are on their way.
 */
#include "broker/testing/bed.h"

#include <stdio.h>

/* Not measured any more, so that it stays so, whatever the machine does. */
static void say_busy(Reactor *r, void *arg) {
    reactor_watch(r, &r->tick, 0);
    atomic_store(&r->busy_permille, *(const uint32_t *)arg);
}

static int reactor_of(Bed *b, Str client_id) {
    Space *space = hub_space(b->broker, BED_ACCOUNT);
    pthread_mutex_lock(&space->sessions_lock);
    const Session *s = map_get(&space->sessions, client_id);
    int index = s ? atomic_load(&s->shard_index) : -1;
    pthread_mutex_unlock(&space->sessions_lock);
    return index;
}

/* As if it had many more, of which half go: so each that is quiet does, the last one too. */
static void relieve(Reactor *r, void *arg) {
    enum { MORE = 64 };
    (void)arg;
    atomic_fetch_add(&r->conns, MORE);
    shard_relieve(shard_of(r));
    atomic_fetch_sub(&r->conns, MORE);
}

enum { PUBLISHERS = 3, MESSAGES = 480, ROUNDS = 30 };

/* Those that are numbered so far; returns when all have come. */
static void gets_all(Peer *s, int next[PUBLISHERS], int n) {
    for (int got = 0; got < PUBLISHERS; got = 0) {
        for (int k = 0; k < PUBLISHERS; k++) got += next[k] == n;
        if (got == PUBLISHERS) return;
        MqttPublish m = peer_message(s);
        int k = m.topic.ptr[2] - '0', i = atoi((const char *)str_dup_c(&s->arena, m.payload));
        if (i != next[k]) fail_msg("message %d of publisher %d came instead of %d", i, k, next[k]);
        next[k]++;
        if (m.qos) peer_ack(s, m.packet_id);
    }
}

static void live_connections_move_while_each_message_comes_once_and_in_order(void **state) {
    (void)state;
    for (int kept = 0; kept < 2; kept++) {
        Bed *b = bed_new(PUBLISHERS, 2, NULL);
        Peer *s, *p[PUBLISHERS], *more[PUBLISHERS];
        uint32_t saturated = 1000, idle = 0;
        int next[PUBLISHERS] = { 0 }, others[PUBLISHERS][PUBLISHERS] = { 0 };
        for (size_t k = 0; k < PUBLISHERS; k++) {
            p[k] = peer_new(b, k, MQTT_5);
            peer_connect(p[k], str_format(&b->arena, "p%d", (int)k), true);
            more[k] = peer_new(b, k, MQTT_5);
            peer_connect(more[k], str_format(&b->arena, "more%d", (int)k), true);
            peer_subscribe(more[k], "t/#", 1); /* so that each message is sent to each reactor */
        }
        s = peer_in(b, 0, MQTT_5, "s", !kept); /* the newest move first */
        peer_subscribe(s, "t/#", 1);
        for (int i = 0; i < MESSAGES; i++) {
            for (size_t k = 0; k < PUBLISHERS; k++)
                peer_send_publish(p[k], (MqttPublish){ .topic = str_format(&b->arena, "t/%d", (int)k),
                                                       .payload = str_format(&b->arena, "%d", i),
                                                       .qos = i & 1 });
            if (i % 4 == 0)
                for (size_t k = 0; k < PUBLISHERS; k++)
                    on_reactor(b->reactors[k], say_busy, reactor_of(b, S("s")) == (int)k ? &saturated : &idle);
            if (i % 4 == 0)
                for (size_t k = 0; k < PUBLISHERS; k++) on_reactor(b->reactors[k], relieve, NULL);
            if (i % 16 != 15) continue;
            gets_all(s, next, i + 1);
            for (size_t k = 0; k < PUBLISHERS; k++) gets_all(more[k], others[k], i + 1);
            bed_settle(b); /* now it is quiet, whatever the machine does: it moves for certain */
            int at = reactor_of(b, S("s"));
            for (int k = 0; k < PUBLISHERS; k++) on_reactor(b->reactors[k], say_busy, at == k ? &saturated : &idle);
            on_reactor(b->reactors[at], relieve, NULL);
        }
        assert_true(atomic_load(&b->broker->counters.moved) > 10);
        for (size_t k = 0; k < PUBLISHERS; k++) {
            peer_free(p[k]);
            peer_free(more[k]);
        }
        peer_free(s);
        bed_free(b);
    }
}

static void nothing(Reactor *r, void *arg) {
    (void)r, (void)arg;
}

/* QoS 1 where the text ends with an odd digit. */
static void publish_here(Reactor *r, const char *payload, bool retain) {
    Shard *shard = shard_of(r);
    Str text = str_c(payload);
    Message m = { .space = hub_space(shard->broker, BED_ACCOUNT),
                  .topic = S("t"),
                  .payload = { turn_copy(r, text), text.len },
                  .qos = (uint8_t)(text.ptr[text.len - 1] & 1),
                  .retain = retain };
    hub_publish(shard, &m, &(RuleOrigin){ 0 });
}

/* A reactor that comes to nothing until it is let go, behind what it publishes: what that is for others leaves then. */
typedef struct {
    Task task;
    const char *publishes[3];
    bool retain;
    _Atomic bool began, over;
} Stuck;

static void stuck(Task *task, Reactor *r) {
    Stuck *s = (Stuck *)task;
    for (const char *const *text = s->publishes; *text; text++) publish_here(r, *text, s->retain);
    atomic_store(&s->began, true);
    while (!atomic_load(&s->over)) poll(NULL, 0, 1);
}

static void get_stuck(Bed *b, size_t reactor, Stuck *s) {
    s->task.run = stuck;
    reactor_post(b->reactors[reactor], &s->task);
    while (!atomic_load(&s->began)) poll(NULL, 0, 1);
}

static void let_go(Stuck *s) {
    atomic_store(&s->over, true);
}

typedef struct {
    Bed *bed;
    Stuck stuck;
} Overtaking;

/* One is routed to the first reactor, then its receiver moves, then another is routed to the second; and the first
 * reactor comes to neither before it is let go. */
static void overtake(Reactor *r, void *arg) {
    Overtaking *o = arg;
    publish_here(r, "1", true);
    on_reactor(o->bed->reactors[0], relieve, NULL);
    get_stuck(o->bed, 0, &o->stuck);
    publish_here(r, "2", false);
    publish_here(r, "3", false);
}

static void what_was_sent_to_where_a_connection_was_comes_first(void **state) {
    (void)state;
    Bed *b = bed_new(3, 1, NULL);
    Peer *other = peer_in(b, 0, MQTT_5, "other", true), *s = peer_in(b, 0, MQTT_5, "s", true);
    uint32_t saturated = 1000, idle = 0;
    Overtaking o = { .bed = b };
    peer_subscribe_with(s, &(MqttSubscription){ .filter = S("t"), .qos = 1, .retain_as_published = true });
    for (int i = 0; i < 3; i++) on_reactor(b->reactors[i], say_busy, i ? &idle : &saturated);
    on_reactor(b->reactors[2], overtake, &o);
    assert_int_equal(reactor_of(b, S("s")), 1);
    for (int i = 0; i < 3; i++) on_reactor(b->reactors[1], nothing, NULL); /* the newer ones are there, and wait */
    struct pollfd f = { .fd = s->fd, .events = POLLIN };
    assert_int_equal(poll(&f, 1, 0), 0);
    let_go(&o.stuck);
    MqttPublish first = peer_message(s);
    assert_true(str_eq(first.payload, S("1")));
    assert_true(first.retain); /* as it was published */
    peer_ack(s, first.packet_id);
    peer_gets(s, "2", 0);
    peer_gets(s, "3", 1);
    peer_gets_nothing(s);
    peer_free(s);
    peer_free(other);
    bed_free(b);
}

/* The first reactor delivers a message to s and sends it to the second for another one there; that comes to it only
 * when s is there, too. */
static void a_message_for_others_is_not_taken_again_by_who_moved_there(void **state) {
    (void)state;
    for (int qos = 0; qos < 2; qos++) {
        Bed *b = bed_new(2, 1, NULL);
        Peer *s = peer_in(b, 0, MQTT_5, "s", true), *other = peer_in(b, 1, MQTT_5, "other", true);
        uint32_t saturated = 1000, idle = 0;
        const char *text = qos ? "1" : "0";
        Stuck first = { .publishes = { text } }, second = { 0 };
        peer_subscribe(s, "#", 1);
        peer_subscribe(other, "t", 1);
        for (int i = 0; i < 2; i++) on_reactor(b->reactors[i], say_busy, i ? &idle : &saturated);
        get_stuck(b, 1, &second);
        get_stuck(b, 0, &first);
        let_go(&first);
        peer_gets(s, text, (uint8_t)qos);
        while (reactor_of(b, S("s")) == 0) on_reactor(b->reactors[0], relieve, NULL); /* once its PUBACK is read */
        let_go(&second);
        peer_gets(other, text, (uint8_t)qos);
        peer_gets_nothing(s);
        peer_publish(other, "u", "5", 1);
        peer_gets(s, "5", 1);
        peer_free(s);
        peer_free(other);
        bed_free(b);
    }
}

static void look_backlog(Reactor *r, void *arg) {
    const Session *s = session_here(shard_of(r), hub_space(shard_of(r)->broker, BED_ACCOUNT), S("s"));
    *(bool *)arg = s && s->backlog;
}

/* Messages are routed to where a session is, and to its other subscribers, and leave when it was taken over. QoS 0 does
 * not wait for QoS 1 that is read from the store, so that has to be over. */
static void who_takes_a_session_over_gets_each_message_once_and_in_order(void **state) {
    (void)state;
    for (int clean = 0; clean < 2; clean++) {
        Bed *b = bed_new(3, 1, NULL);
        Peer *old = peer_in(b, 0, MQTT_5, "s", false), *other = peer_in(b, 1, MQTT_5, "other", true);
        Stuck third = { .publishes = { "1", "2" } };
        peer_subscribe(old, "t", 1);
        peer_subscribe(old, "t/#", 0); /* the highest QoS counts */
        peer_subscribe(other, "t", 1);
        get_stuck(b, 2, &third);
        Peer *s = peer_in(b, 1, MQTT_5, "s", clean);
        if (clean) peer_subscribe(s, "t", 1);
        peer_send_publish(other, (MqttPublish){ .topic = S("t"), .payload = S("3"), .qos = 1 }); /* routed at s */
        bool backlog = true;
        while (backlog) on_reactor(b->reactors[1], look_backlog, &backlog);
        for (int i = 0; i < 3; i++) on_reactor(b->reactors[1], nothing, NULL);
        let_go(&third);
        for (int i = clean ? 3 : 1; i <= 3; i++) peer_gets(s, (const char *[]){ "1", "2", "3" }[i - 1], i & 1);
        peer_gets_nothing(s);
        int theirs = 0;
        while (theirs < 4) { /* among them its PUBACK */
            MqttFrame f;
            assert_true(peer_next(other, &f));
            theirs++;
        }
        peer_free(old);
        peer_free(s);
        peer_free(other);
        bed_free(b);
    }
}

/* What waits while its session goes away, or ends, is its queue's, or nobody's. */
static void who_leaves_before_the_older_messages_came_finds_all_in_order(void **state) {
    (void)state;
    for (int ends = 0; ends < 2; ends++) {
        Bed *b = bed_new(3, 1, NULL);
        Peer *old = peer_in(b, 0, MQTT_5, "s", false), *p = peer_in(b, 1, MQTT_5, "p", true);
        Stuck third = { .publishes = { "1" } };
        peer_subscribe(old, "t", 1);
        get_stuck(b, 2, &third);
        Peer *s = peer_in(b, 1, MQTT_5, "s", false);
        peer_send_publish(p, (MqttPublish){ .topic = S("t"), .payload = S("3"), .qos = 1 });
        for (int i = 0; i < 3; i++) on_reactor(b->reactors[1], nothing, NULL); /* it is held */
        if (ends) {
            Writer w = writer_in(&s->arena);
            const MqttDisconnect d = { .props = { .has = MQTT_HAS(MQTT_PROP_SESSION_EXPIRY) } };
            mqtt_write_disconnect(&w, MQTT_5, &d);
            peer_send(s, writer_str(&w));
            peer_ended(s);
            peer_free(s);
        } else {
            peer_disconnect(s);
        }
        s = peer_new(b, 0, MQTT_5);
        MqttConnect c = connect_as(s, S("s"), false);
        peer_send_connect(s, &c); /* it waits for the session, which waits for the third reactor */
        for (int i = 0; i < 3; i++) on_reactor(b->reactors[i % 2], nothing, NULL);
        let_go(&third);
        assert_int_equal(peer_connack(s).session_present, !ends);
        assert_int_equal(peer_puback(p), 1);
        if (!ends) peer_gets(s, "1", 1);
        if (!ends) peer_gets(s, "3", 1);
        peer_gets_nothing(s);
        peer_free(old);
        peer_free(s);
        peer_free(p);
        bed_free(b);
    }
}

/* [MQTT-3.3.2-5] */
static void what_expires_while_it_waits_for_older_messages_is_not_sent(void **state) {
    (void)state;
    static const uint8_t ONE_SECOND[] = { MQTT_PROP_MESSAGE_EXPIRY, 0, 0, 0, 1 };
    Bed *b = bed_new(3, 1, NULL);
    Peer *old = peer_in(b, 0, MQTT_5, "s", false), *p = peer_in(b, 1, MQTT_5, "p", true);
    Stuck third = { 0 };
    peer_subscribe(old, "t", 1);
    get_stuck(b, 2, &third);
    Peer *s = peer_in(b, 1, MQTT_5, "s", false);
    for (uint8_t qos = 0; qos < 2; qos++)
        peer_send_publish(
            p, (MqttPublish){
                   .topic = S("t"), .payload = S("expires"), .qos = qos, .props = { ONE_SECOND, sizeof ONE_SECOND } });
    peer_send_publish(p, (MqttPublish){ .topic = S("t"), .payload = S("stays"), .qos = 1 });
    peer_ping(p);
    peer_expect(p, MQTT_PINGRESP); /* they are held */
    atomic_fetch_add(&b->clock.ahead_ms, 2000);
    let_go(&third);
    assert_int_equal(peer_puback(p), 1);
    assert_int_equal(peer_puback(p), 2);
    peer_gets(s, "stays", 1);
    peer_gets_nothing(s);
    peer_free(old);
    peer_free(s);
    peer_free(p);
    bed_free(b);
}

typedef struct {
    bool seen[PUBLISHERS][MESSAGES];
    int last[PUBLISHERS]; /* in this connection */
} Taken;

/* What has come. */
static void takes(Peer *s, Taken *t) {
    MqttFrame f = { 0 };
    peer_ping(s);
    while (peer_next(s, &f) && mqtt_type(f.header) == MQTT_PUBLISH) {
        MqttPublish m = publish_of(s, &f);
        int k = m.topic.ptr[2] - '0', i = atoi((const char *)str_dup_c(&s->arena, m.payload));
        if (i <= t->last[k]) fail_msg("message %d of publisher %d came behind %d", i, k, t->last[k]);
        if (t->seen[k][i] && !m.dup) fail_msg("message %d of publisher %d came again as if it were new", i, k);
        t->last[k] = i;
        t->seen[k][i] = true;
        peer_ack(s, m.packet_id);
    }
}

static int all_missing(const Taken *t) {
    int n = 0;
    for (int k = 0; k < PUBLISHERS; k++)
        for (int i = 0; i < MESSAGES; i++) n += !t->seen[k][i];
    return n;
}

enum { IDLE_MAX = 1000 }; /* rounds in which nothing new comes: lost */

static void sessions_are_taken_over_while_each_message_comes_once_and_in_order(void **state) {
    (void)state;
    Bed *b = bed_new(PUBLISHERS, 2, NULL);
    Rng rng = { 3 };
    Peer *p[PUBLISHERS], *others[PUBLISHERS];
    int next[PUBLISHERS][PUBLISHERS] = { 0 };
    Taken t = { .last = { -1, -1, -1 } };
    for (size_t k = 0; k < PUBLISHERS; k++) {
        p[k] = peer_new(b, k, MQTT_5);
        peer_connect(p[k], str_format(&b->arena, "p%d", (int)k), true);
        others[k] = peer_new(b, k, MQTT_5);
        peer_connect(others[k], str_format(&b->arena, "other%d", (int)k), true);
        peer_subscribe(others[k], "t/#", 1);
    }
    Peer *s = peer_in(b, 0, MQTT_5, "s", false);
    peer_subscribe(s, "t/#", 1);
    for (int i = 0; i < MESSAGES; i++) {
        for (size_t k = 0; k < PUBLISHERS; k++)
            peer_send_publish(p[k], (MqttPublish){ .topic = str_format(&b->arena, "t/%d", (int)k),
                                                   .payload = str_format(&b->arena, "%d", i),
                                                   .qos = 1 });
        if (rng_u64(&rng) % 3) continue;
        if (rng_u64(&rng) % 2) takes(s, &t);
        Peer *again = peer_in(b, rng_u64(&rng) % PUBLISHERS, MQTT_5, "s", false);
        memset(t.last, -1, sizeof t.last);
        peer_free(s);
        s = again;
        if (i % 8 == 0)
            for (size_t k = 0; k < PUBLISHERS; k++) gets_all(others[k], next[k], i + 1);
    }
    for (int idle = 0, missing = all_missing(&t); missing; idle++) { /* what it acknowledges makes room for more */
        if (idle == IDLE_MAX) fail_msg("%d messages did not come", missing);
        bed_settle(b);
        takes(s, &t);
        int now = all_missing(&t);
        if (now < missing) idle = 0;
        missing = now;
    }
    for (size_t k = 0; k < PUBLISHERS; k++) {
        peer_free(p[k]);
        peer_free(others[k]);
    }
    peer_free(s);
    bed_free(b);
}

static void a_new_connection_moves_away_from_a_saturated_reactor(void **state) {
    (void)state;
    Bed *b = bed_new(2, 2, NULL);
    uint32_t saturated = 1000, idle = 0;
    on_reactor(b->reactors[0], say_busy, &saturated);
    on_reactor(b->reactors[1], say_busy, &idle);
    for (int i = 0; i < ROUNDS; i++) {
        Peer *s = peer_in(b, 1, MQTT_5, "s", false), *p = peer_new(b, 0, MQTT_3_1_1);
        peer_subscribe(s, "t", 1);
        peer_disconnect(s);
        MqttConnect c = connect_as(p, S("p"), true);
        Writer w = writer_in(&p->arena);
        mqtt_write_connect(&w, &c);
        mqtt_write_publish(&w, MQTT_3_1_1,
                           &(MqttPublish){ .topic = S("t"), .payload = S("hello"), .qos = 1, .packet_id = 1 });
        peer_send(p, writer_str(&w));
        assert_int_equal(peer_connack(p).reason, 0);
        assert_int_equal(peer_puback(p), 1);
        assert_int_equal(reactor_of(b, S("p")), 1);
        s = peer_in(b, 0, MQTT_5, "s", false); /* moves, too, or takes its session over */
        peer_gets(s, "hello", 1);
        peer_gets_nothing(s);
        Peer *end = peer_in(b, (size_t)i % 2, MQTT_5, "s", true);
        peer_ended(s);
        peer_free(s);
        peer_free(end);
        peer_free(p);
    }
    bed_free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(live_connections_move_while_each_message_comes_once_and_in_order),
        cmocka_unit_test(what_was_sent_to_where_a_connection_was_comes_first),
        cmocka_unit_test(a_message_for_others_is_not_taken_again_by_who_moved_there),
        cmocka_unit_test(who_takes_a_session_over_gets_each_message_once_and_in_order),
        cmocka_unit_test(who_leaves_before_the_older_messages_came_finds_all_in_order),
        cmocka_unit_test(what_expires_while_it_waits_for_older_messages_is_not_sent),
        cmocka_unit_test(sessions_are_taken_over_while_each_message_comes_once_and_in_order),
        cmocka_unit_test(a_new_connection_moves_away_from_a_saturated_reactor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
