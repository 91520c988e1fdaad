#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "gateway/custom_auth.h"

static bool asked(const char *query, const char *header) {
    HttpHeader h = { str_c(header), S("name") };
    return custom_auth_asked(&(ApiRequest){ .query = str_c(query), .headers = &h, .headers_n = 1 });
}

static void an_authorizer_is_named_in_a_header_or_in_the_query(void **state) {
    (void)state;
    assert_true(asked(NULL, "X-Amz-CustomAuthorizer-Name"));
    assert_true(asked("x-amz-customauthorizer-name=A&token=t", "host"));
    assert_true(asked("token=t&X-Amz-CustomAuthorizer-Name=A", "host"));
    assert_false(asked(NULL, "host"));
    assert_false(asked("", "host"));
    assert_false(asked("a=x-amz-customauthorizer-name", "host"));
    assert_false(asked("x-amz-customauthorizer-names=A&&=", "host"));
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(an_authorizer_is_named_in_a_header_or_in_the_query) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
