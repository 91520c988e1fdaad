#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "api/timestamp.h"

static void each_form_gives_the_same_moment(void **state) {
    (void)state;
    static const char *const forms[] = { "2026-01-02T03:04:05.678Z", "2026-01-02T04:04:05.678+01:00", "1767323045.678",
                                         " 1767323045.678 " };
    int64_t ms;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        assert_int_equal(timestamp_parse(str_c(forms[i]), &ms), OK);
        assert_int_equal(ms, 1767323045678);
    }
    assert_int_equal(timestamp_parse(S("Fri, 02 Jan 2026 03:04:05 GMT"), &ms), OK);
    assert_int_equal(ms, 1767323045000);
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
        cmocka_unit_test(each_form_gives_the_same_moment),
        cmocka_unit_test(no_form_leads_beyond_the_years_0001_to_9999),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
