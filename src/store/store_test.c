#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <pthread.h>

#include "store/store_fixture.h"

/* Every test here runs over both engines. */

static void a_commit_that_read_what_another_changed_conflicts(void **state) {
    Bench *b = *state;
    Str v;
    put(b, S("k"), S("1"));
    Txn *t = begin(b);
    assert_int_equal(txn_get(t, S("k"), &b->arena, &v), OK);
    assert_int_equal(txn_put(t, S("other"), S("x")), OK);
    put(b, S("k"), S("2"));
    assert_int_equal(txn_commit(t, true), ERR_CONFLICT);
    assert_null(peek(b, S("other")).ptr);

    t = begin(b); /* also what was not there, and when it reads only */
    assert_int_equal(txn_get(t, S("absent"), &b->arena, &v), ERR_NOT_FOUND);
    put(b, S("absent"), S("now"));
    assert_int_equal(txn_commit(t, true), ERR_CONFLICT);

    t = begin(b); /* two writers, blind */
    assert_int_equal(txn_put(t, S("k"), S("mine")), OK);
    put(b, S("k"), S("theirs"));
    assert_int_equal(txn_commit(t, true), ERR_CONFLICT);
    assert_true(str_eq(peek(b, S("k")), S("theirs")));

    Str keys[1] = { S("k") }, values[1];
    t = begin(b);
    assert_int_equal(txn_multi_get(t, keys, 1, &b->arena, values), OK);
    put(b, S("k"), S("3"));
    assert_int_equal(txn_commit(t, true), ERR_CONFLICT);
}

static void a_commit_that_only_peeked_or_scanned_does_not_conflict(void **state) {
    Bench *b = *state;
    Str v, k;
    Scan *s;
    put(b, S("k"), S("1"));
    Txn *t = begin(b);
    assert_int_equal(txn_peek(t, S("k"), &b->arena, &v), OK);
    assert_int_equal(scan_begin(t, S(""), STR_NONE, false, &s), OK);
    assert_true(scan_next(s, &k, &v));
    assert_int_equal(scan_end(s), OK);
    assert_int_equal(txn_put(t, S("other"), S("x")), OK);
    put(b, S("k"), S("2"));
    assert_int_equal(txn_commit(t, true), OK);

    t = begin(b); /* what another wrote before it was read is no conflict */
    put(b, S("k"), S("3"));
    assert_int_equal(txn_get(t, S("k"), &b->arena, &v), OK);
    assert_true(str_eq(v, S("3")));
    assert_int_equal(txn_put(t, S("k"), S("4")), OK);
    assert_int_equal(txn_commit(t, true), OK);
}

static void two_that_lock_a_key_conflict(void **state) {
    Bench *b = *state;
    Txn *one = begin(b), *two = begin(b);
    assert_int_equal(txn_lock(one, S("parent")), OK);
    assert_int_equal(txn_lock(two, S("parent")), OK);
    assert_int_equal(txn_put(one, S("parent/1"), S("")), OK);
    assert_int_equal(txn_put(two, S("parent/2"), S("")), OK);
    assert_int_equal(txn_commit(two, true), OK);
    assert_int_equal(txn_commit(one, true), ERR_CONFLICT);
    assert_null(peek(b, S("parent")).ptr); /* a lock writes nothing */
    assert_null(peek(b, S("parent/1")).ptr);
    assert_true(str_eq(peek(b, S("parent/2")), S("")));
}

enum { MOVERS = 4, MOVES = 400, ACCOUNTS = 3 };

/* Moves one from an account to another, by reading and writing both, until it wins. */
static void *mover_main(void *arg) {
    Bench *b = arg;
    static const char *const accounts[ACCOUNTS] = { "a", "b", "c" };
    Arena arena = { 0 };
    for (int i = 0; i < MOVES; i++) {
        for (Err e = ERR_CONFLICT; e == ERR_CONFLICT;) {
            Str keys[2] = { str_c(accounts[i % ACCOUNTS]), str_c(accounts[(i + 1) % ACCOUNTS]) }, values[2];
            int64_t from, to;
            Txn *t;
            e = txn_begin(b->store, &t);
            if (e == OK) e = txn_multi_get(t, keys, 2, &arena, values);
            if (e == OK) e = str_to_i64(values[0], &from);
            if (e == OK) e = str_to_i64(values[1], &to);
            if (e == OK) e = txn_put(t, keys[0], str_format(&arena, "%lld", (long long)from - 1));
            if (e == OK) e = txn_put(t, keys[1], str_format(&arena, "%lld", (long long)to + 1));
            if (e == OK) e = txn_add(t, S("moves"), 1);
            e = e == OK ? txn_commit(t, false) : (txn_abort(t), e);
            if (e != OK && e != ERR_CONFLICT) abort();
            arena_reset(&arena);
        }
    }
    arena_free(&arena);
    return NULL;
}

static void threads_that_change_the_same_keys_lose_no_update(void **state) {
    Bench *b = *state;
    pthread_t threads[MOVERS];
    put(b, S("a"), S("100"));
    put(b, S("b"), S("100"));
    put(b, S("c"), S("100"));
    for (int i = 0; i < MOVERS; i++) assert_int_equal(pthread_create(&threads[i], NULL, mover_main, b), 0);
    for (int i = 0; i < MOVERS; i++) pthread_join(threads[i], NULL);
    /* each thread leaves one more move from the first to the second than comes back round */
    assert_true(str_eq(peek(b, S("a")), S("96")));
    assert_true(str_eq(peek(b, S("b")), S("104")));
    assert_true(str_eq(peek(b, S("c")), S("100")));
    assert_int_equal(counter(b, S("moves")), MOVERS * MOVES);
}

static void counters_add_up_without_conflicts(void **state) {
    Bench *b = *state;
    int64_t n;
    Txn *one = begin(b), *two = begin(b);
    assert_int_equal(txn_counter(one, S("c"), &n), OK);
    assert_int_equal(n, 0);
    assert_int_equal(txn_add(one, S("c"), 5), OK);
    assert_int_equal(txn_add(two, S("c"), -12), OK);
    assert_int_equal(txn_add(two, S("c"), 1), OK);
    assert_int_equal(txn_counter(two, S("c"), &n), OK);
    assert_int_equal(n, -11);
    assert_int_equal(txn_commit(one, true), OK);
    assert_int_equal(txn_commit(two, true), OK);
    assert_int_equal(counter(b, S("c")), -6);

    one = begin(b);
    txn_savepoint(one);
    assert_int_equal(txn_add(one, S("c"), 1000), OK);
    txn_rollback(one);
    assert_int_equal(txn_delete(one, S("c")), OK);
    assert_int_equal(txn_add(one, S("c"), 2), OK);
    assert_int_equal(txn_commit(one, true), OK);
    assert_int_equal(counter(b, S("c")), 2);

    one = begin(b);
    assert_int_equal(txn_put(one, S("text"), S("no counter")), OK);
    assert_int_equal(txn_counter(one, S("text"), &n), ERR_CORRUPT);
    txn_abort(one);
}

static void a_prefix_ends_before_the_next_one(void **state) {
    Bench *b = *state;
    assert_true(str_eq(store_prefix_end(&b->arena, S("ab")), S("ac")));
    assert_true(str_eq(store_prefix_end(&b->arena, S("a\xFF\xFF")), S("b")));
    assert_null(store_prefix_end(&b->arena, S("\xFF\xFF")).ptr);
    assert_null(store_prefix_end(&b->arena, S("")).ptr);
}

static void a_scan_may_write_what_it_walks(void **state) {
    Bench *b = *state;
    enum { N = 300 };
    char name[16];
    Txn *t = begin(b);
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "s%03d", i);
        assert_int_equal(txn_put(t, str_c(name), S("1")), OK);
        if (i == N / 2) {
            assert_int_equal(txn_commit(t, true), OK); /* half of it committed, half its own */
            t = begin(b);
        }
    }
    Scan *s;
    Str k, v;
    int n = 0;
    assert_int_equal(scan_begin(t, S("s"), S("t"), false, &s), OK);
    for (; scan_next(s, &k, &v); n++) {
        assert_int_equal(txn_delete(t, k), OK);
        assert_int_equal(txn_put(t, S("a-new-one-before"), S("")), OK);
    }
    assert_int_equal(scan_end(s), OK);
    assert_int_equal(n, N);
    assert_int_equal(scan_begin(t, S("s"), S("t"), true, &s), OK);
    assert_false(scan_next(s, &k, &v));
    assert_int_equal(scan_end(s), OK);
    txn_abort(t);
}

static void the_change_log_gives_commits_in_order(void **state) {
    Bench *b = *state;
    uint64_t start = store_position(b->store), next = 0;
    Seen seen = { 0 };
    assert_int_equal(store_changes(b->store, start, 100, on_change, &seen, &next), OK);
    assert_true(next == start && !seen.text[0]);
    put(b, S("b"), S("1"));
    put(b, S("a"), S("2"));
    Txn *t = begin(b);
    txn_savepoint(t);
    assert_int_equal(txn_put(t, S("undone"), S("")), OK);
    txn_rollback(t);
    assert_int_equal(txn_put(t, S("c"), S("3")), OK);
    assert_int_equal(txn_delete(t, S("b")), OK);
    assert_int_equal(txn_add(t, S("n"), 1), OK);
    assert_int_equal(txn_commit(t, false), OK);
    assert_int_equal(store_changes(b->store, start, 1, on_change, &seen, &next), OK);
    assert_string_equal(seen.text, "b=1 ");
    assert_int_equal(store_changes(b->store, next, 100, on_change, &seen, &next), OK);
    assert_string_equal(seen.text, "b=1 a=2 b- c=3 ");
    assert_true(next == store_position(b->store));
    assert_int_equal(store_changes(b->store, next + 1000, 100, on_change, &seen, &next), ERR_NOT_FOUND);
}

static void a_hundred_thousand_records_are_held_and_walked(void **state) {
    Bench *b = *state;
    enum { N = 100000, BATCH = 500 };
    char name[24];
    Txn *t = begin(b);
    for (uint32_t i = 0; i < N; i++) {
        snprintf(name, sizeof name, "thing/%08x", i * 2654435761u);
        assert_int_equal(txn_put(t, str_c(name), S("{\"state\":{\"reported\":{\"x\":1}}}")), OK);
        if (i % BATCH != BATCH - 1) continue;
        assert_int_equal(txn_commit(t, false), OK);
        t = begin(b);
    }
    Scan *s;
    Str k, v;
    size_t n = 0;
    assert_int_equal(scan_begin(t, S(""), STR_NONE, true, &s), OK);
    while (scan_next(s, &k, &v)) n++;
    assert_int_equal(scan_end(s), OK);
    assert_int_equal(n, N);
    txn_abort(t);
}

/* Keeps one transaction open while more keys are committed than the table of conflicts remembers. */
static void a_transaction_older_than_the_memory_of_commits_conflicts(void **state) {
    Bench *b = *state;
    Str v;
    char name[24];
    put(b, S("old"), S("1"));
    Txn *t = begin(b);
    assert_int_equal(txn_get(t, S("old"), &b->arena, &v), OK);
    for (int i = 0; i < 200; i++) {
        Txn *u = begin(b);
        for (int k = 0; k < 1000; k++) {
            snprintf(name, sizeof name, "%d/%d", i, k);
            assert_int_equal(txn_put(u, str_c(name), S("")), OK);
        }
        assert_int_equal(txn_commit(u, false), OK);
    }
    assert_int_equal(txn_commit(t, true), ERR_CONFLICT);
    t = begin(b);
    assert_int_equal(txn_get(t, S("old"), &b->arena, &v), OK);
    assert_int_equal(txn_commit(t, true), OK);
}

static void a_transaction_of_memory_alone_reads_and_never_waits(void **state) {
    Bench *b = *state;
    Txn *t;
    Str v, keys[1] = { S("k") };
    Scan *scan;
    put(b, S("k"), S("1"));
    assert_int_equal(txn_begin_cached(b->store, &t), OK);
    assert_int_equal(txn_get(t, S("k"), &b->arena, &v), OK);
    assert_true(str_eq(v, S("1")));
    put(b, S("k"), S("2")); /* it holds nobody up and sees what is committed */
    assert_int_equal(txn_get(t, S("k"), &b->arena, &v), OK);
    assert_true(str_eq(v, S("2")));
    assert_int_equal(txn_get(t, S("absent"), &b->arena, &v), ERR_NOT_FOUND);
    assert_false(txn_waits(t));
    assert_int_equal(txn_put(t, S("k"), S("3")), ERR_AGAIN);
    assert_true(txn_waits(t));
    assert_int_equal(txn_delete(t, S("k")), ERR_AGAIN);
    assert_int_equal(txn_add(t, S("n"), 1), ERR_AGAIN);
    assert_int_equal(txn_lock(t, S("k")), ERR_AGAIN);
    assert_int_equal(txn_multi_get(t, keys, 1, &b->arena, &v), ERR_AGAIN);
    assert_int_equal(scan_begin(t, S("a"), STR_NONE, false, &scan), ERR_AGAIN);
    txn_abort(t);
    assert_true(str_eq(peek(b, S("k")), S("2")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        ON_BOTH(a_commit_that_read_what_another_changed_conflicts),
        ON_BOTH(a_commit_that_only_peeked_or_scanned_does_not_conflict),
        ON_BOTH(two_that_lock_a_key_conflict),
        ON_BOTH(threads_that_change_the_same_keys_lose_no_update),
        ON_BOTH(counters_add_up_without_conflicts),
        ON_BOTH(a_prefix_ends_before_the_next_one),
        ON_BOTH(a_scan_may_write_what_it_walks),
        ON_BOTH(the_change_log_gives_commits_in_order),
        ON_BOTH(a_hundred_thousand_records_are_held_and_walked),
        ON_BOTH(a_transaction_of_memory_alone_reads_and_never_waits),
        ON_BOTH(a_transaction_older_than_the_memory_of_commits_conflicts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
