#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "mqtt/reason.h"
#include "mqtt/testing/packets.h"

static MqttConnect full_connect(MqttVersion v, Arena *a) {
    return (MqttConnect){
        .version = v,
        .clean = true,
        .has_will = true,
        .keepalive_s = 1200,
        .client_id = S("device-1"),
        .user_name = S("?SDK=Python&Version=1.4.3"),
        .password = S("p\0w"),
        .will = { .topic = S("gone/1"),
                  .payload = S("bye"),
                  .qos = 1,
                  .retain = true,
                  .props = S("\x18\0\0\0\x07\x02\0\0\0\x09") },
        .props = { .has = MQTT_HAS(MQTT_PROP_SESSION_EXPIRY) | MQTT_HAS(MQTT_PROP_RECEIVE_MAX),
                   .session_expiry_s = 3600,
                   .receive_max = 10,
                   .raw = user_list(a) },
    };
}

static void a_connect_comes_back_as_it_was_written(void **state) {
    (void)state;
    Arena a = { 0 };
    each_version(v) {
        MqttConnect in = full_connect(*v, &a), out;
        Writer w = writer_in(&a);
        mqtt_write_connect(&w, &in);
        MqttFrame f = frame_of(writer_str(&w));
        assert_int_equal(mqtt_connect_level(f.body), *v);
        assert_int_equal(mqtt_parse_connect(f.body, &out), OK);
        assert_true(out.version == *v && out.clean && out.has_will && out.keepalive_s == 1200);
        assert_true(str_eq(out.client_id, in.client_id) && str_eq(out.user_name, in.user_name));
        assert_true(str_eq(out.password, in.password) && str_eq(out.will.topic, in.will.topic));
        assert_true(str_eq(out.will.payload, in.will.payload) && out.will.qos == 1 && out.will.retain);
        if (*v == MQTT_5) {
            assert_true(out.props.session_expiry_s == 3600 && out.props.receive_max == 10 && out.props.user_n == 1);
            assert_true(out.will_delay_s == 7 && out.will.has_message_expiry && out.will.message_expiry_s == 9);
        }
        refuses_truncations(*v, writer_str(&w), NOWHERE);
        MqttConnect least = { .version = *v };
        w = writer_in(&a);
        mqtt_write_connect(&w, &least);
        assert_int_equal(mqtt_parse_connect(frame_of(writer_str(&w)).body, &out), OK);
        assert_true(!out.clean && !out.has_will && !out.user_name.ptr && !out.password.ptr && out.client_id.len == 0);
        refuses_truncations(*v, writer_str(&w), NOWHERE);
    }
    arena_free(&a);
}

static Err connect_with(uint8_t level, uint8_t flags, Str rest) {
    Arena a = { 0 };
    Writer w = writer_in(&a);
    writer_bytes(&w, S("\0\4MQTT"));
    writer_u8(&w, level);
    writer_u8(&w, flags);
    writer_u16(&w, 60);
    if (level == 5) writer_u8(&w, 0);
    writer_bytes(&w, rest);
    Any out;
    Err e = parse_copy(level, MQTT_CONNECT << 4, writer_str(&w), &out);
    arena_free(&a);
    return e;
}

static void a_connect_is_refused_for_each_rule_that_it_breaks(void **state) {
    (void)state;
    for (uint8_t level = 4; level <= 5; level++) {
        assert_int_equal(connect_with(level, 2, S("\0\1c")), OK);
        assert_int_equal(connect_with(level, 3, S("\0\1c")), ERR_MALFORMED);         /* reserved flag */
        assert_int_equal(connect_with(level, 8, S("\0\1c")), ERR_MALFORMED);         /* will QoS without will */
        assert_int_equal(connect_with(level, 32, S("\0\1c")), ERR_MALFORMED);        /* will retain without will */
        assert_int_equal(connect_with(level, 2, S("\0\1c\0")), ERR_MALFORMED);       /* more behind the end */
        assert_int_equal(connect_with(level, 2, S("\0\1\xFF")), ERR_MALFORMED);      /* client id not UTF-8 */
        assert_int_equal(connect_with(level, 128, S("\0\1c\0\1\0")), ERR_MALFORMED); /* U+0000 in user name */
    }
    assert_int_equal(connect_with(4, 4 | 24, S("\0\1c\0\1t\0\0")), ERR_MALFORMED);      /* will QoS 3 */
    assert_int_equal(connect_with(4, 64, S("\0\1c\0\1p")), ERR_MALFORMED);              /* password without user name */
    assert_int_equal(connect_with(5, 64, S("\0\1c\0\1p")), OK);                         /* MQTT 5 allows it */
    assert_int_equal(connect_with(5, 4, S("\0\1c\2\x01\2\0\1t\0\0")), ERR_INVALID);     /* will: payload format 2 */
    assert_int_equal(connect_with(5, 4, S("\0\1c\3\x23\0\1\0\1t\0\0")), ERR_MALFORMED); /* will: topic alias */
}

static void a_connect_of_another_version_is_told_apart(void **state) {
    (void)state;
    MqttConnect c;
    assert_int_equal(mqtt_parse_connect(S("\0\6MQIsdp\3\2\0\x3C\0\1c"), &c), ERR_NOT_IMPLEMENTED);
    assert_int_equal(mqtt_connect_level(S("\0\6MQIsdp\3\2\0\x3C\0\1c")), 3);
    assert_int_equal(mqtt_parse_connect(S("\0\4MQTT\6\2\0\x3C\0\1c"), &c), ERR_NOT_IMPLEMENTED);
    assert_int_equal(mqtt_parse_connect(S("\0\4MQTT\x84\2\0\x3C\0\1c"), &c), ERR_NOT_IMPLEMENTED); /* a bridge's */
    assert_int_equal(mqtt_parse_connect(S("\0\4MQTX\4\2\0\x3C\0\1c"), &c), ERR_MALFORMED);
    assert_int_equal(mqtt_parse_connect(S("\0\4mqtt\4\2\0\x3C\0\1c"), &c), ERR_MALFORMED);
    assert_int_equal(mqtt_connect_level(S("\0\4HTTP\4")), 0);
    assert_int_equal(mqtt_connect_level(S("\0\4MQT")), 0);
}

static void a_connack_comes_back_as_it_was_written(void **state) {
    (void)state;
    Arena a = { 0 };
    each_version(v) {
        MqttConnack in = { .session_present = true,
                           .props = { .has = MQTT_HAS(MQTT_PROP_SERVER_KEEPALIVE) |
                                             MQTT_HAS(MQTT_PROP_ASSIGNED_CLIENT_ID) | MQTT_HAS(MQTT_PROP_QOS_MAX),
                                      .server_keepalive_s = 1200,
                                      .assigned_client_id = S("made-up"),
                                      .qos_max = 1 } },
                    out;
        Writer w = writer_in(&a);
        mqtt_write_connack(&w, *v, &in);
        assert_int_equal(mqtt_parse_connack(*v, frame_of(writer_str(&w)).body, &out), OK);
        assert_true(out.session_present && out.reason == 0);
        if (*v == MQTT_5) assert_true(str_eq(out.props.assigned_client_id, S("made-up")) && out.props.qos_max == 1);
        refuses_truncations(*v, writer_str(&w), NOWHERE);
    }
    MqttConnack c;
    assert_int_equal(mqtt_parse_connack(MQTT_3_1_1, S("\0\x07"), &c), OK); /* AWS's not authorized */
    assert_int_equal(mqtt_parse_connack(MQTT_3_1_1, S("\1\5"), &c), ERR_INVALID);
    assert_int_equal(mqtt_parse_connack(MQTT_3_1_1, S("\2\0"), &c), ERR_MALFORMED);
    assert_int_equal(mqtt_parse_connack(MQTT_5, S("\0\1\0"), &c), ERR_INVALID);
    arena_free(&a);
}

static void a_disconnect_may_leave_out_its_end(void **state) {
    (void)state;
    Arena a = { 0 };
    MqttDisconnect in = { .reason = MQTT_SESSION_TAKEN_OVER,
                          .props = { .has = MQTT_HAS(MQTT_PROP_REASON_STRING),
                                     .reason_string = S("another connection came") } },
                   out;
    Writer w = writer_in(&a);
    mqtt_write_disconnect(&w, MQTT_5, &in);
    assert_int_equal(mqtt_parse_disconnect(MQTT_5, frame_of(writer_str(&w)).body, &out), OK);
    assert_true(out.reason == in.reason && str_eq(out.props.reason_string, in.props.reason_string));
    refuses_truncations(MQTT_5, writer_str(&w), LENGTHS(0, 1));
    w = writer_in(&a);
    mqtt_write_disconnect(&w, MQTT_3_1_1, &in);
    assert_true(str_eq(writer_str(&w), S("\xE0\0")));
    assert_int_equal(mqtt_parse_disconnect(MQTT_3_1_1, STR_NONE, &out), OK);
    assert_int_equal(out.reason, 0);
    assert_int_equal(mqtt_parse_disconnect(MQTT_3_1_1, S("\0"), &out), ERR_MALFORMED);
    assert_int_equal(mqtt_parse_disconnect(MQTT_5, S("\x85"), &out), ERR_INVALID); /* CONNACK's reason */
    assert_int_equal(mqtt_parse_disconnect(MQTT_5, S("\0\0\0"), &out), ERR_MALFORMED);
    assert_int_equal(mqtt_parse_auth(MQTT_3_1_1, S(""), &out), ERR_MALFORMED);
    assert_int_equal(mqtt_parse_auth(MQTT_5, S("\x18\4\x15\0\1m"), &out), OK);
    assert_true(str_eq(out.props.auth_method, S("m")));
    arena_free(&a);
}

/* Bytes flipped in good packets: whatever comes, a parser returns, and what it takes is inside the body. */
static void a_damaged_packet_never_leads_outside_of_itself(void **state) {
    (void)state;
    Arena a = { 0 };
    uint64_t seed = 1;
    each_version(v) for (int round = 0; round < 20000; round++) {
        MqttConnect c = full_connect(*v, &a);
        Writer w = writer_in(&a);
        if (round % 2)
            mqtt_write_connect(&w, &c);
        else
            mqtt_write_publish(&w, *v, &c.will);
        for (int flips = 0; flips < 3; flips++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            w.ptr[2 + (seed >> 33) % (w.len - 2)] = (uint8_t)(seed >> 56);
        }
        Any out;
        Str body = { w.ptr + 2, w.len - 2 };
        Err e = parse_copy(*v, w.ptr[0], body, &out);
        assert_true(e == OK || e == ERR_MALFORMED || e == ERR_INVALID || e == ERR_NOT_IMPLEMENTED);
        arena_reset(&a);
    }
    arena_free(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connect_comes_back_as_it_was_written),
        cmocka_unit_test(a_connect_is_refused_for_each_rule_that_it_breaks),
        cmocka_unit_test(a_connect_of_another_version_is_told_apart),
        cmocka_unit_test(a_connack_comes_back_as_it_was_written),
        cmocka_unit_test(a_disconnect_may_leave_out_its_end),
        cmocka_unit_test(a_damaged_packet_never_leads_outside_of_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
