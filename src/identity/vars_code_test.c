#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "identity/vars_code.h"

static const Str ONE[] = { STR_INIT("12345") };
static const Str SEVERAL[] = { STR_INIT("lamp"), { NULL, 0 }, STR_INIT("") };
static const PolicyVar VARS[] = { { STR_INIT("iot:CertificateId"), ONE, 1 },
                                  { STR_INIT("iot:Certificate.Subject.CommonName"), SEVERAL, 3 } };

static void variables_come_back_as_they_were(void **state) {
    (void)state;
    Arena a = { 0 };
    const PolicyVar *got;
    size_t n;
    assert_true(vars_decode(vars_encode(VARS, 2, &a), &a, &got, &n));
    assert_int_equal(n, 2);
    for (size_t i = 0; i < n; i++) {
        assert_true(str_eq(got[i].name, VARS[i].name) && got[i].n == VARS[i].n);
        for (size_t k = 0; k < got[i].n; k++) {
            assert_true(str_eq(got[i].values[k], VARS[i].values[k]));
            assert_int_equal(got[i].values[k].ptr == NULL, VARS[i].values[k].ptr == NULL); /* absent is not empty */
        }
    }
    assert_true(vars_decode(vars_encode(NULL, 0, &a), &a, &got, &n));
    assert_int_equal(n, 0);
    arena_free(&a);
}

static void what_is_cut_longer_or_of_another_version_is_not_taken(void **state) {
    (void)state;
    Arena a = { 0 };
    const PolicyVar *got = NULL;
    size_t n = 99;
    Str whole = vars_encode(VARS, 2, &a);
    for (size_t len = 0; len < whole.len; len++) assert_false(vars_decode(str_sub(whole, 0, len), &a, &got, &n));
    assert_false(vars_decode(STR_NONE, &a, &got, &n));
    assert_false(vars_decode(str_format(&a, "%.*s%c", PS(whole), 0), &a, &got, &n));
    Str other = str_dup(&a, whole);
    ((uint8_t *)(uintptr_t)other.ptr)[0]++;
    assert_false(vars_decode(other, &a, &got, &n));
    assert_null(got);
    assert_int_equal(n, 99);
    arena_free(&a);
}

static void what_does_not_fit_is_left_to_the_certificate(void **state) {
    (void)state;
    Arena a = { 0 };
    const PolicyVar *got;
    size_t n;
    Str *values = arena_array(&a, Str, 256);
    for (int i = 0; i < 256; i++) values[i] = S("v");
    PolicyVar many = { S("name"), values, 256 };
    assert_false(vars_decode(vars_encode(&many, 1, &a), &a, &got, &n));
    many.n = 255;
    assert_true(vars_decode(vars_encode(&many, 1, &a), &a, &got, &n));
    arena_free(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variables_come_back_as_they_were),
        cmocka_unit_test(what_is_cut_longer_or_of_another_version_is_not_taken),
        cmocka_unit_test(what_does_not_fit_is_left_to_the_certificate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
