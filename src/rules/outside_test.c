/* What answers from outside become: DynamoDB's attributes, and secrets that are kept for a while. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/writer.h"
#include "rules/attributes.h"
#include "rules/outside.h"
#include "rules/secrets.h"

static Err plain(Arena *a, Str text, Str *out) {
    yyjson_val *v;
    yyjson_mut_val *made;
    assert_int_equal(json_read(a, text, true, &v, NULL), OK);
    Err e = attributes_plain(json_doc(a), v, &made);
    if (e == OK) *out = json_write_mut(a, made);
    return e;
}

static void attributes_keep_their_digits_and_types(void **state) {
    (void)state;
    Arena a = { 0 };
    Str out;
    assert_int_equal(plain(&a,
                           S("{\"s\":{\"S\":\"x\"},\"n\":{\"N\":\"1.230000000000000000000000000000000001E-7\"},"
                             "\"b\":{\"B\":\"AA==\"},\"t\":{\"BOOL\":false},\"z\":{\"NULL\":true},"
                             "\"l\":{\"L\":[{\"N\":\"0\"},{\"M\":{\"k\":{\"S\":\"\"}}}]},"
                             "\"ns\":{\"NS\":[\"-3\",\"4\"]},\"ss\":{\"SS\":[\"y\"]},\"bs\":{\"BS\":[\"AQ==\"]}}"),
                           &out),
                     OK);
    assert_true(str_eq(out, S("{\"s\":\"x\",\"n\":1.230000000000000000000000000000000001E-7,\"b\":\"AA==\",\"t\":false,"
                              "\"z\":null,\"l\":[0,{\"k\":\"\"}],\"ns\":[-3,4],\"ss\":[\"y\"],\"bs\":[\"AQ==\"]}")));
    arena_free(&a);
}

static void what_is_no_attribute_is_refused(void **state) {
    (void)state;
    static const char *const BAD[] = {
        "[]",
        "{\"a\":1}",
        "{\"a\":{}}",
        "{\"a\":{\"S\":\"x\",\"N\":\"1\"}}",
        "{\"a\":{\"S\":1}}",
        "{\"a\":{\"N\":\"\"}}",
        "{\"a\":{\"N\":\"1,\\\"b\\\":2\"}}",
        "{\"a\":{\"N\":\"01\"}}",
        "{\"a\":{\"N\":\"1.\"}}",
        "{\"a\":{\"N\":\"1e\"}}",
        "{\"a\":{\"N\":\"NaN\"}}",
        "{\"a\":{\"N\":\"-\"}}",
        "{\"a\":{\"BOOL\":\"true\"}}",
        "{\"a\":{\"L\":{}}}",
        "{\"a\":{\"M\":[]}}",
        "{\"a\":{\"NS\":[\"x\"]}}",
        "{\"a\":{\"SS\":[1]}}",
        "{\"a\":{\"X\":\"\"}}",
    };
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        Arena a = { 0 };
        Str out = S("untouched");
        if (plain(&a, str_c(BAD[i]), &out) != ERR_MALFORMED) fail_msg("%s is taken", BAD[i]);
        assert_true(str_eq(out, S("untouched")));
        arena_free(&a);
    }
}

static void attributes_nested_too_deep_are_refused(void **state) {
    (void)state;
    Arena a = { 0 };
    Writer w = writer_in(&a);
    Str out;
    writer_format(&w, "{\"a\":");
    for (int i = 0; i < 100000; i++) writer_format(&w, "{\"L\":[");
    writer_format(&w, "{\"S\":\"\"}");
    for (int i = 0; i < 100000; i++) writer_format(&w, "]}");
    writer_format(&w, "}");
    assert_int_equal(plain(&a, writer_str(&w), &out), ERR_MALFORMED);
    arena_free(&a);
}

static void a_secret_is_kept_by_name_and_type_for_fifteen_minutes(void **state) {
    (void)state;
    Arena a = { 0 };
    Secrets *s = secrets_new();
    Str out = STR_NONE;
    assert_int_equal(secrets_get(s, S("1"), S("a"), false, 0, &a, &out), ERR_NOT_FOUND);
    secrets_keep(s, S("1"), S("a"), false, 1000, S("one"));
    secrets_keep(s, S("1"), S("a"), true, 1000, S("two"));
    secrets_keep(s, S("1"), S("a"), false, 2000, S("three"));
    assert_int_equal(secrets_get(s, S("1"), S("a"), false, 2000 + SECRET_KEPT_MS - 1, &a, &out), OK);
    assert_true(str_eq(out, S("three")));
    assert_int_equal(secrets_get(s, S("1"), S("a"), true, 1000, &a, &out), OK);
    assert_true(str_eq(out, S("two")));
    assert_int_equal(secrets_get(s, S("2"), S("a"), true, 1000, &a, &out), ERR_NOT_FOUND); /* another account's */
    assert_int_equal(secrets_get(s, S("1a"), S(""), true, 1000, &a, &out), ERR_NOT_FOUND);
    assert_int_equal(secrets_get(s, S("1"), S("a"), false, 2000 + SECRET_KEPT_MS, &a, &out), ERR_NOT_FOUND);
    assert_int_equal(secrets_get(s, S("1"), S("a"), true, 999, &a, &out), ERR_NOT_FOUND); /* the clock went back */
    secrets_free(s);
    arena_free(&a);
}

static void of_many_secrets_the_oldest_goes(void **state) {
    (void)state;
    Arena a = { 0 };
    Secrets *s = secrets_new();
    Str out;
    for (int i = 0; i <= SECRETS_MAX; i++) secrets_keep(s, S("1"), str_format(&a, "%d", i), false, i, S("x"));
    assert_int_equal(secrets_get(s, S("1"), S("0"), false, SECRETS_MAX, &a, &out), ERR_NOT_FOUND);
    for (int i = 1; i <= SECRETS_MAX; i++)
        assert_int_equal(secrets_get(s, S("1"), str_format(&a, "%d", i), false, SECRETS_MAX, &a, &out), OK);
    secrets_free(s);
    arena_free(&a);
}

static void what_is_not_there_says_so(void **state) {
    (void)state;
    Arena a = { 0 };
    Clock clock = { 0 };
    Outside *o = outside_new(&(OutsideOptions){ .clock = &clock });
    const RuleOutside *table = outside_table(o);
    const RuleAsker who = { S("123456789012"), S("us-east-1"), S("arn:r") };
    for (int kind = 0; kind < SQL_OUTSIDE_KINDS; kind++) {
        const SqlOutsideCall call = { .kind = (SqlOutsideKind)kind,
                                      .args = { S("a"), S("b"), S("{}"), STR_NONE, STR_NONE, S("r") } };
        Str out = S("untouched"), why = STR_NONE;
        assert_int_equal(table->call(table->ctx, &who, &call, &a, &out, &why), ERR_NOT_IMPLEMENTED);
        assert_true(why.len > 0 && str_eq(out, S("untouched")));
    }
    outside_free(o);
    arena_free(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attributes_keep_their_digits_and_types),
        cmocka_unit_test(what_is_no_attribute_is_refused),
        cmocka_unit_test(attributes_nested_too_deep_are_refused),
        cmocka_unit_test(a_secret_is_kept_by_name_and_type_for_fifteen_minutes),
        cmocka_unit_test(of_many_secrets_the_oldest_goes),
        cmocka_unit_test(what_is_not_there_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
