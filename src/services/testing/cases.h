/* What tests of handlers begin and end with, and how they expect a failure. Include after cmocka.h.
 *
 *   static int iot_open(void **state) { return fixture_case_open(state, &iot_service); }
 *   ... cmocka_unit_test_setup_teardown(test, iot_open, fixture_case_close) */
#pragma once

#include <stdlib.h>

#include "services/testing/fixture.h"

/* *state: a Fixture of the test's own. */
static inline int fixture_case_open(void **state, const ApiService *service) {
    Fixture *f = mem_new(sizeof *f);
    fixture_open(f, service);
    *state = f;
    return 0;
}

static inline int fixture_case_close(void **state) {
    fixture_close(*state);
    free(*state);
    return 0;
}

/* e is what the last call returned: the exception of that name, whose text has that part. */
static inline void expect_error(Fixture *f, Err e, const char *error, const char *message_part) {
    assert_int_equal(e, ERR_API);
    if (!str_eq(f->error, str_c(error)) || str_find_str(f->message, str_c(message_part)) == SIZE_MAX)
        fail_msg("got %.*s: %.*s", PS(f->error), PS(f->message));
}
