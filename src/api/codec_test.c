#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "api/codec.h"
#include "api/sample.h"

static const ApiShape *shape_of(Str name) {
    for (size_t i = 0; i < sample_service.shapes_n; i++)
        if (str_eq(sample_service.shapes[i].name, name)) return &sample_service.shapes[i];
    return NULL;
}

static Err decode(Arena *a, const char *shape, const char *json, void *out, Str *why) {
    yyjson_val *v;
    assert_int_equal(json_read(a, str_c(json), false, &v, NULL), OK);
    return api_decode_struct(a, shape_of(str_c(shape)), v, out, why);
}

static const char all_kinds[] =
    "{\"text\":\"t\\u0000\xC3\xBC\",\"name\":\"n1\",\"colour\":\"light blue\",\"bytes\":\"AAECAw==\",\"small\":-5,"
    "\"large\":9007199254740993,\"ratio\":0.5,\"flag\":false,\"when\":1420070400.678,"
    "\"iso\":\"2015-01-01T00:00:00.678Z\",\"names\":[\"a\",\"b\"],\"inners\":[{\"name\":\"x\"},{\"name\":\"y\","
    "\"count\":1}],"
    "\"lists\":[[\"a\"],[]],\"texts\":{\"k\":\"v\",\"l\":\"\"},\"byName\":{\"m\":{\"name\":\"z\",\"colour\":\"RED\"}},"
    "\"inner\":{\"name\":\"i\",\"count\":0},\"choice\":{\"right\":3},\"any\":{\"deep\":[1,null,\"x\"]},\"pass\":"
    "\"secret\","
    "\"percents\":[1.5,2.0],\"stamp\":\"2015-01-01T00:00:00Z\",\"numbers\":[1,2],\"holes\":[\"a\",null,\"b\"]}";

static void each_kind_of_value_arrives(void **state) {
    (void)state;
    Arena a = { 0 };
    Str why = S("");
    SampleKinds k = { 0 };
    assert_int_equal(decode(&a, "Kinds", all_kinds, &k, &why), OK);
    assert_true(k.text.len == 4 && memcmp(k.text.ptr, "t\0\xC3\xBC", 4) == 0);
    assert_true(str_eq(k.colour, SAMPLE_COLOUR_LIGHT_BLUE));
    assert_true(k.bytes.len == 4 && memcmp(k.bytes.ptr, "\0\1\2\3", 4) == 0);
    assert_true(k.small.set && k.small.v == -5 && k.large.v == 9007199254740993);
    assert_true(k.ratio.set && k.ratio.v == 0.5 && k.flag.set && !k.flag.v);
    assert_true(k.when.v == 1420070400678 && k.iso.v == 1420070400678 && k.stamp.v == 1420070400000);
    assert_true(k.names.n == 2 && str_eq(k.names.items[1], S("b")));
    assert_true(k.inners.n == 2 && k.inners.items[1].count.v == 1 && !k.inners.items[0].count.set);
    assert_true(k.lists.n == 2 && k.lists.items[0].n == 1 && k.lists.items[1].n == 0 && k.lists.items[1].set);
    assert_true(k.texts.n == 2 && str_eq(k.texts.items[0].value, S("v")) && k.texts.items[1].value.ptr);
    assert_true(str_eq(k.by_name.items[0].key, S("m")) && str_eq(k.by_name.items[0].value.name, S("z")));
    assert_true(k.inner->count.set && k.inner->count.v == 0 && k.choice->right.v == 3 && !k.choice->left.ptr);
    assert_true(str_eq(k.any, S("{\"deep\":[1,null,\"x\"]}")));
    assert_true(k.percents.items[0].v == 1.5 && k.numbers.items[1].v == 2);
    assert_true(k.holes.n == 3 && !k.holes.items[1].ptr && k.holes.items[2].ptr);
    arena_free(&a);
}

static void each_kind_of_value_goes_out_as_it_came(void **state) {
    (void)state;
    Arena a = { 0 };
    Str why = S("");
    SampleKinds k = { 0 };
    assert_int_equal(decode(&a, "Kinds", all_kinds, &k, &why), OK);
    Str out = json_write_mut(&a, api_encode_struct(json_doc(&a), &a, shape_of(S("Kinds")), &k));
    assert_string_equal(str_dup_c(&a, out), all_kinds);
    arena_free(&a);
}

static void absent_null_and_unknown_members_leave_no_trace(void **state) {
    (void)state;
    Arena a = { 0 };
    Str why = S("");
    SampleKinds k = { 0 }, empty = { 0 };
    assert_int_equal(decode(&a, "Kinds",
                            "{\"text\":null,\"inner\":null,\"names\":null,\"new\":{\"a\":[1]},\"Text\":\"x\"}", &k,
                            &why),
                     OK);
    assert_memory_equal(&k, &empty, sizeof k);
    Str out = json_write_mut(&a, api_encode_struct(json_doc(&a), &a, shape_of(S("Kinds")), &k));
    assert_string_equal(str_dup_c(&a, out), "{}");
    arena_free(&a);
}

static void a_value_of_another_type_is_refused_with_its_place(void **state) {
    (void)state;
    static const struct {
        const char *json, *why;
    } cases[] = {
        { "[]", "Value at 'body' must be an object, not an array" },
        { "{\"text\":1}", "Value at 'text' must be a string, not that number" },
        { "{\"text\":{}}", "Value at 'text' must be a string, not an object" },
        { "{\"colour\":true}", "Value at 'colour' must be a string, not a boolean" },
        { "{\"bytes\":\"*\"}", "Value at 'bytes' must be a base64 string, not that string" },
        { "{\"bytes\":7}", "Value at 'bytes' must be a base64 string, not that number" },
        { "{\"small\":\"5\"}", "Value at 'small' must be a 32-bit integer, not that string" },
        { "{\"small\":2147483648}", "Value at 'small' must be a 32-bit integer, not that number" },
        { "{\"small\":1.5}", "Value at 'small' must be a 32-bit integer, not that number" },
        { "{\"large\":9223372036854775808}", "Value at 'large' must be an integer, not that number" },
        { "{\"large\":1e300}", "Value at 'large' must be an integer, not that number" },
        { "{\"ratio\":\"1\"}", "Value at 'ratio' must be a number, not that string" },
        { "{\"flag\":\"true\"}", "Value at 'flag' must be a boolean, not that string" },
        { "{\"flag\":0}", "Value at 'flag' must be a boolean, not that number" },
        { "{\"when\":\"soon\"}",
          "Value at 'when' must be a timestamp (seconds since 1970, or ISO 8601), not that string" },
        { "{\"when\":1e300}",
          "Value at 'when' must be a timestamp (seconds since 1970, or ISO 8601), not that number" },
        { "{\"names\":\"a\"}", "Value at 'names' must be an array, not that string" },
        { "{\"names\":[\"a\",1]}", "Value at 'names.2.member' must be a string, not that number" },
        { "{\"names\":[null]}", "Value at 'names.1.member' must be there, not null" },
        { "{\"inners\":[{\"name\":[]}]}", "Value at 'inners.1.member.name' must be a string, not an array" },
        { "{\"lists\":[[1]]}", "Value at 'lists.1.member.1.member' must be a string, not that number" },
        { "{\"texts\":[]}", "Value at 'texts' must be an object, not an array" },
        { "{\"texts\":{\"k\":1}}", "Value at 'texts.k.member' must be a string, not that number" },
        { "{\"texts\":{\"k\":null}}", "Value at 'texts.k.member' must be there, not null" },
        { "{\"byName\":{\"k\":{\"count\":\"\"}}}",
          "Value at 'byName.k.member.count' must be a 32-bit integer, not that string" },
        { "{\"inner\":\"\"}", "Value at 'inner' must be an object, not that string" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Arena a = { 0 };
        Str why = S("");
        SampleKinds k = { 0 };
        assert_int_equal(decode(&a, "Kinds", cases[i].json, &k, &why), ERR_MALFORMED);
        assert_string_equal(str_dup_c(&a, why), cases[i].why);
        arena_free(&a);
    }
}

static void integers_and_doubles_come_in_every_spelling(void **state) {
    (void)state;
    Arena a = { 0 };
    Str why = S("");
    SampleKinds k = { 0 };
    assert_int_equal(
        decode(&a, "Kinds",
               "{\"small\":5.0,\"large\":1e3,\"ratio\":2,\"percents\":[\"NaN\",\"Infinity\",\"-Infinity\"]}", &k, &why),
        OK);
    assert_true(k.small.v == 5 && k.large.v == 1000 && k.ratio.v == 2.0);
    assert_true(isnan(k.percents.items[0].v) && k.percents.items[1].v > 0 && isinf(k.percents.items[2].v));
    Str out = json_write_mut(&a, api_encode_struct(json_doc(&a), &a, shape_of(S("Kinds")), &k));
    assert_string_equal(str_dup_c(&a, out),
                        "{\"small\":5,\"large\":1000,\"ratio\":2.0,\"percents\":[\"NaN\",\"Infinity\",\"-Infinity\"]}");
    arena_free(&a);
}

static void a_shape_that_holds_itself_is_bounded(void **state) {
    (void)state;
    Arena a = { 0 };
    enum { DEEP = 5000 };
    char *json = (char *)arena_bytes(&a, DEEP * 16 + 1), *p = json;
    for (int depth = 1; depth <= DEEP; depth += depth < 80 ? 1 : 1000) {
        p = json;
        for (int i = 0; i < depth - 1; i++, p += 13) memcpy(p, "{\"children\":[", 13);
        memcpy(p, "{}", 2), p += 2;
        for (int i = 0; i < depth - 1; i++, p += 2) memcpy(p, "]}", 2);
        *p = 0;
        Str why = S("");
        SampleTree t = { 0 };
        assert_int_equal(decode(&a, "Tree", json, &t, &why), depth <= API_DEPTH_MAX ? OK : ERR_LIMIT);
    }
    arena_free(&a);
}

static void a_long_list_is_cut_one_past_its_limit(void **state) {
    (void)state;
    Arena a = { 0 };
    Str why = S("");
    SampleKinds k = { 0 };
    assert_int_equal(
        decode(&a, "Kinds", "{\"names\":[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\"],\"numbers\":[1,2,3,4,5,6]}", &k, &why),
        OK);
    assert_int_equal(k.names.n, 4);
    assert_int_equal(k.numbers.n, 6);
    arena_free(&a);
}

static void texts_of_queries_and_headers_are_read_whole(void **state) {
    (void)state;
    static const struct {
        const char *shape, *text;
        bool good;
    } cases[] = {
        { "Text", "", true },
        { "Text", "\xFF", false },
        { "Small", "12", true },
        { "Small", "", false },
        { "Small", "1x", false },
        { "Small", "2147483648", false },
        { "Large", "2147483648", true },
        { "Large", "9223372036854775808", false },
        { "Flag", "true", true },
        { "Flag", "False", true },
        { "Flag", "1", false },
        { "Ratio", "0.5", true },
        { "Ratio", "0x1", false },
        { "Ratio", "nan", false },
        { "Ratio", "1.5 ", true },
        { "When", "2015-01-01T00:00:00Z", true },
        { "When", "x", false },
        { "Bytes", "AAE=", true },
        { "Bytes", "*", false },
        { "Names", "a", false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Arena a = { 0 };
        Str why = S("");
        union {
            Str s;
            OptInt i;
            OptDouble d;
            OptBool b;
            ApiItems l;
        } slot = { .s = { 0 } };
        Err e = api_decode_text(&a, shape_of(str_c(cases[i].shape)), str_c(cases[i].text), &slot, &why);
        assert_int_equal(e, cases[i].good ? OK : ERR_MALFORMED);
        assert_int_equal(api_present(shape_of(str_c(cases[i].shape)), &slot), cases[i].good);
        assert_int_equal(why.len > 0, !cases[i].good);
        arena_free(&a);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_value_arrives),
        cmocka_unit_test(each_kind_of_value_goes_out_as_it_came),
        cmocka_unit_test(absent_null_and_unknown_members_leave_no_trace),
        cmocka_unit_test(a_value_of_another_type_is_refused_with_its_place),
        cmocka_unit_test(integers_and_doubles_come_in_every_spelling),
        cmocka_unit_test(a_shape_that_holds_itself_is_bounded),
        cmocka_unit_test(a_long_list_is_cut_one_past_its_limit),
        cmocka_unit_test(texts_of_queries_and_headers_are_read_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
