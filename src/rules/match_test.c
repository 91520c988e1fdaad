#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/rng.h"
#include "mqtt/topic.h"
#include "rules/match.h"

/* Rules are told apart by their address alone. */
enum { RULES = 60, TOPICS = 400, ROUNDS = 40 };

typedef struct {
    bool hit[RULES];
    char *rules;
} Hits;

static void hit(void *ctx, Rule *rule) {
    Hits *h = ctx;
    size_t i = (size_t)((char *)rule - h->rules);
    assert_true(i < RULES);
    assert_false(h->hit[i]); /* once */
    h->hit[i] = true;
}

/* Few levels, so that many filters match. */
static Str random_text(Rng *rng, Arena *arena, bool filter) {
    static const char *const LEVELS[] = { "a", "b", "", "$aws", "+", "#" };
    size_t n = 1 + rng_u64(rng) % 4;
    Str text = S("");
    for (size_t i = 0; i < n; i++) {
        size_t kinds = filter ? (i + 1 == n ? 6 : 5) : 4;
        const char *level = LEVELS[rng_u64(rng) % kinds];
        text = str_format(arena, "%.*s%s%s", PS(text), i ? "/" : "", level);
    }
    return text.len ? text : S("a");
}

static void it_finds_what_trying_each_filter_finds(void **state) {
    (void)state;
    Arena arena = { 0 };
    Rng rng = { .state = 7 };
    char rules[RULES];
    Str filters[RULES];
    Match m = { 0 };
    for (size_t i = 0; i < RULES; i++) match_add(&m, filters[i] = random_text(&rng, &arena, true), (Rule *)&rules[i]);
    for (int round = 0; round < ROUNDS; round++) {
        size_t changed = rng_u64(&rng) % RULES;
        match_remove(&m, filters[changed], (Rule *)&rules[changed]);
        match_remove(&m, filters[changed], (Rule *)&rules[changed]); /* is not there any more */
        match_add(&m, filters[changed] = random_text(&rng, &arena, true), (Rule *)&rules[changed]);
        assert_int_equal(m.count, RULES);
        for (int t = 0; t < TOPICS / ROUNDS; t++) {
            Str topic = random_text(&rng, &arena, false);
            Hits h = { .rules = rules };
            match_find(&m, topic, hit, &h);
            for (size_t i = 0; i < RULES; i++) assert_int_equal(h.hit[i], mqtt_topic_matches(filters[i], topic));
        }
    }
    for (size_t i = 0; i < RULES; i++) match_remove(&m, filters[i], (Rule *)&rules[i]);
    assert_null(m.root); /* nothing is left of it */
    arena_free(&arena);
}

static void an_empty_one_finds_nothing_and_is_freed(void **state) {
    (void)state;
    char rule;
    Hits h = { .rules = &rule };
    Match m = { 0 };
    match_find(&m, S("a"), hit, &h);
    match_add(&m, S("a/b/#"), (Rule *)&rule);
    match_find(&m, S("a/b"), hit, &h); /* as AWS: not the level itself */
    match_find(&m, S(""), hit, &h);
    assert_false(h.hit[0]);
    match_find(&m, S("a/b/"), hit, &h);
    assert_true(h.hit[0]);
    match_free(&m);
    assert_null(m.root);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_finds_what_trying_each_filter_finds),
        cmocka_unit_test(an_empty_one_finds_nothing_and_is_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
