#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>

#include "rules/delivery.h"

/* Delivery with kinds of the test's own, whose destinations do as they are told. */

typedef struct {
    const char *destination;
    int fails;             /* so many tries do not do */
    ActionOutcome outcome; /* of those */
    bool hangs;            /* until it is released */
    bool batch;
} Fake;

enum { PARTS_MAX = 200 };

typedef struct {
    Delivery *delivery;
    Pool *pool;
    ActionEnv env;
    Rule rule;
    RuleFigures figures;
    Plan plan;
    Part parts[PARTS_MAX];
    size_t parts_n;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int tries, over, failed, dropped, running, running_most;
    size_t sizes[PARTS_MAX]; /* of each try, how many parts */
    ActionRun *hanging[PARTS_MAX];
    int hanging_n;
} Bed;

static Bed *bed;

static void start(ActionRun *run) {
    const Fake *f = run->items[0].action;
    pthread_mutex_lock(&bed->lock);
    bed->sizes[bed->tries++] = run->n;
    if (++bed->running > bed->running_most) bed->running_most = bed->running;
    if (f->hangs) bed->hanging[bed->hanging_n++] = run;
    pthread_cond_broadcast(&bed->changed);
    pthread_mutex_unlock(&bed->lock);
    if (f->hangs) return;
    pthread_mutex_lock(&bed->lock);
    bed->running--;
    pthread_mutex_unlock(&bed->lock);
    action_done(run, run->attempt < f->fails ? (ActionResult){ .outcome = f->outcome, .why = S("told to") }
                                             : (ActionResult){ .outcome = ACTION_DONE });
}

static Str destination(Arena *arena, const void *action) {
    (void)arena;
    return str_c(((const Fake *)action)->destination);
}

static ActionBatch batch(const void *action) {
    return ((const Fake *)action)->batch ? (ActionBatch){ .n_max = 3, .bytes_max = 100, .open_ms = 30 }
                                         : (ActionBatch){ 0 };
}

static const ActionKind QUEUED = { .member = STR_INIT("fake"),
                                   .failed = STR_INIT("FakeAction"),
                                   .resource = destination,
                                   .destination = destination,
                                   .start = start,
                                   .under_way_max = 4,
                                   .backoff_ms = 2,
                                   .batch = batch };
static const ActionKind LOCAL = {
    .member = STR_INIT("local"), .failed = STR_INIT("LocalAction"), .start = start, .backoff_ms = 2, .local = true
};
static const ActionKind STRICT = { .member = STR_INIT("strict"),
                                   .failed = STR_INIT("StrictAction"),
                                   .start = start,
                                   .payload_bytes_max = 3,
                                   .json_only = true };

/* As whoever makes parts does: the last of those that failed together frees what they share. */
static void leave(PartBatch *b) {
    pthread_mutex_lock(&b->lock);
    bool last = --b->left == 0;
    pthread_mutex_unlock(&b->lock);
    if (last) part_batch_free(b);
}

static void over(Part *p) {
    if (p->batch) leave(p->batch);
    pthread_mutex_lock(&bed->lock);
    bed->over++;
    bed->failed += p->failed;
    bed->dropped += p->dropped;
    pthread_cond_broadcast(&bed->changed);
    pthread_mutex_unlock(&bed->lock);
}

static int setup(void **state) {
    (void)state;
    bed = mem_new(sizeof *bed);
    pthread_mutex_init(&bed->lock, NULL);
    pthread_cond_init(&bed->changed, NULL);
    bed->rule = (Rule){ .refs = 1, .name = S("r"), .account = S("1"), .figures = &bed->figures };
    bed->plan.kind = &QUEUED;
    bed->pool = pool_start(1);
    bed->delivery = delivery_start(
        &(DeliveryOptions){ .env = &bed->env, .pool = bed->pool, .queued_max = 50, .queued_bytes_max = 10000 });
    return 0;
}

static int teardown(void **state) {
    (void)state;
    pool_stop(bed->pool);
    delivery_stop(bed->delivery);
    delivery_free(bed->delivery);
    pool_free(bed->pool);
    for (size_t i = 0; i < bed->parts_n; i++) {
        free(bed->parts[i].why);
        free(bed->parts[i].resource);
    }
    pthread_cond_destroy(&bed->changed);
    pthread_mutex_destroy(&bed->lock);
    free(bed);
    return 0;
}

static Part *submit(const Fake *f, const char *topic, const char *payload) {
    Part *p = &bed->parts[bed->parts_n++];
    *p = (Part){ .rule = &bed->rule, .plan = &bed->plan, .figures = &bed->figures.actions[0], .over = over };
    p->item = (ActionItem){ .action = f, .topic = str_c(topic), .payload = str_c(payload), .json = true };
    delivery_submit(bed->delivery, p);
    return p;
}

static void wait_for(const int *what, int n) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 20;
    pthread_mutex_lock(&bed->lock);
    while (*what < n) assert_int_equal(pthread_cond_timedwait(&bed->changed, &bed->lock, &until), 0);
    pthread_mutex_unlock(&bed->lock);
}

/* ------------------------------------------------------------------------------------------------ tests */

static void what_fails_for_a_while_is_tried_until_it_does(void **state) {
    (void)state;
    static const Fake twice = { .destination = "a", .fails = 2, .outcome = ACTION_SLOWER };
    submit(&twice, "t", "1");
    wait_for(&bed->over, 1);
    assert_int_equal(bed->tries, 3);
    assert_int_equal(bed->failed, 0);
    assert_int_equal(atomic_load(&bed->figures.actions[0].succeeded), 1);
    assert_int_equal(atomic_load(&bed->figures.actions[0].retried), 2);
    assert_int_equal(atomic_load(&bed->figures.actions[0].throttled), 2);
    assert_int_equal(atomic_load(&bed->figures.actions[0].queued), 0);
    while (delivery_waiting(bed->delivery)) sched_yield(); /* its last part counts until `over` has returned */
}

static void what_fails_for_good_or_too_often_is_told_with_its_reason(void **state) {
    (void)state;
    static const Fake good = { .destination = "a", .fails = 9, .outcome = ACTION_FAILED },
                      often = { .destination = "b", .fails = 9, .outcome = ACTION_AGAIN };
    Part *first = submit(&good, "t", "1"), *second = submit(&often, "t", "1");
    wait_for(&bed->over, 2);
    assert_int_equal(bed->tries, 1 + 4);
    assert_true(first->failed && second->failed);
    assert_string_equal(first->why, "told to");
    assert_string_equal(second->resource, "b");
}

static void a_local_kind_is_over_when_it_is_submitted_and_tried_again_elsewhere(void **state) {
    (void)state;
    static const Fake works = { 0 }, twice = { .fails = 2, .outcome = ACTION_AGAIN };
    bed->plan.kind = &LOCAL;
    submit(&works, "t", "1");
    assert_int_equal(bed->over, 1);
    submit(&twice, "t", "1");
    wait_for(&bed->over, 2);
    assert_int_equal(bed->failed, 0);
    assert_int_equal(bed->tries, 4);
}

static void what_a_kind_does_not_take_is_never_tried(void **state) {
    (void)state;
    static const Fake works = { 0 };
    bed->plan.kind = &STRICT;
    Part *large = submit(&works, "t", "1234");
    assert_true(large->failed);
    assert_non_null(strstr(large->why, "larger than the maximum of 3"));
    assert_int_equal(bed->tries, 0);
}

static void a_destination_that_hangs_is_bounded_and_holds_up_no_other(void **state) {
    (void)state;
    static const Fake hangs = { .destination = "slow", .hangs = true }, works = { .destination = "fast" };
    for (int i = 0; i < 60; i++) submit(&hangs, "t", "1");
    wait_for(&bed->over, 10); /* beyond 50 */
    assert_int_equal(bed->failed, 10);
    assert_non_null(strstr(bed->parts[59].why, "throttled"));
    for (int i = 0; i < 20; i++) submit(&works, "t", "1");
    wait_for(&bed->over, 30);
    assert_int_equal(bed->failed, 10);
    assert_int_equal(bed->hanging_n, 4);
    for (int i = 0; i < 50; i++) { /* let go one by one: each makes room for the next */
        wait_for(&bed->hanging_n, i + 1);
        action_done(bed->hanging[i], (ActionResult){ .outcome = ACTION_DONE });
    }
    wait_for(&bed->over, 80);
    assert_int_equal(bed->failed, 10);
}

static void a_batch_goes_when_it_is_full_when_its_time_is_up_and_for_one_topic(void **state) {
    (void)state;
    static const Fake f = { .destination = "a", .batch = true };
    for (int i = 0; i < 7; i++) submit(&f, "t", "12345"); /* 3 + 3 + 1 */
    submit(&f, "other", "12345");
    wait_for(&bed->over, 8);
    size_t sum = 0, threes = 0;
    for (int i = 0; i < bed->tries; i++) {
        sum += bed->sizes[i];
        threes += bed->sizes[i] == 3;
    }
    assert_int_equal(bed->tries, 4);
    assert_int_equal(sum, 8);
    assert_int_equal(threes, 2);
}

static void a_batch_that_fails_fails_for_each_of_its_parts(void **state) {
    (void)state;
    static const Fake f = { .destination = "a", .batch = true, .fails = 9, .outcome = ACTION_FAILED };
    for (int i = 0; i < 3; i++) submit(&f, "t", "1");
    wait_for(&bed->over, 3);
    assert_int_equal(bed->tries, 1);
    for (int i = 0; i < 3; i++) assert_string_equal(bed->parts[i].why, "told to");
}

static void what_waits_when_the_server_goes_down_is_dropped_not_failed(void **state) {
    (void)state;
    static const Fake hangs = { .destination = "slow", .hangs = true };
    for (int i = 0; i < 20; i++) submit(&hangs, "t", "1");
    wait_for(&bed->hanging_n, 4);
    delivery_close(bed->delivery);
    action_done(bed->hanging[0], (ActionResult){ .outcome = ACTION_FAILED, .why = S("closed") });
    action_done(bed->hanging[1], (ActionResult){ .outcome = ACTION_DONE });
    wait_for(&bed->over, 2);
    assert_int_equal(bed->failed, 0);
    assert_int_equal(bed->dropped, 1);
    wait_for(&bed->hanging_n, 6); /* closing does not stop what may still be done */
    for (int i = 2; i < 6; i++) action_done(bed->hanging[i], (ActionResult){ .outcome = ACTION_DONE });
    wait_for(&bed->hanging_n, 10);
    for (int i = 6; i < 10; i++) action_done(bed->hanging[i], (ActionResult){ .outcome = ACTION_AGAIN });
    wait_for(&bed->hanging_n, 14);
    for (int i = 10; i < 14; i++) action_done(bed->hanging[i], (ActionResult){ .outcome = ACTION_AGAIN });
    wait_for(&bed->hanging_n, 18);
    for (int i = 14; i < 18; i++) action_done(bed->hanging[i], (ActionResult){ .outcome = ACTION_AGAIN });
    wait_for(&bed->hanging_n, 20);
    for (int i = 18; i < 20; i++) action_done(bed->hanging[i], (ActionResult){ .outcome = ACTION_AGAIN });
    wait_for(&bed->over, 20);
    assert_int_equal(bed->failed, 0);
    assert_int_equal(bed->dropped, 1 + 14);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_fails_for_a_while_is_tried_until_it_does),
        TEST(what_fails_for_good_or_too_often_is_told_with_its_reason),
        TEST(a_local_kind_is_over_when_it_is_submitted_and_tried_again_elsewhere),
        TEST(what_a_kind_does_not_take_is_never_tried),
        TEST(a_destination_that_hangs_is_bounded_and_holds_up_no_other),
        TEST(a_batch_goes_when_it_is_full_when_its_time_is_up_and_for_one_topic),
        TEST(a_batch_that_fails_fails_for_each_of_its_parts),
        TEST(what_waits_when_the_server_goes_down_is_dropped_not_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
