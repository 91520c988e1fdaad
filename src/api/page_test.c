#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "api/page.h"
#include "api/sample.h"
#include "base/encode.h"

static void a_token_gives_its_key_back(void **state) {
    (void)state;
    Arena a = { 0 };
    Str key = { (const uint8_t *)"a\0b/\xFF", 5 }, got;
    assert_int_equal(page_token_read(&a, S("ListThings"), page_token(&a, S("ListThings"), key), &got), OK);
    assert_true(str_eq(got, key));
    assert_int_equal(page_token_read(&a, S("ListThings"), page_token(&a, S("ListThings"), S("")), &got), OK);
    assert_true(got.len == 0);
    assert_int_equal(page_token_read(&a, S("ListThings"), STR_NONE, &got), OK);
    assert_null(got.ptr);
    arena_free(&a);
}

static void a_token_opens_only_its_own_list(void **state) {
    (void)state;
    Arena a = { 0 };
    Str token = page_token(&a, S("ListThings"), S("key")), got = S("untouched"), raw;
    assert_int_equal(page_token_read(&a, S("ListPolicies"), token, &got), ERR_INVALID);
    assert_int_equal(page_token_read(&a, S("ListThing"), page_token(&a, S("ListThings"), S("")), &got), ERR_INVALID);
    for (size_t n = 1; n < token.len; n++)
        assert_int_equal(page_token_read(&a, S("ListThings"), str_sub(token, 0, n), &got), ERR_INVALID);
    assert_int_equal(base64_decode(&a, token, &raw), OK);
    for (size_t i = 0; i < raw.len; i++) {
        uint8_t *bent = arena_bytes(&a, raw.len);
        memcpy(bent, raw.ptr, raw.len);
        bent[i] ^= 1;
        assert_int_equal(page_token_read(&a, S("ListThings"), base64_encode(&a, (Str){ bent, raw.len }), &got),
                         ERR_INVALID);
    }
    assert_int_equal(page_token_read(&a, S("ListThings"), S("not base64 at all!"), &got), ERR_INVALID);
    assert_true(str_eq(got, S("untouched")));
    arena_free(&a);
}

static void a_handler_is_told_of_a_foreign_token(void **state) {
    (void)state;
    Arena a = { 0 };
    Call c = { .op = api_op(&sample_service, S("ListJobs")), .arena = &a, .account = S("1"), .region = S("r") };
    Call other = c;
    other.account = S("2");
    const PageSize size = { 1, 1 };
    Page p;
    assert_int_equal(page_open(&c, S("type=x"), STR_NONE, (OptInt){ 0 }, size, &p), OK);
    assert_true(page_take_at(&p, S("k7")) && !page_take_at(&p, S("k8")));
    Str token = p.next;
    assert_int_equal(page_open(&c, S("type=x"), token, (OptInt){ 0 }, size, &p), OK);
    assert_true(str_eq(p.after, S("k7")));
    assert_int_equal(page_open(&other, S("type=x"), token, (OptInt){ 0 }, size, &p), ERR_API);
    assert_int_equal(page_open(&c, S("type=y"), token, (OptInt){ 0 }, size, &p), ERR_API);
    assert_ptr_equal(c.failure.error, SAMPLE_INVALID);
    arena_free(&a);
}

static void sizes_stay_within_their_limits(void **state) {
    (void)state;
    static const struct {
        OptInt asked;
        size_t otherwise, most, want;
    } cases[] = {
        { { 0 }, 25, 250, 25 },
        { { 0 }, 250, 100, 100 },
        { { true, 7 }, 25, 250, 7 },
        { { true, 0 }, 25, 250, 1 },
        { { true, INT64_MAX }, 25, 250, 250 },
        { { true, -3 }, 25, 250, 1 },
    };
    Arena a = { 0 };
    Call c = { .op = api_op(&sample_service, S("ListJobs")), .arena = &a };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Page p;
        PageSize size = { cases[i].otherwise, cases[i].most };
        assert_int_equal(page_open(&c, S(""), STR_NONE, cases[i].asked, size, &p), OK);
        assert_int_equal(p.most, cases[i].want);
    }
    arena_free(&a);
}

/* Takes items 0.. of n by one page after another; fails when any is left out or comes twice. */
static size_t take_all(Call *c, size_t n, int64_t asked) {
    Str token = STR_NONE;
    size_t pages = 0, from = 0;
    do {
        Page p;
        assert_int_equal(page_open(c, S(""), token, (OptInt){ true, asked }, (PageSize){ 3, 4 }, &p), OK);
        if (p.after.ptr) assert_true(str_eq(p.after, str_format(c->arena, "%zu", from - 1)));
        while (from < n && page_take_at(&p, str_format(c->arena, "%zu", from))) from++;
        assert_true(p.n <= p.most);
        token = p.next;
        pages++;
    } while (token.ptr);
    assert_int_equal(from, n);
    return pages;
}

static void a_page_ends_with_a_token_only_when_there_is_more(void **state) {
    (void)state;
    Arena a = { 0 };
    Call c = { .op = api_op(&sample_service, S("ListJobs")), .arena = &a, .account = S("1"), .region = S("r") };
    assert_int_equal(take_all(&c, 0, 2), 1);
    assert_int_equal(take_all(&c, 2, 2), 1);
    assert_int_equal(take_all(&c, 3, 2), 2);
    assert_int_equal(take_all(&c, 4, 2), 2);
    assert_int_equal(take_all(&c, 5, 1), 5);
    assert_int_equal(take_all(&c, 9, 100), 3); /* four at most */
    arena_free(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_gives_its_key_back),
        cmocka_unit_test(a_token_opens_only_its_own_list),
        cmocka_unit_test(a_handler_is_told_of_a_foreign_token),
        cmocka_unit_test(a_page_ends_with_a_token_only_when_there_is_more),
        cmocka_unit_test(sizes_stay_within_their_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
