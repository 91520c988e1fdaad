#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/settle.h"

static Store *memory_store(void) {
    Arena a = { 0 };
    Store *s = NULL;
    Str why;
    assert_int_equal(store_open(&(StoreOptions){ .engine = "memory" }, &a, &s, &why), OK);
    arena_free(&a);
    return s;
}

static int64_t counter(Store *store, Str key) {
    Txn *t;
    int64_t n = -1;
    assert_int_equal(txn_begin(store, &t), OK);
    assert_int_equal(txn_counter(t, key, &n), OK);
    txn_abort(t);
    return n;
}

/* A latch: done jobs count it down. */
typedef struct {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    int left;
} Latch;

static Latch latch_of(int n) {
    Latch l = { .left = n };
    pthread_mutex_init(&l.mutex, NULL);
    pthread_cond_init(&l.cond, NULL);
    return l;
}

static void latch_down(Latch *l) {
    pthread_mutex_lock(&l->mutex);
    if (--l->left == 0) pthread_cond_signal(&l->cond);
    pthread_mutex_unlock(&l->mutex);
}

static void latch_wait(Latch *l) {
    pthread_mutex_lock(&l->mutex);
    while (l->left > 0) pthread_cond_wait(&l->cond, &l->mutex);
    pthread_mutex_unlock(&l->mutex);
}

enum { CLIENTS = 4, KEYS = 16, JOBS = 2000 };

/* Reads its key's number, expects to be the next, writes it: shows a job that ran out of order or was lost. */
typedef struct {
    Job job;
    Store *store;
    int key, number;
    bool fails;
    int *last_done; /* of the key: done runs in key order too */
    Latch *latch;
} Step;

static Err step_run(Job *job, Txn *txn) {
    Step *s = (Step *)job;
    Arena a = { 0 };
    char name[16], text[16];
    snprintf(name, sizeof name, "key%d", s->key);
    Str v = S("0");
    Err e = txn_get(txn, str_c(name), &a, &v);
    int64_t n = -1;
    if (e == OK || e == ERR_NOT_FOUND) e = str_to_i64(v, &n);
    if (e == OK && n != s->number) e = ERR_INVALID;
    snprintf(text, sizeof text, "%d", s->number + 1);
    if (e == OK) e = txn_put(txn, str_c(name), str_c(text));
    if (e == OK) e = txn_put(txn, S("shared"), str_c(name)); /* so that the workers conflict */
    if (e == OK) e = txn_add(txn, S("total"), 1);
    arena_free(&a);
    return e;
}

static Err step_run_failing(Job *job, Txn *txn) {
    Err e = txn_put(txn, S("never"), S("x"));
    if (e == OK) e = txn_add(txn, S("total"), 1000000);
    (void)job;
    return e == OK ? ERR_DENIED : e;
}

static void step_done(Job *job, Err e) {
    Step *s = (Step *)job;
    assert_int_equal(e, s->fails ? ERR_DENIED : OK);
    if (!s->fails) {
        assert_int_equal(*s->last_done, s->number);
        *s->last_done = s->number + 1;
    }
    latch_down(s->latch);
}

typedef struct {
    Workers *workers;
    Step *steps;
    int client;
} Client;

/* Each client owns KEYS / CLIENTS keys. */
static void *client_main(void *arg) {
    Client *c = arg;
    for (int i = 0; i < JOBS; i++) workers_submit(c->workers, &c->steps[i].job);
    return NULL;
}

static void run_clients(int threads) {
    Store *store = memory_store();
    Workers *w = workers_start(store, threads);
    Latch latch = latch_of(CLIENTS * JOBS);
    int last_done[KEYS] = { 0 };
    Client clients[CLIENTS];
    pthread_t thread[CLIENTS];
    int good = 0;
    for (int c = 0; c < CLIENTS; c++) {
        Step *steps = mem_new(JOBS * sizeof *steps);
        int number[KEYS] = { 0 };
        for (int i = 0; i < JOBS; i++) {
            int key = c * (KEYS / CLIENTS) + i % (KEYS / CLIENTS);
            bool fails = i % 7 == 3;
            steps[i] =
                (Step){ .job = { .key = (uint64_t)key, .run = fails ? step_run_failing : step_run, .done = step_done },
                        .key = key,
                        .fails = fails,
                        .number = fails ? 0 : number[key]++,
                        .last_done = &last_done[key],
                        .latch = &latch };
            good += !fails;
        }
        clients[c] = (Client){ w, steps, c };
    }
    for (int c = 0; c < CLIENTS; c++) assert_int_equal(pthread_create(&thread[c], NULL, client_main, &clients[c]), 0);
    for (int c = 0; c < CLIENTS; c++) pthread_join(thread[c], NULL);
    latch_wait(&latch);
    workers_stop(w);
    assert_int_equal(counter(store, S("total")), good);
    Txn *t;
    Str v;
    Arena a = { 0 };
    assert_int_equal(txn_begin(store, &t), OK);
    assert_int_equal(txn_get(t, S("never"), &a, &v), ERR_NOT_FOUND);
    txn_abort(t);
    arena_free(&a);
    for (int c = 0; c < CLIENTS; c++) free(clients[c].steps);
    store_close(store);
}

static void work_of_one_key_runs_in_order_on_one_thread(void **state) {
    (void)state;
    run_clients(1);
}

static void work_of_one_key_runs_in_order_on_four_threads_that_conflict(void **state) {
    (void)state;
    run_clients(4);
}

/* A job that another transaction beats the first `beaten` times it runs. */
typedef struct {
    Job job;
    Store *store;
    int beaten, runs;
    Err result;
    Latch *latch;
} Loser;

static Err loser_run(Job *job, Txn *txn) {
    Loser *l = (Loser *)job;
    Arena a = { 0 };
    Str v;
    Err e = txn_get(txn, S("contended"), &a, &v);
    arena_free(&a);
    if (e != OK && e != ERR_NOT_FOUND) return e;
    if (l->runs++ < l->beaten) {
        Txn *other;
        e = txn_begin(l->store, &other);
        if (e == OK) e = txn_put(other, S("contended"), S("theirs"));
        if (e == OK) e = txn_commit(other, false);
        if (e != OK) return e;
    }
    return txn_put(txn, S("contended"), S("mine"));
}

static void loser_done(Job *job, Err e) {
    Loser *l = (Loser *)job;
    l->result = e;
    latch_down(l->latch);
}

static void a_job_that_loses_runs_again_and_its_neighbours_with_it(void **state) {
    (void)state;
    Store *store = memory_store();
    Workers *w = workers_start(store, 2);
    static const int beaten[] = { 1, 4, 7, 1000 };
    for (size_t i = 0; i < sizeof beaten / sizeof *beaten; i++) {
        Latch latch = latch_of(2);
        Loser l = {
            .job = { .run = loser_run, .done = loser_done }, .store = store, .beaten = beaten[i], .latch = &latch
        };
        Loser neighbour = { .job = l.job, .store = store, .latch = &latch };
        workers_submit(w, &l.job);
        workers_submit(w, &neighbour.job);
        latch_wait(&latch);
        assert_int_equal(l.result, beaten[i] == 1000 ? ERR_CONFLICT : OK);
        assert_int_equal(neighbour.result, OK);
        assert_true(l.runs > beaten[i] || (beaten[i] == 1000 && l.runs < 100));
    }
    workers_stop(w);
    store_close(store);
}

/* A job that submits the next one from done, to another key. */
typedef struct {
    Job job;
    Workers *workers;
    int left;
    int *count;
} Chain;

static Err chain_run(Job *job, Txn *txn) {
    (void)job;
    return txn_add(txn, S("chained"), 1);
}

static void chain_done(Job *job, Err e) {
    Chain *c = (Chain *)job;
    assert_int_equal(e, OK);
    if (c->left-- > 0) {
        job->key++;
        workers_submit(c->workers, job);
    } else {
        free(c);
    }
}

static void stopping_finishes_what_is_queued_and_what_that_submits(void **state) {
    (void)state;
    for (int threads = 1; threads <= 3; threads++) {
        Store *store = memory_store();
        Workers *w = workers_start(store, threads);
        for (int i = 0; i < 20; i++) {
            Chain *c = mem_new(sizeof *c);
            *c = (Chain){ .job = { .key = (uint64_t)i, .run = chain_run, .done = chain_done },
                          .workers = w,
                          .left = 30 };
            workers_submit(w, &c->job);
        }
        workers_stop(w);
        assert_int_equal(counter(store, S("chained")), 20 * 31);
        store_close(store);
    }
    workers_stop(NULL);
}

/* Counts who ran and who was told; a job that runs before its forerunner was told is counted as early. */
typedef struct {
    Job job;
    int number, *told, *early;
    Latch *gate, *latch;
} Slow;

static Err slow_run(Job *job, Txn *txn) {
    Slow *s = (Slow *)job;
    (void)txn;
    if (s->gate) latch_wait(s->gate); /* the others queue up behind it */
    *s->early += *s->told != s->number;
    return OK;
}

static void slow_done(Job *job, Err e) {
    Slow *s = (Slow *)job;
    assert_int_equal(e, OK);
    ++*s->told;
    latch_down(s->latch);
}

static int told_late(bool one_by_one) {
    enum { SLOW_JOBS = 5 };
    Store *store = memory_store();
    Workers *w = workers_start(store, 1);
    Latch gate = latch_of(1), latch = latch_of(SLOW_JOBS);
    Slow jobs[SLOW_JOBS];
    int told = 0, early = 0;
    if (one_by_one) workers_one_by_one(w);
    for (int i = 0; i < SLOW_JOBS; i++) {
        jobs[i] = (Slow){ { .run = slow_run, .done = slow_done }, i, &told, &early, i ? NULL : &gate, &latch };
        workers_submit(w, &jobs[i].job);
    }
    latch_down(&gate);
    latch_wait(&latch);
    workers_stop(w);
    store_close(store);
    return early;
}

static void one_by_one_each_job_is_told_before_the_next_runs(void **state) {
    (void)state;
    assert_int_equal(told_late(true), 0);
    assert_int_not_equal(told_late(false), 0); /* a batch: this test can fail */
}

typedef struct {
    Job job;
    Task task;
    Workers **pools;
    Reactor *reactor;
    int hops, left;
} Hopper;

static void hop_done(Job *job, Err e);

static Err hop_run(Job *job, Txn *txn) {
    (void)job, (void)txn;
    return OK;
}

static void hop(Hopper *h) {
    h->hops++;
    h->left--;
    h->job = (Job){ .run = hop_run, .done = hop_done };
    workers_submit(h->pools[h->left % 2], &h->job);
}

static void hop_task(Task *task, Reactor *r) {
    (void)r;
    hop((Hopper *)((char *)task - offsetof(Hopper, task)));
}

/* To the other pool, or by way of the reactor. */
static void hop_done(Job *job, Err e) {
    Hopper *h = (Hopper *)job;
    assert_int_equal(e, OK);
    if (h->left % 3 == 1) {
        h->task.run = hop_task;
        reactor_post(h->reactor, &h->task);
    } else if (h->left) {
        hop(h);
    }
}

static void settling_ends_when_nothing_goes_from_one_to_the_other_any_more(void **state) {
    enum { HOPS = 1000 };
    (void)state;
    Clock clock = { 0 };
    Store *store = memory_store();
    Reactor *reactor = reactor_new(0, &clock);
    Workers *pools[] = { workers_start(store, 2), workers_start(store, 1) };
    Hopper h = { .pools = pools, .reactor = reactor, .left = HOPS };
    store_settle(&reactor, 1, pools, 2);
    assert_int_equal(h.hops, 0);
    hop(&h);
    store_settle(&reactor, 1, pools, 2);
    assert_int_equal(h.hops, HOPS);
    for (int i = 0; i < 2; i++) workers_stop(pools[i]);
    reactor_free(reactor);
    store_close(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_of_one_key_runs_in_order_on_one_thread),
        cmocka_unit_test(work_of_one_key_runs_in_order_on_four_threads_that_conflict),
        cmocka_unit_test(a_job_that_loses_runs_again_and_its_neighbours_with_it),
        cmocka_unit_test(stopping_finishes_what_is_queued_and_what_that_submits),
        cmocka_unit_test(one_by_one_each_job_is_told_before_the_next_runs),
        cmocka_unit_test(settling_ends_when_nothing_goes_from_one_to_the_other_any_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
