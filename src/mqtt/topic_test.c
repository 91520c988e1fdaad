#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/rng.h"
#include "mqtt/topic.h"

static Err topic(const char *text) {
    return mqtt_topic_check(str_c(text), MQTT_TOPIC_LIMITS_AWS);
}

static Str run_of(Arena *a, const char *before, size_t n) {
    uint8_t *p = arena_bytes(a, n);
    memset(p, 'x', n);
    return str_format(a, "%s%.*s", before, (int)n, p);
}

static void a_topic_has_no_wildcards_and_keeps_to_the_limits(void **state) {
    (void)state;
    Arena a = { 0 };
    assert_int_equal(topic("a"), OK);
    assert_int_equal(topic("/"), OK);
    assert_int_equal(topic("a b/gr\xC3\xBC\xC3\x9F"), OK);
    assert_int_equal(topic(""), ERR_INVALID);
    assert_int_equal(topic("a/+"), ERR_INVALID);
    assert_int_equal(topic("a/b+c"), ERR_INVALID);
    assert_int_equal(topic("#"), ERR_INVALID);
    assert_int_equal(mqtt_topic_check(S("a\0b"), MQTT_TOPIC_LIMITS_AWS), ERR_INVALID);
    assert_int_equal(topic("1/2/3/4/5/6/7/8"), OK);
    assert_int_equal(topic("1/2/3/4/5/6/7/8/"), ERR_LIMIT);
    assert_int_equal(mqtt_topic_check(run_of(&a, "", 256), MQTT_TOPIC_LIMITS_AWS), OK);
    assert_int_equal(mqtt_topic_check(run_of(&a, "", 257), MQTT_TOPIC_LIMITS_AWS), ERR_LIMIT);
    arena_free(&a);
}

static void basic_ingest_does_not_count(void **state) {
    (void)state;
    Arena a = { 0 };
    assert_int_equal(topic("$aws/rules/my_rule/1/2/3/4/5/6/7/8"), OK);
    assert_int_equal(topic("$aws/rules/my_rule/1/2/3/4/5/6/7/8/9"), ERR_LIMIT);
    assert_int_equal(topic("$aws/rules/my_rule"), OK);
    assert_int_equal(topic("$aws/rules/my_rule/"), OK);
    assert_int_equal(topic("$aws/rulez/my_rule/1/2/3/4/5/6"), ERR_LIMIT);
    assert_int_equal(mqtt_topic_check(run_of(&a, "$aws/rules/r/", 256), MQTT_TOPIC_LIMITS_AWS), OK);
    assert_int_equal(mqtt_topic_check(run_of(&a, "$aws/rules/r/", 257), MQTT_TOPIC_LIMITS_AWS), ERR_LIMIT);
    assert_int_equal(
        mqtt_topic_check(str_format(&a, "%.*s/t", PS(run_of(&a, "$aws/rules/", 300))), MQTT_TOPIC_LIMITS_AWS),
        ERR_LIMIT);
    arena_free(&a);
}

static Err filter(const char *text, MqttFilter *out) {
    return mqtt_filter_parse(str_c(text), MQTT_TOPIC_LIMITS_AWS, out);
}

static void a_filter_has_its_wildcards_in_levels_of_their_own(void **state) {
    (void)state;
    MqttFilter f = { .group = S("untouched") };
    const char *bad[] = { "", "a#", "#/a", "a/#/b", "a/b#", "a+", "+a", "a/+b/c", "##", "++", "#+", "a//#/" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_int_equal(filter(bad[i], &f), ERR_INVALID);
    assert_int_equal(mqtt_filter_parse(S("a\0b"), MQTT_TOPIC_LIMITS_AWS, &f), ERR_INVALID);
    assert_int_equal(filter("1/2/3/4/5/6/7/8/#", &f), ERR_LIMIT);
    assert_true(str_eq(f.group, S("untouched")));
    const char *good[] = { "#", "+", "+/+", "/", "/#", "a/#", "+/a/+", "a//+", "$aws/#" };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(filter(good[i], &f), OK);
        assert_true(str_eq(f.filter, str_c(good[i])) && !f.group.ptr);
        assert_int_equal(f.wildcard, i != 3);
    }
}

static void a_shared_filter_is_taken_apart(void **state) {
    (void)state;
    Arena a = { 0 };
    MqttFilter f = { .wildcard = true };
    const char *bad[] = { "$share",    "$share/",    "$share/g",    "$share/g/",
                          "$share//a", "$share/+/a", "$share/g#/a", "$share/g/a#" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_int_equal(filter(bad[i], &f), ERR_INVALID);
    assert_true(f.wildcard);
    assert_int_equal(filter("$share/g/1/2/3/4/5/6/7/8", &f), OK); /* its own two slashes do not count */
    assert_true(str_eq(f.group, S("g")) && str_eq(f.filter, S("1/2/3/4/5/6/7/8")) && !f.wildcard);
    assert_int_equal(filter("$share/g/1/2/3/4/5/6/7/8/9", &f), ERR_LIMIT);
    assert_int_equal(filter("$share/g//a", &f), OK);
    assert_true(str_eq(f.filter, S("/a")));
    assert_int_equal(filter("$sharex/g", &f), OK);
    assert_false(f.group.ptr);
    assert_int_equal(mqtt_filter_parse(run_of(&a, "$share/g/", 256), MQTT_TOPIC_LIMITS_AWS, &f), OK);
    assert_int_equal(mqtt_filter_parse(run_of(&a, "$share/g/", 257), MQTT_TOPIC_LIMITS_AWS, &f), ERR_LIMIT);
    Str long_group = str_format(&a, "%.*s/t", PS(run_of(&a, "$share/", 129)));
    assert_int_equal(mqtt_filter_parse(long_group, MQTT_TOPIC_LIMITS_AWS, &f), ERR_LIMIT);
    arena_free(&a);
}

static bool matches(const char *f, const char *t) {
    return mqtt_topic_matches(str_c(f), str_c(t));
}

/* Source: AWS IoT developer guide, MQTT: `sensor/#` matches `sensor/` but not `sensor` */
static void a_hash_does_not_match_its_parent(void **state) {
    (void)state;
    assert_true(matches("sensor/#", "sensor/"));
    assert_true(matches("sensor/#", "sensor/a"));
    assert_true(matches("sensor/#", "sensor/a/b"));
    assert_false(matches("sensor/#", "sensor"));
    assert_false(matches("sensor/#", "sensors/a"));
    assert_true(matches("#", "a") && matches("#", "/"));
    assert_true(matches("+/#", "a/") && !matches("+/#", "a"));
}

static void a_plus_matches_one_level_also_an_empty_one(void **state) {
    (void)state;
    assert_true(matches("a/+/c", "a/b/c") && matches("a/+/c", "a//c") && matches("+/+", "/") && matches("a/+", "a/"));
    assert_false(matches("a/+/c", "a/b/d") || matches("+", "a/b") || matches("+", "/") || matches("a/+", "a"));
    assert_true(matches("a/b", "a/b") && !matches("a/b", "a/B") && !matches("a/b", "a/bc") && !matches("a/bc", "a/b"));
}

static void a_wildcard_in_front_does_not_match_reserved_topics(void **state) {
    (void)state;
    assert_false(matches("#", "$aws/x") || matches("+/x", "$aws/x") || matches("+", "$x"));
    assert_true(matches("$aws/#", "$aws/x") && matches("$aws/+", "$aws/x") && matches("a/+", "a/$x") &&
                matches("a/#", "a/$x"));
}

enum { LEVELS_MAX = 16 };

static size_t cut(Str s, Str levels[LEVELS_MAX]) {
    size_t n = 0;
    for (Str rest = s; n < LEVELS_MAX;) {
        levels[n++] = str_cut(&rest, '/');
        if (!rest.ptr) break;
    }
    return n;
}

/* The twin: cuts both into levels and compares them by recursion, as the standard tells it. */
static bool levels_match(const Str *f, size_t fn, const Str *t, size_t tn) {
    if (fn == 0) return tn == 0;
    if (str_eq(*f, S("#"))) return tn > 0;
    return tn > 0 && (str_eq(*f, S("+")) || str_eq(*f, *t)) && levels_match(f + 1, fn - 1, t + 1, tn - 1);
}

static bool twin_matches(Str f, Str t) {
    Str fl[LEVELS_MAX], tl[LEVELS_MAX];
    size_t fn = cut(f, fl), tn = cut(t, tl);
    if (str_starts(t, S("$")) && (str_eq(fl[0], S("#")) || str_eq(fl[0], S("+")))) return false;
    return levels_match(fl, fn, tl, tn);
}

static Str random_path(Rng *rng, const char *const *words, size_t words_n, char out[64]) {
    size_t len = 0, levels = 1 + rng_u64(rng) % 4;
    for (size_t i = 0; i < levels; i++) {
        const char *word = words[rng_u64(rng) % words_n];
        if (i) out[len++] = '/';
        memcpy(out + len, word, strlen(word));
        len += strlen(word);
    }
    return (Str){ (uint8_t *)out, len };
}

static void matching_agrees_with_a_naive_twin(void **state) {
    (void)state;
    static const char *const topic_words[] = { "", "a", "b", "ab", "$a" };
    static const char *const filter_words[] = { "", "a", "b", "ab", "$a", "+", "+", "#" };
    Rng rng = { .state = 11 };
    size_t hits = 0, tries = 0;
    for (int i = 0; i < 200000; i++) {
        char f[64], t[64];
        Str fs = random_path(&rng, filter_words, 8, f), ts = random_path(&rng, topic_words, 5, t);
        MqttFilter parsed;
        if (ts.len == 0 || mqtt_filter_parse(fs, MQTT_TOPIC_LIMITS_AWS, &parsed) != OK) continue;
        bool expect = twin_matches(fs, ts);
        if (mqtt_topic_matches(fs, ts) != expect) print_error("%.*s on %.*s\n", PS(fs), PS(ts));
        assert_int_equal(mqtt_topic_matches(fs, ts), expect);
        tries++;
        hits += expect;
    }
    assert_true(hits > 5000 && tries - hits > 5000); /* both answers were tried */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_topic_has_no_wildcards_and_keeps_to_the_limits),
        cmocka_unit_test(basic_ingest_does_not_count),
        cmocka_unit_test(a_filter_has_its_wildcards_in_levels_of_their_own),
        cmocka_unit_test(a_shared_filter_is_taken_apart),
        cmocka_unit_test(a_hash_does_not_match_its_parent),
        cmocka_unit_test(a_plus_matches_one_level_also_an_empty_one),
        cmocka_unit_test(a_wildcard_in_front_does_not_match_reserved_topics),
        cmocka_unit_test(matching_agrees_with_a_naive_twin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
