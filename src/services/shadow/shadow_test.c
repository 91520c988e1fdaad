#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>

#include "generated/iot_data.h"
#include "services/env.h"
#include "services/publish.h"
#include "services/shadow/topic.h"

/* One account's shadows in a store in memory; each call is a transaction of its own. */
typedef struct {
    Arena arena;
    Store *store;
    Env env;
    Call c;
} World;

static int world_new(void **state) {
    World *w = mem_new(sizeof *w);
    Str why;
    assert_int_equal(store_open(&(StoreOptions){ .engine = "memory" }, &w->arena, &w->store, &why), OK);
    w->c = (Call){ .env = &w->env,
                   .account = S("123456789012"),
                   .region = S("us-east-1"),
                   .arena = &w->arena,
                   .now_ms = 1000 * 1000 };
    *state = w;
    return 0;
}

static int world_free(void **state) {
    World *w = *state;
    store_close(w->store);
    arena_free(&w->arena);
    free(w);
    return 0;
}

static Call *begin(World *w) {
    assert_int_equal(txn_begin(w->store, &w->c.txn), OK);
    w->c.outbox = NULL;
    w->c.outbox_tail = &w->c.outbox;
    w->c.failure.error = NULL;
    return &w->c;
}

static void commit(World *w) {
    assert_int_equal(txn_commit(w->c.txn, false), OK);
}

static void publish(World *w, const char *topic, const char *payload) {
    assert_int_equal(shadow_topic_run(begin(w), str_c(topic), str_c(payload)), OK);
    commit(w);
}

/* Takes the oldest message out of the outbox. */
static void expect_message(World *w, const char *topic, const char *payload_start) {
    assert_non_null(w->c.outbox);
    const BrokerMessage *m = publish_queued(w->c.outbox);
    assert_non_null(m);
    w->c.outbox = w->c.outbox->next;
    if (!str_eq(m->topic, str_c(topic)) || !str_starts(m->payload, str_c(payload_start)))
        fail_msg("got  %.*s %.*s\nwant %s %s", PS(m->topic), PS(m->payload), topic, payload_start);
    assert_true(str_eq(m->account, S("123456789012")));
    assert_int_equal(m->qos, 1);
    assert_false(m->retain);
}

static void expect_failure(World *w, Err e, const ApiError *error, const char *message) {
    assert_int_equal(e, ERR_API);
    assert_ptr_equal(w->c.failure.error, error);
    if (!str_eq(w->c.failure.message, str_c(message))) fail_msg("%.*s", PS(w->c.failure.message));
    txn_abort(w->c.txn);
    assert_null(w->c.outbox);
}

#define T "$aws/things/lamp/shadow/"

static void topics_are_those_of_aws_and_no_others(void **state) {
    (void)state;
    ShadowTopic t;
    assert_true(shadow_topic_parse(S(T "get"), &t));
    assert_true(str_eq(t.thing, S("lamp")) && t.name.len == 0 && t.verb == SHADOW_GET);
    assert_true(shadow_topic_parse(S(T "name/a:b_c-1/update"), &t));
    assert_true(str_eq(t.name, S("a:b_c-1")) && t.verb == SHADOW_UPDATE);
    assert_true(shadow_topic_parse(S(T "name/$package/delete"), &t));
    assert_true(t.verb == SHADOW_DELETE);
    static const char *const others[] = {
        T "get/accepted",
        T "update/",
        T "",
        T "Get",
        T "name/get",
        T "name//get",
        T "name/x",
        T "name/a/b/get",
        "$aws/things/lamp/shadow",
        "$aws/things//shadow/get",
        "$aws/things/a+b/shadow/get",
        "aws/things/lamp/shadow/get",
        "$aws/things/$x/shadow/get",
        "$aws/things/lamp/shadows/get",
        "",
        "$aws/things/",
        T "name/a/get/x",
        "x" T "get",
    };
    t.verb = SHADOW_GET;
    t.thing = S("untouched");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (shadow_topic_parse(str_c(others[i]), &t)) fail_msg("%s", others[i]);
    assert_true(str_eq(t.thing, S("untouched")));
    char topic[300] = "$aws/things/";
    memset(topic + 12, 'n', 128);
    strcpy(topic + 140, "/shadow/get");
    assert_true(shadow_topic_parse(str_c(topic), &t));
    strcpy(topic + 140, "n/shadow/get");
    assert_false(shadow_topic_parse(str_c(topic), &t));
}

/* The flow of the developer guide: a device reports, an app asks, the device gets the difference and reports. */
static void a_device_and_an_app_meet_over_mqtt_and_https(void **state) {
    World *w = *state;
    publish(w, T "update", "{\"state\":{\"reported\":{\"wait\":1}}}");
    expect_message(w, T "update/accepted", "{\"state\":{\"reported\":{\"wait\":1}},");
    expect_message(w, T "update/documents", "{\"previous\":null,");
    assert_null(w->c.outbox);

    IotDataUpdateThingShadowIn in = { .thing_name = S("lamp"), .payload = S("{\"state\":{\"desired\":{\"wait\":5}}}") };
    IotDataUpdateThingShadowOut out = { 0 };
    assert_int_equal(iot_data_update_thing_shadow(begin(w), &in, &out), OK);
    commit(w);
    assert_true(str_starts(out.payload, S("{\"state\":{\"desired\":{\"wait\":5}},")));
    expect_message(w, T "update/accepted", "{\"state\":{\"desired\":{\"wait\":5}},");
    expect_message(w, T "update/delta", "{\"version\":2,\"timestamp\":1000,\"state\":{\"wait\":5},");
    expect_message(w, T "update/documents", "{\"previous\":{\"state\":{\"reported\":{\"wait\":1}},");
    assert_null(w->c.outbox);

    publish(w, T "update", "{\"state\":{\"reported\":{\"wait\":5}},\"clientToken\":\"t\"}");
    expect_message(w, T "update/accepted", "{\"state\":{\"reported\":{\"wait\":5}},");
    expect_message(w, T "update/documents", "{\"previous\":{");
    assert_null(w->c.outbox);
    publish(w, T "get", "");
    expect_message(w, T "get/accepted", "{\"state\":{\"desired\":{\"wait\":5},\"reported\":{\"wait\":5}},");
    assert_null(w->c.outbox);
}

static void errors_over_mqtt_go_to_rejected_with_their_token(void **state) {
    World *w = *state;
    publish(w, T "get", "{\"clientToken\":\"g1\"}");
    expect_message(w, T "get/rejected",
                   "{\"code\":404,\"message\":\"No shadow exists with name: 'lamp'\",\"timestamp\":1000,"
                   "\"clientToken\":\"g1\"}");
    publish(w, T "name/n/get", "no JSON, not looked at");
    expect_message(w, T "name/n/get/rejected",
                   "{\"code\":404,\"message\":\"No shadow exists with name: 'lamp~n'\",\"timestamp\":1000}");
    publish(w, T "delete", "");
    expect_message(w, T "delete/rejected", "{\"code\":404,");
    publish(w, T "delete", "{\"clientToken\":7}");
    expect_message(w, T "delete/rejected", "{\"code\":400,\"message\":\"Invalid clientToken\"");
    publish(w, T "update", "{\"state\":{\"reported\":7},\"clientToken\":\"u\"}");
    expect_message(w, T "update/rejected",
                   "{\"code\":400,\"message\":\"Reported node must be an object\",\"timestamp\":1000,\"clientToken\":"
                   "\"u\"}");
    publish(w, T "update", "{\"state\":{},\"version\":9}");
    expect_message(w, T "update/rejected", "{\"code\":400,\"message\":\"Invalid version\"");
    assert_null(w->c.outbox);
    assert_int_equal(shadow_topic_run(begin(w), S(T "get/accepted"), STR_NONE), ERR_NOT_FOUND);
    txn_abort(w->c.txn);
}

static Err get_over_https(World *w, const char *name, Str *out) {
    IotDataGetThingShadowIn in = { .thing_name = S("lamp"), .shadow_name = name ? str_c(name) : STR_NONE };
    IotDataGetThingShadowOut got = { 0 };
    Err e = iot_data_get_thing_shadow(begin(w), &in, &got);
    *out = got.payload;
    return e;
}

static Err update_over_https(World *w, const char *name, Str payload) {
    IotDataUpdateThingShadowIn in = { .thing_name = S("lamp"),
                                      .shadow_name = name ? str_c(name) : STR_NONE,
                                      .payload = payload };
    return iot_data_update_thing_shadow(begin(w), &in, &(IotDataUpdateThingShadowOut){ 0 });
}

static void errors_over_https_are_the_models_and_publish_nothing(void **state) {
    World *w = *state;
    Str got;
    expect_failure(w, get_over_https(w, NULL, &got), IOT_DATA_RESOURCE_NOT_FOUND, "No shadow exists with name: 'lamp'");
    expect_failure(w, update_over_https(w, "n", S("{}")), IOT_DATA_INVALID_REQUEST, "Missing required node: state");
    expect_failure(w, update_over_https(w, "n", S("\xFF")), IOT_DATA_UNSUPPORTED_DOCUMENT_ENCODING,
                   "Unsupported documented encoding; supported encoding is UTF-8");
    assert_int_equal(update_over_https(w, "n", S("{\"state\":{}}")), OK);
    commit(w);
    expect_failure(w, update_over_https(w, "n", S("{\"state\":{},\"version\":7}")), IOT_DATA_CONFLICT,
                   "Version conflict");
    char *long_text = mem_new(9000);
    memset(long_text, 'x', 8999);
    Str large = str_format(&w->arena, "{\"state\":{\"desired\":{\"a\":\"%s\"}}}", long_text);
    expect_failure(w, update_over_https(w, "n", large), IOT_DATA_REQUEST_ENTITY_TOO_LARGE,
                   "The payload exceeds the maximum size allowed");
    free(long_text);
}

static void a_deleted_shadow_remembers_its_version_for_48_hours(void **state) {
    World *w = *state;
    Str got;
    for (int i = 0; i < 3; i++) publish(w, T "update", "{\"state\":{\"desired\":{\"a\":1}}}");
    publish(w, T "delete", "{\"clientToken\":\"d\"}");
    expect_message(w, T "delete/accepted", "{\"version\":3,\"timestamp\":1000,\"clientToken\":\"d\"}");
    assert_null(w->c.outbox);
    assert_int_equal(get_over_https(w, NULL, &got), ERR_API);
    txn_abort(w->c.txn);
    w->c.now_ms += 48ll * 3600 * 1000;
    publish(w, T "update", "{\"state\":{\"desired\":{\"a\":1}}}");
    assert_int_equal(get_over_https(w, NULL, &got), OK);
    commit(w);
    assert_true(str_find_str(got, S("\"version\":4,")) != SIZE_MAX);

    IotDataDeleteThingShadowIn in = { .thing_name = S("lamp") };
    IotDataDeleteThingShadowOut out;
    assert_int_equal(iot_data_delete_thing_shadow(begin(w), &in, &out), OK);
    commit(w);
    assert_true(str_starts(out.payload, S("{\"version\":4,")));
    expect_message(w, T "delete/accepted", "{\"version\":4,");
    w->c.now_ms += 48ll * 3600 * 1000 + 1000;
    publish(w, T "update", "{\"state\":{\"desired\":{\"a\":1}}}");
    assert_int_equal(get_over_https(w, NULL, &got), OK);
    commit(w);
    assert_true(str_find_str(got, S("\"version\":1,")) != SIZE_MAX);
}

static void named_shadows_are_apart_and_listed_in_pages(void **state) {
    World *w = *state;
    static const char *const names[] = { "c", "a", "e", "b", "d" };
    publish(w, T "update", "{\"state\":{\"desired\":{\"classic\":1}}}");
    for (size_t i = 0; i < 5; i++) assert_int_equal(update_over_https(w, names[i], S("{\"state\":{}}")), OK), commit(w);
    publish(w, "$aws/things/lamp2/shadow/name/z/update", "{\"state\":{}}");
    publish(w, T "name/b/delete", "");
    w->c.op = api_op(&iot_data_service, S("ListNamedShadowsForThing"));
    IotDataListNamedShadowsForThingIn in = { .thing_name = S("lamp"), .page_size = { true, 2 } };
    IotDataListNamedShadowsForThingOut page = { 0 };
    char seen[8] = { 0 };
    size_t n = 0, pages = 0;
    do {
        assert_int_equal(iot_data_list_named_shadows_for_thing(begin(w), &in, &page), OK);
        commit(w);
        for (size_t i = 0; i < page.results.n; i++) seen[n++] = (char)page.results.items[i].ptr[0];
        in.next_token = page.next_token;
        page.next_token = STR_NONE;
        pages++;
    } while (in.next_token.ptr);
    assert_string_equal(seen, "acde");
    assert_int_equal(pages, 2);
    assert_int_equal(page.timestamp.v, 1000);
    in.next_token = S("%%%");
    assert_int_equal(iot_data_list_named_shadows_for_thing(begin(w), &in, &page), ERR_API);
    assert_ptr_equal(w->c.failure.error, IOT_DATA_INVALID_REQUEST);
    txn_abort(w->c.txn);
    in = (IotDataListNamedShadowsForThingIn){ .thing_name = S("nobody") };
    assert_int_equal(iot_data_list_named_shadows_for_thing(begin(w), &in, &page), OK);
    commit(w);
    assert_int_equal(page.results.n, 0);
}

#define world_test(name) cmocka_unit_test_setup_teardown(name, world_new, world_free)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topics_are_those_of_aws_and_no_others),
        world_test(a_device_and_an_app_meet_over_mqtt_and_https),
        world_test(errors_over_mqtt_go_to_rejected_with_their_token),
        world_test(errors_over_https_are_the_models_and_publish_nothing),
        world_test(a_deleted_shadow_remembers_its_version_for_48_hours),
        world_test(named_shadows_are_apart_and_listed_in_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
