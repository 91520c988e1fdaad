/* What a broker does between its clients: delivery, shared subscriptions, wills, retained messages, limits. */
#include "broker/testing/bed.h"

#include <stdio.h>

#include "identity/policy_slot.h"

enum { ROUNDS = 30 };

static void a_message_reaches_all_subscribers_once_whatever_their_version_and_reactor(void **state) {
    (void)state;
    Bed *b = bed_new(3, 2, NULL);
    Peer *subs[12];
    char id[16], text[16];
    for (size_t i = 0; i < 12; i++) {
        snprintf(id, sizeof id, "s%zu", i);
        subs[i] = peer_in(b, i % 3, i % 2 ? MQTT_5 : MQTT_3_1_1, id, i % 4 != 0);
        peer_subscribe(subs[i], i % 3 ? "a/+" : "a/b", i / 2 % 2);
        if (i > 8) peer_subscribe(subs[i], "a/#", 1); /* overlaps: one copy, the higher QoS */
    }
    for (int n = 0; n < ROUNDS; n++) {
        Peer *p = peer_in(b, (size_t)n % 3, n % 2 ? MQTT_5 : MQTT_3_1_1, "publisher", true);
        snprintf(text, sizeof text, "%d", n);
        uint8_t qos = n % 5 > 0;
        peer_publish(p, "a/b", text, qos);
        peer_publish(p, "b/a", "to nobody", qos);
        for (size_t i = 0; i < 12; i++) peer_gets(subs[i], text, qos && (i > 8 || i / 2 % 2));
        peer_disconnect(p);
    }
    for (size_t i = 0; i < 12; i++) {
        peer_gets_nothing(subs[i]);
        peer_free(subs[i]);
    }
    bed_free(b);
}

static void a_large_message_is_whole_for_everyone(void **state) {
    (void)state;
    enum { BYTES = 100000, N = 6 };
    Bed *b = bed_new(2, 2, NULL);
    uint8_t *bytes = mem_new(BYTES);
    Peer *subs[N], *p = peer_in(b, 0, MQTT_3_1_1, "publisher", true);
    for (size_t i = 0; i < BYTES; i++) bytes[i] = (uint8_t)(i * 31);
    for (size_t i = 0; i < N; i++) {
        char id[16];
        snprintf(id, sizeof id, "s%zu", i);
        subs[i] = peer_in(b, i % 2, i % 3 ? MQTT_5 : MQTT_3_1_1, id, i % 2);
        peer_subscribe(subs[i], "t", i < 4);
    }
    for (uint8_t qos = 0; qos < 2; qos++) {
        peer_send_publish(p, (MqttPublish){ .topic = S("t"), .payload = { bytes, BYTES }, .qos = qos });
        if (qos) peer_puback(p);
        for (size_t i = 0; i < N; i++) {
            MqttPublish m = peer_message(subs[i]);
            assert_int_equal(m.payload.len, BYTES);
            assert_memory_equal(m.payload.ptr, bytes, BYTES);
            assert_int_equal(m.qos, qos && i < 4);
            if (m.qos) peer_ack(subs[i], m.packet_id);
        }
    }
    for (size_t i = 0; i < N; i++) peer_free(subs[i]);
    peer_free(p);
    free(bytes);
    bed_free(b);
}

static void pubacks_leave_in_the_order_of_their_publishes(void **state) {
    (void)state;
    Bed *b = bed_new(2, 2, NULL);
    Peer *kept = peer_in(b, 1, MQTT_5, "kept", false), *p = peer_in(b, 0, MQTT_3_1_1, "p", true);
    peer_subscribe(kept, "slow", 1);
    peer_disconnect(kept);
    for (int i = 1; i <= 250; i++) /* more than may be unacknowledged: its input waits */
        peer_send_publish(p,
                          (MqttPublish){ .topic = i % 3 ? S("slow") : S("fast"), .qos = 1, .packet_id = (uint16_t)i });
    for (int i = 1; i <= 250; i++) assert_int_equal(peer_puback(p), i);
    peer_free(p);
    bed_free(b);
}

/* ------------------------------------------------------------------------------------------------ shared */

static int drain(Peer *p) {
    MqttFrame f = { 0 };
    int n = 0;
    bed_settle(p->bed);
    peer_ping(p);
    while (assert_true(peer_next(p, &f)), mqtt_type(f.header) == MQTT_PUBLISH) {
        MqttPublish m = publish_of(p, &f);
        if (m.qos) peer_ack(p, m.packet_id);
        n++;
    }
    assert_int_equal(mqtt_type(f.header), MQTT_PINGRESP);
    return n;
}

static void a_share_group_gets_each_message_once(void **state) {
    (void)state;
    Bed *b = bed_new(2, 2, NULL);
    Peer *m[3], *p = peer_in(b, 0, MQTT_3_1_1, "p", true), *other = peer_in(b, 1, MQTT_5, "other", true);
    for (size_t i = 0; i < 3; i++) {
        char id[16];
        snprintf(id, sizeof id, "m%zu", i);
        m[i] = peer_in(b, i % 2, MQTT_5, id, i != 2);
        peer_subscribe(m[i], "$share/g/t/#", 1);
    }
    peer_subscribe(other, "$share/h/t/+", 1);
    for (int i = 0; i < 60; i++) peer_publish(p, "t/x", "m", 1);
    int got[3];
    for (size_t i = 0; i < 3; i++) got[i] = drain(m[i]);
    assert_int_equal(got[0] + got[1] + got[2], 60);
    for (size_t i = 0; i < 3; i++) assert_int_equal(got[i], 20); /* in turn */
    assert_int_equal(drain(other), 60);
    peer_disconnect(m[0]); /* the others take its part */
    bed_settle(b);
    for (int i = 0; i < 10; i++) peer_publish(p, "t/x", "m", 1);
    assert_int_equal(drain(m[1]) + drain(m[2]), 10);
    peer_disconnect(m[1]);
    peer_disconnect(m[2]); /* persistent: it is stored for it */
    bed_settle(b);
    for (int i = 0; i < 5; i++) peer_publish(p, "t/x", "m", 1);
    m[2] = peer_in(b, 1, MQTT_5, "m2", false);
    assert_int_equal(drain(m[2]), 5);
    peer_free(m[2]);
    peer_free(other);
    peer_free(p);
    bed_free(b);
}

/* ------------------------------------------------------------------------------------------------ wills */

static Peer *with_will(Bed *b, const char *id, uint32_t delay_s, bool retain) {
    Peer *p = peer_new(b, 0, MQTT_5);
    MqttConnect c = connect_as(p, str_c(id), false);
    Writer w = writer_in(&p->arena);
    c.has_will = true;
    c.will = (MqttPublish){ .topic = S("will"), .payload = str_c(id), .qos = 1, .retain = retain };
    if (delay_s) {
        writer_u8(&w, MQTT_PROP_WILL_DELAY);
        writer_u32(&w, delay_s);
        c.will.props = writer_str(&w);
    }
    peer_connect_with(p, &c);
    return p;
}

static void a_will_is_published_unless_the_client_took_its_leave(void **state) {
    (void)state;
    Bed *b = bed_new(2, 1, NULL);
    Peer *s = peer_in(b, 1, MQTT_3_1_1, "s", true);
    peer_subscribe(s, "will", 1);
    peer_disconnect(with_will(b, "orderly", 0, false));
    peer_gets_nothing(s);
    peer_free(with_will(b, "lost", 0, false));
    peer_gets(s, "lost", 1);
    Peer *first = with_will(b, "twice", 0, false), *second = with_will(b, "twice", 0, false);
    peer_gets(s, "twice", 1);
    peer_free(first);
    static const uint8_t WITH_WILL[] = { 0xE0, 1, MQTT_DISCONNECT_WITH_WILL };
    peer_send(second, (Str){ WITH_WILL, 3 });
    peer_gets(s, "twice", 1);
    peer_free(second);
    peer_gets_nothing(s);
    Peer *silent = peer_new(b, 0, MQTT_3_1_1);
    MqttConnect c = connect_as(silent, S("silent"), true);
    c.keepalive_s = 30;
    c.has_will = true;
    c.will = (MqttPublish){ .topic = S("will"), .payload = S("silent") };
    peer_connect_with(silent, &c);
    bed_advance(b, 44000);
    peer_gets_nothing(s);
    bed_advance(b, 3000);
    peer_gets(s, "silent", 0);
    peer_ended(silent);
    peer_free(silent);
    peer_free(s);
    bed_free(b);
}

static void a_delayed_will_waits_and_is_forgotten_when_its_client_is_back(void **state) {
    (void)state;
    Bed *b = bed_new(2, 1, NULL);
    Peer *s = peer_in(b, 1, MQTT_3_1_1, "s", true);
    peer_subscribe(s, "will", 1);
    peer_free(with_will(b, "late", 60, false));
    bed_settle(b);
    bed_advance(b, 50 * 1000);
    peer_gets_nothing(s);
    bed_advance(b, 12 * 1000);
    peer_gets(s, "late", 1);
    peer_free(with_will(b, "back", 60, false));
    bed_settle(b);
    bed_advance(b, 30 * 1000);
    Peer *back = peer_in(b, 1, MQTT_5, "back", false);
    bed_advance(b, 40 * 1000);
    peer_gets_nothing(s);
    peer_free(back);
    peer_free(with_will(b, "never", 1000, false)); /* still waits when the broker ends */
    bed_settle(b);
    peer_free(s);
    bed_free(b);
}

/* ------------------------------------------------------------------------------------------------ retained, expiry */

static void publish_as(Peer *p, Str payload, bool retain, uint32_t expiry_s) {
    Writer w = writer_in(&p->arena);
    if (expiry_s) {
        writer_u8(&w, MQTT_PROP_MESSAGE_EXPIRY);
        writer_u32(&w, expiry_s);
    }
    peer_send_publish(
        p, (MqttPublish){ .topic = S("t/1"), .payload = payload, .props = writer_str(&w), .qos = 1, .retain = retain });
    peer_puback(p);
}

static void a_retained_message_is_kept_replaced_removed_and_expires(void **state) {
    (void)state;
    Bed *b = bed_new(2, 2, NULL);
    Peer *p = peer_in(b, 0, MQTT_5, "p", true), *s = peer_in(b, 1, MQTT_5, "s", true);
    peer_subscribe(s, "t/1", 1);
    peer_gets_nothing(s);
    publish_as(p, S("one"), true, 0);
    MqttPublish m = peer_message(s);
    assert_false(m.retain); /* it was subscribed already */
    peer_ack(s, m.packet_id);
    publish_as(p, S("two"), true, 0);
    peer_gets(s, "two", 1);
    Peer *late = peer_in(b, 0, MQTT_3_1_1, "late", true);
    peer_subscribe(late, "t/1", 0);
    m = peer_message(late);
    assert_true(m.retain && str_eq(m.payload, S("two")) && m.qos == 0);
    publish_as(p, S(""), true, 0);
    peer_gets(late, "", 0);
    peer_gets(s, "", 1);
    peer_subscribe(late, "t/1", 1);
    peer_gets_nothing(late);
    publish_as(p, S("short"), true, 10);
    peer_gets(s, "short", 1);
    peer_gets(late, "short", 1);
    bed_advance(b, 4000);
    peer_subscribe(s, "t/1", 1);
    m = peer_message(s);
    assert_true(m.retain && m.has_message_expiry);
    assert_in_range(m.message_expiry_s, 4, 6);
    peer_ack(s, m.packet_id);
    bed_advance(b, 8000);
    peer_subscribe(s, "t/1", 1);
    peer_gets_nothing(s);
    peer_free(late);
    peer_free(s);
    peer_free(p);
    bed_free(b);
}

static void a_message_expires_while_its_receiver_is_away(void **state) {
    (void)state;
    Bed *b = bed_new(1, 2, NULL);
    Peer *p = peer_in(b, 0, MQTT_5, "p", true), *s = peer_in(b, 0, MQTT_5, "s", false);
    peer_subscribe(s, "t/+", 1);
    peer_disconnect(s);
    publish_as(p, S("short"), false, 10);
    publish_as(p, S("long"), false, 100);
    publish_as(p, S("for ever"), false, 0);
    bed_advance(b, 30000);
    s = peer_in(b, 0, MQTT_5, "s", false);
    MqttPublish m = peer_message(s);
    assert_true(str_eq(m.payload, S("long")) && m.has_message_expiry);
    assert_in_range(m.message_expiry_s, 68, 70);
    peer_ack(s, m.packet_id);
    peer_gets(s, "for ever", 1);
    peer_gets_nothing(s);
    peer_free(s);
    peer_free(p);
    bed_free(b);
}

/* ------------------------------------------------------------------------------------------------ limits */

static void send_alias(Peer *p, const char *topic, uint16_t alias, const char *payload) {
    Writer w = writer_in(&p->arena);
    writer_u8(&w, MQTT_PROP_TOPIC_ALIAS);
    writer_u16(&w, alias);
    peer_send_publish(p, (MqttPublish){ .topic = str_c(topic), .payload = str_c(payload), .props = writer_str(&w) });
}

static void a_topic_alias_stands_for_its_topic_until_it_is_another(void **state) {
    (void)state;
    Bed *b = bed_new(1, 1, NULL);
    Peer *s = peer_in(b, 0, MQTT_5, "s", true), *p = peer_in(b, 0, MQTT_5, "p", true);
    peer_subscribe(s, "#", 0);
    static const struct {
        const char *topic;
        uint16_t alias;
        const char *want;
    } STEPS[] = { { "a", 1, "a" },          { "", 1, "a" },  { "b/long/topic", 8, "b/long/topic" },
                  { "", 1, "a" },           { "c", 1, "c" }, { "", 1, "c" },
                  { "", 8, "b/long/topic" } };
    for (size_t i = 0; i < sizeof STEPS / sizeof *STEPS; i++) {
        send_alias(p, STEPS[i].topic, STEPS[i].alias, "x");
        MqttPublish m = peer_message(s);
        while (str_starts(m.topic, S("$"))) m = peer_message(s);
        assert_true(str_eq(m.topic, str_c(STEPS[i].want)));
        assert_int_equal(m.topic_alias, 0);
    }
    send_alias(p, "", 2, "unknown");
    assert_int_equal(peer_ended(p), MQTT_PROTOCOL_ERROR); /* MQTT 5 section 3.3.2.3.4 */
    peer_free(p);
    p = peer_in(b, 0, MQTT_5, "p", true);
    send_alias(p, "a", 9, "too large");
    assert_int_equal(peer_ended(p), MQTT_TOPIC_ALIAS_INVALID);
    peer_free(p);
    peer_free(s);
    bed_free(b);
}

static void a_slow_reader_misses_qos_0_and_is_bounded(void **state) {
    (void)state;
    enum { BYTES = 60000 };
    BrokerLimits limits = BROKER_LIMITS_AWS;
    limits.out_bytes_max = 2 << 20;
    Bed *b = bed_new(2, 1, &limits);
    uint8_t *bytes = mem_new(BYTES);
    for (size_t at = 0; at < 2; at++) {
        Peer *p = peer_in(b, 0, MQTT_3_1_1, "p", true), *s = peer_in(b, at, MQTT_3_1_1, "s", true);
        uint64_t dropped = broker_figures(b->broker).dropped_slow;
        peer_subscribe(s, "t", 0);
        for (int i = 0; i < 200; i++)
            peer_send_publish(p, (MqttPublish){ .topic = S("t"), .payload = { bytes, BYTES } });
        peer_sync(p);
        assert_true(broker_figures(b->broker).dropped_slow > dropped);
        MqttFrame f;
        int got = 0;
        peer_ping(s);
        while (peer_next(s, &f) && mqtt_type(f.header) == MQTT_PUBLISH) got++;
        assert_int_equal(mqtt_type(f.header), MQTT_PINGRESP); /* it is still connected */
        assert_in_range(got, 1, 100);
        peer_publish(p, "t", "again", 0);
        peer_gets(s, "again", 0);
        peer_free(s);
        peer_free(p);
        bed_settle(b);
    }
    free(bytes);
    bed_free(b);
}

static void what_waits_for_a_session_that_is_not_kept_is_bounded(void **state) {
    (void)state;
    BrokerLimits limits = BROKER_LIMITS_AWS;
    limits.queued_messages_max = 10;
    limits.inflight_out_max = 5;
    Bed *b = bed_new(1, 1, &limits);
    Peer *p = peer_in(b, 0, MQTT_3_1_1, "p", true), *s = peer_in(b, 0, MQTT_3_1_1, "s", true);
    peer_subscribe(s, "t", 1);
    for (int i = 0; i < 30; i++) peer_publish(p, "t", "x", 1);
    assert_int_equal(broker_figures(b->broker).dropped_full, 15);
    assert_int_equal(drain(s) + drain(s) + drain(s) + drain(s), 15);
    peer_free(s);
    peer_free(p);
    bed_free(b);
}

static void what_waits_is_bounded_in_bytes_too(void **state) {
    (void)state;
    enum { BYTES = 1000 };
    static const uint8_t bytes[BYTES];
    BrokerLimits limits = BROKER_LIMITS_AWS;
    limits.queued_bytes_max = 10 * BYTES;
    limits.inflight_out_max = 5;
    Bed *b = bed_new(1, 1, &limits);
    Peer *p = peer_in(b, 0, MQTT_3_1_1, "p", true), *s = peer_in(b, 0, MQTT_3_1_1, "s", true);
    peer_subscribe(s, "t", 1);
    for (int round = 0; round < 2; round++) { /* what was taken makes room again */
        for (int i = 0; i < 30; i++) {
            peer_send_publish(p, (MqttPublish){ .topic = S("t"), .payload = { bytes, BYTES }, .qos = 1 });
            peer_puback(p);
        }
        int got = drain(s) + drain(s) + drain(s) + drain(s);
        assert_in_range(got, 5 + 8, 5 + 10);
        assert_int_equal(broker_figures(b->broker).dropped_full, (uint64_t)(round + 1) * (30 - (uint64_t)got));
    }
    peer_free(s);
    peer_free(p);
    bed_free(b);
}

static void client_ids_without_a_session_are_remembered_within_a_limit(void **state) {
    (void)state;
    BrokerLimits limits = BROKER_LIMITS_AWS;
    limits.ghosts_max = 5;
    Bed *b = bed_new(1, 1, &limits);
    for (int round = 0; round < 2; round++) { /* who comes back and leaves again counts once */
        for (int i = 0; i < 10; i++) {
            char id[16];
            snprintf(id, sizeof id, "c%d", i);
            peer_disconnect(peer_in(b, 0, MQTT_5, id, true));
        }
        bed_advance(b, 2000);
        assert_int_equal(broker_figures(b->broker).sessions, 5);
    }
    bed_advance(b, 3700 * 1000);
    assert_int_equal(broker_figures(b->broker).sessions, 0);
    peer_disconnect(peer_in(b, 0, MQTT_5, "late", true));
    bed_advance(b, 2000);
    assert_int_equal(broker_figures(b->broker).sessions, 1);
    bed_free(b);
}

static void timers_go_on_when_the_clock_went_back(void **state) {
    (void)state;
    Bed *b = bed_new(1, 1, NULL);
    bed_advance(b, INT64_C(3000000) * 1000);
    bed_advance(b, -INT64_C(3000000) * 1000);
    Peer *p = peer_new(b, 0, MQTT_3_1_1);
    bed_advance(b, 12 * 1000);
    MqttFrame f;
    assert_false(peer_next(p, &f)); /* no CONNECT in time */
    peer_free(p);
    bed_free(b);
}

static Err wait_for_lock(Job *job, Txn *txn) {
    (void)txn;
    pthread_mutex_t *lock = ((Errand *)((char *)job - offsetof(Errand, job)))->arg;
    pthread_mutex_lock(lock);
    pthread_mutex_unlock(lock);
    return OK;
}

static void what_a_client_asks_of_the_store_does_not_pile_up(void **state) {
    (void)state;
    enum { N = 3 * OWED_MAX };
    Bed *b = bed_new(1, 1, NULL);
    Peer *p = peer_in(b, 0, MQTT_5, "p", false), *s = peer_in(b, 0, MQTT_3_1_1, "s", true);
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    Errand slow = errand_new(NULL, &lock);
    MqttFrame f;
    Writer w = writer_in(&p->arena);
    peer_subscribe(s, "t", 0);
    pthread_mutex_lock(&lock);
    slow.job = (Job){ .key = 1, .run = wait_for_lock, .done = errand_told };
    workers_submit(b->workers, &slow.job);
    for (int i = 0; i < N; i++) mqtt_write_publish(&w, MQTT_5, &(MqttPublish){ .topic = S("t"), .retain = true });
    for (uint16_t i = 1; i <= N; i++)
        mqtt_write_subscribe(&w, MQTT_5, i, &(MqttProps){ 0 }, &(MqttSubscription){ .filter = S("u") }, 1);
    peer_send(p, writer_str(&w));
    for (int i = 0; i < OWED_MAX; i++) peer_message(s); /* they leave in the turn that reads all of p's bytes */
    peer_ping(s);
    assert_true(peer_next(s, &f));
    assert_int_equal(mqtt_type(f.header), MQTT_PINGRESP);
    pthread_mutex_unlock(&lock);
    errand_wait(&slow);
    for (int i = OWED_MAX; i < N; i++) peer_message(s);
    for (uint16_t i = 1; i <= N; i++) {
        MqttSuback ack;
        assert_true(peer_next(p, &f));
        assert_int_equal(mqtt_type(f.header), MQTT_SUBACK);
        assert_int_equal(mqtt_parse_suback(MQTT_5, f.body, &ack), OK);
        assert_int_equal(ack.packet_id, i);
    }
    peer_free(s);
    peer_free(p);
    bed_free(b);
}

static void a_will_that_was_forbidden_since_is_not_sent(void **state) {
    (void)state;
    Bed *b = bed_new(1, 1, NULL);
    Principal *device = principal_make_plain(BED_ACCOUNT, BED_REGION),
              *less = principal_make_plain(BED_ACCOUNT, BED_REGION);
    device->id = less->id = S("device");
    policy_slot_release(less->policies[--less->policies_n]);
    Peer *s = peer_in(b, 0, MQTT_5, "s", true);
    peer_subscribe(s, "will", 1);
    for (int forbidden = 0; forbidden < 2; forbidden++) {
        Peer *p = peer_of(b, 0, MQTT_5, device);
        MqttConnect c = connect_as(p, S("p"), true);
        c.has_will = true;
        c.will = (MqttPublish){ .topic = S("will"), .payload = S("gone"), .qos = 1 };
        Writer w = writer_in(&p->arena);
        mqtt_write_connect(&w, &c);
        peer_send(p, writer_str(&w));
        assert_int_equal(peer_connack(p).reason, 0);
        if (forbidden) broker_principal_changed(b->broker, BED_ACCOUNT, device->id, less);
        bed_settle(b);
        peer_free(p);
        if (forbidden)
            peer_gets_nothing(s);
        else
            peer_gets(s, "gone", 1);
    }
    peer_free(s);
    bed_free(b);
    principal_release(device);
    principal_release(less);
}

static void a_publisher_beyond_its_receive_maximum_is_disconnected(void **state) {
    (void)state;
    BrokerLimits limits = BROKER_LIMITS_AWS;
    limits.inflight_in_max = 3;
    Bed *b = bed_new(1, 1, &limits);
    Peer *kept = peer_in(b, 0, MQTT_5, "kept", false);
    peer_subscribe(kept, "t", 1);
    Peer *p = peer_in(b, 0, MQTT_5, "p", true);
    Writer w = writer_in(&p->arena);
    for (uint16_t i = 1; i <= 4; i++)
        mqtt_write_publish(&w, MQTT_5, &(MqttPublish){ .topic = S("t"), .qos = 1, .packet_id = i });
    peer_send(p, writer_str(&w)); /* all of them in one turn, before the first is stored */
    assert_int_equal(peer_ended(p), MQTT_RECEIVE_MAXIMUM_EXCEEDED);
    peer_free(p);
    peer_free(kept);
    bed_free(b);
}

static void a_changed_principal_is_judged_anew_and_a_revoked_one_ends(void **state) {
    (void)state;
    Bed *b = bed_new(2, 1, NULL);
    Peer *a = peer_in(b, 0, MQTT_5, "a", true), *c = peer_in(b, 1, MQTT_5, "c", true);
    peer_subscribe(c, "t", 1);
    peer_publish(a, "t", "x", 1);
    peer_gets(c, "x", 1);
    broker_principal_changed(b->broker, S("another account"), b->plain->id, NULL); /* not theirs */
    bed_settle(b);
    peer_publish(a, "t", "y", 1);
    peer_gets(c, "y", 1);
    Principal *none = principal_make_plain(BED_ACCOUNT, BED_REGION);
    none->policies_n = 0;
    broker_principal_changed(b->broker, BED_ACCOUNT, b->plain->id, none);
    bed_settle(b);
    peer_send_publish(a, (MqttPublish){ .topic = S("t"), .payload = S("z"), .qos = 1 });
    peer_puback(a);
    peer_gets_nothing(c);
    broker_disconnect_principal(b->broker, BED_ACCOUNT, b->plain->id);
    assert_int_equal(peer_ended(a), MQTT_NOT_AUTHORIZED);
    assert_int_equal(peer_ended(c), MQTT_NOT_AUTHORIZED);
    peer_free(a);
    peer_free(c);
    bed_free(b);
    none->policies_n = 1; /* to be let go, too */
    principal_release(none);
}

/* As many topics as there is room for, while a message is on its way to the first one's subscribers. */
static void fill_routes(Reactor *r, void *arg) {
    Shard *shard = shard_of(r);
    Space *space = hub_space(shard->broker, BED_ACCOUNT);
    Route *first = route_find(shard, space, S("t/0"));
    uint32_t epoch = shard->route_epoch;
    first->delivering++;
    shard->delivering++;
    space_touch(space, S("t"));
    for (int i = 1; i <= 70000; i++) {
        char topic[16];
        int n = snprintf(topic, sizeof topic, "t/%d", i);
        (void)route_find(shard, space, (Str){ (const uint8_t *)topic, (size_t)n });
    }
    RouteSub *subs = first->subs;
    bool kept = route_find(shard, space, S("t/0")) == first && first->subs == subs && !route_current(first) &&
                shard->route_epoch == epoch;
    shard->delivering--;
    first->delivering--;
    *(bool *)arg = kept && route_current(route_find(shard, space, S("t/0")));
    (void)route_find(shard, space, S("t/one more"));
    *(bool *)arg &= shard->route_epoch != epoch;
}

static void routes_stay_while_a_message_is_delivered(void **state) {
    (void)state;
    Bed *b = bed_new(1, 1, NULL);
    Peer *p = peer_in(b, 0, MQTT_5, "p", true);
    bool as_said = false;
    peer_subscribe(p, "t/#", 1);
    on_reactor(b->reactors[0], fill_routes, &as_said);
    assert_true(as_said);
    peer_free(p);
    bed_free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_reaches_all_subscribers_once_whatever_their_version_and_reactor),
        cmocka_unit_test(a_large_message_is_whole_for_everyone),
        cmocka_unit_test(pubacks_leave_in_the_order_of_their_publishes),
        cmocka_unit_test(a_share_group_gets_each_message_once),
        cmocka_unit_test(a_will_is_published_unless_the_client_took_its_leave),
        cmocka_unit_test(a_delayed_will_waits_and_is_forgotten_when_its_client_is_back),
        cmocka_unit_test(a_retained_message_is_kept_replaced_removed_and_expires),
        cmocka_unit_test(a_message_expires_while_its_receiver_is_away),
        cmocka_unit_test(a_topic_alias_stands_for_its_topic_until_it_is_another),
        cmocka_unit_test(a_slow_reader_misses_qos_0_and_is_bounded),
        cmocka_unit_test(what_waits_for_a_session_that_is_not_kept_is_bounded),
        cmocka_unit_test(what_waits_is_bounded_in_bytes_too),
        cmocka_unit_test(client_ids_without_a_session_are_remembered_within_a_limit),
        cmocka_unit_test(timers_go_on_when_the_clock_went_back),
        cmocka_unit_test(what_a_client_asks_of_the_store_does_not_pile_up),
        cmocka_unit_test(a_will_that_was_forbidden_since_is_not_sent),
        cmocka_unit_test(a_publisher_beyond_its_receive_maximum_is_disconnected),
        cmocka_unit_test(a_changed_principal_is_judged_anew_and_a_revoked_one_ends),
        cmocka_unit_test(routes_stay_while_a_message_is_delivered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
