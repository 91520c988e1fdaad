#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "generated/iot_data.h"
#include "generated/iot_records.h"
#include "mqtt/packet.h"
#include "mqtt/props.h"
#include "services/publish.h"
#include "services/testing/cases.h"

static int open(void **state) {
    return fixture_case_open(state, &iot_data_service);
}

static Err publish(Fixture *f, const IotDataPublishIn *in) {
    return FIXTURE_CALL(f, "Publish", in, (IotDataPublishOut *)NULL);
}

/* Runs the handler alone, for a look at what it leaves in the outbox. */
static const BrokerMessage *published(Fixture *f, const IotDataPublishIn *in) {
    Call *c = arena_new(&f->arena, Call);
    *c = (Call){ .account = f->account, .region = f->region, .arena = &f->arena, .now_ms = f->now_ms };
    c->outbox_tail = &c->outbox;
    assert_int_equal(iot_data_publish(c, in, &(IotDataPublishOut){ 0 }), OK);
    assert_non_null(c->outbox);
    return publish_queued(c->outbox);
}

static void a_message_takes_its_mqtt5_properties_along(void **state) {
    Fixture *f = *state;
    IotDataPublishIn in = { .topic = S("a/b"),
                            .qos = { true, 1 },
                            .payload = S("hi"),
                            .user_properties = S("[{\"n\":\"1\"},{\"n\":\"2\"}]"),
                            .payload_format_indicator = S("UTF8_DATA"),
                            .content_type = S("text/plain"),
                            .response_topic = S("re/ply"),
                            .correlation_data = S("AQI="),
                            .message_expiry = { true, 99999999 } };
    const BrokerMessage *m = published(f, &in);
    assert_true(str_eq(m->topic, S("a/b")) && str_eq(m->payload, S("hi")) && m->qos == 1 && !m->retain);
    MqttProps p;
    assert_int_equal(mqtt_props_decode(MQTT_PUBLISH, m->props, &p), OK);
    assert_true(str_eq(p.content_type, S("text/plain")) && str_eq(p.response_topic, S("re/ply")));
    assert_true(str_eq(p.correlation_data, S("\x01\x02")));
    assert_int_equal(p.payload_format, 1);
    assert_int_equal(p.message_expiry_s, 604800);
    assert_int_equal(p.user_n, 2);
    in = (IotDataPublishIn){ .topic = S("a"), .user_properties = S("\"[{\\\"n\\\":\\\"1\\\"}]\"") };
    assert_int_equal(mqtt_props_decode(MQTT_PUBLISH, published(f, &in)->props, &p), OK);
    assert_int_equal(p.user_n, 1);
    in = (IotDataPublishIn){ .topic = S("a"), .message_expiry = { true, 0 } };
    m = published(f, &in);
    assert_int_equal(mqtt_props_decode(MQTT_PUBLISH, m->props, &p), OK);
    assert_int_equal(p.message_expiry_s, 1);
    in.message_expiry.set = false;
    assert_null(published(f, &in)->props.ptr);
}

static void a_message_that_mqtt_would_not_carry_is_refused(void **state) {
    Fixture *f = *state;
    static const Str topics[] = { STR_INIT("a/+"), STR_INIT("#"), STR_INIT("1/2/3/4/5/6/7/8/9") };
    for (size_t i = 0; i < 3; i++)
        expect_error(f, publish(f, &(IotDataPublishIn){ .topic = topics[i] }), "InvalidRequestException", "topic");
    char *large = mem_new(128 * 1024 + 1);
    IotDataPublishIn in = { .topic = S("a"), .payload = { (uint8_t *)large, 128 * 1024 } };
    assert_int_equal(publish(f, &in), OK);
    assert_int_equal(f->outbox_n, 1);
    in.payload.len++;
    expect_error(f, publish(f, &in), "RequestEntityTooLargeException", "131073 bytes");
    assert_int_equal(f->outbox_n, 0);
    free(large);
    static const IotDataPublishIn bad[] = {
        { .user_properties = STR_INIT("{}") },
        { .user_properties = STR_INIT("[{\"a\":1}]") },
        { .user_properties = STR_INIT("[{\"a\":\"1\",\"b\":\"2\"}]") },
        { .user_properties = STR_INIT("[[]]") },
        { .user_properties = STR_INIT("[{\"a\":\"\\u0000\"}]") },
        { .content_type = STR_INIT("\xFF") },
        { .correlation_data = STR_INIT("***") },
        { .response_topic = STR_INIT("a/#") },
        { .payload_format_indicator = STR_INIT("UTF8_DATA"), .payload = STR_INIT("\xFF") },
        { .payload_format_indicator = STR_INIT("OTHER") },
        { .qos = { true, 2 } },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        in = bad[i];
        in.topic = S("a");
        expect_error(f, publish(f, &in), "InvalidRequestException", "");
    }
    in = (IotDataPublishIn){ .topic = S("$aws/things/x/shadow/update"), .retain = { true, true } };
    expect_error(f, publish(f, &in), "InvalidRequestException", "reserved");
}

static void retain(Fixture *f, const char *topic, int64_t expires_ms, Str props) {
    Txn *txn = fixture_txn(f);
    RetainedMessageRecord r = { .topic = str_c(topic),
                                .payload = S("\x01\x02"),
                                .qos = 1,
                                .props = props,
                                .published_ms = FIXTURE_NOW_MS,
                                .expires_ms = expires_ms };
    assert_int_equal(retained_message_record_put(txn, (Tenant){ f->account, f->region }, &r), OK);
    fixture_commit(f, txn);
}

static void retained_messages_are_shown_until_they_expire(void **state) {
    Fixture *f = *state;
    Writer w = writer_in(&f->arena);
    mqtt_props_put_user(&w, S("n"), S("v"));
    retain(f, "a", 0, writer_str(&w));
    retain(f, "b", FIXTURE_NOW_MS + 1, STR_NONE);
    retain(f, "c", FIXTURE_NOW_MS, STR_NONE);
    retain(f, "d", 0, STR_NONE);
    IotDataGetRetainedMessageIn in = { .topic = S("a") };
    IotDataGetRetainedMessageOut out;
    assert_int_equal(FIXTURE_CALL(f, "GetRetainedMessage", &in, &out), OK);
    assert_true(str_eq(out.payload, S("\x01\x02")) && out.qos.v == 1 && out.last_modified_time.v == FIXTURE_NOW_MS);
    assert_true(str_eq(out.user_properties, S("[{\"n\":\"v\"}]")));
    in.topic = S("b");
    assert_int_equal(FIXTURE_CALL(f, "GetRetainedMessage", &in, &out), OK);
    assert_null(out.user_properties.ptr);
    in.topic = S("c");
    expect_error(f, FIXTURE_CALL(f, "GetRetainedMessage", &in, (IotDataGetRetainedMessageOut *)NULL),
                 "ResourceNotFoundException", "'c'");
    IotDataListRetainedMessagesIn list_in = { .max_results = { true, 2 } };
    IotDataListRetainedMessagesOut list;
    assert_int_equal(FIXTURE_CALL(f, "ListRetainedMessages", &list_in, &list), OK);
    assert_int_equal(list.retained_topics.n, 2);
    assert_true(str_eq(list.retained_topics.items[1].topic, S("b")) &&
                list.retained_topics.items[1].payload_size.v == 2);
    list_in.next_token = list.next_token;
    assert_int_equal(FIXTURE_CALL(f, "ListRetainedMessages", &list_in, &list), OK);
    assert_true(list.retained_topics.n == 1 && str_eq(list.retained_topics.items[0].topic, S("d")));
    assert_null(list.next_token.ptr);
}

#define iot_data_test(name) cmocka_unit_test_setup_teardown(name, open, fixture_case_close)

int main(void) {
    const struct CMUnitTest tests[] = {
        iot_data_test(a_message_takes_its_mqtt5_properties_along),
        iot_data_test(a_message_that_mqtt_would_not_carry_is_refused),
        iot_data_test(retained_messages_are_shown_until_they_expire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
