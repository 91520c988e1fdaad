#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>

#include "mqtt/ack.h"
#include "mqtt/connect.h"
#include "mqtt/reason.h"
#include "mqtt/subscribe.h"

typedef union {
    MqttConnect connect;
    MqttConnack connack;
    MqttPublish publish;
    MqttAck ack;
    MqttSubscribe subscribe;
    MqttSuback suback;
    MqttDisconnect disconnect;
} Any;

static Err parse(MqttVersion v, uint8_t header, Str body, Any *out) {
    switch (mqtt_type(header)) {
    case MQTT_CONNECT: return mqtt_parse_connect(body, &out->connect);
    case MQTT_CONNACK: return mqtt_parse_connack(v, body, &out->connack);
    case MQTT_PUBLISH: return mqtt_parse_publish(v, mqtt_flags(header), body, &out->publish);
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP: return mqtt_parse_ack(v, mqtt_type(header), body, &out->ack);
    case MQTT_SUBSCRIBE: return mqtt_parse_subscribe(v, body, &out->subscribe);
    case MQTT_SUBACK: return mqtt_parse_suback(v, body, &out->suback);
    case MQTT_UNSUBSCRIBE: return mqtt_parse_unsubscribe(v, body, &out->subscribe);
    case MQTT_UNSUBACK: return mqtt_parse_unsuback(v, body, &out->suback);
    case MQTT_DISCONNECT: return mqtt_parse_disconnect(v, body, &out->disconnect);
    case MQTT_AUTH: return mqtt_parse_auth(v, body, &out->disconnect);
    default: return mqtt_parse_empty(body);
    }
}

/* A copy that ends where its memory ends, so that a sanitizer sees a step beyond. */
static Err parse_copy(MqttVersion v, uint8_t header, Str body, Any *out) {
    uint8_t *copy = malloc(body.len ? body.len : 1);
    if (body.len) memcpy(copy, body.ptr, body.len);
    Err e = parse(v, header, (Str){ copy, body.len }, out);
    free(copy);
    return e;
}

/* One whole packet: its frame is found only when all of it is there. */
static MqttFrame frame_of(Str bytes) {
    MqttFrame f = { .total = 99999 };
    for (size_t n = 0; n < bytes.len; n++) {
        assert_int_equal(mqtt_frame(str_sub(bytes, 0, n), MQTT_BODY_BYTES_MAX, &f), ERR_AGAIN);
        assert_int_equal(f.total, 99999);
    }
    assert_int_equal(mqtt_frame(bytes, MQTT_BODY_BYTES_MAX, &f), OK);
    assert_int_equal(f.total, bytes.len);
    assert_int_equal(mqtt_frame_bytes(f.body.len), bytes.len);
    return f;
}

/* Every truncation of the body is refused with `out` untouched, but for the lengths named: there the
 * packet may end by its own rules. */
static void refuses_truncations(MqttVersion v, Str bytes, const size_t *whole, size_t whole_n) {
    MqttFrame f = frame_of(bytes);
    for (size_t n = 0; n < f.body.len; n++) {
        Any got, before;
        memset(&before, 0x5A, sizeof before);
        got = before;
        bool may_end = false;
        for (size_t i = 0; i < whole_n; i++) may_end |= whole[i] == n;
        Err e = parse_copy(v, f.header, str_sub(f.body, 0, n), &got);
        if (may_end != (e == OK)) print_error("%s of %zu bytes: %s\n", mqtt_type_name(f.header >> 4), n, err_name(e));
        assert_int_equal(e == OK, may_end);
        if (!may_end) assert_memory_equal(&got, &before, sizeof got);
    }
    Any got;
    assert_int_equal(parse_copy(v, f.header, f.body, &got), OK);
}
#define LENGTHS(...) (const size_t[]){ __VA_ARGS__ }, sizeof((const size_t[]){ __VA_ARGS__ }) / sizeof(size_t)
#define NOWHERE NULL, 0

static const MqttVersion both[] = { MQTT_3_1_1, MQTT_5 };
#define each_version(v) for (const MqttVersion *v = both; v < both + 2; v++)

static Str user_list(Arena *a) {
    Writer w = writer_in(a);
    mqtt_props_put_user(&w, S("k"), S("v"));
    return writer_str(&w);
}

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
        cmocka_unit_test(a_frame_is_found_by_its_length_and_refused_early),
        cmocka_unit_test(a_publish_comes_back_as_it_was_written),
        cmocka_unit_test(a_publish_is_refused_for_each_rule_that_it_breaks),
        cmocka_unit_test(a_connect_comes_back_as_it_was_written),
        cmocka_unit_test(a_connect_is_refused_for_each_rule_that_it_breaks),
        cmocka_unit_test(a_connect_of_another_version_is_told_apart),
        cmocka_unit_test(a_connack_comes_back_as_it_was_written),
        cmocka_unit_test(acknowledgements_come_back_as_they_were_written),
        cmocka_unit_test(a_subscribe_comes_back_as_it_was_written),
        cmocka_unit_test(a_subscribe_is_refused_for_each_rule_that_it_breaks),
        cmocka_unit_test(an_unsubscribe_comes_back_as_it_was_written),
        cmocka_unit_test(their_answers_come_back_as_they_were_written),
        cmocka_unit_test(a_disconnect_may_leave_out_its_end),
        cmocka_unit_test(pings_are_two_bytes),
        cmocka_unit_test(errors_have_a_reason_and_reasons_a_name),
        cmocka_unit_test(a_damaged_packet_never_leads_outside_of_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
