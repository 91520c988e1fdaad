#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "generated/iot_records.h"
#include "identity/policy_book.h"

static const Tenant TENANT = { STR_INIT("123456789012"), STR_INIT("us-east-1") };
enum { IDLE_MAX = 4, PLENTY = 50, ROUNDS = 300, READERS = 3 };

typedef struct {
    Arena arena;
    Store *store;
    PolicyBook *book;
} Fixture;

static int fixture_make(void **state) {
    Fixture *f = mem_new(sizeof *f);
    Str why;
    assert_int_equal(store_open(&(StoreOptions){ .engine = "memory" }, &f->arena, &f->store, &why), OK);
    f->book = policy_book_new(f->store, TENANT.region, IDLE_MAX);
    *state = f;
    return 0;
}

static int fixture_free(void **state) {
    Fixture *f = *state;
    policy_book_free(f->book);
    store_close(f->store);
    arena_free(&f->arena);
    free(f);
    return 0;
}

/* Version v allows the action iot:V and nothing else; NULL document: that. */
static void put(Fixture *f, Str name, int v, const char *document) {
    Arena a = { 0 };
    Txn *t;
    Str text = document ? str_c(document)
                        : str_format(&a,
                                     "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":"
                                     "\"iot:V%d\",\"Resource\":\"*\"}]}",
                                     v);
    assert_int_equal(txn_begin(f->store, &t), OK);
    Err e = policy_record_put(t, TENANT, &(PolicyRecord){ .policy_name = name, .default_version_id = v });
    if (e == OK)
        e = policy_version_record_put(t, TENANT,
                                      &(PolicyVersionRecord){ .policy_name = name, .version_id = v, .document = text });
    assert_int_equal(e, OK);
    assert_int_equal(txn_commit(t, false), OK);
    arena_free(&a);
}

static void drop(Fixture *f, Str name) {
    Txn *t;
    assert_int_equal(txn_begin(f->store, &t), OK);
    assert_int_equal(policy_record_delete(t, TENANT, name), OK);
    assert_int_equal(txn_commit(t, false), OK);
}

static PolicySlot *take(Fixture *f, Str name) {
    PolicySlot *s;
    assert_int_equal(policy_book_take(f->book, TENANT.account, name, &s), OK);
    return s;
}

static bool has_version(PolicySlot *s, int v) {
    Arena a = { 0 };
    Policy *p;
    PolicyBound *bound;
    if (policy_slot_get(s, &p) != OK) return false;
    policy_bind(&p, 1, NULL, 0, &a, &bound);
    bool yes = policy_decide(bound, str_format(&a, "iot:V%d", v), S("*"), NULL, 0, NULL, NULL) == POLICY_ALLOWED;
    policy_release(p);
    arena_free(&a);
    return yes;
}

static void who_holds_a_policy_has_its_new_version(void **state) {
    Fixture *f = *state;
    put(f, S("p"), 1, NULL);
    PolicySlot *s = take(f, S("p")), *again = take(f, S("p"));
    assert_ptr_equal(s, again);
    policy_slot_release(again);
    assert_true(has_version(s, 1));
    put(f, S("p"), 2, NULL);
    assert_true(has_version(s, 1)); /* not told yet */
    assert_true(policy_book_changed(f->book, TENANT.account, S("p")));
    assert_true(has_version(s, 2) && !has_version(s, 1));
    policy_slot_release(s);
}

static void a_policy_that_nobody_holds_is_read_when_it_is_taken(void **state) {
    Fixture *f = *state;
    assert_false(policy_book_changed(f->book, TENANT.account, S("p")));
    put(f, S("p"), 1, NULL);
    policy_slot_release(take(f, S("p")));
    put(f, S("p"), 2, NULL);
    assert_false(policy_book_changed(f->book, TENANT.account, S("p")));
    PolicySlot *s = take(f, S("p"));
    assert_true(has_version(s, 2));
    policy_slot_release(s);
}

static void a_policy_that_goes_and_comes_back_does_so_in_its_slot(void **state) {
    Fixture *f = *state;
    Policy *none = NULL;
    PolicySlot *s = take(f, S("p")); /* it is not there */
    assert_int_equal(policy_slot_get(s, &none), ERR_NOT_FOUND);
    put(f, S("p"), 1, NULL);
    assert_true(policy_book_changed(f->book, TENANT.account, S("p")));
    assert_true(has_version(s, 1));
    drop(f, S("p"));
    assert_true(policy_book_changed(f->book, TENANT.account, S("p")));
    assert_int_equal(policy_slot_get(s, &none), ERR_NOT_FOUND);
    assert_null(none);
    policy_slot_release(s);
}

static void a_document_that_is_none_is_refused_and_read_again(void **state) {
    Fixture *f = *state;
    PolicySlot *s = NULL;
    Policy *none = NULL;
    put(f, S("p"), 1, "{");
    assert_int_equal(policy_book_take(f->book, TENANT.account, S("p"), &s), ERR_CORRUPT);
    assert_null(s);
    put(f, S("p"), 1, NULL);
    s = take(f, S("p"));
    put(f, S("p"), 2, "[]");
    assert_true(policy_book_changed(f->book, TENANT.account, S("p")));
    assert_int_equal(policy_slot_get(s, &none), ERR_CORRUPT); /* what it was before does not stand */
    policy_slot_release(s);
}

static void accounts_do_not_share_a_name(void **state) {
    Fixture *f = *state;
    PolicySlot *theirs;
    put(f, S("p"), 1, NULL);
    PolicySlot *ours = take(f, S("p"));
    assert_int_equal(policy_book_take(f->book, S("210987654321"), S("p"), &theirs), OK);
    assert_ptr_not_equal(ours, theirs);
    assert_false(has_version(theirs, 1));
    policy_slot_release(ours);
    policy_slot_release(theirs);
}

static void those_that_nobody_holds_go_when_there_are_many(void **state) {
    Fixture *f = *state;
    Arena a = { 0 };
    put(f, S("held"), 1, NULL);
    PolicySlot *held = take(f, S("held"));
    for (int i = 0; i < PLENTY; i++) {
        Str name = str_format(&a, "p%d", i);
        put(f, name, 1, NULL);
        PolicySlot *s = take(f, name);
        assert_true(has_version(s, 1));
        policy_slot_release(s);
    }
    put(f, S("held"), 2, NULL);
    assert_true(policy_book_changed(f->book, TENANT.account, S("held")));
    assert_true(has_version(held, 2));
    policy_slot_release(held);
    arena_free(&a);
}

static void count(void *ctx, Str account) {
    assert_true(str_eq(account, TENANT.account));
    ++*(int *)ctx;
}

static void another_store_reaches_those_that_are_held(void **state) {
    Fixture *f = *state;
    int told = 0;
    put(f, S("p"), 1, NULL);
    put(f, S("q"), 1, NULL);
    PolicySlot *p = take(f, S("p"));
    policy_slot_release(take(f, S("q")));
    put(f, S("p"), 2, NULL);
    put(f, S("q"), 2, NULL);
    policy_book_all_changed(f->book, count, &told);
    assert_int_equal(told, 1);
    assert_true(has_version(p, 2));
    PolicySlot *q = take(f, S("q"));
    assert_true(has_version(q, 2));
    policy_slot_release(p);
    policy_slot_release(q);
}

typedef struct {
    Fixture *f;
    _Atomic int told; /* the version whose change has been told */
    _Atomic int late; /* reads that were older than that */
} Race;

static void *reader(void *arg) {
    Race *r = arg;
    for (int told = 0; told < ROUNDS;) {
        told = atomic_load(&r->told);
        PolicySlot *s = take(r->f, S("p"));
        bool current = false; /* it, or one of those that came meanwhile */
        for (int v = told; !current && v <= atomic_load(&r->told) + 1; v++) current = has_version(s, v);
        if (!current) atomic_fetch_add(&r->late, 1);
        policy_slot_release(s);
    }
    return NULL;
}

static void no_reader_sees_an_older_version_than_was_told(void **state) {
    Fixture *f = *state;
    Race r = { .f = f };
    pthread_t threads[READERS];
    put(f, S("p"), 0, NULL);
    for (int i = 0; i < READERS; i++) assert_int_equal(pthread_create(&threads[i], NULL, reader, &r), 0);
    for (int v = 1; v <= ROUNDS; v++) {
        put(f, S("p"), v, NULL);
        policy_book_changed(f->book, TENANT.account, S("p"));
        atomic_store(&r.told, v);
    }
    for (int i = 0; i < READERS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(r.late, 0);
}

#define BOOK_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_make, fixture_free)

int main(void) {
    const struct CMUnitTest tests[] = {
        BOOK_TEST(who_holds_a_policy_has_its_new_version),
        BOOK_TEST(a_policy_that_nobody_holds_is_read_when_it_is_taken),
        BOOK_TEST(a_policy_that_goes_and_comes_back_does_so_in_its_slot),
        BOOK_TEST(a_document_that_is_none_is_refused_and_read_again),
        BOOK_TEST(accounts_do_not_share_a_name),
        BOOK_TEST(those_that_nobody_holds_go_when_there_are_many),
        BOOK_TEST(another_store_reaches_those_that_are_held),
        BOOK_TEST(no_reader_sees_an_older_version_than_was_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
