/* The tree against a naive twin: a list of filters, each held against the topic by mqtt_topic_matches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"
#include "base/writer.h"
#include "broker/tree.h"
#include "mqtt/topic.h"

enum { SESSIONS = 6, SESSIONS_MAX = 100, TWINS_MAX = 4096, HITS_MAX = 4096 };

/* The tree knows sessions as pointers only: any address will do. */
static Session *session_n(size_t n) {
    return (Session *)(uintptr_t)(64 * (n + 1));
}

static size_t number_of(const Session *session) {
    return (uintptr_t)session / 64 - 1;
}

typedef struct {
    Str group, filter;
    Session *session;
    Sub *sub;
} Twin;

typedef struct {
    Tree tree;
    Sub *subs[SESSIONS_MAX]; /* of each session */
    Twin twins[TWINS_MAX];
    size_t n;
    Arena arena;
    Rng rng;
} World;

typedef struct {
    const void *hits[HITS_MAX]; /* Sub, or ShareGroup */
    size_t n;
} Hits;

static size_t below(World *w, size_t n) {
    return (size_t)(rng_u64(&w->rng) % n);
}

static World *world_new(uint64_t seed) {
    World *w = mem_new(sizeof *w);
    tree_init(&w->tree);
    w->rng.state = seed;
    return w;
}

static void world_free(World *w) {
    tree_free(&w->tree);
    arena_free(&w->arena);
    free(w);
}

static Twin *twin_find(World *w, const Session *session, Str group, Str filter) {
    for (size_t i = 0; i < w->n; i++) {
        Twin *t = &w->twins[i];
        if (t->session == session && str_eq(t->group, group) && str_eq(t->filter, filter)) return t;
    }
    return NULL;
}

static Sub *tree_add_of(World *w, Session *session, Str group, Str filter, bool *made) {
    return tree_add(&w->tree, session, &w->subs[number_of(session)], group, filter, made);
}

static Sub *tree_find_of(World *w, const Session *session, Str group, Str filter) {
    return tree_find(&w->tree, w->subs[number_of(session)], group, filter);
}

static void tree_remove_of(World *w, Sub *sub) {
    tree_remove(&w->tree, &w->subs[number_of(sub->session)], sub);
}

static void add(World *w, Session *session, Str group, Str filter) {
    bool made;
    Twin *there = twin_find(w, session, group, filter);
    Sub *found = tree_find_of(w, session, group, filter), *sub = tree_add_of(w, session, group, filter, &made);
    assert_int_equal(made, there == NULL);
    assert_ptr_equal(found, there ? there->sub : NULL);
    if (there) {
        assert_ptr_equal(sub, there->sub);
        return;
    }
    assert_true(w->n < TWINS_MAX);
    w->twins[w->n++] = (Twin){ str_dup(&w->arena, group), str_dup(&w->arena, filter), session, sub };
}

static void take_away(World *w, size_t i) {
    tree_remove_of(w, w->twins[i].sub);
    w->twins[i] = w->twins[--w->n];
}

static void on_sub(void *ctx, Sub *sub) {
    Hits *h = ctx;
    assert_true(h->n < HITS_MAX);
    h->hits[h->n++] = sub;
}

static void on_group(void *ctx, ShareGroup *group) {
    Hits *h = ctx;
    assert_true(h->n < HITS_MAX);
    h->hits[h->n++] = group;
}

static int by_address(const void *x, const void *y) {
    uintptr_t a = *(const uintptr_t *)x, b = *(const uintptr_t *)y;
    return (a > b) - (a < b);
}

static void hits_sort(Hits *h, bool unique) {
    qsort(h->hits, h->n, sizeof *h->hits, by_address);
    size_t n = 0;
    for (size_t i = 0; i < h->n; i++)
        if (!unique || i == 0 || h->hits[i] != h->hits[i - 1]) h->hits[n++] = h->hits[i];
    h->n = n;
}

static Hits tree_hits(World *w, Str topic) {
    Hits h = { .n = 0 };
    tree_match(&w->tree, topic, on_sub, on_group, &h);
    hits_sort(&h, false);
    return h;
}

/* A group once, however many members it has. */
static Hits twin_hits(World *w, Str topic) {
    Hits h = { .n = 0 };
    for (size_t i = 0; i < w->n; i++)
        if (mqtt_topic_matches(w->twins[i].filter, topic))
            h.hits[h.n++] = w->twins[i].group.ptr ? (const void *)w->twins[i].sub->group : w->twins[i].sub;
    hits_sort(&h, true);
    return h;
}

static bool agree(World *w, Str topic) {
    Hits a = tree_hits(w, topic), b = twin_hits(w, topic);
    return a.n == b.n && memcmp(a.hits, b.hits, a.n * sizeof *a.hits) == 0;
}

/* Few levels, so that filters share nodes; empty levels and '$' among them. */
static Str random_path(World *w, bool filter) {
    static const char *const LEVELS[] = { "a", "b", "", "$x", "dev", "+" };
    Writer out = writer_in(&w->arena);
    size_t levels = 1 + below(w, 4);
    for (size_t i = 0; i < levels; i++) {
        if (i) writer_u8(&out, '/');
        if (filter && i + 1 == levels && below(w, 4) == 0)
            writer_u8(&out, '#');
        else
            writer_bytes(&out, str_c(LEVELS[below(w, filter ? 6 : 5)]));
    }
    if (out.len == 0) writer_u8(&out, 'a');
    return writer_str(&out);
}

static Str random_group(World *w) {
    static const char *const GROUPS[] = { "g", "h" };
    return below(w, 3) ? STR_NONE : str_c(GROUPS[below(w, 2)]);
}

static void step(World *w, size_t want) {
    if (w->n && below(w, 2 * want) < w->n)
        take_away(w, below(w, w->n));
    else
        add(w, session_n(below(w, SESSIONS)), random_group(w), random_path(w, true));
}

static void matches_what_its_naive_twin_matches(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        World *w = world_new(seed);
        for (int i = 0; i < 6000; i++) {
            Str topic = random_path(w, false);
            step(w, seed * 40);
            if (!agree(w, topic)) fail_msg("seed %d: step %d: they differ on %.*s", (int)seed, i, PS(topic));
        }
        assert_int_equal(w->tree.subs_n, w->n);
        while (w->n) take_away(w, below(w, w->n));
        world_free(w);
    }
}

static void a_planted_fault_is_found_by_the_twin(void **state) {
    (void)state;
    World *w = world_new(3);
    bool made, found = false;
    for (int i = 0; i < 100; i++) step(w, 60);
    Sub *planted = tree_add_of(w, session_n(99), STR_NONE, S("a/#"), &made); /* the twin does not know of it */
    for (int i = 0; i < 200; i++) found |= !agree(w, random_path(w, false));
    assert_true(found);
    tree_remove_of(w, planted);
    for (int i = 0; i < 200; i++) assert_true(agree(w, random_path(w, false)));
    while (w->n) take_away(w, 0);
    world_free(w);
}

static void is_empty_once_all_subscriptions_are_removed(void **state) {
    (void)state;
    World *w = world_new(7);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 1000; i++) add(w, session_n(below(w, SESSIONS)), random_group(w), random_path(w, true));
        while (w->n) take_away(w, below(w, w->n));
        assert_int_equal(w->tree.count, 0); /* nodes */
        assert_int_equal(w->tree.subs_n, 0);
        assert_int_equal(w->tree.groups_n, 0);
        assert_true(agree(w, S("a/b")));
    }
    world_free(w);
}

static void gives_a_subscription_its_filter_back(void **state) {
    (void)state;
    World *w = world_new(11);
    bool made;
    static const char *const FILTERS[] = { "a", "#", "+/b", "/", "//", "a//#", "$aws/things/+/shadow" };
    for (size_t i = 0; i < sizeof FILTERS / sizeof *FILTERS; i++) {
        Sub *plain = tree_add_of(w, session_n(0), STR_NONE, str_c(FILTERS[i]), &made);
        Sub *shared = tree_add_of(w, session_n(0), S("g"), str_c(FILTERS[i]), &made);
        Str rest = str_c(FILTERS[i]), first = str_cut(&rest, '/');
        assert_true(str_eq(tree_filter(plain, &w->arena), str_c(FILTERS[i])));
        assert_true(str_eq(tree_filter(shared, &w->arena), str_format(&w->arena, "$share/g/%s", FILTERS[i])));
        assert_true(str_eq(tree_first_level(plain), first));
        tree_remove_of(w, plain);
        assert_ptr_equal(tree_find_of(w, session_n(0), S("g"), str_c(FILTERS[i])), shared);
        assert_null(tree_find_of(w, session_n(0), STR_NONE, str_c(FILTERS[i])));
        tree_remove_of(w, shared);
    }
    assert_int_equal(w->tree.count, 0);
    world_free(w);
}

/* Source: the aim is half a kilobyte a subscription */
static void a_subscription_of_its_own_topic_takes_less_than_half_a_kilobyte(void **state) {
    (void)state;
    enum { N = 100000, BYTES_MAX = 512 };
    Tree tree;
    Sub **subs = mem_new(N * sizeof *subs), **lists = mem_new(N * sizeof *lists);
    tree_init(&tree);
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    for (int i = 0; i < N; i++) {
        char filter[64];
        bool made;
        int len = snprintf(filter, sizeof filter, "dev/%d/x/+", i);
        subs[i] =
            tree_add(&tree, session_n((size_t)i), &lists[i], STR_NONE, (Str){ (uint8_t *)filter, (size_t)len }, &made);
    }
    size_t used = mallinfo2().uordblks + mallinfo2().hblkhd - before, counted = tree_bytes(&tree);
    print_message("           %zu bytes a subscription by the allocator, %zu by tree_bytes\n", used / N, counted / N);
    assert_true(used / N <= BYTES_MAX); /* a sanitizer's allocator says 0 */
    assert_true(counted / N <= BYTES_MAX);
    for (int i = 0; i < N; i++) tree_remove(&tree, &lists[i], subs[i]);
    assert_int_equal(tree.count, 0);
    tree_free(&tree);
    free(subs);
    free(lists);
}

/* Would take minutes if each looked through those before it. */
static void a_hundred_thousand_sessions_have_the_same_filters(void **state) {
    (void)state;
    enum { N = 100000, FILTERS = 10 };
    Tree tree;
    Sub **lists = mem_new(N * sizeof *lists);
    bool made;
    tree_init(&tree);
    for (int i = 0; i < N; i++)
        for (int f = 0; f < FILTERS; f++) {
            char filter[] = "all/0/#";
            filter[4] = (char)('0' + f);
            Sub *sub = tree_add(&tree, session_n((size_t)i), &lists[i], STR_NONE, str_c(filter), &made);
            assert_true(made);
            assert_ptr_equal(tree_find(&tree, lists[i], STR_NONE, str_c(filter)), sub);
            assert_ptr_equal(tree_add(&tree, session_n((size_t)i), &lists[i], STR_NONE, str_c(filter), &made), sub);
            assert_false(made);
        }
    assert_int_equal(tree.subs_n, N * FILTERS);
    for (int i = 0; i < N; i++)
        while (lists[i]) tree_remove(&tree, &lists[i], lists[i]);
    assert_int_equal(tree.subs_n, 0);
    assert_int_equal(tree.count, 0);
    tree_free(&tree);
    free(lists);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_what_its_naive_twin_matches),
        cmocka_unit_test(a_planted_fault_is_found_by_the_twin),
        cmocka_unit_test(is_empty_once_all_subscriptions_are_removed),
        cmocka_unit_test(gives_a_subscription_its_filter_back),
        cmocka_unit_test(a_subscription_of_its_own_topic_takes_less_than_half_a_kilobyte),
        cmocka_unit_test(a_hundred_thousand_sessions_have_the_same_filters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
