#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "gateway/rates.h"

static const ApiService IOT = { .name = STR_INIT("iot") }, DATA = { .name = STR_INIT("iot-data") };
static const ApiOp THING = { .name = STR_INIT("CreateThing"), .service = &IOT },
                   POLICY = { .name = STR_INIT("CreatePolicy"), .service = &IOT },
                   PUBLISH = { .name = STR_INIT("Publish"), .service = &DATA };

static int take_all(Rates *r, const char *account, const ApiOp *op, int64_t now_ms) {
    int n = 0;
    while (rates_take(r, str_c(account), op, now_ms)) n++;
    return n;
}

static void each_operation_has_its_figure(void **state) {
    (void)state;
    assert_int_equal(rates_limit(&THING), 100);
    assert_int_equal(rates_limit(&POLICY), 10);
    assert_int_equal(rates_limit(&PUBLISH), 20000);
}

static void a_second_gives_as_many_calls_as_the_figure_says(void **state) {
    Rates *r = rates_new();
    (void)state;
    assert_int_equal(take_all(r, "1", &POLICY, 1000), 10);
    assert_int_equal(take_all(r, "1", &POLICY, 1099), 0);
    assert_int_equal(take_all(r, "1", &POLICY, 1100), 1);
    assert_int_equal(take_all(r, "1", &POLICY, 1600), 5);
    assert_int_equal(take_all(r, "1", &POLICY, 1000000), 10); /* no more are saved up */
    assert_int_equal(take_all(r, "1", &POLICY, 5), 0);        /* a clock that went back gives none */
    assert_int_equal(take_all(r, "1", &POLICY, 1001000), 10);
    rates_free(r);
}

static void accounts_and_operations_do_not_share(void **state) {
    Rates *r = rates_new();
    (void)state;
    assert_int_equal(take_all(r, "1", &POLICY, 0), 10);
    assert_int_equal(take_all(r, "2", &POLICY, 0), 10);
    assert_int_equal(take_all(r, "1", &THING, 0), 100);
    rates_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_operation_has_its_figure),
        cmocka_unit_test(a_second_gives_as_many_calls_as_the_figure_says),
        cmocka_unit_test(accounts_and_operations_do_not_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
