#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "api/timestamp.h"

static void each_format_is_read(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        { "1970-01-01T00:00:00Z", 0 },
        { "2015-01-01T00:00:00Z", 1420070400000 },
        { "2015-01-01T00:00:00.678Z", 1420070400678 },
        { "2015-01-01T00:00:00.6789123Z", 1420070400678 },
        { "2015-01-01T01:00:00+01:00", 1420070400000 },
        { "2014-12-31T19:30:00-0430", 1420070400000 },
        { "2015-01-01", 1420070400000 },
        { "2024-02-29T23:59:59z", 1709251199000 },
        { "1969-12-31T23:59:59Z", -1000 },
        { "0001-01-01T00:00:00Z", -62135596800000 },
        { "9999-12-31T23:59:59.999Z", 253402300799999 },
        { "Thu, 01 Jan 2015 00:00:00 GMT", 1420070400000 },
        { " 1420070400 ", 1420070400000 },
        { "1420070400.5", 1420070400500 },
        { "-1.25", -1250 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t ms = 42;
        assert_int_equal(timestamp_parse(str_c(cases[i].text), &ms), OK);
        assert_true(ms == cases[i].ms);
    }
}

static void what_is_no_time_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "now",

        "2015-",
        "2015-13-01",
        "2015-02-29T00:00:00Z",
        "2015-01-00",
        "2015-01-01T24:00:00Z",
        "2015-01-01T00:60:00Z",
        "2015-01-01T00:00Z",
        "2015-01-01T00:00:00.Z",
        "2015-01-01T00:00:00Zz",
        "2015-01-01T00:00:00+1",
        "2015-01-01T00:00:00~",
        "Thu, 41 Jan 2015 00:00:00 GMT",
        "Thu, 01 Jam 2015 00:00:00 GMT",
        "Thu, 01 Jan 2015 00:00:00 CET",
        "Thu, 01",
        "1.",
        "1e9",
        "1420070400000000",
        "--1",
        "2015-01-01T00:00:00.00000000000000000000000000000000000000000000000000000000Z"
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t ms = 42;
        if (timestamp_parse(str_c(bad[i]), &ms) == OK) fail_msg("%s was taken", bad[i]);
        assert_true(ms == 42);
    }
    for (const char *whole = "2015-01-01T00:00:00.678+01:00", *p = whole + 1; *p; p++) {
        int64_t ms = 42; /* a truncation is refused, or is a shorter form that stands by itself */
        Err e = timestamp_parse((Str){ (const uint8_t *)whole, (size_t)(p - whole) }, &ms);
        assert_true(e == OK || ms == 42);
    }
}

static void what_is_written_reads_back(void **state) {
    (void)state;
    Arena a = { 0 };
    for (int64_t day = -719162; day < 2932896; day += 97) { /* years 1 to 9999 */
        int64_t t = (day * 86400 + 43199) * 1000 + 7, back = 0;
        assert_int_equal(timestamp_parse(timestamp_iso8601(&a, t), &back), OK);
        assert_true(back == t);
        assert_int_equal(timestamp_parse(timestamp_rfc822(&a, t - 7), &back), OK);
        assert_true(back == t - 7);
        arena_reset(&a);
    }
    assert_true(str_eq(timestamp_iso8601(&a, 1420070400000), S("2015-01-01T00:00:00Z")));
    assert_true(str_eq(timestamp_rfc822(&a, 1420070400000), S("Thu, 01 Jan 2015 00:00:00 GMT")));
    assert_true(str_eq(timestamp_rfc822(&a, -1), S("Wed, 31 Dec 1969 23:59:59 GMT")));
    arena_free(&a);
}

/* Found by fuzzing: seconds of twelve digits, and offsets at either end, led beyond four digits of a year. */
static void no_form_leads_beyond_the_years_0001_to_9999(void **state) {
    (void)state;
    int64_t ms = 7;
    assert_int_equal(timestamp_parse(S("732373230078"), &ms), ERR_LIMIT);
    assert_int_equal(timestamp_parse(S("253402300800"), &ms), ERR_LIMIT);
    assert_int_equal(timestamp_parse(S("-62135596801"), &ms), ERR_LIMIT);
    assert_int_equal(timestamp_parse(S("9999-12-31T23:59:59-01:00"), &ms), ERR_LIMIT);
    assert_int_equal(timestamp_parse(S("0001-01-01T00:00:00+00:01"), &ms), ERR_LIMIT);
    assert_int_equal(ms, 7);
    assert_int_equal(timestamp_parse(S("253402300799.999"), &ms), OK);
    assert_int_equal(timestamp_parse(S("-62135596800"), &ms), OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_format_is_read),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(no_form_leads_beyond_the_years_0001_to_9999),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
