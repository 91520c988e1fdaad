#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "api/codec.h"
#include "api/sample.h"
#include "api/validate.h"

static const ApiShape *shape_of(Str name) {
    for (size_t i = 0; i < sample_service.shapes_n; i++)
        if (str_eq(sample_service.shapes[i].name, name)) return &sample_service.shapes[i];
    return NULL;
}

static int compile_patterns(void **state) {
    const ApiService *services[] = { &sample_service };
    Arena a = { 0 };
    Str why;
    Err e = api_patterns_new(services, 1, &a, (ApiPatterns **)state, &why);
    arena_free(&a);
    return e == OK ? 0 : -1;
}
static int drop_patterns(void **state) {
    api_patterns_free(*state);
    return 0;
}

static void gives(const ApiPatterns *p, const char *shape, const char *json, const char *want) {
    Arena a = { 0 };
    Str why = S("");
    yyjson_val *v;
    const ApiShape *s = shape_of(str_c(shape));
    void *in = arena_alloc(&a, s->element_size);
    assert_int_equal(json_read(&a, str_c(json), false, &v, NULL), OK);
    assert_int_equal(api_decode_struct(&a, s, v, in, &why), OK);
    Err e = api_validate(&a, &sample_service, p, s, in, &why);
    assert_string_equal(str_dup_c(&a, why), want);
    assert_int_equal(e, *want ? ERR_INVALID : OK);
    arena_free(&a);
}

static void what_keeps_its_limits_passes(void **state) {
    gives(*state, "Kinds", "{}", "");
    gives(*state, "Kinds",
          "{\"name\":\"az09\",\"colour\":\"RED\",\"bytes\":\"AAECAwQFBgcICQoLDA0ODw==\",\"small\":-5,\"ratio\":2.5,"
          "\"names\":[],\"inners\":[{\"name\":\"a\"}],\"texts\":{},\"choice\":{\"left\":\"\"},\"pass\":\"1234\"}",
          "");
}

static void each_limit_is_said_as_aws_says_it(void **state) {
    static const struct {
        const char *json, *rest;
    } cases[] = {
        { "{\"name\":\"Ab\"}", "Value 'Ab' at 'name' failed to satisfy constraint: Member must satisfy regular "
                               "expression pattern: [a-z\\p{Digit}]+" },
        { "{\"name\":\"a\\n\"}", "Value 'a\n' at 'name' failed to satisfy constraint: Member must satisfy regular "
                                 "expression pattern: [a-z\\p{Digit}]+" },
        { "{\"name\":\"abcdefghi\"}",
          "Value 'abcdefghi' at 'name' failed to satisfy constraint: Member must have length less than or equal to 8" },
        { "{\"colour\":\"BLUE\"}", "Value 'BLUE' at 'colour' failed to satisfy constraint: Member must satisfy enum "
                                   "value set: [RED, GREEN, light blue]" },
        { "{\"bytes\":\"AAECAwQFBgcICQoLDA0ODxA=\"}", "Value '17 bytes' at 'bytes' failed to satisfy constraint: "
                                                      "Member must have length less than or equal to 16" },
        { "{\"small\":-6}",
          "Value '-6' at 'small' failed to satisfy constraint: Member must have value greater than or equal to -5" },
        { "{\"small\":101}",
          "Value '101' at 'small' failed to satisfy constraint: Member must have value less than or equal to 100" },
        { "{\"ratio\":2.75}",
          "Value '2.75' at 'ratio' failed to satisfy constraint: Member must have value less than or equal to 2.5" },
        { "{\"names\":[\"a\",\"b\",\"c\",\"d\"]}", "Value '[a, b, c, d]' at 'names' failed to satisfy constraint: "
                                                   "Member must have length less than or equal to 3" },
        { "{\"names\":[\"a\",\"B\",\"C\"]}",
          "Value '[a, B, C]' at 'names' failed to satisfy constraint: Member must satisfy constraint: [Member must "
          "have length less than or equal to 8, Member must have length greater than or equal to 1, Member must "
          "satisfy regular expression pattern: [a-z\\p{Digit}]+]" },
        { "{\"inners\":[]}",
          "Value '[]' at 'inners' failed to satisfy constraint: Member must have length greater than or equal to 1" },
        { "{\"inners\":[{\"name\":\"a\"},{}]}",
          "Value null at 'inners.2.member.name' failed to satisfy constraint: Member must not be null" },
        { "{\"texts\":{\"A\":\"v\"}}",
          "Value '{A=v}' at 'texts' failed to satisfy constraint: Map keys must satisfy constraint: [Member must have "
          "length less than or equal to 8, Member must have length greater than or equal to 1, Member must satisfy "
          "regular expression pattern: [a-z\\p{Digit}]+]" },
        { "{\"byName\":{\"k\":{\"name\":\"a\",\"count\":200}}}",
          "Value '200' at 'byName.k.member.count' failed to satisfy constraint: Member must have value less than or "
          "equal to 100" },
        { "{\"inner\":{}}", "Value null at 'inner.name' failed to satisfy constraint: Member must not be null" },
        { "{\"choice\":{}}",
          "Value 'Choice' at 'choice' failed to satisfy constraint: Exactly one of its members must be set" },
        { "{\"choice\":{\"left\":\"a\",\"right\":1}}",
          "Value 'Choice' at 'choice' failed to satisfy constraint: Exactly one of its members must be set" },
        { "{\"pass\":\"abc\"}",
          "Value at 'pass' failed to satisfy constraint: Member must have length greater than or equal to 4" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char want[600];
        snprintf(want, sizeof want, "1 validation error detected: %s", cases[i].rest);
        gives(*state, "Kinds", cases[i].json, want);
    }
}

static void all_that_is_wrong_is_said_at_once(void **state) {
    gives(
        *state, "Kinds", "{\"name\":\"\",\"inner\":{\"count\":101}}",
        "4 validation errors detected: Value '' at 'name' failed to satisfy constraint: Member must satisfy regular "
        "expression pattern: [a-z\\p{Digit}]+; Value '' at 'name' failed to satisfy constraint: Member must have "
        "length "
        "greater than or equal to 1; Value null at 'inner.name' failed to satisfy constraint: Member must not be null; "
        "Value '101' at 'inner.count' failed to satisfy constraint: Member must have value less than or equal to 100");
}

static void lengths_count_characters(void **state) {
    gives(NULL, "Kinds", "{\"name\":\"\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\"}", "");
    (void)state;
}

static void a_costly_pattern_ends(void **state) {
    (void)state;
    static const ApiPattern nested[] = { { "\\A(?:(a+)+b)\\z", STR_INIT("(a+)+b") } };
    static const ApiService service = { .patterns = nested, .patterns_n = 1 };
    const ApiService *services[] = { &service };
    Arena a = { 0 };
    ApiPatterns *p;
    Str why;
    assert_int_equal(api_patterns_new(services, 1, &a, &p, &why), OK);
    assert_true(api_pattern_matches(p, &service, 0, S("aaab")));
    assert_false(
        api_pattern_matches(p, &service, 0, S("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac")));
    api_patterns_free(p);
    arena_free(&a);
}

static void a_pattern_that_does_not_compile_is_named(void **state) {
    (void)state;
    static const ApiPattern broken[] = { { "\\A(?:[a)\\z", STR_INIT("[a") } };
    static const ApiService service = { .name = STR_INIT("odd"), .patterns = broken, .patterns_n = 1 };
    const ApiService *services[] = { &service };
    Arena a = { 0 };
    ApiPatterns *p = NULL;
    Str why = S("");
    assert_int_equal(api_patterns_new(services, 1, &a, &p, &why), ERR_INVALID);
    assert_true(str_starts(why, S("pattern [a of odd: ")));
    assert_null(p);
    arena_free(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_keeps_its_limits_passes),
        cmocka_unit_test(each_limit_is_said_as_aws_says_it),
        cmocka_unit_test(all_that_is_wrong_is_said_at_once),
        cmocka_unit_test(lengths_count_characters),
        cmocka_unit_test(a_costly_pattern_ends),
        cmocka_unit_test(a_pattern_that_does_not_compile_is_named),
    };
    return cmocka_run_group_tests(tests, compile_patterns, drop_patterns);
}
