#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "store/record_code.h"

/* The same record as two versions of the program define it; what is generated is tested in generated/. */

typedef struct {
    Str name;
    int64_t part;
    Str text;
    int64_t number;
    StrList list;
    Str unknown;
} Old;

typedef struct {
    Str name;
    int64_t part;
    int64_t number;
    double ratio;
    bool active;
    StrList list;
    StrMap map;
    Str bytes;
    Str unknown;
} New; /* tag 1 is retired */

#define KEY(T)                                                                                                         \
    {                                                                                                                  \
        { "name", 0, offsetof(T, name), FIELD_STR }, {                                                                 \
            "part", 0, offsetof(T, part), FIELD_INT                                                                    \
        }                                                                                                              \
    }
static const RecordField old_key[] = KEY(Old), new_key[] = KEY(New);
static const RecordField old_fields[] = {
    { "text", 1, offsetof(Old, text), FIELD_STR },
    { "number", 2, offsetof(Old, number), FIELD_INT },
    { "list", 5, offsetof(Old, list), FIELD_LIST },
};
static const RecordField new_fields[] = {
    { "number", 2, offsetof(New, number), FIELD_INT },  { "ratio", 3, offsetof(New, ratio), FIELD_DOUBLE },
    { "active", 4, offsetof(New, active), FIELD_BOOL }, { "list", 5, offsetof(New, list), FIELD_LIST },
    { "map", 6, offsetof(New, map), FIELD_MAP },        { "bytes", 1000, offsetof(New, bytes), FIELD_BYTES },
};
static const RecordType old_type = { .name = "Old",
                                     .tag = STR_INIT("r"),
                                     .size_bytes = sizeof(Old),
                                     .unknown_offset = offsetof(Old, unknown),
                                     .key = old_key,
                                     .key_count = 2,
                                     .fields = old_fields,
                                     .field_count = 3 };
static const RecordType new_type = { .name = "New",
                                     .tag = STR_INIT("r"),
                                     .size_bytes = sizeof(New),
                                     .unknown_offset = offsetof(New, unknown),
                                     .key = new_key,
                                     .key_count = 2,
                                     .fields = new_fields,
                                     .field_count = 6 };

static void data_of_an_older_definition_opens(void **state) {
    (void)state;
    Arena a = { 0 };
    Str items[] = { S("x"), S("") };
    Old old = { .text = S("gone"), .number = INT64_MIN, .list = { items, 2, true } };
    New new = { .ratio = 9, .active = true, .map = { .n = 3 } };
    assert_int_equal(record_decode(&new_type, record_encode(&old_type, &old, &a), &a, &new), OK);
    assert_true(new.number == INT64_MIN &&new.ratio == 0 && !new.active &&new.map.n == 0 && !new.bytes.ptr);
    assert_true(new.list.n == 2 && str_eq(new.list.items[0], S("x")) && new.list.items[1].ptr);
    arena_free(&a);
}

static void fields_of_a_newer_definition_survive_an_older_program(void **state) {
    (void)state;
    Arena a = { 0 };
    StrPair pairs[] = { { S("k"), S("v") } };
    New new = { .number = 5, .ratio = -0.0, .active = true, .map = { pairs, 1, true }, .bytes = S("\0\xFF") }, back;
    Old old;
    assert_int_equal(record_decode(&old_type, record_encode(&new_type, &new, &a), &a, &old), OK);
    assert_true(old.number == 5 && !old.text.ptr && old.unknown.ptr);
    old.number = 6;
    old.text = S("written by the old one");
    assert_int_equal(record_decode(&new_type, record_encode(&old_type, &old, &a), &a, &back), OK);
    assert_true(back.number == 6 && signbit(back.ratio) && back.active && str_eq(back.bytes, new.bytes));
    assert_true(back.map.n == 1 && str_eq(back.map.items[0].value, S("v")));
    assert_true(back.unknown.ptr != NULL); /* the retired text */
    arena_free(&a);
}

static void absent_and_empty_stay_apart(void **state) {
    (void)state;
    Arena a = { 0 };
    New new = { .list = { .set = true }, .map = { .set = true }, .bytes = S("") }, back;
    assert_int_equal(record_decode(&new_type, record_encode(&new_type, &new, &a), &a, &back), OK);
    assert_true(back.list.set && back.list.n == 0 && back.map.set && back.map.n == 0 && back.bytes.ptr &&
                back.bytes.len == 0);
    new = (New){ 0 };
    assert_int_equal(record_encode(&new_type, &new, &a).len, 1);
    arena_free(&a);
}

static New sample(Str *items, StrPair *pairs) {
    items[0] = S("one");
    items[1] = S("two");
    pairs[0] = (StrPair){ S("key"), S("value") };
    return (New){ .number = -3,
                  .ratio = 0.5,
                  .active = true,
                  .list = { items, 2, true },
                  .map = { pairs, 1, true },
                  .bytes = S("bytes") };
}

static void damaged_values_are_corrupt_or_other_values_never_more(void **state) {
    (void)state;
    Arena a = { 0 };
    Str items[2];
    StrPair pairs[1];
    New new = sample(items, pairs), back;
    Str whole = record_encode(&new_type, &new, &a);
    size_t shorter_ones = 0;
    for (size_t n = 0; n < whole.len; n++) { /* cut at a field's end it is a record with fewer fields */
        uint8_t *copy = malloc(n ? n : 1);   /* its own memory, so that a sanitizer sees a read beyond it */
        memcpy(copy, whole.ptr, n);
        Err e = record_decode(&new_type, (Str){ copy, n }, &a, &back);
        assert_true(e == OK || e == ERR_CORRUPT);
        shorter_ones += e == OK;
        free(copy);
    }
    assert_int_equal(shorter_ones, new_type.field_count);
    Rng rng = { .state = 5 };
    for (int i = 0; i < 20000; i++) {
        uint8_t *copy = malloc(whole.len);
        memcpy(copy, whole.ptr, whole.len);
        for (int k = 0; k < 3; k++) copy[rng_u64(&rng) % whole.len] = (uint8_t)rng_u64(&rng);
        Err e = record_decode(&new_type, (Str){ copy, whole.len }, &a, &back);
        assert_true(e == OK || e == ERR_CORRUPT);
        free(copy);
        if (i % 100 == 0) arena_reset(&a);
    }
    arena_free(&a);
}

static void wrong_formats_are_corrupt(void **state) {
    (void)state;
    Arena a = { 0 };
    New back;
    static const Str wrong[] = {
        STR_INIT(""),                                                     /* no format */
        STR_INIT("\x02"),                                                 /* another format */
        STR_INIT("\x01\x0A\x00"),                                         /* tag 2, a number, as bytes */
        STR_INIT("\x01\x00\x00"),                                         /* tag 0 */
        STR_INIT("\x01\x83\x7D"),                                         /* form 3 */
        STR_INIT("\x01\x1A\x02\x01"),                                     /* longer than there is */
        STR_INIT("\x01\x1A\x02\x01k"),                                    /* tag 6: half a pair */
        STR_INIT("\x01\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), /* a varint without end */
        STR_INIT("\x01\x16\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"),     /* a list of 2^64 bytes */
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(record_decode(&new_type, wrong[i], &a, &back), ERR_CORRUPT);
    arena_free(&a);
}

static Str key_of(Tenant tenant, Str name, int64_t part, Arena *a) {
    Writer w = writer_in(a);
    Old r = { .name = name, .part = part };
    record_key_begin(&w, &old_type, tenant, 0);
    record_key_part(&w, &old_key[0], &r);
    record_key_part(&w, &old_key[1], &r);
    return writer_str(&w);
}

static int sign(int64_t v) {
    return (v > 0) - (v < 0);
}

static void keys_order_as_their_parts_do_and_read_back(void **state) {
    (void)state;
    Arena a = { 0 };
    Rng rng = { .state = 3 };
    static const uint8_t alphabet[] = { 0, 1, 'a', 0xFF };
    static const int64_t numbers[] = { INT64_MIN, -1, 0, 1, 255, 256, INT64_MAX };
    Tenant tenant = { S("acc\0ount"), S("") };
    for (int i = 0; i < 20000; i++) {
        Str name[2], key[2];
        int64_t part[2];
        for (int k = 0; k < 2; k++) {
            size_t n = rng_u64(&rng) % 5;
            uint8_t *text = arena_bytes(&a, n);
            for (size_t b = 0; b < n; b++) text[b] = alphabet[rng_u64(&rng) % sizeof alphabet];
            name[k] = (Str){ text, n };
            part[k] = numbers[rng_u64(&rng) % 7];
            key[k] = key_of(tenant, name[k], part[k], &a);
            Old back = { 0 };
            Tenant t;
            assert_int_equal(record_key_read(&old_type, key[k], 0, &a, &t, &back), OK);
            assert_true(str_eq(back.name, name[k]) && back.part == part[k] && str_eq(t.account, tenant.account));
        }
        int want = sign(str_cmp(name[0], name[1]));
        if (want == 0) want = (part[0] > part[1]) - (part[0] < part[1]);
        assert_int_equal(sign(str_cmp(key[0], key[1])), want);
        assert_true(want == 0 || !str_starts(key[0], key[1])); /* none is the beginning of another */
        arena_reset(&a);
    }
    arena_free(&a);
}

static void a_cut_key_is_not_read(void **state) {
    (void)state;
    Arena a = { 0 };
    Str key = key_of((Tenant){ S("a"), S("r") }, S("n\0me"), 7, &a);
    Tenant t;
    Old back;
    for (size_t n = 0; n < key.len; n++)
        assert_int_not_equal(record_key_read(&old_type, str_sub(key, 0, n), 0, &a, &t, &back), OK);
    Writer longer = writer_in(&a);
    writer_bytes(&longer, key);
    writer_u8(&longer, 0);
    assert_int_equal(record_key_read(&old_type, writer_str(&longer), 0, &a, &t, &back), ERR_CORRUPT);
    assert_int_equal(record_key_read(&old_type, key, 1, &a, &t, &back), ERR_NOT_FOUND);
    arena_free(&a);
}

/* What is on disk today is on disk for ever: a change here is a change that old data does not open with. */
static void the_bytes_of_keys_and_values_stay_as_they_are(void **state) {
    (void)state;
    Arena a = { 0 };
    Str items[2];
    StrPair pairs[1];
    New new = sample(items, pairs);
    static const Str value = STR_INIT("\x01"
                                      "\x08\x05"                 /* 2: -3 */
                                      "\x0D\x3F\xE0\0\0\0\0\0\0" /* 3: 0.5 */
                                      "\x10\x01"                 /* 4: true */
                                      "\x16\x08\x03"
                                      "one"
                                      "\x03"
                                      "two" /* 5 */
                                      "\x1A\x0A\x03"
                                      "key"
                                      "\x05"
                                      "value" /* 6 */
                                      "\xA2\x1F\x05"
                                      "bytes"); /* 1000 */
    static const Str key = STR_INIT("acc\0\x01"
                                    "re\0\xFFg\0\x01"
                                    "r\0\x01"
                                    "\0"
                                    "name\0\x01"
                                    "\x80\0\0\0\0\0\0\x07");
    assert_true(str_eq(record_encode(&new_type, &new, &a), value));
    assert_true(str_eq(key_of((Tenant){ S("acc"), S("re\0g") }, S("name"), 7, &a), key));
    arena_free(&a);
}

static void a_value_that_is_damaged_in_the_store_is_reported(void **state) {
    (void)state;
    Arena a = { 0 };
    Store *store;
    Txn *txn;
    Str why;
    Tenant tenant = { S("a"), S("r") };
    Old old = { .name = S("n"), .part = 1, .text = S("t") }, got = { .number = 42 };
    assert_int_equal(store_open(&(StoreOptions){ .engine = "memory" }, &a, &store, &why), OK);
    assert_int_equal(txn_begin(store, &txn), OK);
    assert_int_equal(record_put(txn, &old_type, tenant, &old), OK);
    assert_int_equal(txn_put(txn, key_of(tenant, S("n"), 2, &a), S("\x07")), OK);
    assert_int_equal(record_get(txn, &old_type, tenant, &(Old){ .name = S("n"), .part = 2 }, &a, &got), ERR_CORRUPT);
    assert_int_equal(got.number, 42);
    RecordScan *s;
    assert_int_equal(record_scan_begin(txn, &old_type, tenant, 0, NULL, 0, STR_NONE, false, &s), OK);
    assert_true(record_scan_next(s, &a, &got));
    assert_false(record_scan_next(s, &a, &got));
    assert_int_equal(record_scan_end(s), ERR_CORRUPT);
    assert_int_equal(record_scan_begin(txn, &old_type, tenant, 9, NULL, 0, STR_NONE, false, &s), ERR_INVALID);
    txn_abort(txn);
    store_close(store);
    arena_free(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_of_an_older_definition_opens),
        cmocka_unit_test(fields_of_a_newer_definition_survive_an_older_program),
        cmocka_unit_test(absent_and_empty_stay_apart),
        cmocka_unit_test(damaged_values_are_corrupt_or_other_values_never_more),
        cmocka_unit_test(wrong_formats_are_corrupt),
        cmocka_unit_test(keys_order_as_their_parts_do_and_read_back),
        cmocka_unit_test(a_cut_key_is_not_read),
        cmocka_unit_test(the_bytes_of_keys_and_values_stay_as_they_are),
        cmocka_unit_test(a_value_that_is_damaged_in_the_store_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
