#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "api/bind.h"
#include "api/codec.h"
#include "api/dispatch.h"
#include "api/pattern.h"
#include "api/validate.h"
#include "base/writer.h"
#include "generated/iot.h"
#include "generated/iot_data.h"

/* What must hold for every operation of every model. */
#define each_op(s, op)                                                                                                 \
    for (size_t n_, i_ = 0; i_ < (api_services(&n_), n_); i_++)                                                        \
        for (const ApiService *s = api_services(&n_)[i_], *s##_once = s; s##_once; s##_once = NULL)                    \
            for (const ApiOp *op = s->ops; op < s->ops + s->ops_n; op++)

/* "/things/{thingName}/x" -> "/things/v/x" */
static Str path_of(Arena *a, const ApiOp *op) {
    Writer w = writer_in(a);
    for (Str rest = op->path; rest.len;) {
        Str before = str_cut(&rest, '{');
        writer_bytes(&w, before);
        if (!rest.ptr) break;
        str_cut(&rest, '}');
        writer_u8(&w, 'v');
    }
    return writer_str(&w);
}

static void every_operation_is_found_by_its_own_path(void **state) {
    (void)state;
    Arena a = { 0 };
    each_op(s, op) {
        Str target = str_format(&a, "%.*s.%.*s", PS(s->target), PS(op->name));
        HttpHeader h = { S("x-amz-target"), target };
        ApiRequest rq = {
            .method = op->method, .path = path_of(&a, op), .query = op->query, .headers = &h, .headers_n = 1
        };
        ApiMatch m = { 0 };
        assert_int_equal(api_match(s, &rq, &a, &m), OK);
        assert_ptr_equal(m.op, op);
        for (size_t i = 0; i < m.labels_n; i++) assert_true(str_eq(m.labels[i], S("v")));
        rq.method = S("BREW");
        assert_int_equal(api_match(s, &rq, &a, &m), ERR_INVALID);
    }
    arena_free(&a);
}

static void every_pattern_compiles(void **state) {
    (void)state;
    Arena a = { 0 };
    size_t n;
    const ApiService *const *services = api_services(&n);
    ApiPatterns *p = NULL;
    Str why = S("");
    Err e = api_patterns_new(services, n, &a, &p, &why);
    if (e != OK) fail_msg("%.*s", PS(why));
    api_patterns_free(p);
    arena_free(&a);
}

static void every_name_is_found_and_every_reference_belongs_to_its_service(void **state) {
    (void)state;
    each_op(s, op) {
        assert_ptr_equal(api_op(s, op->name), op);
        assert_ptr_equal(op->service, s);
        assert_in_range(op->status, 200, 299);
        for (size_t i = 0; i < op->errors_n; i++) {
            assert_true(op->errors[i] >= s->errors && op->errors[i] < s->errors + s->errors_n);
            assert_in_range(op->errors[i]->status, 400, 599);
        }
    }
}

static void nothing_is_called_that_nobody_wrote(void **state) {
    (void)state;
    Arena a = { 0 };
    each_op(s, op) {
        assert_false(op->handled());
        Call c = { .arena = &a, .op = op, .request_id = S("r") };
        void *in = arena_alloc(&a, op->in->element_size), *out = NULL;
        ApiResponse rs;
        api_answer(&c, api_run(&c, in, &out), out, &rs);
        assert_int_equal(rs.status, 501);
        assert_true(str_find_str(rs.body, op->name) != SIZE_MAX);
        arena_reset(&a);
    }
    arena_free(&a);
}

/* A JSON value of a shape, drawn at random; as deep as `fuel` allows. */
static void draw(Rng *r, Writer *w, const ApiShape *s, int fuel);

static void draw_items(Rng *r, Writer *w, const ApiShape *s, int fuel) {
    bool map = s->kind == API_MAP;
    size_t n = fuel > 0 ? rng_u64(r) % 3 : 0;
    if (s->has_max && n > (uint64_t)s->max) n = (size_t)s->max;
    writer_u8(w, map ? '{' : '[');
    for (size_t i = 0; i < n; i++) {
        if (i) writer_u8(w, ',');
        if (map) writer_format(w, "\"k%zu\":", i);
        draw(r, w, s->member, fuel - 1);
    }
    writer_u8(w, map ? '}' : ']');
}

static void draw_struct(Rng *r, Writer *w, const ApiShape *s, int fuel) {
    const char *comma = "";
    writer_u8(w, '{');
    for (size_t i = 0; i < s->members_n && fuel > 0; i++) {
        const ApiMember *m = &s->members[i];
        if (m->where != API_IN_BODY || m->time || rng_u64(r) % 4 == 0) continue;
        writer_format(w, "%s\"%.*s\":", comma, PS(m->wire));
        draw(r, w, m->shape, fuel - 1);
        comma = ",";
    }
    writer_u8(w, '}');
}

static void draw(Rng *r, Writer *w, const ApiShape *s, int fuel) {
    static const char *const texts[] = { "\"\"", "\"a\"", "\"gr\xC3\xBC\xC3\x9F\"", "\"\\n\\u0000\"", "\"a b/c\"" };
    switch ((ApiKind)s->kind) {
    case API_STR:
    case API_ENUM: writer_bytes(w, str_c(texts[rng_u64(r) % 5])); break;
    case API_BLOB: writer_bytes(w, S("\"AAEC\"")); break;
    case API_DOC: writer_bytes(w, S("{\"x\":[1,true]}")); break;
    case API_INT: writer_format(w, "%d", (int)(rng_u64(r) % 2001) - 1000); break;
    case API_TIME:
        writer_bytes(w, s->time == API_TIME_ISO8601 ? S("\"2026-01-02T03:04:05.678Z\"") : S("1767323045.678"));
        break;
    case API_BOOL: writer_bytes(w, rng_u64(r) % 2 ? S("true") : S("false")); break;
    case API_DOUBLE: writer_format(w, "%d.5", (int)(rng_u64(r) % 200)); break;
    case API_LIST:
    case API_MAP: draw_items(r, w, s, fuel); break;
    case API_STRUCT: draw_struct(r, w, s, fuel); break;
    }
}

static void what_comes_in_goes_out_the_same(void **state) {
    (void)state;
    Rng r = { .state = 11 };
    each_op(s, op) for (int round = 0; round < 6; round++) for (int side = 0; side < (op->out ? 2 : 1); side++) {
        const ApiShape *shape = side ? op->out : op->in;
        Arena a = { 0 };
        Writer w = writer_in(&a);
        Str why = S("");
        yyjson_val *v, *back;
        draw(&r, &w, shape, 2 + round);
        void *typed = arena_alloc(&a, shape->element_size);
        assert_int_equal(json_read(&a, writer_str(&w), false, &v, NULL), OK);
        if (api_decode_struct(&a, shape, v, typed, &why) != OK) fail_msg("%.*s: %.*s", PS(op->name), PS(why));
        Str out = json_write_mut(&a, api_encode_struct(json_doc(&a), &a, shape, typed));
        assert_int_equal(json_read(&a, out, false, &back, NULL), OK);
        if (!yyjson_equals(v, back)) fail_msg("%.*s: %.*s became %.*s", PS(op->name), PS(writer_str(&w)), PS(out));
        arena_free(&a);
    }
}

/* JSON that fits no shape on purpose: wrong kinds in the right places, and cuts. */
static void any_body_is_taken_or_refused(void **state) {
    (void)state;
    static const char *const odd[] = { "null", "[]", "{}", "[[[[1]]]]", "-1e400", "\"\\ud800\"", "{\"a\":{\"a\":{}}}",
                                       "tru",  "1 2" };
    Rng r = { .state = 13 };
    each_op(s, op) for (int round = 0; round < 24; round++) {
        Arena a = { 0 };
        Call c = { .arena = &a, .rng = &r };
        Writer w = writer_in(&a);
        void *in;
        draw(&r, &w, op->in, 4);
        Str json = writer_str(&w);
        uint8_t *bytes = arena_bytes(&a, json.len + 16);
        memcpy(bytes, json.ptr, json.len);
        if (round % 3 == 0) json.len = rng_u64(&r) % (json.len + 1);
        for (int i = 0; round % 3 == 1 && i < 3; i++)
            bytes[rng_u64(&r) % json.len] = (uint8_t) "{}[]\",:0\\nx"[rng_u64(&r) % 11];
        Str body = round % 3 == 2 ? str_c(odd[rng_u64(&r) % 9]) : (Str){ bytes, json.len };
        ApiMatch m = { .op = op };
        ApiRequest rq = { .query = body, .body = body };
        ApiResponse rs = { 0 };
        Err e = api_prepare(&c, &m, &rq, &in);
        assert_true(e == OK || e == ERR_API);
        api_answer(&c, e == OK ? ERR_NOT_FOUND : e, NULL, &rs);
        assert_true(rs.status >= 400 && rs.body.len > 0);
        arena_free(&a);
    }
}

static void a_thing_is_created_from_the_bytes_of_a_client(void **state) {
    (void)state;
    Arena a = { 0 };
    Call c = { .arena = &a };
    ApiRequest rq = {
        .method = S("POST"),
        .path = S("/things/sensor-1"),
        .body =
            S("{\"thingTypeName\": \"T\", \"attributePayload\": {\"attributes\": {\"k\": \"v\"}, \"merge\": true}}")
    };
    ApiMatch m;
    void *in;
    assert_int_equal(api_match(&iot_service, &rq, &a, &m), OK);
    assert_int_equal(api_prepare(&c, &m, &rq, &in), OK);
    const IotCreateThingIn *t = in;
    assert_true(str_eq(t->thing_name, S("sensor-1")) && str_eq(t->thing_type_name, S("T")) &&
                !t->billing_group_name.ptr);
    assert_true(t->attribute_payload->merge.v && str_eq(t->attribute_payload->attributes.items[0].value, S("v")));
    arena_free(&a);
}

static void iot_refuses_a_bad_name_with_its_own_error(void **state) {
    (void)state;
    Arena a = { 0 };
    size_t n;
    ApiPatterns *p;
    Str why;
    const ApiService *const *services = api_services(&n);
    assert_int_equal(api_patterns_new(services, n, &a, &p, &why), OK);
    Call c = { .arena = &a, .patterns = p };
    ApiRequest rq = { .method = S("POST"), .path = S("/things/a%20b") };
    ApiMatch m;
    void *in;
    assert_int_equal(api_match(&iot_service, &rq, &a, &m), OK);
    assert_int_equal(api_prepare(&c, &m, &rq, &in), ERR_API);
    assert_ptr_equal(c.failure.error, IOT_INVALID_REQUEST);
    assert_string_equal(
        str_dup_c(&a, c.failure.message),
        "1 validation error detected: Value 'a b' at 'thingName' failed to satisfy constraint: Member must satisfy "
        "regular expression pattern: [a-zA-Z0-9:_-]+");
    api_patterns_free(p);
    arena_free(&a);
}

/* Java's patterns match whole values, and its POSIX classes are ASCII. */
static void translated_patterns_mean_what_they_meant(void **state) {
    (void)state;
    static const struct {
        const char *shape, *value;
        bool good;
    } cases[] = {
        { "ThingName", "a:b_C-1", true },     { "ThingName", "a/b", false },
        { "ThingName", "ab\n", false },       { "AuditDescription", "a ~!", true },
        { "AuditDescription", "\t", false },  { "AuditDescription", "\xC3\xBC", false },
        { "ReasonCode", "A_1", true },        { "ReasonCode", "a", false },
        { "Environment", "x\xC3\xBC", true }, { "Environment", "a\x01", false },
        { "RuleName", "a_1", true },          { "RuleName", "a-1", false },
    };
    Arena a = { 0 };
    const ApiService *services[] = { &iot_service };
    ApiPatterns *p;
    Str why;
    assert_int_equal(api_patterns_new(services, 1, &a, &p, &why), OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const ApiShape *s = iot_service.shapes;
        while (!str_eq(s->name, str_c(cases[i].shape))) assert_true(++s < iot_service.shapes + iot_service.shapes_n);
        if (api_pattern_matches(p, &iot_service, s->pattern, str_c(cases[i].value)) != cases[i].good)
            fail_msg("%s: %s", cases[i].shape, cases[i].value);
    }
    api_patterns_free(p);
    arena_free(&a);
}

static void what_the_data_plane_answers_to_a_wrong_path_is_its_own(void **state) {
    (void)state;
    Arena a = { 0 };
    Call c = { .arena = &a };
    ApiRequest rq = { .method = S("GET"), .path = S("/nothing") };
    ApiMatch m;
    Err e = api_match(&iot_data_service, &rq, &a, &m);
    assert_int_equal(api_no_match(&c, &iot_data_service, &rq, e), ERR_API);
    assert_ptr_equal(c.failure.error, IOT_DATA_RESOURCE_NOT_FOUND);
    rq.path = S("/things/t/shadow");
    rq.method = S("PUT");
    e = api_match(&iot_data_service, &rq, &a, &m);
    assert_int_equal(api_no_match(&c, &iot_data_service, &rq, e), ERR_API);
    assert_ptr_equal(c.failure.error, IOT_DATA_METHOD_NOT_ALLOWED);
    arena_free(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_is_found_by_its_own_path),
        cmocka_unit_test(every_pattern_compiles),
        cmocka_unit_test(every_name_is_found_and_every_reference_belongs_to_its_service),
        cmocka_unit_test(nothing_is_called_that_nobody_wrote),
        cmocka_unit_test(what_comes_in_goes_out_the_same),
        cmocka_unit_test(any_body_is_taken_or_refused),
        cmocka_unit_test(a_thing_is_created_from_the_bytes_of_a_client),
        cmocka_unit_test(iot_refuses_a_bad_name_with_its_own_error),
        cmocka_unit_test(translated_patterns_mean_what_they_meant),
        cmocka_unit_test(what_the_data_plane_answers_to_a_wrong_path_is_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
