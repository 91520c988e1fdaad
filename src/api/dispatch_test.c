#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "api/dispatch.h"
#include "api/pattern.h"
#include "api/sample.h"
#include "api/sample_json.h"

/* The handlers of the sample services: they give back what they got. */
Err sample_echo(Call *c, const SampleEchoIn *in, SampleEchoOut *out) {
    if (str_eq(in->value->text, S("exists"))) {
        c->failure.resource_id = S("id-1");
        c->failure.resource_arn = S("arn:1");
        return api_fail(c, SAMPLE_CONFLICT, "%s is there", "It");
    }
    if (str_eq(in->value->text, S("busy"))) return ERR_AGAIN;
    if (str_eq(in->value->text, S("broken"))) return ERR_IO;
    if (str_eq(in->value->text, S("latin1")))
        return (*out = (SampleEchoOut){ .value = arena_new(c->arena, SampleKinds) }), (out->value->text = S("\xFC")),
               OK;
    out->value = in->value;
    return in->token.len == 36 || str_eq(in->token, S("mine")) ? OK : ERR_CORRUPT;
}
Err sample_get_job(Call *c, const SampleGetJobIn *in, SampleGetJobOut *out) {
    (void)c;
    out->id = str_eq(in->id, S("long")) ? S("longer than it may be") : in->id;
    return OK;
}
Err sample_places(Call *c, const SamplePlacesIn *in, SamplePlacesOut *out) {
    (void)c;
    assert_true(str_eq(in->name, S("n")) && str_eq(in->rest, S("a/b c")));
    assert_true(in->flag.set && in->flag.v && in->when.v == 1420070400000 && in->since.v == 1420070400000);
    assert_true(in->names.n == 2 && str_eq(in->names.items[0], S("x")) && str_eq(in->names.items[1], S("y")));
    assert_true(in->others.n == 1 && str_eq(in->others.items[0].key, S("k")) &&
                str_eq(in->others.items[0].value, S("v w&")));
    assert_true(in->count.v == 7 && in->ratio.v == 1.5);
    assert_true(in->meta.n == 2 && str_eq(in->meta.items[0].key, S("one")) && str_eq(in->meta.items[1].value, S("2")));
    assert_true(str_eq(in->extra, S("[{\"a\":\"b\"}]")));
    assert_true(str_eq(in->text, S("body")) && str_eq(in->note, S("noted")));
    *out = (SamplePlacesOut){
        .code = { true, 207 }, .count = in->count, .meta = in->meta, .since = in->since, .note = in->note
    };
    return OK;
}
Err sample_put_bytes(Call *c, const SamplePutBytesIn *in, SamplePutBytesOut *out) {
    (void)c;
    *out = (SamplePutBytesOut){ .body = in->body, .type = in->topic.len > 3 ? S("text/plain") : STR_NONE };
    return OK;
}
Err sample_put_text(Call *c, const SamplePutTextIn *in, SamplePutTextOut *out) {
    (void)c;
    out->text = in->text;
    return OK;
}
Err sample_put_inner(Call *c, const SamplePutInnerIn *in, SamplePutInnerOut *out) {
    (void)c;
    out->inner = in->inner;
    return OK;
}
Err sample_json_ping(Call *c, const SampleJsonPingIn *in, SampleJsonPingOut *out) {
    if (str_eq(in->name, S("odd"))) return api_fail(c, SAMPLE_JSON_ODD, "Odd");
    out->name = in->name;
    return OK;
}
Err sample_json_void_(Call *c, const SampleJsonVoidIn *in, SampleJsonVoidOut *out) {
    (void)c, (void)in, (void)out;
    return OK;
}

typedef struct {
    Arena arena;
    Rng rng;
    Call call;
    ApiPatterns *patterns;
    ApiResponse rs;
} World;

static int begin(void **state) {
    World *w = mem_new(sizeof *w);
    const ApiService *services[] = { &sample_service, &sample_json_service };
    Str why;
    if (api_patterns_new(services, 2, &w->arena, &w->patterns, &why) != OK) return -1;
    w->rng.state = 5;
    w->call = (Call){
        .arena = &w->arena, .rng = &w->rng, .request_id = S("rid"), .patterns = w->patterns, .validate_replies = true
    };
    *state = w;
    return 0;
}
static int end(void **state) {
    World *w = *state;
    api_patterns_free(w->patterns);
    arena_free(&w->arena);
    free(w);
    return 0;
}

/* The whole way, as the gateway goes it. */
static const ApiResponse *ask_service(World *w, const ApiService *s, ApiRequest rq) {
    Call *c = &w->call;
    ApiMatch m;
    void *in = NULL, *out = NULL;
    c->op = NULL;
    memset(&c->failure, 0, sizeof c->failure);
    Err e = api_match(s, &rq, &w->arena, &m);
    if (e != OK)
        e = api_no_match(c, s, &rq, e);
    else
        e = api_prepare(c, &m, &rq, &in);
    if (e == OK) e = api_run(c, in, &out);
    api_answer(c, e, out, &w->rs);
    return &w->rs;
}
static const ApiResponse *ask(World *w, const char *method, const char *path, const char *query, const char *body) {
    return ask_service(w, &sample_service,
                       (ApiRequest){ .method = str_c(method),
                                     .path = str_c(path),
                                     .query = query ? str_c(query) : STR_NONE,
                                     .body = body ? str_c(body) : STR_NONE });
}
static void is(World *w, const ApiResponse *rs, int status, const char *error, const char *body) {
    assert_string_equal(str_dup_c(&w->arena, rs->body), body);
    assert_int_equal(rs->status, status);
    Str type = http_header(rs->headers, rs->headers_n, S("x-amzn-ErrorType"));
    assert_string_equal(type.ptr ? str_dup_c(&w->arena, type) : "", error);
    assert_true(str_eq(http_header(rs->headers, rs->headers_n, S("X-AMZN-REQUESTID")), S("rid")));
}

static void a_body_goes_the_whole_way(void **state) {
    World *w = *state;
    is(w, ask(w, "POST", "/echo", NULL, "{\"value\":{\"text\":\"x\"}}"), 200, "", "{\"value\":{\"text\":\"x\"}}");
    is(w, ask(w, "POST", "/echo", NULL, "{\"value\":{},\"token\":\"mine\"}"), 200, "", "{\"value\":{}}");
    assert_true(str_eq(http_header(w->rs.headers, w->rs.headers_n, S("Content-Type")), S("application/json")));
}

static void each_place_of_a_request_and_a_reply_is_used(void **state) {
    World *w = *state;
    const HttpHeader headers[] = {
        { S("X-Count"), S("7") },
        { S("X-Meta-one"), S("1") },
        { S("x-meta-two"), S("2") },
        { S("x-meta-"), S("no") },
        { S("x-extra"), S("W3siYSI6ImIifV0=") },
        { S("x-since"), S("Thu, 01 Jan 2015 00:00:00 GMT") },
        { S("Host"), S("h") },
    };
    ApiRequest rq = { .method = S("POST"),
                      .path = S("/places/n/at/a/b%20c"),
                      .query = S("isFlag=true&tag=x&when=2015-01-01T00%3A00%3A00Z&k=v+w%26&tag=y&ratio=1.5"),
                      .headers = headers,
                      .headers_n = sizeof headers / sizeof *headers,
                      .body = S(" {\"text\":\"body\",\"Note\":\"noted\",\"note\":\"no\"}") };
    const ApiResponse *rs = ask_service(w, &sample_service, rq);
    is(w, rs, 207, "", "{\"Note\":\"noted\"}");
    assert_true(str_eq(http_header(rs->headers, rs->headers_n, S("x-count")), S("7")));
    assert_true(str_eq(http_header(rs->headers, rs->headers_n, S("x-meta-two")), S("2")));
    assert_true(str_eq(http_header(rs->headers, rs->headers_n, S("x-since")), S("Thu, 01 Jan 2015 00:00:00 GMT")));
}

static void bad_texts_in_each_place_are_refused(void **state) {
    World *w = *state;
    static const char *const queries[] = { "isFlag=1", "isFlag",    "when=x",  "ratio=y", "tag=%",
                                           "%=x",      "ratio=%zz", "tag=%FF", "k=%FF" };
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        const ApiResponse *rs = ask(w, "POST", "/places/n/at/x", queries[i], NULL);
        assert_int_equal(rs->status, 400);
        assert_true(
            str_eq(http_header(rs->headers, rs->headers_n, S("x-amzn-ErrorType")), S("SerializationException")));
    }
    const HttpHeader bad[] = { { S("x-count"), S("7a") }, { S("x-extra"), S("e30") }, { S("x-extra"), S("ew==") },
                               { S("x-extra"), S("*") },  { S("x-since"), S("y") },   { S("x-meta-a"), S("\xFF") } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (i == 1) continue; /* "{}" without padding is fine */
        ApiRequest rq = { .method = S("POST"), .path = S("/places/n/at/x"), .headers = &bad[i], .headers_n = 1 };
        assert_int_equal(ask_service(w, &sample_service, rq)->status, 400);
    }
    is(w, ask(w, "PUT", "/bytes/%FF", NULL, ""), 400, "SerializationException",
       "{\"message\":\"the message quotes bytes that are not UTF-8\"}");
}

static void a_broken_body_is_refused(void **state) {
    World *w = *state;
    is(w, ask(w, "POST", "/echo", NULL, "[]"), 400, "SerializationException",
       "{\"message\":\"Value at 'body' must be an object, not an array\"}");
    is(w, ask(w, "POST", "/echo", NULL, "{\"value\":5}"), 400, "SerializationException",
       "{\"message\":\"Value at 'value' must be an object, not that number\"}");
    assert_int_equal(ask(w, "POST", "/echo", NULL, "{\"value\"")->status, 400);
    is(w, ask(w, "POST", "/echo", NULL, NULL), 400, "InvalidException",
       "{\"message\":\"1 validation error detected: Value null at 'value' failed to satisfy constraint: Member must "
       "not be null\"}");
    is(w, ask(w, "POST", "/echo", NULL, "{\"value\":{\"small\":500}}"), 400, "InvalidException",
       "{\"message\":\"1 validation error detected: Value '500' at 'value.small' failed to satisfy constraint: Member "
       "must have value less than or equal to 100\"}");
}

static void an_operation_without_body_reads_none(void **state) {
    World *w = *state;
    is(w, ask(w, "GET", "/things/t/jobs/j1", NULL, "not json"), 200, "", "{\"id\":\"j1\"}");
}

static void payloads_are_the_whole_body(void **state) {
    World *w = *state;
    is(w, ask(w, "PUT", "/bytes/t", NULL, "\x01{"), 200, "", "\x01{");
    assert_true(str_eq(http_header(w->rs.headers, w->rs.headers_n, S("Content-Type")), S("application/octet-stream")));
    is(w, ask(w, "PUT", "/bytes/long", NULL, NULL), 200, "", "");
    assert_true(str_eq(http_header(w->rs.headers, w->rs.headers_n, S("Content-Type")), S("text/plain")));
    is(w, ask(w, "PUT", "/text", NULL, "as {it} is"), 200, "", "as {it} is");
    assert_true(str_eq(http_header(w->rs.headers, w->rs.headers_n, S("Content-Type")), S("text/plain")));
    is(w, ask(w, "PUT", "/text", NULL, "\xFF"), 400, "SerializationException",
       "{\"message\":\"the message quotes bytes that are not UTF-8\"}");
    is(w, ask(w, "PUT", "/inner/x/end", NULL, "{\"name\":\"a\"}"), 200, "", "{\"name\":\"a\"}");
    is(w, ask(w, "PUT", "/inner/x/end", NULL, ""), 400, "InvalidException",
       "{\"message\":\"1 validation error detected: Value null at 'inner' failed to satisfy constraint: Member must "
       "not be null\"}");
}

static void a_body_of_another_type_is_refused(void **state) {
    World *w = *state;
    static const struct {
        const char *type, *path, *body;
        int status;
    } cases[] = {
        { "text/xml", "/echo", "{\"value\":{}}", 415 },
        { "application/json-seq", "/echo", "{\"value\":{}}", 415 },
        { "application/json ; charset=utf-8", "/echo", "{\"value\":{}}", 200 },
        { "application/x-amz-json-1.0", "/echo", "{\"value\":{}}", 200 },
        { "text/xml", "/echo", "", 400 }, /* nothing to read */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        HttpHeader header = { S("content-type"), str_c(cases[i].type) };
        ApiRequest rq = { S("POST"), str_c(cases[i].path), STR_NONE, &header, 1, str_c(cases[i].body) };
        assert_int_equal(ask_service(w, &sample_service, rq)->status, cases[i].status);
    }
    HttpHeader header = { S("content-type"), S("text/xml") };
    ApiRequest bytes = { S("PUT"), S("/bytes/t"), STR_NONE, &header, 1, S("<a/>") };
    is(w, ask_service(w, &sample_service, bytes), 200, "", "<a/>");
    w->call.traced = true; /* the data planes take any */
    ApiRequest any = { S("POST"), S("/echo"), STR_NONE, &header, 1, S("{\"value\":{}}") };
    assert_int_equal(ask_service(w, &sample_service, any)->status, 200);
    w->call.traced = false;
}

static void errors_carry_the_members_of_their_model(void **state) {
    World *w = *state;
    is(w, ask(w, "POST", "/echo", NULL, "{\"value\":{\"text\":\"exists\"}}"), 409, "ConflictException",
       "{\"Message\":\"It is there\",\"resourceId\":\"id-1\",\"resourceArn\":\"arn:1\"}");
    is(w, ask(w, "POST", "/echo", NULL, "{\"value\":{\"text\":\"busy\"}}"), 429, "ThrottlingException",
       "{\"message\":\"Echo: try again\"}");
    is(w, ask(w, "POST", "/echo", NULL, "{\"value\":{\"text\":\"broken\"}}"), 500, "InternalFailureException",
       "{\"message\":\"Echo: input or output failed\"}");
}

static void unknown_paths_wrong_verbs_and_missing_handlers_are_told_apart(void **state) {
    World *w = *state;
    is(w, ask(w, "GET", "/nowhere", NULL, NULL), 404, "NotFoundException",
       "{\"message\":\"No operation of sample has the path /nowhere\"}");
    is(w, ask(w, "GET", "/echo", NULL, NULL), 405, "MethodNotAllowedException",
       "{\"message\":\"/echo has no GET in sample\"}");
    is(w, ask(w, "PUT", "/bytes/%2", NULL, NULL), 400, "InvalidException",
       "{\"message\":\"The path /bytes/%2 has a % without two hexadecimal digits\"}");
    is(w, ask(w, "DELETE", "/silent", NULL, NULL), 501, "NotImplementedException",
       "{\"message\":\"Silent of sample is not implemented yet\"}");
}

static void a_reply_that_breaks_its_model_is_found(void **state) {
    World *w = *state;
    is(w, ask(w, "GET", "/things/t/jobs/long", NULL, NULL), 500, "InternalFailureException",
       "{\"message\":\"The answer of GetJob breaks its model: 2 validation errors detected: Value 'longer than it may "
       "be' at 'id' failed "
       "to satisfy constraint: Member must satisfy regular expression pattern: [a-z\\\\p{Digit}]+; Value 'longer than "
       "it may be' at 'id' "
       "failed to satisfy constraint: Member must have length less than or equal to 8\"}");
    w->call.validate_replies = false;
    is(w, ask(w, "GET", "/things/t/jobs/long", NULL, NULL), 200, "", "{\"id\":\"longer than it may be\"}");
    is(w, ask(w, "POST", "/echo", NULL, "{\"value\":{\"text\":\"latin1\"}}"), 500, "InternalFailureException",
       "{\"message\":\"The answer of Echo breaks its model: a text in it is not UTF-8\"}");
    w->call.validate_replies = true;
}

static const ApiResponse *ask_target(World *w, const char *target, const char *body) {
    const HttpHeader h = { S("X-Amz-Target"), str_c(target) };
    return ask_service(
        w, &sample_json_service,
        (ApiRequest){ .method = S("POST"), .path = S("/"), .headers = &h, .headers_n = 1, .body = str_c(body) });
}

static void the_json_protocol_goes_by_target(void **state) {
    World *w = *state;
    is(w, ask_target(w, "SampleFront.Ping", "{\"name\":\"a\"}"), 200, "", "{\"name\":\"a\"}");
    assert_true(
        str_eq(http_header(w->rs.headers, w->rs.headers_n, S("Content-Type")), S("application/x-amz-json-1.1")));
    is(w, ask_target(w, "SampleFront.Void", ""), 200, "", "{}");
    is(w, ask_target(w, "SampleFront.Ping", "{\"name\":\"odd\"}"), 418, "OddOne",
       "{\"__type\":\"OddOne\",\"Message\":\"Odd\"}");
    is(w, ask_target(w, "SampleFront.Ping", "{}"), 400, "ValidationException",
       "{\"__type\":\"ValidationException\",\"message\":\"1 validation error detected: Value null at 'name' failed to "
       "satisfy constraint: Member must not be null\"}");
    is(w, ask_target(w, "SampleFront.Pong", "{}"), 404, "UnknownOperationException",
       "{\"__type\":\"UnknownOperationException\",\"message\":\"X-Amz-Target 'SampleFront.Pong' names no operation of "
       "sample-json: it must be SampleFront.OPERATION\"}");
}

static void what_leaves_after_the_commit_keeps_its_order(void **state) {
    World *w = *state;
    Call c = { .arena = &w->arena, .account = S("123456789012"), .region = S("eu-west-1") };
    for (uintptr_t i = 1; i <= 3; i++) call_after(&c, NULL, (void *)i);
    uintptr_t n = 0;
    for (const Outgoing *o = c.outbox; o; o = o->next) assert_int_equal((uintptr_t)o->arg, ++n);
    assert_int_equal(n, 3);
    assert_true(str_eq(call_arn(&c, "iot", "thing/%s", "t1"), S("arn:aws:iot:eu-west-1:123456789012:thing/t1")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_goes_the_whole_way),
        cmocka_unit_test(each_place_of_a_request_and_a_reply_is_used),
        cmocka_unit_test(bad_texts_in_each_place_are_refused),
        cmocka_unit_test(a_broken_body_is_refused),
        cmocka_unit_test(an_operation_without_body_reads_none),
        cmocka_unit_test(payloads_are_the_whole_body),
        cmocka_unit_test(a_body_of_another_type_is_refused),
        cmocka_unit_test(errors_carry_the_members_of_their_model),
        cmocka_unit_test(unknown_paths_wrong_verbs_and_missing_handlers_are_told_apart),
        cmocka_unit_test(a_reply_that_breaks_its_model_is_found),
        cmocka_unit_test(the_json_protocol_goes_by_target),
        cmocka_unit_test(what_leaves_after_the_commit_keeps_its_order),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
