/* Sessions: kept and not kept, away and back, taken over; their window and what waits behind it. */
#include "broker/testing/bed.h"

#include <stdio.h>

static const MqttVersion VERSIONS[] = { MQTT_3_1_1, MQTT_5 };
#define each_version(v) for (const MqttVersion *v = VERSIONS; v < VERSIONS + 2; v++)

static void number(char *to, int n) {
    snprintf(to, 12, "%d", n);
}

static void publish_numbers(Peer *p, const char *topic, int from, int to) {
    char text[12];
    for (int i = from; i < to; i++) {
        number(text, i);
        peer_publish(p, topic, text, 1);
    }
}

static void gets_numbers(Peer *p, int from, int to) {
    char text[12];
    for (int i = from; i < to; i++) {
        number(text, i);
        peer_gets(p, text, 1);
    }
}

static void a_clean_session_is_forgotten_and_a_kept_one_is_present(void **state) {
    (void)state;
    Bed *b = bed_new(1, 2, NULL);
    each_version(v) {
        Peer *p = peer_new(b, 0, *v);
        assert_false(peer_connect(p, S("c"), true));
        peer_disconnect(p);
        p = peer_new(b, 0, *v);
        assert_false(peer_connect(p, S("c"), false));
        peer_disconnect(p);
        p = peer_new(b, 0, *v);
        assert_true(peer_connect(p, S("c"), false));
        peer_disconnect(p);
        p = peer_new(b, 0, *v);
        assert_false(peer_connect(p, S("c"), true)); /* ends it */
        peer_disconnect(p);
        p = peer_new(b, 0, *v);
        assert_false(peer_connect(p, S("c"), false));
        peer_disconnect(p);
        p = peer_new(b, 0, *v);
        assert_false(peer_connect(p, S("c"), true));
        peer_disconnect(p);
    }
    bed_free(b);
}

static void what_came_while_it_was_away_is_there_in_order(void **state) {
    (void)state;
    for (size_t home = 0; home < 2; home++) {
        each_version(v) {
            Bed *b = bed_new(2, 2, NULL);
            Peer *p = peer_in(b, 1, *v, "publisher", true), *s = peer_in(b, 0, *v, "s", false);
            peer_subscribe(s, "t/+", 1);
            peer_disconnect(s);
            publish_numbers(p, "t/1", 0, 250);
            peer_publish(p, "t/1", "not kept", 0);
            peer_sync(p);
            s = peer_new(b, home, *v);
            assert_true(peer_connect(s, S("s"), false));
            gets_numbers(s, 0, 250);
            publish_numbers(p, "t/1", 250, 260);
            gets_numbers(s, 250, 260);
            peer_gets_nothing(s);
            peer_free(s);
            peer_free(p);
            bed_free(b);
        }
    }
}

static void what_it_did_not_acknowledge_comes_again(void **state) {
    (void)state;
    char text[12];
    Bed *b = bed_new(1, 1, NULL);
    Peer *p = peer_in(b, 0, MQTT_3_1_1, "publisher", true), *s = peer_in(b, 0, MQTT_5, "s", false);
    peer_subscribe(s, "t", 1);
    publish_numbers(p, "t", 0, 10);
    for (int i = 0; i < 10; i++) {
        MqttPublish m = peer_message(s);
        if (i % 2) peer_ack(s, m.packet_id);
    }
    peer_sync(s);
    peer_free(s);
    publish_numbers(p, "t", 10, 11);
    s = peer_in(b, 0, MQTT_5, "s", false);
    for (int i = 0; i <= 10; i += 2) {
        MqttPublish m = peer_message(s);
        number(text, i);
        assert_true(str_eq(m.payload, str_c(text)));
        assert_int_equal(m.dup, i < 10); /* [MQTT-3.3.1-1] */
        peer_ack(s, m.packet_id);
    }
    peer_gets_nothing(s);
    peer_disconnect(s);
    s = peer_in(b, 0, MQTT_5, "s", false);
    peer_gets_nothing(s);
    peer_free(s);
    peer_free(p);
    bed_free(b);
}

static Peer *connect_window(Bed *b, size_t reactor, const char *id, bool clean, uint16_t window) {
    Peer *s = peer_new(b, reactor, MQTT_5);
    MqttConnect c = connect_as(s, str_c(id), clean);
    c.props.has |= MQTT_HAS(MQTT_PROP_RECEIVE_MAX);
    c.props.receive_max = window;
    peer_connect_with(s, &c);
    return s;
}

/* [MQTT-3.3.1-13]: also of what waited for it, in the store or in memory. */
static void what_waits_keeps_its_retain_flag(void **state) {
    (void)state;
    Bed *b = bed_new(1, 1, NULL);
    Peer *p = peer_in(b, 0, MQTT_3_1_1, "publisher", true);
    for (int clean = 0; clean < 2; clean++) {
        Peer *s = connect_window(b, 0, "s", clean, 1);
        Str topic = clean ? S("t") : S("u"); /* no retained message is there yet */
        peer_subscribe_with(s, &(MqttSubscription){ .filter = topic, .qos = 1, .retain_as_published = true });
        for (int i = 0; i < 4; i++)
            peer_send_publish(p, (MqttPublish){ .topic = topic, .payload = S("x"), .qos = 1, .retain = i % 2 });
        peer_sync(p);
        for (int i = 0; i < 4; i++) {
            MqttPublish m = peer_message(s);
            assert_int_equal(m.retain, i % 2);
            peer_ack(s, m.packet_id);
        }
        peer_free(s);
    }
    peer_free(p);
    bed_free(b);
}

static void no_more_is_under_way_than_the_receive_maximum(void **state) {
    (void)state;
    Bed *b = bed_new(1, 2, NULL);
    static const uint16_t WINDOWS[] = { 1, 2, 7 };
    for (int clean = 0; clean < 2; clean++)
        for (size_t i = 0; i < 3; i++) {
            uint16_t window = WINDOWS[i];
            Peer *p = peer_in(b, 0, MQTT_3_1_1, "publisher", true), *s = connect_window(b, 0, "s", clean, window);
            uint16_t ids[8];
            peer_subscribe(s, "t", 1);
            publish_numbers(p, "t", 0, 50);
            for (int n = 0; n < window; n++) ids[n] = peer_message(s).packet_id;
            peer_gets_nothing(s);
            for (int n = 0; n < window; n++) peer_ack(s, ids[n]);
            gets_numbers(s, window, 50);
            peer_gets_nothing(s);
            peer_unsubscribe(s, "t");
            publish_numbers(p, "t", 50, 51);
            peer_gets_nothing(s);
            peer_free(s);
            peer_free(p);
            bed_settle(b);
        }
    bed_free(b);
}

static void set_packet_id(Reactor *r, void *arg) {
    shard_of(r)->packet_id = *(const uint16_t *)arg;
}

static void receivers_of_a_message_get_the_same_bytes(void **state) {
    (void)state;
    Bed *b = bed_new(1, 1, NULL);
    Peer *p = peer_in(b, 0, MQTT_3_1_1, "publisher", true);
    Peer *s[2] = { connect_window(b, 0, "s", true, 10), connect_window(b, 0, "t", false, 10) };
    for (int i = 0; i < 2; i++) peer_subscribe(s[i], "t", 1);
    for (int n = 0; n < 5; n++) {
        publish_numbers(p, "t", n, n + 1);
        uint16_t id = peer_message(s[0]).packet_id;
        assert_int_equal(peer_message(s[1]).packet_id, id);
        peer_ack(s[n % 2], id); /* the other's are still under way */
    }
    for (int i = 0; i < 2; i++) peer_free(s[i]);
    peer_free(p);
    bed_free(b);
}

/* However many messages others got meanwhile, and whichever shard it comes from. */
static void packet_ids_under_way_differ_and_the_window_can_be_filled(void **state) {
    (void)state;
    enum { WINDOW = 5, ROUNDS = 3000 };
    Bed *b = bed_new(1, 1, NULL);
    Rng rng = { 7 };
    Peer *p = peer_in(b, 0, MQTT_3_1_1, "publisher", true), *s = connect_window(b, 0, "s", true, WINDOW);
    uint16_t under_way[WINDOW];
    size_t n = 0;
    peer_subscribe(s, "t", 1);
    for (int round = 0; round < ROUNDS; round++) {
        uint16_t near = n ? under_way[rng_u64(&rng) % n] : 1;
        uint16_t offered = (uint16_t)(near + rng_u64(&rng) % 17 - 8), any = (uint16_t)rng_u64(&rng);
        on_reactor(b->reactors[0], set_packet_id, round % 3 ? &offered : &any);
        publish_numbers(p, "t", round, round + 1);
        uint16_t id = peer_message(s).packet_id;
        assert_int_not_equal(id, 0);
        for (size_t i = 0; i < n; i++) assert_int_not_equal(id, under_way[i]);
        under_way[n++] = id;
        if (n < WINDOW && round % 7) continue;
        size_t gone = round % 5 ? rng_u64(&rng) % n : n - 1; /* mostly not the oldest */
        peer_ack(s, under_way[gone]);
        peer_sync(s);
        memmove(under_way + gone, under_way + gone + 1, (--n - gone) * sizeof *under_way);
    }
    peer_free(s);
    peer_free(p);
    bed_free(b);
}

/* Pages are asked for while the connection changes: what the old one asked for is not the new one's. */
static void messages_survive_that_its_connection_is_taken_over_again_and_again(void **state) {
    (void)state;
    enum { N = 400 };
    Bed *b = bed_new(2, 2, NULL);
    Peer *p = peer_in(b, 0, MQTT_3_1_1, "publisher", true), *s = connect_window(b, 0, "s", false, 10);
    peer_subscribe(s, "t", 1);
    peer_disconnect(s);
    publish_numbers(p, "t", 0, N);
    int next = 0;
    for (int life = 0; next < N; life++) {
        s = connect_window(b, life % 2, "s", false, 10);
        int upto = next + 1 + life % 17 < N ? next + 1 + life % 17 : N;
        gets_numbers(s, next, upto);
        next = upto;
        peer_sync(s); /* its acknowledgements are read */
        Peer *old = s;
        if (life % 3) { /* taken over, and over again while its page may be on its way */
            s = connect_window(b, (size_t)life / 3 % 2, "s", false, 10);
            peer_free(old);
            old = s;
        }
        peer_free(old);
    }
    s = connect_window(b, 1, "s", false, 10);
    peer_gets_nothing(s);
    peer_free(s);
    peer_free(p);
    bed_free(b);
}

static void a_second_connection_ends_the_first(void **state) {
    (void)state;
    Bed *b = bed_new(2, 2, NULL);
    each_version(v) for (size_t from = 0; from < 2; from++) for (size_t to = 0; to < 2; to++) {
        for (int clean = 0; clean < 2; clean++) {
            Peer *first = peer_in(b, from, *v, "s", clean);
            peer_subscribe(first, "t", 1);
            Peer *second = peer_new(b, to, *v);
            assert_int_equal(peer_connect(second, S("s"), clean), !clean);
            assert_int_equal(peer_ended(first), *v == MQTT_5 ? MQTT_SESSION_TAKEN_OVER : 0);
            Peer *p = peer_in(b, 0, *v, "publisher", true);
            peer_publish(p, "t", "x", 1);
            if (!clean) peer_gets(second, "x", 1);
            peer_gets_nothing(second);
            Peer *last = peer_new(b, to, *v); /* ends the session */
            peer_connect(last, S("s"), true);
            peer_ended(second);
            peer_free(first);
            peer_free(second);
            peer_free(last);
            peer_free(p);
            bed_settle(b);
        }
    }
    bed_free(b);
}

static void many_connections_with_one_client_id_leave_one(void **state) {
    (void)state;
    enum { N = 30 };
    Bed *b = bed_new(3, 2, NULL);
    Peer *peers[N];
    for (int round = 0; round < 5; round++) {
        int live = 0;
        for (int i = 0; i < N; i++) {
            peers[i] = peer_new(b, (size_t)(i * 7) % 3, VERSIONS[i % 2]);
            MqttConnect c = connect_as(peers[i], S("one"), i % 3 == 0);
            peer_send_connect(peers[i], &c);
        }
        bed_settle(b);
        bed_settle(b);
        for (int i = 0; i < N; i++) {
            MqttFrame f;
            peer_ping(peers[i]);
            bool there = false;
            while (!there && peer_next(peers[i], &f)) there = mqtt_type(f.header) == MQTT_PINGRESP;
            live += there;
            if (!there) continue;
            peer_sync(peers[i]);
        }
        assert_int_equal(live, 1);
        assert_int_equal(broker_figures(b->broker).connections, 1);
        for (int i = 0; i < N; i++) peer_free(peers[i]);
        bed_settle(b);
    }
    bed_free(b);
}

/* Messages are under way between reactors while the session goes from one to the other. */
static void no_message_is_lost_while_a_session_moves(void **state) {
    (void)state;
    enum { LIVES = 60, BURST = 30 };
    Bed *b = bed_new(3, 2, NULL);
    Peer *p = peer_in(b, 0, MQTT_3_1_1, "publisher", true), *s = peer_in(b, 1, MQTT_5, "s", false);
    bool seen[LIVES * BURST] = { false };
    int sent = 0, missing = 0;
    peer_subscribe(s, "t", 1);
    for (int life = 0; life <= LIVES; life++) {
        for (int i = 0; i < BURST && life < LIVES; i++) {
            char text[12];
            number(text, sent++);
            peer_send_publish(p, (MqttPublish){ .topic = S("t"), .payload = str_c(text), .qos = 1 });
        }
        Peer *next = peer_in(b, life % 2 ? 1 : 2, MQTT_5, "s", false);
        for (int i = 0; i < BURST && life < LIVES; i++) peer_puback(p);
        peer_free(s);
        s = next;
        bed_settle(b);
        MqttFrame f = { 0 };
        for (int rounds = 0; rounds < 4; rounds++) {
            peer_ping(s);
            while (peer_next(s, &f) && mqtt_type(f.header) == MQTT_PUBLISH) {
                MqttPublish m = publish_of(s, &f);
                int64_t n = 0;
                assert_int_equal(str_to_i64(m.payload, &n), OK);
                seen[n] = true;
                peer_ack(s, m.packet_id);
            }
            bed_settle(b);
        }
    }
    for (int i = 0; i < sent; i++) missing += !seen[i];
    assert_int_equal(missing, 0);
    peer_free(s);
    peer_free(p);
    bed_free(b);
}

static void no_message_comes_before_connack(void **state) {
    (void)state;
    Bed *b = bed_new(2, 2, NULL);
    Peer *p = peer_in(b, 0, MQTT_3_1_1, "publisher", true), *s = peer_in(b, 1, MQTT_3_1_1, "s", false);
    peer_subscribe(s, "t", 1);
    int next = 0;
    for (int life = 0; life < 40; life++) {
        peer_disconnect(s);
        publish_numbers(p, "t", next, next + 3);
        s = peer_new(b, 1, MQTT_3_1_1);
        MqttConnect c = connect_as(s, S("s"), false);
        peer_send_connect(s, &c);
        publish_numbers(p, "t", next + 3, next + 9); /* while it is being connected */
        assert_true(peer_connack(s).session_present);
        gets_numbers(s, next, next + 9);
        peer_gets_nothing(s);
        next += 9;
    }
    peer_free(s);
    peer_free(p);
    bed_free(b);
}

static void a_kept_session_ends_after_its_time(void **state) {
    (void)state;
    Bed *b = bed_new(2, 1, NULL);
    Peer *p = peer_in(b, 0, MQTT_3_1_1, "publisher", true);
    for (int late = 0; late < 2; late++) {
        Peer *s = peer_in(b, 1, MQTT_5, "s", false); /* for an hour */
        peer_subscribe(s, "t", 1);
        peer_disconnect(s);
        peer_publish(p, "t", "x", 1);
        bed_advance(b, late ? 3602 * 1000 : 3590 * 1000);
        assert_int_equal(broker_figures(b->broker).subscriptions, !late);
        s = peer_new(b, 0, MQTT_5);
        assert_int_equal(peer_connect(s, S("s"), false), !late);
        if (!late) peer_gets(s, "x", 1);
        peer_gets_nothing(s);
        peer_free(s);
        bed_settle(b);
        p->last_id = 0;
        peer_free(p);
        p = peer_in(b, 0, MQTT_3_1_1, "publisher", true);
    }
    peer_free(p);
    bed_free(b);
}

static void disconnect_may_end_a_kept_session_but_not_keep_a_clean_one(void **state) {
    (void)state;
    Bed *b = bed_new(1, 1, NULL);
    for (int kept = 0; kept < 2; kept++) {
        Peer *s = peer_in(b, 0, MQTT_5, "s", !kept);
        Writer w = writer_in(&s->arena);
        MqttDisconnect d = { .props = { .has = MQTT_HAS(MQTT_PROP_SESSION_EXPIRY),
                                        .session_expiry_s = kept ? 0 : 60 } };
        mqtt_write_disconnect(&w, MQTT_5, &d);
        peer_send(s, writer_str(&w));
        assert_int_equal(peer_ended(s), kept ? 0 : MQTT_PROTOCOL_ERROR);
        peer_free(s);
        s = peer_new(b, 0, MQTT_5);
        assert_false(peer_connect(s, S("s"), true));
        peer_free(s);
        bed_settle(b);
    }
    bed_free(b);
}

static void kept_sessions_outlive_the_broker(void **state) {
    (void)state;
    Bed *b = bed_new(2, 2, NULL);
    Peer *p = peer_in(b, 0, MQTT_3_1_1, "publisher", true), *s = peer_in(b, 1, MQTT_5, "s", false);
    peer_subscribe(s, "t/#", 1);
    peer_subscribe(s, "$share/g/u", 1);
    Peer *clean = peer_in(b, 1, MQTT_5, "clean", true);
    peer_subscribe(clean, "t/#", 1);
    publish_numbers(p, "t/x", 0, 5);
    gets_numbers(s, 0, 3);
    peer_sync(s);
    peer_free(s);
    peer_free(p);
    peer_free(clean);
    bed_stop(b);
    bed_serve(b, 2, 2, NULL);
    assert_int_equal(broker_figures(b->broker).sessions, 1);
    p = peer_in(b, 1, MQTT_3_1_1, "publisher", true);
    publish_numbers(p, "t/x", 5, 8);
    publish_numbers(p, "u", 8, 9);
    s = peer_new(b, 1, MQTT_5);
    assert_true(peer_connect(s, S("s"), false));
    gets_numbers(s, 3, 9);
    peer_gets_nothing(s);
    peer_free(s);
    peer_free(p);
    bed_free(b);
}

static void large_messages_that_waited_do_not_count_as_slow_reading(void **state) {
    (void)state;
    enum { N = 60, BYTES = 120 * 1024 };
    Bed *b = bed_new(1, 2, NULL);
    uint8_t *bytes = mem_new(BYTES);
    for (int clean = 0; clean < 2; clean++) {
        Peer *p = peer_in(b, 0, MQTT_3_1_1, "publisher", true), *s = peer_in(b, 0, MQTT_3_1_1, "s", clean);
        peer_subscribe(s, "t", 1);
        if (!clean) peer_disconnect(s);
        for (int i = 0; i < N; i++) {
            bytes[0] = (uint8_t)i;
            peer_send_publish(p, (MqttPublish){ .topic = S("t"), .payload = { bytes, BYTES }, .qos = 1 });
            peer_puback(p);
        }
        if (!clean) s = peer_in(b, 0, MQTT_3_1_1, "s", false);
        bed_settle(b); /* it does not read meanwhile */
        for (int i = 0; i < N; i++) {
            MqttPublish m = peer_message(s);
            assert_int_equal(m.payload.len, BYTES);
            assert_int_equal(m.payload.ptr[0], i);
            peer_ack(s, m.packet_id);
        }
        peer_gets_nothing(s);
        peer_free(s);
        peer_free(p);
        bed_settle(b);
    }
    free(bytes);
    bed_free(b);
}

/* What a client sends behind its CONNECT counts, though it hangs up before it is answered. */
static void packets_sent_together_with_connect_are_all_read(void **state) {
    (void)state;
    Bed *b = bed_new(1, 1, NULL);
    Peer *s = peer_in(b, 0, MQTT_3_1_1, "s", true);
    peer_subscribe(s, "t", 0);
    for (int i = 0; i < 20; i++) {
        Peer *p = peer_new(b, 0, MQTT_3_1_1);
        MqttConnect c = connect_as(p, S("hasty"), false); /* its record must be written first */
        Writer w = writer_in(&p->arena);
        mqtt_write_connect(&w, &c);
        MqttPublish m = { .topic = S("t"), .payload = S("hello") };
        mqtt_write_publish(&w, MQTT_3_1_1, &m);
        writer_bytes(&w, S("\xE0"));
        writer_u8(&w, 0);
        peer_send(p, writer_str(&w));
        peer_free(p);
        peer_gets(s, "hello", 0);
    }
    peer_free(s);
    bed_free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clean_session_is_forgotten_and_a_kept_one_is_present),
        cmocka_unit_test(what_came_while_it_was_away_is_there_in_order),
        cmocka_unit_test(what_it_did_not_acknowledge_comes_again),
        cmocka_unit_test(what_waits_keeps_its_retain_flag),
        cmocka_unit_test(receivers_of_a_message_get_the_same_bytes),
        cmocka_unit_test(packet_ids_under_way_differ_and_the_window_can_be_filled),
        cmocka_unit_test(no_more_is_under_way_than_the_receive_maximum),
        cmocka_unit_test(messages_survive_that_its_connection_is_taken_over_again_and_again),
        cmocka_unit_test(a_second_connection_ends_the_first),
        cmocka_unit_test(many_connections_with_one_client_id_leave_one),
        cmocka_unit_test(no_message_is_lost_while_a_session_moves),
        cmocka_unit_test(no_message_comes_before_connack),
        cmocka_unit_test(a_kept_session_ends_after_its_time),
        cmocka_unit_test(disconnect_may_end_a_kept_session_but_not_keep_a_clean_one),
        cmocka_unit_test(kept_sessions_outlive_the_broker),
        cmocka_unit_test(large_messages_that_waited_do_not_count_as_slow_reading),
        cmocka_unit_test(packets_sent_together_with_connect_are_all_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
