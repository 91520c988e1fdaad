#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "mqtt/reason.h"
#include "mqtt/testing/packets.h"

static void a_frame_is_found_by_its_length_and_refused_early(void **state) {
    (void)state;
    MqttFrame f;
    assert_int_equal(mqtt_frame(S("\xC0\x00"), 0, &f), OK);
    assert_int_equal(mqtt_type(f.header), MQTT_PINGREQ);
    assert_int_equal(mqtt_frame(S("\xC0\x00\xC0\x00"), 0, &f), OK);
    assert_int_equal(f.total, 2);
    assert_int_equal(mqtt_frame(S("\x30\x80\x80\x80\x80"), MQTT_BODY_BYTES_MAX, &f), ERR_MALFORMED);
    assert_int_equal(mqtt_frame(S("\x30\x80\x00"), MQTT_BODY_BYTES_MAX, &f), ERR_MALFORMED); /* not the shortest */
    assert_int_equal(mqtt_frame(S("\x30\xFF\xFF\xFF\x7F"), MQTT_BODY_BYTES_MAX, &f), ERR_AGAIN);
    assert_int_equal(mqtt_frame(S("\x30\xFF\xFF\xFF\x7F"), 149504, &f), ERR_LIMIT); /* before its body */
    assert_int_equal(mqtt_frame(S("\x30\x05"), 4, &f), ERR_LIMIT);
    for (int header = 0; header < 256; header++) {
        uint8_t byte = (uint8_t)header, type = byte >> 4, flags = byte & 15;
        bool good =
            type == MQTT_PUBLISH ||
            (type != 0 && flags == (type == MQTT_PUBREL || type == MQTT_SUBSCRIBE || type == MQTT_UNSUBSCRIBE ? 2 : 0));
        assert_int_equal(mqtt_frame((Str){ &byte, 1 }, 9, &f), good ? ERR_AGAIN : ERR_MALFORMED);
    }
}

static void pings_are_two_bytes(void **state) {
    (void)state;
    uint8_t at[4];
    assert_ptr_equal(mqtt_write_pingresp(mqtt_write_pingreq(at)), at + 4);
    assert_memory_equal(at, "\xC0\0\xD0\0", 4);
    assert_int_equal(mqtt_parse_empty(S("")), OK);
    assert_int_equal(mqtt_parse_empty(S("x")), ERR_MALFORMED);
}

static void errors_have_a_reason_and_reasons_a_name(void **state) {
    (void)state;
    assert_int_equal(mqtt_reason_of(ERR_MALFORMED), 0x81);
    assert_int_equal(mqtt_reason_of(ERR_INVALID), 0x82);
    assert_int_equal(mqtt_reason_of(ERR_LIMIT), 0x95);
    assert_int_equal(mqtt_reason_of(ERR_NOT_IMPLEMENTED), 0x84);
    assert_int_equal(mqtt_reason_to_3(MQTT_UNSUPPORTED_PROTOCOL_VERSION), 1);
    assert_int_equal(mqtt_reason_to_3(MQTT_CLIENT_ID_NOT_VALID), 2);
    assert_int_equal(mqtt_reason_to_3(MQTT_QUOTA_EXCEEDED), 3);
    assert_int_equal(mqtt_reason_to_3(MQTT_BAD_USER_NAME_OR_PASSWORD), 4);
    assert_int_equal(mqtt_reason_to_3(MQTT_NOT_AUTHORIZED), 7);
    assert_string_equal(mqtt_reason_name(0x90), "Topic Name invalid");
    assert_string_equal(mqtt_reason_name(0x7F), "unknown reason");
    assert_false(mqtt_reason_allowed(MQTT_PUBACK, 0x8E));
    assert_false(mqtt_reason_allowed(200, 0));
    assert_string_equal(mqtt_type_name(MQTT_PUBLISH), "PUBLISH");
    assert_string_equal(mqtt_type_name(16), "unknown");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_is_found_by_its_length_and_refused_early),
        cmocka_unit_test(pings_are_two_bytes),
        cmocka_unit_test(errors_have_a_reason_and_reasons_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
