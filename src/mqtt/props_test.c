#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "mqtt/packet.h"
#include "mqtt/props.h"

/* Every property with a good value, and the packets that may carry it as the standard's table 2-4 lists them. */
typedef struct {
    uint8_t id;
    Str bytes;
    const char
        *in; /* C connect, W will, K connack, P publish, A the four acks, S subscribe, s suback, U, u, D, H auth */
    bool repeats;
} Example;

static const Example examples[] = {
    { 0x01, STR_INIT("\x01\1"), "PW", false },         { 0x02, STR_INIT("\x02\0\0\0\5"), "PW", false },
    { 0x03, STR_INIT("\x03\0\1t"), "PW", false },      { 0x08, STR_INIT("\x08\0\1r"), "PW", false },
    { 0x09, STR_INIT("\x09\0\2\0\xFF"), "PW", false }, { 0x0B, STR_INIT("\x0B\x80\1"), "PS", false },
    { 0x11, STR_INIT("\x11\0\0\0\5"), "CKD", false },  { 0x12, STR_INIT("\x12\0\1c"), "K", false },
    { 0x13, STR_INIT("\x13\0\5"), "K", false },        { 0x15, STR_INIT("\x15\0\1m"), "CKH", false },
    { 0x17, STR_INIT("\x17\1"), "C", false },          { 0x18, STR_INIT("\x18\0\0\0\5"), "W", false },
    { 0x19, STR_INIT("\x19\1"), "C", false },          { 0x1A, STR_INIT("\x1A\0\1i"), "K", false },
    { 0x1C, STR_INIT("\x1C\0\1s"), "KD", false },      { 0x1F, STR_INIT("\x1F\0\1r"), "KAsuDH", false },
    { 0x21, STR_INIT("\x21\0\5"), "CK", false },       { 0x22, STR_INIT("\x22\0\5"), "CK", false },
    { 0x23, STR_INIT("\x23\0\5"), "P", false },        { 0x24, STR_INIT("\x24\1"), "K", false },
    { 0x25, STR_INIT("\x25\1"), "K", false },          { 0x26, STR_INIT("\x26\0\1k\0\1v"), "CWKPASsUuDH", true },
    { 0x27, STR_INIT("\x27\0\0\2\0"), "CK", false },   { 0x28, STR_INIT("\x28\1"), "K", false },
    { 0x29, STR_INIT("\x29\1"), "K", false },          { 0x2A, STR_INIT("\x2A\1"), "K", false },
};
static const char letters[] = "WCKPAAAASsUu--DH"; /* by packet type, 0 the will */

#define each_example(e) for (const Example *e = examples; e < examples + sizeof examples / sizeof *examples; e++)

static Str twice(Arena *a, Str s) {
    Writer w = writer_in(a);
    writer_bytes(&w, s);
    writer_bytes(&w, s);
    return writer_str(&w);
}

static void each_property_stands_only_where_the_standard_puts_it(void **state) {
    (void)state;
    Arena a = { 0 };
    each_example(e) for (uint8_t type = 0; type < 16; type++) {
        MqttProps p = { .user_n = 99 };
        bool allowed = letters[type] != '-' && strchr(e->in, letters[type]);
        assert_int_equal(mqtt_props_decode(type, e->bytes, &p), allowed ? OK : ERR_MALFORMED);
        assert_int_equal(p.user_n, allowed ? e->repeats : 99);
        if (!allowed) continue;
        assert_true(mqtt_props_has(&p, e->id) && p.has == MQTT_HAS(e->id));
        bool repeats = e->repeats || (e->id == MQTT_PROP_SUBSCRIPTION_ID && type == MQTT_PUBLISH);
        assert_int_equal(mqtt_props_decode(type, twice(&a, e->bytes), &p), repeats ? OK : ERR_INVALID);
        for (size_t n = 1; n < e->bytes.len; n++) {
            MqttProps q = { .user_n = 99 };
            assert_int_equal(mqtt_props_decode(type, str_sub(e->bytes, 0, n), &q), ERR_MALFORMED);
            assert_int_equal(q.user_n, 99);
        }
    }
    arena_free(&a);
}

static void identifiers_that_nobody_defined_are_malformed(void **state) {
    (void)state;
    MqttProps p;
    for (int id = 0; id < 256; id++) {
        bool known = id == MQTT_PROP_AUTH_DATA;
        each_example(e) known |= e->id == id;
        uint8_t bytes[] = { (uint8_t)id, 0, 0, 0, 0, 0, 0 };
        if (!known)
            for (size_t n = 1; n <= sizeof bytes; n++)
                assert_int_equal(mqtt_props_decode(MQTT_CONNACK, (Str){ bytes, n }, &p), ERR_MALFORMED);
    }
    assert_int_equal(mqtt_props_decode(MQTT_PUBLISH, S("\xA6\0\0\1k\0\1v"), &p), ERR_MALFORMED); /* 0x26 in two bytes */
    assert_int_equal(mqtt_props_decode(200, S("\x26\0\1k\0\1v"), &p), ERR_MALFORMED);
    assert_int_equal(mqtt_props_decode(MQTT_PUBLISH, STR_NONE, &p), OK);
    assert_true(p.has == 0 && p.user_n == 0);
}

static void values_that_the_protocol_forbids_are_invalid(void **state) {
    (void)state;
    static const struct {
        uint8_t type;
        Str bytes;
    } cases[] = {
        { MQTT_PUBLISH, STR_INIT("\x01\2") },      /* payload format */
        { MQTT_PUBLISH, STR_INIT("\x08\0\3a/+") }, /* wildcards in a response topic */
        { MQTT_PUBLISH, STR_INIT("\x08\0\1#") },    { MQTT_PUBLISH, STR_INIT("\x08\0\0") }, /* none at all */
        { MQTT_SUBSCRIBE, STR_INIT("\x0B\0") },                                             /* subscription id 0 */
        { MQTT_CONNECT, STR_INIT("\x16\0\1d") }, /* authentication data without method */
        { MQTT_CONNECT, STR_INIT("\x17\2") },       { MQTT_CONNECT, STR_INIT("\x19\2") },
        { MQTT_CONNECT, STR_INIT("\x21\0\0") }, /* receive maximum 0 */
        { MQTT_PUBLISH, STR_INIT("\x23\0\0") }, /* topic alias 0 */
        { MQTT_CONNACK, STR_INIT("\x24\2") },       { MQTT_CONNACK, STR_INIT("\x25\2") },
        { MQTT_CONNECT, STR_INIT("\x27\0\0\0\0") }, /* maximum packet size 0 */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        MqttProps p = { .user_n = 99 };
        assert_int_equal(mqtt_props_decode(cases[i].type, cases[i].bytes, &p), ERR_INVALID);
        assert_int_equal(p.user_n, 99);
    }
    MqttProps p;
    assert_int_equal(mqtt_props_decode(MQTT_CONNECT, S("\x16\0\1d\x15\0\1m"), &p), OK);
    assert_true(str_eq(p.auth_data, S("d")) && str_eq(p.auth_method, S("m")));
    assert_int_equal(mqtt_props_decode(MQTT_PUBLISH, S("\x03\0\1\xFF"), &p), ERR_MALFORMED);
    assert_int_equal(mqtt_props_decode(MQTT_PUBLISH, S("\x26\0\1\0\0\1v"), &p), ERR_MALFORMED);
    assert_int_equal(mqtt_props_decode(MQTT_PUBLISH, S("\x01\2\x03\0\1\xFF"), &p),
                     ERR_MALFORMED); /* the worse counts */
}

static void a_list_comes_back_as_it_was_written(void **state) {
    (void)state;
    Arena a = { 0 };
    for (uint8_t type = 0; type < 16; type++) { /* all that the packet may carry, at once */
        Writer all = writer_in(&a);
        each_example(e) if (letters[type] != '-' && strchr(e->in, letters[type])) writer_bytes(&all, e->bytes);
        mqtt_props_put_user(&all, S("second"), S(""));
        MqttProps in, out;
        if (letters[type] == '-') continue;
        assert_int_equal(mqtt_props_decode(type, writer_str(&all), &in), OK);
        Writer w = writer_in(&a);
        mqtt_props_write(&w, &in);
        assert_true(w.ptr[0] == w.len - 1);
        assert_int_equal(mqtt_props_decode(type, str_from(writer_str(&w), 1), &out), OK);
        assert_true(out.has == in.has && out.user_n == 2 && out.user_bytes == 8);
        in.raw = out.raw = STR_NONE;
        Writer again = writer_in(&a), first = writer_in(&a); /* the values, without the users */
        mqtt_props_write(&first, &in);
        mqtt_props_write(&again, &out);
        assert_true(str_eq(writer_str(&first), writer_str(&again)));
    }
    arena_free(&a);
}

static void user_properties_keep_their_order(void **state) {
    (void)state;
    Str rest = S("\x26\0\1a\0\1x\x01\1\x26\0\0\0\0\x26\0\1a\0\1y"), name, value;
    assert_true(mqtt_props_next_user(&rest, &name, &value));
    assert_true(str_eq(name, S("a")) && str_eq(value, S("x")));
    assert_true(mqtt_props_next_user(&rest, &name, &value));
    assert_true(name.len == 0 && value.len == 0);
    assert_true(mqtt_props_next_user(&rest, &name, &value));
    assert_true(str_eq(name, S("a")) && str_eq(value, S("y")));
    assert_false(mqtt_props_next_user(&rest, &name, &value));
    assert_false(mqtt_props_next_user(&rest, &name, &value));
}

static void a_receiver_gets_all_but_what_concerns_the_publisher_alone(void **state) {
    (void)state;
    Arena a = { 0 };
    Str plain = S("\x01\1\x03\0\1t\x26\0\1k\0\1v");
    assert_ptr_equal(mqtt_props_forward(&a, plain, 7).ptr, plain.ptr); /* nothing to change, nothing copied */
    assert_int_equal(mqtt_props_forward(&a, STR_NONE, 7).len, 0);
    Str same = S("\x02\0\0\0\7");
    assert_ptr_equal(mqtt_props_forward(&a, same, 7).ptr, same.ptr);
    Str in = S("\x23\0\5\x01\1\x02\0\0\0\x3C\x26\0\1k\0\1v\x0B\1\x08\0\1r\x09\0\1c\x03\0\1t\x26\0\1k\0\1w");
    Str out = S("\x01\1\x02\0\0\0\7\x26\0\1k\0\1v\x08\0\1r\x09\0\1c\x03\0\1t\x26\0\1k\0\1w");
    assert_true(str_eq(mqtt_props_forward(&a, in, 7), out));
    assert_true(str_eq(mqtt_props_forward(&a, S("\x18\0\0\0\5\x01\1"), 7), S("\x01\1"))); /* a will's delay */
    assert_int_equal(mqtt_props_forward(&a, S("\x23\0\5"), 7).len, 0);
    arena_free(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_property_stands_only_where_the_standard_puts_it),
        cmocka_unit_test(identifiers_that_nobody_defined_are_malformed),
        cmocka_unit_test(values_that_the_protocol_forbids_are_invalid),
        cmocka_unit_test(a_list_comes_back_as_it_was_written),
        cmocka_unit_test(user_properties_keep_their_order),
        cmocka_unit_test(a_receiver_gets_all_but_what_concerns_the_publisher_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
