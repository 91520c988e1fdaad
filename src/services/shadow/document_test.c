#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/writer.h"
#include "services/shadow/document.h"
#include "services/shadow/number.h"

/* A shadow that lives through a test; its texts stay in the arena. */
typedef struct {
    Arena arena;
    ShadowStored kept;
    int64_t now_s;
    ShadowUpdate last;
    ShadowFault fault;
} Shadow;

static int shadow_new(void **state) {
    Shadow *s = mem_new(sizeof *s);
    s->now_s = 100;
    *state = s;
    return 0;
}

static int shadow_free(void **state) {
    Shadow *s = *state;
    arena_free(&s->arena);
    free(s);
    return 0;
}

static Err try_update(Shadow *s, Str request) {
    Err e = shadow_update(&s->kept, request, s->now_s, &SHADOW_LIMITS, &s->arena, &s->last, &s->fault);
    if (e == OK) s->kept = (ShadowStored){ s->last.stored, s->last.version };
    return e;
}

static void update(Shadow *s, const char *request) {
    assert_int_equal(try_update(s, str_c(request)), OK);
}

static void expect(Str got, const char *want) {
    if (!str_eq(got, str_c(want))) fail_msg("got  %.*s\nwant %s", PS(got), want);
}

static void expect_kept(const Shadow *s, const char *state, const char *metadata) {
    Arena a = { 0 };
    expect(s->kept.text, str_dup_c(&a, str_format(&a, "{\"state\":%s,\"metadata\":%s}", state, metadata)));
    arena_free(&a);
}

static void expect_refused(Shadow *s, Str request, int code, const char *message) {
    ShadowStored before = s->kept;
    s->last.version = -1;
    if (try_update(s, request) != ERR_INVALID) fail_msg("accepted: %.*s", PS(request));
    expect(s->fault.message, message);
    assert_int_equal(s->fault.code, code);
    assert_int_equal(s->last.version, -1);
    assert_true(str_eq(before.text, s->kept.text));
}

static void refuse(Shadow *s, const char *request, const char *message) {
    expect_refused(s, str_c(request), 400, message);
}

static void a_desired_value_becomes_a_delta_until_it_is_reported(void **state) {
    Shadow *s = *state;
    update(s, "{\"state\":{\"reported\":{\"color\":\"red\"}}}");
    assert_int_equal(s->last.version, 1);
    expect(s->last.accepted, "{\"state\":{\"reported\":{\"color\":\"red\"}},\"metadata\":{\"reported\":{\"color\":"
                             "{\"timestamp\":100}}},\"version\":1,\"timestamp\":100}");
    assert_null(s->last.delta.ptr);
    expect(s->last.documents,
           "{\"previous\":null,\"current\":{\"state\":{\"reported\":{\"color\":\"red\"}},\"metadata\":{\"reported\":"
           "{\"color\":{\"timestamp\":100}}},\"version\":1},\"timestamp\":100}");
    s->now_s = 200;
    update(s, "{\"state\":{\"desired\":{\"color\":\"green\"}},\"clientToken\":\"t\\\"1\",\"version\":1}");
    expect(s->last.delta, "{\"version\":2,\"timestamp\":200,\"state\":{\"color\":\"green\"},\"metadata\":{\"color\":"
                          "{\"timestamp\":200}},\"clientToken\":\"t\\\"1\"}");
    expect(
        s->last.documents,
        "{\"previous\":{\"state\":{\"reported\":{\"color\":\"red\"}},\"metadata\":{\"reported\":{\"color\":"
        "{\"timestamp\":100}}},\"version\":1},\"current\":{\"state\":{\"desired\":{\"color\":\"green\"},\"reported\":"
        "{\"color\":\"red\"}},\"metadata\":{\"desired\":{\"color\":{\"timestamp\":200}},\"reported\":{\"color\":"
        "{\"timestamp\":100}}},\"version\":2},\"timestamp\":200,\"clientToken\":\"t\\\"1\"}");
    Str got;
    assert_int_equal(shadow_get(&s->kept, S("g"), 250, &s->arena, &got), OK);
    expect(got, "{\"state\":{\"desired\":{\"color\":\"green\"},\"reported\":{\"color\":\"red\"},\"delta\":{\"color\":"
                "\"green\"}},\"metadata\":{\"desired\":{\"color\":{\"timestamp\":200}},\"reported\":{\"color\":"
                "{\"timestamp\":100}}},\"version\":2,\"timestamp\":250,\"clientToken\":\"g\"}");
    s->now_s = 300;
    update(s, "{\"state\":{\"reported\":{\"color\":\"green\"}}}");
    assert_null(s->last.delta.ptr);
    assert_int_equal(shadow_get(&s->kept, STR_NONE, 301, &s->arena, &got), OK);
    expect(got, "{\"state\":{\"desired\":{\"color\":\"green\"},\"reported\":{\"color\":\"green\"}},\"metadata\":"
                "{\"desired\":{\"color\":{\"timestamp\":200}},\"reported\":{\"color\":{\"timestamp\":300}}},"
                "\"version\":3,\"timestamp\":301}");
}

static void members_merge_and_the_unspecified_stay_in_their_order(void **state) {
    Shadow *s = *state;
    update(s, "{\"state\":{\"desired\":{\"b\":{\"x\":1,\"y\":2},\"a\":1}}}");
    s->now_s = 200;
    update(s, "{\"state\":{\"desired\":{\"c\":3,\"b\":{\"z\":4,\"x\":5}}}}");
    expect_kept(s, "{\"desired\":{\"b\":{\"x\":5,\"y\":2,\"z\":4},\"a\":1,\"c\":3}}",
                "{\"desired\":{\"b\":{\"x\":{\"timestamp\":200},\"y\":{\"timestamp\":100},\"z\":{\"timestamp\":200}},"
                "\"a\":{\"timestamp\":100},\"c\":{\"timestamp\":200}}}");
}

static void an_array_is_replaced_whole_and_has_a_time_for_each_value(void **state) {
    Shadow *s = *state;
    update(s, "{\"state\":{\"reported\":{\"l\":[1,{\"k\":[true]},\"x\"]}}}");
    expect_kept(s, "{\"reported\":{\"l\":[1,{\"k\":[true]},\"x\"]}}",
                "{\"reported\":{\"l\":[{\"timestamp\":100},{\"k\":[{\"timestamp\":100}]},{\"timestamp\":100}]}}");
    s->now_s = 200;
    update(s, "{\"state\":{\"reported\":{\"l\":[]},\"desired\":{\"l\":[2]}}}");
    expect_kept(s, "{\"desired\":{\"l\":[2]},\"reported\":{\"l\":[]}}",
                "{\"desired\":{\"l\":[{\"timestamp\":200}]},\"reported\":{\"l\":[]}}");
    expect(s->last.delta,
           "{\"version\":2,\"timestamp\":200,\"state\":{\"l\":[2]},\"metadata\":{\"l\":[{\"timestamp\":200}]}}");
}

static void null_removes_a_key_with_its_metadata_and_a_section_whole(void **state) {
    Shadow *s = *state;
    update(s, "{\"state\":{\"desired\":{\"a\":1,\"b\":{\"c\":2,\"d\":3}},\"reported\":{\"a\":1}}}");
    update(s, "{\"state\":{\"desired\":{\"a\":null,\"b\":{\"c\":null},\"none\":null}}}");
    expect_kept(s, "{\"desired\":{\"b\":{\"d\":3}},\"reported\":{\"a\":1}}",
                "{\"desired\":{\"b\":{\"d\":{\"timestamp\":100}}},\"reported\":{\"a\":{\"timestamp\":100}}}");
    update(s, "{\"state\":{\"desired\":null}}");
    expect_kept(s, "{\"reported\":{\"a\":1}}", "{\"reported\":{\"a\":{\"timestamp\":100}}}");
    expect(s->last.accepted, "{\"state\":{\"desired\":null},\"metadata\":{\"desired\":{\"timestamp\":100}},"
                             "\"version\":3,\"timestamp\":100}");
    update(s, "{\"state\":{\"reported\":{\"a\":null}}}");
    expect_kept(s, "{}", "{}");
    Str got;
    assert_int_equal(shadow_get(&s->kept, STR_NONE, 101, &s->arena, &got), OK);
    expect(got, "{\"state\":{},\"metadata\":{},\"version\":4,\"timestamp\":101}");
}

/* Source: AWS's edge implementation, aws-greengrass-shadow-manager, JsonMerger */
static void an_empty_object_counts_as_absent(void **state) {
    Shadow *s = *state;
    update(s, "{\"state\":{\"desired\":{\"a\":{},\"b\":{\"c\":null,\"d\":{}},\"e\":{\"f\":1,\"g\":{\"h\":null}}}}}");
    expect_kept(s, "{\"desired\":{\"e\":{\"f\":1}}}", "{\"desired\":{\"e\":{\"f\":{\"timestamp\":100}}}}");
    update(s, "{\"state\":{\"desired\":{\"e\":{\"f\":null},\"k\":1}}}");
    expect_kept(s, "{\"desired\":{\"e\":{},\"k\":1}}", "{\"desired\":{\"e\":{},\"k\":{\"timestamp\":100}}}");
    expect(s->last.delta,
           "{\"version\":2,\"timestamp\":100,\"state\":{\"k\":1},\"metadata\":{\"k\":{\"timestamp\":100}}}");
    update(s, "{\"state\":{\"desired\":{\"e\":{},\"k\":{\"l\":null}}}}");
    expect_kept(s, "{}", "{}");
}

static void an_empty_state_changes_nothing_and_a_null_state_clears(void **state) {
    Shadow *s = *state;
    update(s, "{\"state\":{\"desired\":{\"a\":1}}}");
    update(s, "{\"state\":{}}");
    assert_int_equal(s->kept.version, 2);
    expect_kept(s, "{\"desired\":{\"a\":1}}", "{\"desired\":{\"a\":{\"timestamp\":100}}}");
    update(s, "{\"state\":null}");
    expect_kept(s, "{}", "{}");
    assert_int_equal(s->kept.version, 3);
}

static void a_value_may_change_its_type_and_metadata_follows(void **state) {
    Shadow *s = *state;
    update(s, "{\"state\":{\"desired\":{\"a\":1,\"b\":{\"c\":1},\"l\":[1]}}}");
    s->now_s = 200;
    update(s, "{\"state\":{\"desired\":{\"a\":{\"x\":null,\"y\":true},\"b\":\"s\",\"l\":{\"m\":false}}}}");
    expect_kept(s, "{\"desired\":{\"a\":{\"y\":true},\"b\":\"s\",\"l\":{\"m\":false}}}",
                "{\"desired\":{\"a\":{\"y\":{\"timestamp\":200}},\"b\":{\"timestamp\":200},\"l\":{\"m\":{\"timestamp\":"
                "200}}}}");
}

static void only_desired_and_reported_are_kept_of_state(void **state) {
    Shadow *s = *state;
    refuse(s, "{\"state\":{\"other\":1}}", "State contains an invalid node");
    refuse(s, "{\"state\":{\"delta\":{},\"other\":1}}", "State contains an invalid node");
    update(s, "{\"state\":{\"delta\":{\"a\":1}}}");
    expect_kept(s, "{}", "{}");
    update(s, "{\"state\":{\"other\":1,\"desired\":{\"a\":1},\"delta\":{\"z\":1}}}");
    expect(s->last.accepted, "{\"state\":{\"desired\":{\"a\":1}},\"metadata\":{\"desired\":{\"a\":{\"timestamp\":100}}}"
                             ",\"version\":2,\"timestamp\":100}");
}

static void a_leaf_written_with_an_equal_value_gets_a_new_time(void **state) {
    Shadow *s = *state;
    update(s, "{\"state\":{\"reported\":{\"a\":1,\"b\":2}}}");
    s->now_s = 200;
    update(s, "{\"state\":{\"reported\":{\"a\":1}}}");
    expect_kept(s, "{\"reported\":{\"a\":1,\"b\":2}}",
                "{\"reported\":{\"a\":{\"timestamp\":200},\"b\":{\"timestamp\":100}}}");
}

static void a_delta_holds_all_that_differs_and_nothing_of_reported_alone(void **state) {
    Shadow *s = *state;
    update(s, "{\"state\":{\"desired\":{\"a\":1,\"o\":{\"x\":1,\"y\":2},\"l\":[1,2]},"
              "\"reported\":{\"a\":1.0,\"o\":{\"y\":2,\"x\":9},\"l\":[1.0,2e0],\"only\":5}}}");
    expect(s->last.delta, "{\"version\":1,\"timestamp\":100,\"state\":{\"o\":{\"x\":1}},\"metadata\":{\"o\":{\"x\":"
                          "{\"timestamp\":100}}}}");
    s->now_s = 200;
    update(s, "{\"state\":{\"reported\":{\"l\":[2,1]}}}"); /* reported alone, yet all that differs */
    expect(s->last.delta,
           "{\"version\":2,\"timestamp\":200,\"state\":{\"o\":{\"x\":1},\"l\":[1,2]},\"metadata\":{\"o\":"
           "{\"x\":{\"timestamp\":100}},\"l\":[{\"timestamp\":100},{\"timestamp\":100}]}}");
    update(s, "{\"state\":{\"reported\":{\"o\":3,\"l\":[1,2],\"a\":null}}}");
    expect(s->last.delta,
           "{\"version\":3,\"timestamp\":200,\"state\":{\"a\":1,\"o\":{\"x\":1,\"y\":2}},\"metadata\":{\"a\":"
           "{\"timestamp\":100},\"o\":{\"x\":{\"timestamp\":100},\"y\":{\"timestamp\":100}}}}");
}

static void numbers_survive_as_written_and_compare_by_value(void **state) {
    Shadow *s = *state;
    update(s, "{\"state\":{\"desired\":{\"i\":12345678901234567890123,\"f\":1.10,\"e\":1E+2}}}");
    expect_kept(s, "{\"desired\":{\"i\":12345678901234567890123,\"f\":1.10,\"e\":1E+2}}",
                "{\"desired\":{\"i\":{\"timestamp\":100},\"f\":{\"timestamp\":100},\"e\":{\"timestamp\":100}}}");
    update(s, "{\"state\":{\"reported\":{\"i\":12345678901234567890123.0,\"f\":11e-1,\"e\":100}}}");
    assert_null(s->last.delta.ptr);
    update(s, "{\"state\":{\"reported\":{\"i\":12345678901234567890124}}}");
    assert_non_null(s->last.delta.ptr);
}

static void equal_numbers_are_found_whatever_their_form(void **state) {
    (void)state;
    static const char *const same[][2] = { { "1", "1.0" },
                                           { "100", "1e2" },
                                           { "0.001", "1E-3" },
                                           { "0", "-0.00e7" },
                                           { "10.50", "1.05e+1" },
                                           { "12e-1", "1.2" },
                                           { "0e99999999999999999999", "0" } };
    static const char *const apart[][2] = { { "1", "-1" },     { "1", "10" },        { "1.01", "1.1" },
                                            { "0.1", "0.01" }, { "1e400", "1e401" }, { "12", "1.2" },
                                            { "1", "0" },      { "105", "15" },      { "1e-1", "1e1" },
                                            { "101", "1001" } };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        assert_true(number_same(str_c(same[i][0]), str_c(same[i][1])));
    for (size_t i = 0; i < sizeof apart / sizeof *apart; i++)
        assert_false(number_same(str_c(apart[i][0]), str_c(apart[i][1])));
    assert_true(number_same(S("9007199254740993"), S("9007199254740993.0")));
    assert_false(number_same(S("9007199254740993"), S("9007199254740992")));
    assert_false(number_same(S("1e1000000000000000000"), S("1e1000000000000000001")));
}

static void of_equal_keys_the_last_wins(void **state) {
    Shadow *s = *state;
    update(s, "{\"state\":{\"desired\":{\"no\":1}},\"state\":{\"desired\":{\"a\":1,\"b\":2,\"a\":{\"c\":1,\"c\":3}}}}");
    expect_kept(s, "{\"desired\":{\"a\":{\"c\":3},\"b\":2}}",
                "{\"desired\":{\"a\":{\"c\":{\"timestamp\":100}},\"b\":{\"timestamp\":100}}}");
}

static void texts_survive_with_every_character(void **state) {
    Shadow *s = *state;
    update(s, "{\"state\":{\"desired\":{\"k\\\"\\u0001\\\\\":\"\\b\\f\\n\\r\\t\\u001f/ \xC3\xBC\\u20ac\"}}}");
    expect_kept(s, "{\"desired\":{\"k\\\"\\u0001\\\\\":\"\\b\\f\\n\\r\\t\\u001f/ \xC3\xBC\xE2\x82\xAC\"}}",
                "{\"desired\":{\"k\\\"\\u0001\\\\\":{\"timestamp\":100}}}");
}

static void a_version_must_be_the_current_one(void **state) {
    Shadow *s = *state;
    refuse(s, "{\"state\":{},\"version\":2}", "Invalid version");
    update(s, "{\"state\":{},\"version\":1}");
    update(s, "{\"state\":{},\"version\":1}");
    expect_refused(s, S("{\"state\":{},\"version\":1}"), 409, "Version conflict");
    expect_refused(s, S("{\"state\":{},\"version\":3}"), 409, "Version conflict");
    expect_refused(s, S("{\"state\":{},\"version\":0}"), 409, "Version conflict");
    refuse(s, "{\"state\":{},\"version\":\"2\"}", "Invalid version");
    refuse(s, "{\"state\":{},\"version\":2.5}", "Invalid version");
    refuse(s, "{\"state\":{},\"version\":-2}", "Invalid version");
    refuse(s, "{\"state\":{},\"version\":null}", "Invalid version");
    refuse(s, "{\"state\":{},\"version\":99999999999999999999}", "Invalid version");
}

static void a_deleted_shadow_goes_on_from_its_version(void **state) {
    Shadow *s = *state;
    s->kept.version = 7;
    expect_refused(s, S("{\"state\":{},\"version\":1}"), 409, "Version conflict");
    update(s, "{\"state\":{\"desired\":{\"a\":1}}}");
    assert_int_equal(s->last.version, 8);
    assert_true(str_starts(s->last.documents, S("{\"previous\":null,")));
}

static void a_request_that_is_no_shadow_document_is_refused_by_aws_texts(void **state) {
    Shadow *s = *state;
    static const char *const not_json[] = { "",
                                            "{",
                                            "nope",
                                            "[]",
                                            "7",
                                            "\"x\"",
                                            "null",
                                            "{\"state\":{}}x",
                                            "{\"state\":{\"desired\":{\"a\":01}}}",
                                            "{\"state\":{\"desired\":{\"a\":NaN}}}" };
    for (size_t i = 0; i < sizeof not_json / sizeof *not_json; i++) refuse(s, not_json[i], "Invalid JSON");
    refuse(s, "{}", "Missing required node: state");
    refuse(s, "{\"State\":{}}", "Missing required node: state");
    refuse(s, "{\"state\":[]}", "State node must be an object");
    refuse(s, "{\"state\":\"x\"}", "State node must be an object");
    refuse(s, "{\"state\":{\"desired\":1}}", "Desired node must be an object");
    refuse(s, "{\"state\":{\"desired\":[]}}", "Desired node must be an object");
    refuse(s, "{\"state\":{\"desired\":{},\"reported\":\"x\"}}", "Reported node must be an object");
    refuse(s, "{\"state\":{\"reported\":{\"l\":[1,null]}}}", "State contains an invalid node");
    refuse(s, "{\"state\":{\"reported\":{\"l\":[[{\"a\":null}]]}}}", "State contains an invalid node");
    expect_refused(s, S("{\"state\":{\"desired\":{\"a\":\"\xFF\"}}}"), 415,
                   "Unsupported documented encoding; supported encoding is UTF-8");
    expect_refused(s, S("\xED\xA0\x80"), 415, "Unsupported documented encoding; supported encoding is UTF-8");
}

static void a_refusal_carries_the_client_token_and_a_long_one_is_refused(void **state) {
    Shadow *s = *state;
    refuse(s, "{\"clientToken\":\"abc\",\"state\":1}", "State node must be an object");
    expect(shadow_rejected(&s->fault, 5, &s->arena), "{\"code\":400,\"message\":\"State node must be an object\","
                                                     "\"timestamp\":5,\"clientToken\":\"abc\"}");
    refuse(s, "{}", "Missing required node: state");
    expect(shadow_rejected(&s->fault, 5, &s->arena),
           "{\"code\":400,\"message\":\"Missing required node: state\",\"timestamp\":5}");
    refuse(s, "{\"state\":{},\"clientToken\":5}", "Invalid clientToken");
    char token[65] = { 0 };
    memset(token, 't', 64);
    update(s, str_dup_c(&s->arena, str_format(&s->arena, "{\"state\":{},\"clientToken\":\"%s\"}", token)));
    expect_refused(s, str_format(&s->arena, "{\"state\":{},\"clientToken\":\"%st\"}", token), 400,
                   "Invalid clientToken");
    assert_null(s->fault.client_token.ptr);
    Str got;
    assert_int_equal(shadow_token(S("{\"clientToken\":\"x\"}"), &SHADOW_LIMITS, &s->arena, &got, &s->fault), OK);
    expect(got, "x");
    assert_int_equal(shadow_token(S("not looked at"), &SHADOW_LIMITS, &s->arena, &got, &s->fault), OK);
    assert_null(got.ptr);
    assert_int_equal(shadow_token(S("{\"clientToken\":{}}"), &SHADOW_LIMITS, &s->arena, &got, &s->fault), ERR_INVALID);
    expect(shadow_deleted(9, S("x"), 7, &s->arena), "{\"version\":9,\"timestamp\":7,\"clientToken\":\"x\"}");
}

static Str nested(Arena *arena, int depth, const char *open, const char *close) {
    Writer w = writer_in(arena);
    writer_bytes(&w, S("{\"state\":{\"desired\":{\"k\":"));
    for (int i = 0; i < depth; i++) writer_bytes(&w, str_c(open));
    writer_u8(&w, '1');
    for (int i = 0; i < depth; i++) writer_bytes(&w, str_c(close));
    writer_bytes(&w, S("}}}"));
    return writer_str(&w);
}

static void nesting_is_bounded(void **state) {
    Shadow *s = *state;
    static const char text[] = "JSON contains too many levels of nesting; maximum is 6";
    assert_int_equal(try_update(s, nested(&s->arena, 8, "{\"k\":", "}")), OK);
    expect_refused(s, nested(&s->arena, 9, "{\"k\":", "}"), 400, text);
    assert_int_equal(try_update(s, nested(&s->arena, 8, "[", "]")), OK);
    expect_refused(s, nested(&s->arena, 9, "[", "]"), 400, text);
    expect_refused(s, nested(&s->arena, 60000, "[", "]"), 400, text);
}

static Str filled(Arena *arena, const char *section, const char *key, size_t bytes) {
    char *fill = mem_new(bytes + 1);
    memset(fill, 'x', bytes);
    Str request = str_format(arena, "{ \"state\" : { \"%s\" : { \"%s\" : \"%s\" } } }", section, key, fill);
    free(fill);
    return request;
}

static void size_is_desired_and_reported_without_metadata_and_spaces(void **state) {
    Shadow *s = *state;
    enum { WRAP = sizeof "{\"k\":\"\"}" - 1, HALF = 4096 - WRAP };
    assert_int_equal(try_update(s, filled(&s->arena, "desired", "k", HALF)), OK);
    assert_int_equal(try_update(s, filled(&s->arena, "reported", "k", HALF)), OK);
    expect_refused(s, filled(&s->arena, "reported", "k", HALF + 1), 413,
                   "The payload exceeds the maximum size allowed");
    update(s, "{\"state\":{\"desired\":null}}");
    assert_int_equal(try_update(s, filled(&s->arena, "reported", "k", HALF + 4096)), OK);
    expect_refused(s, filled(&s->arena, "reported", "k", HALF + 4097), 413,
                   "The payload exceeds the maximum size allowed");
}

static void a_kept_text_that_is_not_ours_is_told_as_corrupt(void **state) {
    Shadow *s = *state;
    static const char *const texts[] = { "",
                                         "{}",
                                         "{\"state\":{}}",
                                         "{\"state\":{\"desired\":1},\"metadata\":{}}",
                                         "{\"state\":{\"desired\":{\"a\":1}},\"metadata\":{\"desired\":{}}}",
                                         "{\"state\":{\"desired\":{\"a\":[1]}},\"metadata\":{\"desired\":{\"a\":[]}}}",
                                         "{\"state\":{\"desired\":{\"a\":1}},\"metadata\":{\"desired\":[]}}" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        s->kept = (ShadowStored){ str_c(texts[i]), 1 };
        Str got = STR_NONE;
        assert_int_equal(try_update(s, S("{\"state\":{}}")), ERR_CORRUPT);
        assert_int_equal(shadow_get(&s->kept, STR_NONE, 1, &s->arena, &got), ERR_CORRUPT);
        assert_null(got.ptr);
    }
}

/* An object of many keys in hostile order, against another: linear, not quadratic. */
static void wide_objects_merge_and_differ_correctly(void **state) {
    Shadow *s = *state;
    Writer up = writer_in(&s->arena), down = writer_in(&s->arena);
    writer_bytes(&up, S("{\"state\":{\"desired\":{"));
    writer_bytes(&down, S("{\"state\":{\"reported\":{"));
    enum { KEYS = 300 };
    for (int i = 0; i < KEYS; i++) writer_format(&up, "%s\"k%d\":%d", i ? "," : "", i, i);
    for (int i = KEYS - 1; i >= 0; i--)
        writer_format(&down, "%s\"k%d\":%d", i < KEYS - 1 ? "," : "", i, i == 77 ? -1 : i);
    writer_bytes(&up, S("}}}"));
    writer_bytes(&down, S("}}}"));
    assert_int_equal(try_update(s, writer_str(&up)), OK);
    assert_int_equal(try_update(s, writer_str(&down)), OK);
    expect(s->last.delta,
           "{\"version\":2,\"timestamp\":100,\"state\":{\"k77\":77},\"metadata\":{\"k77\":{\"timestamp\":100}}}");
    update(s, "{\"state\":{\"reported\":{\"k77\":77,\"k5\":null,\"new\":1}}}");
    expect(s->last.delta,
           "{\"version\":3,\"timestamp\":100,\"state\":{\"k5\":5},\"metadata\":{\"k5\":{\"timestamp\":100}}}");
}

#define shadow_test(name) cmocka_unit_test_setup_teardown(name, shadow_new, shadow_free)

int main(void) {
    const struct CMUnitTest tests[] = {
        shadow_test(a_desired_value_becomes_a_delta_until_it_is_reported),
        shadow_test(members_merge_and_the_unspecified_stay_in_their_order),
        shadow_test(an_array_is_replaced_whole_and_has_a_time_for_each_value),
        shadow_test(null_removes_a_key_with_its_metadata_and_a_section_whole),
        shadow_test(an_empty_object_counts_as_absent),
        shadow_test(an_empty_state_changes_nothing_and_a_null_state_clears),
        shadow_test(a_value_may_change_its_type_and_metadata_follows),
        shadow_test(only_desired_and_reported_are_kept_of_state),
        shadow_test(a_leaf_written_with_an_equal_value_gets_a_new_time),
        shadow_test(a_delta_holds_all_that_differs_and_nothing_of_reported_alone),
        shadow_test(numbers_survive_as_written_and_compare_by_value),
        shadow_test(equal_numbers_are_found_whatever_their_form),
        shadow_test(of_equal_keys_the_last_wins),
        shadow_test(texts_survive_with_every_character),
        shadow_test(a_version_must_be_the_current_one),
        shadow_test(a_deleted_shadow_goes_on_from_its_version),
        shadow_test(a_request_that_is_no_shadow_document_is_refused_by_aws_texts),
        shadow_test(a_refusal_carries_the_client_token_and_a_long_one_is_refused),
        shadow_test(nesting_is_bounded),
        shadow_test(size_is_desired_and_reported_without_metadata_and_spaces),
        shadow_test(a_kept_text_that_is_not_ours_is_told_as_corrupt),
        shadow_test(wide_objects_merge_and_differ_correctly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
