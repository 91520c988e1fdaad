#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "api/service_log.h"
#include "base/json.h"

/* What was written last. */
typedef struct {
    Arena arena;
    Str account, line;
    int n;
} Taken;

static void take(void *ctx, Str account, Str line) {
    Taken *t = ctx;
    t->account = str_dup(&t->arena, account);
    t->line = str_dup(&t->arena, line);
    t->n++;
}

static const Str ACCOUNT = STR_INIT("123456789012");
static const Str GROUPS[] = { STR_INIT("leaf"), STR_INIT("mid"), STR_INIT("root"), { 0 }, STR_INIT("other"), { 0 } };

static LogVerdict judge(ServiceLog *log) {
    LogVerdict v;
    service_log_judge(log,
                      &(LogSubject){ .account = ACCOUNT,
                                     .client_id = S("c"),
                                     .principal_id = S("p"),
                                     .source_ip = S("10.0.0.1"),
                                     .groups = GROUPS,
                                     .groups_n = sizeof GROUPS / sizeof *GROUPS },
                      &v);
    return v;
}

/* The least level that is logged of an event; SERVICE_LOG_DISABLED: none is. */
static uint8_t least(const LogVerdict *v, ServiceEvent event) {
    uint8_t level = LOG_DEBUG;
    while (level <= LOG_ERROR && !log_verdict_has(v, event, (LogLevel)level)) level++;
    for (int above = level; above <= LOG_ERROR; above++) assert_true(log_verdict_has(v, event, (LogLevel)above));
    return level;
}

static void expect(ServiceLog *log, LogSettings *s, LogTarget *targets, size_t n, uint8_t want) {
    s->targets = targets;
    s->targets_n = n;
    service_log_set(log, ACCOUNT, s);
    LogVerdict v = judge(log);
    assert_int_equal(least(&v, SERVICE_EVENT_CONNECT), want);
}

static void nothing_is_logged_unless_it_is_asked_for(void **state) {
    (void)state;
    ServiceLog *log = service_log_new(take, NULL);
    LogVerdict v = judge(log);
    assert_int_equal(least(&v, SERVICE_EVENT_CONNECT), SERVICE_LOG_DISABLED);
    assert_false(service_log_any(log));
    service_log_free(log);
}

static void a_resource_goes_before_an_event_and_that_before_the_account(void **state) {
    (void)state;
    ServiceLog *log = service_log_new(take, NULL);
    LogSettings s = service_log_silent();
    s.level = LOG_ERROR;
    expect(log, &s, NULL, 0, LOG_ERROR);
    s.event_levels[SERVICE_EVENT_CONNECT] = LOG_INFO;
    expect(log, &s, NULL, 0, LOG_INFO);
    LogVerdict v = judge(log);
    assert_int_equal(least(&v, SERVICE_EVENT_PUBLISH_IN), LOG_ERROR);
    LogTarget one[] = { { LOG_TARGET_CLIENT_ID, S("c"), SERVICE_LOG_DISABLED } };
    expect(log, &s, one, 1, SERVICE_LOG_DISABLED);
    one[0].name = S("d");
    expect(log, &s, one, 1, LOG_INFO);
    one[0] = (LogTarget){ LOG_TARGET_SOURCE_IP, S("10.0.0.1"), LOG_DEBUG };
    expect(log, &s, one, 1, LOG_DEBUG);
    one[0] = (LogTarget){ LOG_TARGET_PRINCIPAL_ID, S("p"), LOG_WARN };
    expect(log, &s, one, 1, LOG_WARN);
    service_log_free(log);
}

static void the_nearest_group_counts_and_the_most_talkative_of_several_ways(void **state) {
    (void)state;
    ServiceLog *log = service_log_new(take, NULL);
    LogSettings s = service_log_silent();
    LogTarget two[] = { { LOG_TARGET_THING_GROUP, S("root"), LOG_DEBUG },
                        { LOG_TARGET_THING_GROUP, S("mid"), LOG_ERROR } };
    expect(log, &s, two, 1, LOG_DEBUG);
    expect(log, &s, two, 2, LOG_ERROR);
    two[1].name = S("other");
    expect(log, &s, two, 2, LOG_DEBUG);
    two[0].level = SERVICE_LOG_DISABLED;
    expect(log, &s, two, 2, LOG_ERROR);
    service_log_free(log);
}

static void ping_and_authentication_errors_must_be_asked_for_by_name(void **state) {
    (void)state;
    ServiceLog *log = service_log_new(take, NULL);
    LogSettings s = service_log_silent();
    s.level = LOG_DEBUG;
    service_log_set(log, ACCOUNT, &s);
    LogVerdict v = judge(log);
    assert_int_equal(least(&v, SERVICE_EVENT_PING), SERVICE_LOG_DISABLED);
    assert_int_equal(least(&v, SERVICE_EVENT_AUTHN_ERROR), SERVICE_LOG_DISABLED);
    s.event_levels[SERVICE_EVENT_PING] = LOG_DEBUG;
    service_log_set(log, ACCOUNT, &s);
    v = judge(log);
    assert_int_equal(least(&v, SERVICE_EVENT_PING), LOG_DEBUG);
    service_log_free(log);
}

static void a_verdict_is_stale_after_every_change(void **state) {
    (void)state;
    ServiceLog *log = service_log_new(take, NULL);
    LogVerdict never = { 0 }, v = judge(log);
    assert_false(service_log_current(log, &never));
    assert_true(service_log_current(log, &v));
    LogSettings s = service_log_silent();
    s.level = LOG_INFO;
    service_log_set(log, S("210987654321"), &s);
    assert_false(service_log_current(log, &v));
    assert_true(service_log_any(log));
    v = judge(log);
    assert_int_equal(least(&v, SERVICE_EVENT_CONNECT), SERVICE_LOG_DISABLED); /* another account's */
    service_log_clear(log);
    assert_false(service_log_current(log, &v));
    assert_false(service_log_any(log));
    service_log_free(log);
}

static LogEntry entry(void) {
    return (LogEntry){ .event = SERVICE_EVENT_PUBLISH_IN,
                       .level = LOG_INFO,
                       .success = true,
                       .now_ms = 1502379443476,
                       .trace_id = S("t"),
                       .account = ACCOUNT,
                       .protocol = S("MQTT"),
                       .topic = S("a/\"b\"\n"),
                       .client_id = S("c"),
                       .source_port = 13490,
                       .more = { { "retain", S("True"), 0, LOG_FIELD_PLAIN },
                                 { "cleanSession", STR_NONE, 1, LOG_FIELD_BOOL },
                                 { "keepAliveDuration", STR_NONE, 60, LOG_FIELD_PLAIN },
                                 { "subscriptions", S("[{\"topicName\":\"x\"}]"), 0, LOG_FIELD_JSON } },
                       .more_n = 4 };
}

static void an_entry_is_a_line_of_json_behind_its_group(void **state) {
    (void)state;
    Taken t = { 0 };
    ServiceLog *log = service_log_new(take, &t);
    LogSettings s = service_log_silent();
    s.level = LOG_INFO;
    service_log_set(log, ACCOUNT, &s);
    LogEntry e = entry();
    service_log_write(log, &e);
    assert_true(str_eq(t.account, ACCOUNT));
    assert_true(str_eq(
        t.line, S("AWSIotLogsV2 {\"timestamp\":\"2017-08-10 15:37:23.476\",\"logLevel\":\"INFO\",\"traceId\":\"t\","
                  "\"accountId\":\"123456789012\",\"status\":\"Success\",\"eventType\":\"Publish-In\","
                  "\"protocol\":\"MQTT\",\"topicName\":\"a/\\\"b\\\"\\n\",\"clientId\":\"c\",\"sourcePort\":13490,"
                  "\"retain\":\"True\",\"cleanSession\":true,\"keepAliveDuration\":60,"
                  "\"subscriptions\":[{\"topicName\":\"x\"}]}\n")));
    s.event_groups[SERVICE_EVENT_PUBLISH_IN] = S("mine");
    service_log_set(log, ACCOUNT, &s);
    service_log_write(log, &e);
    assert_true(str_starts(t.line, S("mine {\"timestamp\"")));
    s.plain = true;
    service_log_set(log, ACCOUNT, &s);
    service_log_write(log, &e);
    assert_true(str_eq(t.line, S("AWSIotLogs 2017-08-10 15:37:23.476 TRACEID:t [INFO] EVENT:Publish-In CLIENTID:c "
                                 "TOPICNAME:a/\"b\"? MESSAGE: Status: SUCCESS\n")));
    service_log_free(log);
    arena_free(&t.arena);
}

static void what_is_long_or_no_text_does_not_break_a_line(void **state) {
    (void)state;
    Taken t = { 0 };
    ServiceLog *log = service_log_new(take, &t);
    uint8_t zeros[1000] = { 0 };
    LogEntry e = entry();
    e.details = (Str){ zeros, sizeof zeros };
    e.topic = (Str){ (const uint8_t *)"\xff", 1 };
    service_log_write(log, &e);
    assert_true(t.line.len < 4096 && str_find(t.line, '\n') == t.line.len - 1);
    assert_int_equal(str_find_str(t.line, S("topicName\":\"\xff")), SIZE_MAX);
    yyjson_val *v;
    Str json = str_from(t.line, 13);
    assert_int_equal(json_read(&t.arena, str_sub(json, 0, json.len - 1), false, &v, NULL), OK);
    assert_null(json_get(v, S("details")));
    service_log_free(log);
    arena_free(&t.arena);
}

static void telling_asks_first(void **state) {
    (void)state;
    Taken t = { 0 };
    ServiceLog *log = service_log_new(take, &t);
    LogEntry e = entry();
    LogSubject who = { .account = ACCOUNT };
    service_log_tell(log, &who, &e);
    assert_int_equal(t.n, 0);
    LogSettings s = service_log_silent();
    s.level = LOG_INFO;
    service_log_set(log, ACCOUNT, &s);
    service_log_tell(log, &who, &e);
    assert_int_equal(t.n, 1);
    e.level = LOG_DEBUG;
    service_log_tell(log, &who, &e);
    assert_int_equal(t.n, 1);
    service_log_free(log);
    arena_free(&t.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_logged_unless_it_is_asked_for),
        cmocka_unit_test(a_resource_goes_before_an_event_and_that_before_the_account),
        cmocka_unit_test(the_nearest_group_counts_and_the_most_talkative_of_several_ways),
        cmocka_unit_test(ping_and_authentication_errors_must_be_asked_for_by_name),
        cmocka_unit_test(a_verdict_is_stale_after_every_change),
        cmocka_unit_test(an_entry_is_a_line_of_json_behind_its_group),
        cmocka_unit_test(what_is_long_or_no_text_does_not_break_a_line),
        cmocka_unit_test(telling_asks_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
