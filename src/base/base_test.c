#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/json.h"
#include "base/log.h"
#include "base/map.h"
#include "base/reader.h"
#include "base/rng.h"
#include "base/writer.h"

static void strings_are_packed_and_absent_ones_stay_absent(void **state) {
    (void)state;
    uint8_t room[5];
    Str a = S("ab"), none = STR_NONE, empty = S(""), c = S("cde");
    assert_ptr_equal(str_pack(room, (Str *const[]){ &a, &none, &empty, &c }, 4), room + 5);
    assert_memory_equal(room, "abcde", 5);
    assert_ptr_equal(a.ptr, room);
    assert_null(none.ptr);
    assert_non_null(empty.ptr);
    assert_int_equal(empty.len, 0);
    assert_ptr_equal(c.ptr, room + 2);
    assert_int_equal(c.len, 3);
}

static void numbers_are_read_whole_or_refused(void **state) {
    (void)state;
    int64_t v = 7;
    assert_int_equal(str_to_i64(S("-9223372036854775808"), &v), OK);
    assert_true(v == INT64_MIN);
    assert_int_equal(str_to_i64(S("9223372036854775808"), &v), ERR_LIMIT);
    assert_int_equal(str_to_i64(S("12a"), &v), ERR_MALFORMED);
    assert_int_equal(str_to_i64(S("-"), &v), ERR_MALFORMED);
    assert_int_equal(str_to_i64(STR_NONE, &v), ERR_MALFORMED);
    assert_true(v == INT64_MIN);
}

static void utf8_refuses_overlong_and_surrogates(void **state) {
    (void)state;
    assert_true(str_is_utf8(S("gr\xC3\xBC\xC3\x9F \xF0\x9F\x8C\x8D")));
    assert_false(str_is_utf8(S("\xC0\x80")));
    assert_false(str_is_utf8(S("\xED\xA0\x80")));
    assert_false(str_is_utf8(S("\xF4\x90\x80\x80")));
    assert_false(str_is_utf8(S("\xE2\x82")));
    assert_int_equal(str_code_points(S("\xC3\xBC\xF0\x9F\x8C\x8D"
                                       "a")),
                     3);
}

static void map_agrees_with_a_naive_twin(void **state) {
    (void)state;
    enum { KEYS = 300, STEPS = 20000 };
    static char names[KEYS][8];
    void *twin[KEYS] = { 0 };
    Map m = { 0 };
    Rng rng = { .state = 42 };
    for (int i = 0; i < KEYS; i++) snprintf(names[i], sizeof names[i], "k%d", i);
    for (int step = 0; step < STEPS; step++) {
        size_t k = rng_u64(&rng) % KEYS;
        Str key = str_c(names[k]);
        if (rng_u64(&rng) % 2) {
            assert_ptr_equal(map_put(&m, key, names[step % KEYS]), twin[k]);
            twin[k] = names[step % KEYS];
        } else {
            assert_ptr_equal(map_remove(&m, key), twin[k]);
            twin[k] = NULL;
        }
    }
    size_t n = 0;
    for (size_t k = 0; k < KEYS; k++) {
        assert_ptr_equal(map_get(&m, str_c(names[k])), twin[k]);
        n += twin[k] != NULL;
    }
    assert_int_equal(m.count, n);
    map_free(&m);
}

static void texts_for_bytes_round_trip(void **state) {
    (void)state;
    Arena a = { 0 };
    uint8_t bytes[64];
    Rng rng = { .state = 7 };
    rng_fill(&rng, bytes, sizeof bytes);
    for (size_t n = 0; n <= sizeof bytes; n++) {
        Str in = { bytes, n }, out;
        assert_int_equal(base64_decode(&a, base64_encode(&a, in), &out), OK);
        assert_true(str_eq(in, out));
        assert_int_equal(hex_decode(&a, hex_encode(&a, in), &out), OK);
        assert_true(str_eq(in, out));
        assert_int_equal(percent_decode(&a, percent_encode(&a, in, false), false, &out), OK);
        assert_true(str_eq(in, out));
    }
    Str out = S("untouched");
    assert_int_equal(percent_decode(&a, S("a%2"), false, &out), ERR_MALFORMED);
    assert_int_equal(hex_decode(&a, S("0g"), &out), ERR_MALFORMED);
    assert_int_equal(base64_decode(&a, S("a*=="), &out), ERR_MALFORMED);
    assert_true(str_eq(out, S("untouched")));
    arena_free(&a);
}

static void a_reader_stays_bad_after_the_first_step_that_does_not_fit(void **state) {
    (void)state;
    Reader r = reader_from(S("\x00\x05"
                             "ab"));
    assert_int_equal(reader_u16(&r), 5);
    assert_null(reader_take(&r, 5).ptr);
    assert_true(r.bad);
    assert_int_equal(reader_u8(&r), 0);
    Reader longest = reader_from(S("\xFF\xFF\xFF\x7F"));
    assert_int_equal(reader_varint(&longest), 268435455);
    assert_false(longest.bad);
    Reader padded = reader_from(S("\x80\x00"));
    reader_varint(&padded);
    assert_true(padded.bad);
}

static void a_writer_gives_back_what_a_reader_reads(void **state) {
    (void)state;
    Arena a = { 0 };
    Writer w = writer_in(&a);
    for (uint32_t i = 0; i < 1000; i++) {
        writer_u32(&w, i);
        writer_varint(&w, i * 268435u);
        writer_format(&w, "%u,", i);
    }
    Reader r = reader_from(writer_str(&w));
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(reader_u32(&r), i);
        assert_int_equal(reader_varint(&r), i * 268435u);
        Str expect = str_format(&a, "%u,", i);
        assert_true(str_eq(reader_take(&r, expect.len), expect));
    }
    assert_false(r.bad);
    assert_int_equal(reader_left(&r), 0);
    arena_free(&a);
}

/* The C library is the twin. */
#define FORMATS(...)                                                                                                   \
    do {                                                                                                               \
        char expect[256];                                                                                              \
        snprintf(expect, sizeof expect, __VA_ARGS__);                                                                  \
        Str got = str_format(&a, __VA_ARGS__);                                                                         \
        assert_string_equal((const char *)got.ptr, expect);                                                            \
        assert_int_equal(got.len, strlen(expect));                                                                     \
        Writer w = writer_in(&a);                                                                                      \
        writer_format(&w, __VA_ARGS__);                                                                                \
        assert_true(str_eq(writer_str(&w), got));                                                                      \
    } while (0)

static void texts_are_formatted_as_the_c_library_does(void **state) {
    (void)state;
    Arena a = { 0 };
    const char *none = "";
    FORMATS("arn:aws:iot:%s:%.*s:%c/%s%%", "us-east-1", 5, "12345678", 'x', none);
    FORMATS("%d %d %d %u %u", 0, INT32_MIN, INT32_MAX, 0u, UINT32_MAX);
    FORMATS("%ld %lld %llu %zu", -5L, (long long)INT64_MIN, (unsigned long long)UINT64_MAX, SIZE_MAX);
    FORMATS("%02x%08x|%5d|%05d|%05d|%3u", 7u, 0xabcdefu, -42, -42, 123456, 9u);
    FORMATS("%-6s|%6.2f|%.3s|%+d|%p", "left", 2.5, "abcdef", 3, (void *)0);
    FORMATS("%s", none);
    Str text = str_format(&a, "%0600d", 1); /* longer than what is written in one piece */
    assert_int_equal(text.len, 600);
    assert_int_equal(text.ptr[599], '1');
    arena_free(&a);
}

static void an_arena_gives_aligned_zeroed_memory_that_does_not_overlap(void **state) {
    (void)state;
    Arena a = { 0 };
    Rng rng = { .state = 1 };
    uint8_t *before = NULL;
    size_t before_n = 0;
    for (int i = 0; i < 2000; i++) {
        size_t n = rng_u64(&rng) % (i % 50 ? 200 : 9000) + 1;
        uint8_t *p = arena_alloc(&a, n);
        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t k = 0; k < n; k++) assert_int_equal(p[k], 0);
        memset(p, 0xAB, n);
        for (size_t k = 0; k < before_n; k++) assert_int_equal(before[k], 0xAB);
        before = p;
        before_n = n;
        if (i % 500 == 499) {
            arena_reset(&a);
            before_n = 0;
        }
    }
    arena_free(&a);
}

static void json_says_what_is_wrong_and_keeps_numbers_raw(void **state) {
    (void)state;
    Arena a = { 0 };
    yyjson_val *v = NULL;
    Str why;
    assert_int_equal(json_read(&a, S("{\"a\":12345678901234567890.5}"), true, &v, &why), OK);
    assert_true(str_eq(json_str(json_get(v, S("a"))), S("12345678901234567890.5")));
    assert_true(str_eq(json_write(&a, v), S("{\"a\":12345678901234567890.5}")));
    v = NULL;
    assert_int_equal(json_read(&a, S("{\"a\":}"), true, &v, &why), ERR_MALFORMED);
    assert_null(v);
    assert_true(str_find_str(why, S("byte 5")) != SIZE_MAX);
    assert_int_equal(json_read(&a, STR_NONE, true, &v, &why), ERR_MALFORMED);
    arena_free(&a);
}

static size_t count_in(Str text, Str what) {
    size_t n = 0;
    for (size_t at; (at = str_find_str(text, what)) != SIZE_MAX; n++) text = str_from(text, at + what.len);
    return n;
}

static void a_log_that_nobody_reads_holds_nobody_up(void **state) {
    (void)state;
    enum { LINES = 500, ROOM = 1 << 20 };
    int fds[2];
    _Atomic uint32_t lost = 0;
    char *text = mem_new(ROOM);
    assert_int_equal(pipe(fds), 0);
    const Log log = { .fd = fds[1], .lost = &lost };
    for (int i = 0; i < LINES; i++) log_line(&log, LOG_INFO, "line %1000d", i);
    size_t kept = LINES - lost;
    assert_in_range(kept, 1, LINES - 1);
    assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    size_t n = 0;
    for (ssize_t got; (got = read(fds[0], text + n, ROOM - n)) > 0;) n += (size_t)got;
    assert_int_equal(count_in((Str){ (uint8_t *)text, n }, S("INFO line")), kept);
    log_line(&log, LOG_INFO, "again");
    ssize_t last = read(fds[0], text, ROOM);
    assert_true(last > 0);
    Arena a = { 0 };
    Str want = str_format(&a, "event=Log lost=%zu\n", LINES - kept);
    assert_int_equal(count_in((Str){ (uint8_t *)text, (size_t)last }, want), 1);
    assert_int_equal(count_in((Str){ (uint8_t *)text, (size_t)last }, S("INFO again\n")), 1);
    assert_int_equal(lost, 0);
    arena_free(&a);
    close(fds[0]);
    close(fds[1]);
    free(text);
}

static void ids_of_a_pool_are_uuids_and_never_the_same(void **state) {
    (void)state;
    enum { N = 200 }; /* several blocks */
    RngPool pool = { 0 };
    Arena arena = { 0 };
    Map seen = { 0 };
    for (int i = 0; i < N; i++) {
        Str id = rng_pool_uuid(&pool, &arena);
        assert_int_equal(id.len, 36);
        assert_true(id.ptr[14] == '4' && id.ptr[8] == '-' && strchr("89ab", id.ptr[19]));
        assert_null(map_put(&seen, id, &pool));
    }
    map_free(&seen);
    arena_free(&arena);
}

static void a_writer_of_a_size_grows_beyond_it(void **state) {
    (void)state;
    Arena arena = { 0 };
    Writer w = writer_sized(&arena, 4);
    for (int i = 0; i < 100; i++) writer_bytes(&w, S("abc"));
    assert_int_equal(w.len, 300);
    for (int i = 0; i < 100; i++) assert_memory_equal(w.ptr + 3 * i, "abc", 3);
    arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_packed_and_absent_ones_stay_absent),
        cmocka_unit_test(numbers_are_read_whole_or_refused),
        cmocka_unit_test(utf8_refuses_overlong_and_surrogates),
        cmocka_unit_test(map_agrees_with_a_naive_twin),
        cmocka_unit_test(texts_for_bytes_round_trip),
        cmocka_unit_test(a_reader_stays_bad_after_the_first_step_that_does_not_fit),
        cmocka_unit_test(a_writer_gives_back_what_a_reader_reads),
        cmocka_unit_test(texts_are_formatted_as_the_c_library_does),
        cmocka_unit_test(an_arena_gives_aligned_zeroed_memory_that_does_not_overlap),
        cmocka_unit_test(ids_of_a_pool_are_uuids_and_never_the_same),
        cmocka_unit_test(a_writer_of_a_size_grows_beyond_it),
        cmocka_unit_test(a_log_that_nobody_reads_holds_nobody_up),
        cmocka_unit_test(json_says_what_is_wrong_and_keeps_numbers_raw),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
