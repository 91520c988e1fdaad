#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "server/log_ring.h"

static void lines_come_once_and_in_order(void **state) {
    LogRing *r = log_ring_new(64);
    Arena a = { 0 };
    uint64_t next = 0;
    (void)state;
    assert_int_equal(log_ring_read(r, 0, &a, &next).len, 0);
    log_ring_add(r, S("one\n"));
    log_ring_add(r, S("two\n"));
    assert_true(str_eq(log_ring_read(r, 0, &a, &next), S("one\ntwo\n")));
    assert_int_equal(log_ring_read(r, next, &a, &next).len, 0);
    log_ring_add(r, S("three\n"));
    assert_true(str_eq(log_ring_read(r, next, &a, &next), S("three\n")));
    arena_free(&a);
    log_ring_free(r);
}

static void the_oldest_whole_lines_make_room(void **state) {
    LogRing *r = log_ring_new(10);
    Arena a = { 0 };
    uint64_t next = 0, early;
    (void)state;
    log_ring_add(r, S("aaa\n"));
    log_ring_read(r, 0, &a, &early);
    log_ring_add(r, S("bbb\n"));
    log_ring_add(r, S("cc\n"));
    assert_true(str_eq(log_ring_read(r, 0, &a, &next), S("bbb\ncc\n")));
    log_ring_add(r, S("ddd\n"));
    log_ring_add(r, S("eee\n"));
    assert_true(str_eq(log_ring_read(r, early, &a, &next), S("ddd\neee\n")));    /* what it would go on with is gone */
    assert_true(str_eq(log_ring_read(r, 1u << 30, &a, &next), S("ddd\neee\n"))); /* of another ring */
    log_ring_add(r, S("longer than ten\n"));
    assert_true(str_eq(log_ring_read(r, 0, &a, &next), S("ddd\neee\n")));
    arena_free(&a);
    log_ring_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_once_and_in_order),
        cmocka_unit_test(the_oldest_whole_lines_make_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
