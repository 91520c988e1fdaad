#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "mqtt/testing/packets.h"

static void a_subscribe_comes_back_as_it_was_written(void **state) {
    (void)state;
    Arena a = { 0 };
    MqttProps props = { .has = MQTT_HAS(MQTT_PROP_SUBSCRIPTION_ID), .subscription_id = 300, .raw = user_list(&a) };
    MqttSubscription in[] = {
        { .filter = S("a/#"), .qos = 1 },
        { .filter = S("$share/g/b"), .qos = 0, .retain_handling = 2, .retain_as_published = true },
        { .filter = S("+"), .qos = 2, .no_local = true }
    };
    each_version(v) {
        Writer w = writer_in(&a);
        mqtt_write_subscribe(&w, *v, 7, &props, in, 3);
        MqttFrame f = frame_of(writer_str(&w));
        MqttSubscribe s;
        assert_int_equal(mqtt_parse_subscribe(*v, f.body, &s), OK);
        assert_true(s.packet_id == 7 && s.filters_n == 3);
        assert_int_equal(s.props.subscription_id, *v == MQTT_5 ? 300 : 0);
        Str rest = s.filters;
        MqttSubscription got;
        for (size_t i = 0; i < 3; i++) {
            assert_true(mqtt_subscribe_next(&rest, &got));
            assert_true(str_eq(got.filter, in[i].filter) && got.qos == in[i].qos);
            if (*v == MQTT_3_1_1) continue;
            assert_true(got.no_local == in[i].no_local && got.retain_as_published == in[i].retain_as_published);
            assert_int_equal(got.retain_handling, in[i].retain_handling);
        }
        assert_false(mqtt_subscribe_next(&rest, &got));
        size_t first = f.body.len - s.filters.len + 6, second = first + 13; /* whole filters are a whole packet */
        refuses_truncations(*v, writer_str(&w), LENGTHS(first, second));
    }
    arena_free(&a);
}

static void a_subscribe_is_refused_for_each_rule_that_it_breaks(void **state) {
    (void)state;
    MqttSubscribe s = { .packet_id = 99 };
    assert_int_equal(mqtt_parse_subscribe(MQTT_3_1_1, S("\0\0\0\1a\0"), &s), ERR_INVALID); /* packet id 0 */
    assert_int_equal(mqtt_parse_subscribe(MQTT_3_1_1, S("\0\1"), &s), ERR_INVALID);        /* no filter */
    assert_int_equal(mqtt_parse_subscribe(MQTT_5, S("\0\1\0"), &s), ERR_INVALID);
    assert_int_equal(mqtt_parse_subscribe(MQTT_3_1_1, S("\0\1\0\1a\3"), &s), ERR_MALFORMED); /* QoS 3 */
    assert_int_equal(mqtt_parse_subscribe(MQTT_3_1_1, S("\0\1\0\1a\4"), &s), ERR_MALFORMED); /* reserved bits */
    assert_int_equal(mqtt_parse_subscribe(MQTT_5, S("\0\1\0\0\1a\x40"), &s), ERR_MALFORMED);
    assert_int_equal(mqtt_parse_subscribe(MQTT_5, S("\0\1\0\0\1a\3"), &s), ERR_INVALID);
    assert_int_equal(mqtt_parse_subscribe(MQTT_5, S("\0\1\0\0\1a\x30"), &s), ERR_INVALID); /* retain handling 3 */
    assert_int_equal(mqtt_parse_subscribe(MQTT_5, S("\0\1\0\0\x0A$share/g/b\4"), &s),
                     ERR_INVALID);                                                             /* no local, shared */
    assert_int_equal(mqtt_parse_subscribe(MQTT_5, S("\0\1\2\x0B\0\0\1a\0"), &s), ERR_INVALID); /* subscription id 0 */
    assert_int_equal(mqtt_parse_subscribe(MQTT_3_1_1, S("\0\1\0\1\0\0"), &s), ERR_MALFORMED);  /* U+0000 */
    assert_int_equal(mqtt_parse_unsubscribe(MQTT_3_1_1, S("\0\1"), &s), ERR_INVALID);
    assert_int_equal(mqtt_parse_unsubscribe(MQTT_5, S("\0\1\2\x0B\1\0\1a"), &s), ERR_MALFORMED); /* not its property */
    assert_int_equal(s.packet_id, 99);
}

static void an_unsubscribe_comes_back_as_it_was_written(void **state) {
    (void)state;
    Arena a = { 0 };
    MqttProps props = { .raw = user_list(&a) };
    Str in[] = { S("a/#"), S("bb") };
    each_version(v) {
        Writer w = writer_in(&a);
        mqtt_write_unsubscribe(&w, *v, 7, &props, in, 2);
        MqttFrame f = frame_of(writer_str(&w));
        MqttSubscribe s;
        assert_int_equal(mqtt_parse_unsubscribe(*v, f.body, &s), OK);
        assert_true(s.packet_id == 7 && s.filters_n == 2);
        Str rest = s.filters, got;
        for (size_t i = 0; i < 2; i++) assert_true(mqtt_unsubscribe_next(&rest, &got) && str_eq(got, in[i]));
        assert_false(mqtt_unsubscribe_next(&rest, &got));
        size_t first = f.body.len - 4;
        refuses_truncations(*v, writer_str(&w), LENGTHS(first));
    }
    arena_free(&a);
}

static void their_answers_come_back_as_they_were_written(void **state) {
    (void)state;
    Arena a = { 0 };
    each_version(v) {
        MqttSuback in = { .packet_id = 7, .codes = S("\0\1\x80") }, out;
        Writer w = writer_in(&a);
        mqtt_write_suback(&w, *v, &in);
        MqttFrame f = frame_of(writer_str(&w));
        assert_int_equal(mqtt_parse_suback(*v, f.body, &out), OK);
        assert_true(out.packet_id == 7 && str_eq(out.codes, in.codes));
        size_t one = f.body.len - 2;
        refuses_truncations(*v, writer_str(&w), LENGTHS(one, one + 1));
        in.codes = S("\0\x11");
        w = writer_in(&a);
        mqtt_write_unsuback(&w, *v, &in);
        f = frame_of(writer_str(&w));
        assert_int_equal(mqtt_parse_unsuback(*v, f.body, &out), OK);
        assert_true(str_eq(out.codes, *v == MQTT_5 ? in.codes : STR_NONE));
        one = f.body.len - 1;
        if (*v == MQTT_5)
            refuses_truncations(*v, writer_str(&w), LENGTHS(one));
        else
            refuses_truncations(*v, writer_str(&w), NOWHERE);
    }
    MqttSuback s;
    assert_int_equal(mqtt_parse_suback(MQTT_3_1_1, S("\0\1\3"), &s), ERR_INVALID);
    assert_int_equal(mqtt_parse_suback(MQTT_5, S("\0\1\0\x11"), &s), ERR_INVALID);
    assert_int_equal(mqtt_parse_unsuback(MQTT_3_1_1, S("\0\1\0"), &s), ERR_MALFORMED);
    arena_free(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_subscribe_comes_back_as_it_was_written),
        cmocka_unit_test(a_subscribe_is_refused_for_each_rule_that_it_breaks),
        cmocka_unit_test(an_unsubscribe_comes_back_as_it_was_written),
        cmocka_unit_test(their_answers_come_back_as_they_were_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
