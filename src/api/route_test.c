#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "api/route.h"
#include "api/sample.h"
#include "api/sample_json.h"

static Err match(Arena *a, const char *method, const char *path, const char *query, ApiMatch *m) {
    return route_rest(&sample_service, str_c(method), str_c(path), query ? str_c(query) : STR_NONE, a, m);
}

static void goes_to(const char *method, const char *path, const char *query, const char *op, const char *labels) {
    Arena a = { 0 };
    ApiMatch m = { 0 };
    assert_int_equal(match(&a, method, path, query, &m), OK);
    Str joined = S("");
    for (size_t i = 0; i < m.labels_n; i++)
        joined = str_format(&a, "%.*s%s%.*s", PS(joined), i ? "|" : "", PS(m.labels[i]));
    assert_string_equal(str_dup_c(&a, m.op->name), op);
    assert_string_equal(str_dup_c(&a, joined), labels);
    arena_free(&a);
}

static void paths_lead_to_their_operation(void **state) {
    (void)state;
    goes_to("POST", "/echo", NULL, "Echo", "");
    goes_to("POST", "/echo/", NULL, "Echo", "");
    goes_to("GET", "/things/t1/jobs/j1", NULL, "GetJob", "t1|j1");
    goes_to("GET", "/things/t1/jobs/", NULL, "ListJobs", "t1");
    goes_to("GET", "/things/t1/jobs", NULL, "ListJobs", "t1");
    goes_to("GET", "/things/a%20b/jobs/%C3%BC", NULL, "GetJob", "a b|\xC3\xBC");
}

static void more_literal_words_win(void **state) {
    (void)state;
    goes_to("GET", "/things/t1/jobs/$next", NULL, "NextJob", "t1");
    goes_to("GET", "/things/t1/jobs/%24next", NULL, "NextJob", "t1");
    goes_to("GET", "/things/t1/jobs/$nex", NULL, "GetJob", "t1|$nex");
}

static void slashes_come_encoded_or_raw(void **state) {
    (void)state;
    goes_to("PUT", "/bytes/a%2Fb", NULL, "PutBytes", "a/b");
    goes_to("PUT", "/bytes/a/b", NULL, "PutBytes", "a/b");
    goes_to("PUT", "/bytes/a//b/", NULL, "PutBytes", "a//b/");
    goes_to("PUT", "/bytes/%2Fa", NULL, "PutBytes", "/a");
    goes_to("POST", "/places/n/at/a/b%2Fc", NULL, "Places", "n|a/b/c");
    goes_to("PUT", "/inner/a/end/b/end", NULL, "PutInner", "a/end/b");
}

static void constants_in_the_query_count(void **state) {
    (void)state;
    goes_to("POST", "/typed", "a=b&type=x", "Typed", "");
    Arena a = { 0 };
    ApiMatch m = { 0 };
    assert_int_equal(match(&a, "POST", "/typed", "type=y", &m), ERR_NOT_FOUND);
    assert_int_equal(match(&a, "POST", "/typed", NULL, &m), ERR_NOT_FOUND);
    arena_free(&a);
}

static void what_has_no_operation_is_told_apart(void **state) {
    (void)state;
    static const struct {
        const char *method, *path;
        Err e;
    } cases[] = {
        { "GET", "/echo", ERR_INVALID },
        { "PATCH", "/bytes/x", ERR_INVALID },
        { "get", "/things/t/jobs", ERR_INVALID },
        { "GET", "/", ERR_NOT_FOUND },
        { "GET", "", ERR_NOT_FOUND },
        { "GET", "echo", ERR_NOT_FOUND },
        { "POST", "/echo/x", ERR_NOT_FOUND },
        { "GET", "/things", ERR_NOT_FOUND },
        { "GET", "/things//jobs", ERR_NOT_FOUND },
        { "GET", "/things/t/jobs/a/b", ERR_NOT_FOUND },
        { "PUT", "/bytes/", ERR_NOT_FOUND },
        { "PUT", "/inner/end", ERR_NOT_FOUND },
        { "GET", "/things/%/jobs", ERR_MALFORMED },
        { "PUT", "/bytes/a%2", ERR_MALFORMED },
        { "PUT", "/bytes/%zz", ERR_MALFORMED },
        { "GET", "//////////", ERR_NOT_FOUND },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Arena a = { 0 };
        ApiMatch m = { .labels_n = 77 };
        assert_int_equal(match(&a, cases[i].method, cases[i].path, NULL, &m), cases[i].e);
        assert_int_equal(m.labels_n, 77);
        arena_free(&a);
    }
}

static void targets_lead_to_their_operation(void **state) {
    (void)state;
    ApiMatch m = { 0 };
    assert_int_equal(route_target(&sample_json_service, S("SampleFront.Ping"), &m), OK);
    assert_true(str_eq(m.op->name, S("Ping")));
    static const char *const bad[] = { "",           "SampleFront", "SampleFront.",      "SampleFront.Pong",
                                       "Other.Ping", "Ping",        "SampleFront.Ping.x" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(route_target(&sample_json_service, str_c(bad[i]), &m), ERR_NOT_FOUND);
}

static void a_query_is_walked_pair_by_pair(void **state) {
    (void)state;
    Str at = S("a=1&&b&=x&c=2=3"), key, value;
    static const char *const want[] = { "a", "1", "b", "", "", "x", "c", "2=3" };
    for (size_t i = 0; i < 8; i += 2) {
        value = query_next(&at, &key);
        assert_non_null(value.ptr);
        assert_true(str_eq(key, str_c(want[i])) && str_eq(value, str_c(want[i + 1])));
    }
    assert_null(query_next(&at, &key).ptr);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_lead_to_their_operation),       cmocka_unit_test(more_literal_words_win),
        cmocka_unit_test(slashes_come_encoded_or_raw),         cmocka_unit_test(constants_in_the_query_count),
        cmocka_unit_test(what_has_no_operation_is_told_apart), cmocka_unit_test(targets_lead_to_their_operation),
        cmocka_unit_test(a_query_is_walked_pair_by_pair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
