#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "mqtt/testing/packets.h"

static void a_publish_comes_back_as_it_was_written(void **state) {
    (void)state;
    Arena a = { 0 };
    Str props = S("\x02\x00\x00\x00\x3C\x23\x00\x05\x26\x00\x01k\x00\x01v");
    each_version(v) for (uint8_t qos = 0; qos < 3; qos++) for (int bits = 0; bits < 8; bits++) {
        MqttPublish in = { .topic = S("a/b"),
                           .payload = S("hi"),
                           .qos = qos,
                           .packet_id = qos ? 0x1234 : 0,
                           .dup = qos && bits & 1,
                           .retain = bits & 2,
                           .props = bits & 4 ? props : STR_NONE };
        Writer w = writer_in(&a);
        mqtt_write_publish(&w, *v, &in);
        Str bytes = writer_str(&w);
        assert_int_equal(mqtt_publish_head_bytes(*v, &in) + 2, bytes.len);
        if (qos) assert_memory_equal(bytes.ptr + mqtt_publish_id_at(*v, &in), "\x12\x34", 2);
        MqttFrame f = frame_of(bytes);
        MqttPublish out;
        assert_int_equal(mqtt_parse_publish(*v, mqtt_flags(f.header), f.body, &out), OK);
        assert_true(str_eq(out.topic, in.topic) && str_eq(out.payload, in.payload));
        assert_true(out.qos == qos && out.packet_id == in.packet_id && out.dup == in.dup && out.retain == in.retain);
        bool has_props = *v == MQTT_5 && in.props.len;
        assert_true(str_eq(out.props, has_props ? props : STR_NONE));
        assert_int_equal(out.topic_alias, has_props ? 5 : 0);
        assert_true(out.has_message_expiry == has_props && out.message_expiry_s == (has_props ? 60u : 0u));
        size_t at = f.body.len - 2; /* the payload may be shorter */
        refuses_truncations(*v, bytes, LENGTHS(at, at + 1));
    }
    arena_free(&a);
}

static void a_publish_is_refused_for_each_rule_that_it_breaks(void **state) {
    (void)state;
    MqttPublish p = { .packet_id = 99 };
    assert_int_equal(mqtt_parse_publish(MQTT_3_1_1, 6, S("\0\1a\0\1"), &p), ERR_MALFORMED); /* QoS 3 */
    assert_int_equal(mqtt_parse_publish(MQTT_3_1_1, 8, S("\0\1a"), &p), ERR_MALFORMED);     /* DUP with QoS 0 */
    assert_int_equal(mqtt_parse_publish(MQTT_3_1_1, 2, S("\0\1a\0\0"), &p), ERR_INVALID);   /* packet id 0 */
    assert_int_equal(mqtt_parse_publish(MQTT_3_1_1, 0, S("\0\0"), &p), ERR_MALFORMED);      /* no topic */
    assert_int_equal(mqtt_parse_publish(MQTT_5, 0, S("\0\0\0"), &p), ERR_INVALID);          /* nor an alias */
    assert_int_equal(mqtt_parse_publish(MQTT_5, 0, S("\0\0\3\x23\0\0"), &p), ERR_INVALID);  /* alias 0 */
    assert_int_equal(mqtt_parse_publish(MQTT_5, 0, S("\0\1a\1\x11"), &p), ERR_MALFORMED);   /* not a publish's */
    assert_int_equal(mqtt_parse_publish(MQTT_5, 0, S("\0\1a\x80\0"), &p), ERR_MALFORMED);   /* needlessly long length */
    assert_int_equal(mqtt_parse_publish(MQTT_3_1_1, 0, S("\0\3a\0b"), &p), ERR_MALFORMED);  /* U+0000 */
    assert_int_equal(mqtt_parse_publish(MQTT_3_1_1, 0, S("\0\3\xED\xA0\x80"), &p), ERR_MALFORMED);
    assert_int_equal(mqtt_parse_publish(MQTT_3_1_1, 0,
                                        S("\0\x0A"
                                          "12345678\xC3\x28"),
                                        &p),
                     ERR_MALFORMED);
    assert_int_equal(mqtt_parse_publish(MQTT_3_1_1, 0,
                                        S("\0\x0A"
                                          "1234\0"
                                          "5678x"),
                                        &p),
                     ERR_MALFORMED);
    assert_int_equal(p.packet_id, 99);
    assert_int_equal(mqtt_parse_publish(MQTT_5, 0, S("\0\0\3\x23\0\1x"), &p), OK); /* an alias alone */
    assert_true(p.topic.len == 0 && p.topic_alias == 1 && str_eq(p.payload, S("x")));
    assert_int_equal(mqtt_parse_publish(MQTT_3_1_1, 0,
                                        S("\0\x0A"
                                          "12345678\xC3\xBC"),
                                        &p),
                     OK);
    assert_int_equal(mqtt_parse_publish(MQTT_5, 0, S("\0\1a\2\x0B\1"), &p), OK);
    assert_true(p.has_subscription_id);
}

static void acknowledgements_come_back_as_they_were_written(void **state) {
    (void)state;
    Arena a = { 0 };
    each_version(v) for (int type = MQTT_PUBACK; type <= MQTT_PUBCOMP; type++) for (int form = 0; form < 3; form++) {
        MqttAck in = { .packet_id = 513, .reason = *v == MQTT_5 && form ? (type <= MQTT_PUBREC ? 0x87 : 0x92) : 0 },
                out;
        if (*v == MQTT_5 && form == 2)
            in.props =
                (MqttProps){ .has = MQTT_HAS(MQTT_PROP_REASON_STRING), .reason_string = S("no"), .raw = user_list(&a) };
        Writer w = writer_in(&a);
        mqtt_write_ack(&w, *v, (MqttType)type, &in);
        assert_int_equal(mqtt_parse_ack(*v, (MqttType)type, frame_of(writer_str(&w)).body, &out), OK);
        assert_true(out.packet_id == 513 && out.reason == in.reason);
        assert_true(str_eq(out.props.reason_string, in.props.reason_string));
        if (*v == MQTT_3_1_1 || form == 0)
            refuses_truncations(*v, writer_str(&w), NOWHERE);
        else
            refuses_truncations(*v, writer_str(&w), LENGTHS(2, 3));
    }
    MqttAck ack;
    assert_int_equal(mqtt_parse_ack(MQTT_3_1_1, MQTT_PUBACK, S("\0\0"), &ack), ERR_INVALID);
    assert_int_equal(mqtt_parse_ack(MQTT_3_1_1, MQTT_PUBACK, S("\0\1\0"), &ack), ERR_MALFORMED);
    assert_int_equal(mqtt_parse_ack(MQTT_5, MQTT_PUBACK, S("\0\1\x92"), &ack), ERR_INVALID); /* PUBREL's reason */
    uint8_t fast[MQTT_PUBACK_BYTES_MAX];
    each_version(v) for (int reason = 0; reason < 256; reason += 0x87) {
        uint8_t *end = mqtt_write_puback(fast, *v, 513, (uint8_t)reason);
        MqttFrame f = frame_of((Str){ fast, (size_t)(end - fast) });
        assert_int_equal(mqtt_parse_ack(*v, MQTT_PUBACK, f.body, &ack), OK);
        assert_true(ack.packet_id == 513 && ack.reason == (*v == MQTT_5 ? reason : 0));
        assert_int_equal(mqtt_puback_plain(f.body), ack.reason ? 0 : 513);
    }
    arena_free(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_publish_comes_back_as_it_was_written),
        cmocka_unit_test(a_publish_is_refused_for_each_rule_that_it_breaks),
        cmocka_unit_test(acknowledgements_come_back_as_they_were_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
