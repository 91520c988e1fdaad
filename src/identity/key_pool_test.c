#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "identity/key_pool.h"

static void the_first_asks_in_vain_and_the_next_find_different_keys(void **state) {
    (void)state;
    enum { MAX = 2 };
    KeyPool *p = key_pool_new(MAX);
    EVP_PKEY *keys[MAX];
    assert_null(key_pool_take(p)); /* nothing was made before it */
    for (int round = 0; round < 2; round++) {
        key_pool_wait_full(p);
        for (int i = 0; i < MAX; i++) {
            keys[i] = key_pool_take(p);
            assert_non_null(keys[i]);
            assert_int_equal(EVP_PKEY_get_base_id(keys[i]), EVP_PKEY_RSA);
            assert_int_equal(EVP_PKEY_get_bits(keys[i]), 2048);
        }
        assert_int_not_equal(EVP_PKEY_eq(keys[0], keys[1]), 1);
        for (int i = 0; i < MAX; i++) EVP_PKEY_free(keys[i]);
    }
    key_pool_free(p);
}

static void it_ends_before_during_and_after_making(void **state) {
    (void)state;
    key_pool_free(NULL);
    key_pool_free(key_pool_new(8));
    KeyPool *busy = key_pool_new(1000);
    assert_null(key_pool_take(busy));
    key_pool_free(busy); /* does not wait for a thousand */
    KeyPool *full = key_pool_new(1);
    assert_null(key_pool_take(full));
    key_pool_wait_full(full);
    key_pool_free(full);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_asks_in_vain_and_the_next_find_different_keys),
        cmocka_unit_test(it_ends_before_during_and_after_making),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
