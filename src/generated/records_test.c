#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>

#include "generated/iot_records.h"

/* What is generated for each record, shown with those of models/iot.store. */

static const Tenant here = { STR_INIT("123456789012"), STR_INIT("us-east-1") };
static const Tenant there = { STR_INIT("123456789012"), STR_INIT("us-east-2") };

typedef struct {
    Store *store;
    Txn *txn;
    Arena arena;
} Fixture;

static int setup(void **state) {
    Fixture *f = mem_new(sizeof *f);
    Str why;
    *state = f;
    if (store_open(&(StoreOptions){ .engine = "memory" }, &f->arena, &f->store, &why) != OK) return -1;
    return txn_begin(f->store, &f->txn);
}

static int teardown(void **state) {
    Fixture *f = *state;
    txn_abort(f->txn);
    store_close(f->store);
    arena_free(&f->arena);
    free(f);
    return 0;
}

static void a_thing_is_read_as_it_was_written(void **state) {
    Fixture *f = *state;
    StrPair pairs[] = { { S("floor"), S("2") }, { S("empty"), S("") } };
    ThingRecord t = { .thing_name = S("lamp"), .thing_id = S("id"), .attributes = { pairs, 2, true }, .version = -7 };
    ThingRecord got = { .version = 99 };
    assert_int_equal(thing_record_get(f->txn, here, S("lamp"), &f->arena, &got), ERR_NOT_FOUND);
    assert_int_equal(got.version, 99);
    assert_int_equal(thing_record_insert(f->txn, here, &t), OK);
    assert_int_equal(thing_record_insert(f->txn, here, &t), ERR_EXISTS);
    assert_int_equal(thing_record_get(f->txn, here, S("lamp"), &f->arena, &got), OK);
    assert_true(str_eq(got.thing_name, S("lamp")) && str_eq(got.thing_id, S("id")) && got.version == -7);
    assert_true(got.attributes.n == 2 && str_eq(got.attributes.items[0].value, S("2")) && got.attributes.set);
    assert_null(got.thing_type_name.ptr);
    assert_int_equal(thing_record_peek(f->txn, there, S("lamp"), &f->arena, &got), ERR_NOT_FOUND);
    assert_int_equal(thing_record_delete(f->txn, here, S("lamp")), OK);
    assert_int_equal(thing_record_delete(f->txn, here, S("lamp")), ERR_NOT_FOUND);
}

/* The names of the things that scan gives, in order. */
static Str names(Fixture *f, RecordScan *scan, size_t limit, Str *position) {
    ThingRecord t;
    Str all = S("");
    for (size_t n = 0; n < limit && thing_record_next(scan, &f->arena, &t); n++) {
        all = str_format(&f->arena, "%.*s%.*s ", PS(all), PS(t.thing_name));
        if (position) *position = record_scan_position(scan, &f->arena);
    }
    assert_int_equal(record_scan_end(scan), OK);
    return all;
}

static void add(Fixture *f, Str name, Str type) {
    assert_int_equal(thing_record_put(f->txn, here, &(ThingRecord){ .thing_name = name, .thing_type_name = type }), OK);
}

static Str by_type(Fixture *f, Str type) {
    RecordScan *s;
    assert_int_equal(thing_record_scan_by_type(f->txn, here, type, STR_NONE, false, &s), OK);
    return names(f, s, 100, NULL);
}

static void an_index_follows_its_record(void **state) {
    Fixture *f = *state;
    add(f, S("a"), S("lamp"));
    add(f, S("b"), STR_NONE);
    add(f, S("c"), S("lamp"));
    add(f, S("d"), S("lam"));
    add(f, S("e"), S(""));
    assert_true(str_eq(by_type(f, S("lamp")), S("a c ")));
    assert_true(str_eq(by_type(f, S("lam")), S("d ")));
    assert_true(str_eq(by_type(f, S("")), S("e ")));
    add(f, S("a"), S("lam"));
    add(f, S("b"), S("lamp"));
    assert_true(str_eq(by_type(f, S("lamp")), S("b c ")));
    assert_true(str_eq(by_type(f, S("lam")), S("a d ")));
    assert_int_equal(thing_record_delete(f->txn, here, S("c")), OK);
    add(f, S("b"), STR_NONE);
    assert_true(str_eq(by_type(f, S("lamp")), S("")));
    RecordScan *s;
    assert_int_equal(thing_record_scan_all_by_type(f->txn, here, STR_NONE, false, &s), OK);
    assert_true(str_eq(names(f, s, 100, NULL), S("e a d ")));
}

static void pages_go_on_where_the_last_one_ended_in_both_directions(void **state) {
    Fixture *f = *state;
    static const char *all[] = { "a", "aa", "ab", "b", "ba" };
    for (size_t i = 0; i < 5; i++) add(f, str_c(all[i]), S("lamp"));
    assert_int_equal(thing_record_put(f->txn, there, &(ThingRecord){ .thing_name = S("other region") }), OK);
    for (int index = 0; index < 2; index++) {
        Str position = STR_NONE, back = STR_NONE;
        const char *forth[] = { "a aa ", "ab b ", "ba ", "" }, *reverse[] = { "ba b ", "ab aa ", "a ", "" };
        for (int page = 0; page < 4; page++) {
            RecordScan *s;
            Err e = index ? thing_record_scan_by_type(f->txn, here, S("lamp"), position, false, &s)
                          : thing_record_scan(f->txn, here, position, false, &s);
            assert_int_equal(e, OK);
            assert_true(str_eq(names(f, s, 2, &position), str_c(forth[page])));
            e = index ? thing_record_scan_by_type(f->txn, here, S("lamp"), back, true, &s)
                      : thing_record_scan(f->txn, here, back, true, &s);
            assert_int_equal(e, OK);
            assert_true(str_eq(names(f, s, 2, &back), str_c(reverse[page])));
        }
    }
    RecordScan *s;
    assert_int_equal(thing_record_scan(f->txn, here, thing_record_position(S("ab"), &f->arena), false, &s), OK);
    assert_true(str_eq(names(f, s, 9, NULL), S("b ba ")));
}

static void a_made_up_position_cannot_leave_the_range(void **state) {
    Fixture *f = *state;
    add(f, S("a"), S("lamp"));
    assert_int_equal(thing_record_put(f->txn, there, &(ThingRecord){ .thing_name = S("foreign") }), OK);
    static const Str made_up[] = { STR_INIT(""), STR_INIT("\xFF\xFF\xFF\xFF"), STR_INIT("\0"), STR_INIT("zzz") };
    for (size_t i = 0; i < sizeof made_up / sizeof *made_up; i++) {
        for (int backwards = 0; backwards < 2; backwards++) {
            RecordScan *s;
            assert_int_equal(thing_record_scan(f->txn, here, made_up[i], backwards, &s), OK);
            Str got = names(f, s, 9, NULL);
            assert_true(got.len == 0 || str_eq(got, S("a ")));
            assert_int_equal(thing_record_scan_by_type(f->txn, here, S("lamp"), made_up[i], backwards, &s), OK);
            got = names(f, s, 9, NULL);
            assert_true(got.len == 0 || str_eq(got, S("a ")));
        }
    }
}

static void a_compound_key_is_walked_by_its_first_part_and_a_relation_both_ways(void **state) {
    Fixture *f = *state;
    static const int64_t ids[] = { 10, 9, -1, 2 };
    for (size_t i = 0; i < 4; i++) {
        PolicyVersionRecord v = { .policy_name = S("p"), .version_id = ids[i], .document = S("{}") };
        assert_int_equal(policy_version_record_insert(f->txn, here, &v), OK);
    }
    PolicyVersionRecord v = { .policy_name = S("pp"), .version_id = 1 };
    assert_int_equal(policy_version_record_insert(f->txn, here, &v), OK);
    RecordScan *s;
    assert_int_equal(policy_version_record_scan_of_policy_name(f->txn, here, S("p"), STR_NONE, false, &s), OK);
    static const int64_t in_order[] = { -1, 2, 9, 10 };
    for (size_t i = 0; i < 4; i++) {
        assert_true(policy_version_record_next(s, &f->arena, &v));
        assert_true(v.version_id == in_order[i] && str_eq(v.policy_name, S("p")));
    }
    assert_false(policy_version_record_next(s, &f->arena, &v));
    assert_int_equal(record_scan_end(s), OK);

    PolicyAttachmentRecord a = { .target = S("cert/1"), .policy_name = S("p") };
    assert_int_equal(policy_attachment_record_put(f->txn, here, &a), OK);
    a.target = S("cert/2");
    assert_int_equal(policy_attachment_record_put(f->txn, here, &a), OK);
    assert_int_equal(policy_attachment_record_scan_by_policy(f->txn, here, S("p"), STR_NONE, true, &s), OK);
    assert_true(policy_attachment_record_next(s, &f->arena, &a) && str_eq(a.target, S("cert/2")));
    assert_true(policy_attachment_record_next(s, &f->arena, &a) && str_eq(a.target, S("cert/1")));
    assert_false(policy_attachment_record_next(s, &f->arena, &a));
    assert_int_equal(record_scan_end(s), OK);
}

typedef struct {
    Fixture *f;
    int things, deleted, others;
} Followed;

static void follow(void *ctx, uint64_t position, Str key, Str value) {
    Followed *w = ctx;
    Tenant tenant;
    ThingRecord t;
    (void)position;
    Err e = thing_record_from_change(key, value, &w->f->arena, &tenant, &t);
    if (e == OK) {
        assert_true(str_eq(t.thing_name, S("lamp")) && str_eq(tenant.region, here.region));
        w->things += value.ptr != NULL;
        w->deleted += value.ptr == NULL;
    } else {
        assert_int_equal(e, ERR_NOT_FOUND);
        w->others++;
    }
}

static void a_record_is_known_in_the_change_log(void **state) {
    Fixture *f = *state;
    Followed w = { .f = f };
    uint64_t next = store_position(f->store);
    add(f, S("lamp"), S("type")); /* and its index entry */
    assert_int_equal(policy_record_put(f->txn, here, &(PolicyRecord){ .policy_name = S("p") }), OK);
    assert_int_equal(txn_commit(f->txn, true), OK);
    assert_int_equal(txn_begin(f->store, &f->txn), OK);
    assert_int_equal(store_changes(f->store, next, 100, follow, &w, &next), OK);
    assert_true(w.things == 1 && w.deleted == 0 && w.others >= 2);
    assert_int_equal(thing_record_delete(f->txn, here, S("lamp")), OK);
    assert_int_equal(txn_commit(f->txn, true), OK);
    assert_int_equal(txn_begin(f->store, &f->txn), OK);
    assert_int_equal(store_changes(f->store, next, 100, follow, &w, &next), OK);
    assert_true(w.things == 1 && w.deleted == 1 && w.others >= 3);
}

static void two_that_lock_the_same_parent_conflict(void **state) {
    Fixture *f = *state;
    Txn *other;
    assert_int_equal(txn_begin(f->store, &other), OK);
    assert_int_equal(policy_record_lock(f->txn, here, S("p")), OK);
    assert_int_equal(policy_record_lock(other, here, S("p")), OK);
    assert_int_equal(txn_commit(other, true), OK);
    assert_int_equal(txn_commit(f->txn, true), ERR_CONFLICT);
    assert_int_equal(txn_begin(f->store, &f->txn), OK);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_thing_is_read_as_it_was_written),
        TEST(an_index_follows_its_record),
        TEST(pages_go_on_where_the_last_one_ended_in_both_directions),
        TEST(a_made_up_position_cannot_leave_the_range),
        TEST(a_compound_key_is_walked_by_its_first_part_and_a_relation_both_ways),
        TEST(a_record_is_known_in_the_change_log),
        TEST(two_that_lock_the_same_parent_conflict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
