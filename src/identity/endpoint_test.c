#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "identity/endpoint.h"

static Str digits(const AccountName *a) {
    return str_c(a->digits);
}

static void a_name_of_each_type_tells_its_account(void **state) {
    static const char *const accounts[] = { "000000000000", "000000000001", "123456789012", "999999999999" };
    static const char *const types[] = { "iot:Data", "iot:Data-ATS",      "iot:CredentialProvider",
                                         "iot:Jobs", "iot:DeviceAdvisor", "iot:Data-Beta" };
    Arena arena = { 0 };
    (void)state;
    for (size_t a = 0; a < 4; a++)
        for (size_t t = 0; t < 6; t++) {
            AccountName got;
            Str host = endpoint_host(str_c(accounts[a]), str_c(types[t]), S("eu-west-1"), S("example.org"), &arena);
            assert_true(str_ends(host, S(".iot.eu-west-1.example.org")));
            assert_true(endpoint_account(host, &got));
            assert_true(str_eq(digits(&got), str_c(accounts[a])));
        }
    assert_null(endpoint_host(S("123456789012"), S("iot:Other"), S("r"), S("d"), &arena).ptr);
    arena_free(&arena);
}

static void upper_case_is_the_same_name(void **state) {
    Arena arena = { 0 };
    AccountName got;
    (void)state;
    Str host = endpoint_host(S("210987654321"), S("iot:Data-ATS"), S("us-east-1"), S("amazonaws.com"), &arena);
    uint8_t *at = (uint8_t *)(uintptr_t)host.ptr;
    for (size_t i = 0; i < host.len; i++)
        if (at[i] >= 'a' && at[i] <= 'z') at[i] = (uint8_t)(at[i] - 32);
    assert_true(endpoint_account(host, &got));
    assert_true(str_eq(digits(&got), S("210987654321")));
    arena_free(&arena);
}

static void other_names_are_nobodys(void **state) {
    static const char *const hosts[] = { "",
                                         "localhost",
                                         "local-ats.iot.us-east-1.amazonaws.com",
                                         "a3k7odshaiipe8-ats.iot.us-east-1.amazonaws.com", /* AWS's form */
                                         "aaaaaaaaaaaaaa-ats.iot.us-east-1.amazonaws.com",
                                         "iot.us-east-1.amazonaws.com" };
    Arena arena = { 0 };
    AccountName got;
    (void)state;
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        assert_false(endpoint_account(str_c(hosts[i]), &got));
        assert_int_equal(digits(&got).len, 0);
    }
    Str good = endpoint_host(S("123456789012"), S("iot:Data-ATS"), S("us-east-1"), S("d"), &arena);
    for (size_t n = 0; n < 23; n++) assert_false(endpoint_account(str_sub(good, 0, n), &got)); /* prefix-ats.iot. */
    for (size_t i = 0; i < 14; i++) { /* each changed letter of the prefix is noticed */
        uint8_t bent[64];
        memcpy(bent, good.ptr, good.len);
        bent[i] = bent[i] == 'b' ? 'c' : 'b';
        assert_false(endpoint_account((Str){ bent, good.len }, &got));
    }
    arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_of_each_type_tells_its_account),
        cmocka_unit_test(upper_case_is_the_same_name),
        cmocka_unit_test(other_names_are_nobodys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
