/* Outgoing calls: where they go, how they are signed, what is made of the answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>

#include "api/sigv4.h"
#include "aws/client.h"
#include "base/clock.h"
#include "net/testing/peer.h"

/* ------------------------------------------------------------------------------------------------ endpoints */

static const char *no_environment(const char *name) {
    (void)name;
    return NULL;
}

static const char *some_environment(const char *name) {
    if (!strcmp(name, "AWS_ENDPOINT_URL")) return "http://127.0.0.1:1/all/";
    if (!strcmp(name, "AWS_ENDPOINT_URL_SFN")) return "https://steps.example";
    return NULL;
}

static AwsEndpoint endpoint(const char *service, const char *settings, AwsEnvironment *env, Arena *a) {
    AwsEndpoint e;
    Str why;
    assert_int_equal(aws_endpoint_of(aws_service(str_c(service)), S("eu-west-1"), str_c(settings), env, a, &e, &why),
                     OK);
    return e;
}

static void a_setting_goes_before_the_environment_and_that_before_aws(void **state) {
    (void)state;
    Arena a = { 0 };
    AwsEndpoint e = endpoint("sqs", "", no_environment, &a);
    assert_true(str_eq(e.host, S("sqs.eu-west-1.amazonaws.com")) && str_eq(e.scheme, S("https")) && !e.custom);
    assert_true(str_eq(endpoint("timestream-write", "", no_environment, &a).host,
                       S("ingest.timestream.eu-west-1.amazonaws.com")));
    e = endpoint("sqs", "", some_environment, &a);
    assert_true(str_eq(e.host, S("127.0.0.1:1")) && str_eq(e.path, S("/all")) && e.custom);
    assert_true(str_eq(endpoint("stepfunctions", "", some_environment, &a).host, S("steps.example")));
    e = endpoint("stepfunctions", "sqs=http://a, stepfunctions = http://[::1]:80/x", some_environment, &a);
    assert_true(str_eq(e.host, S("[::1]:80")) && str_eq(e.path, S("/x")) && str_eq(e.scheme, S("http")));
    arena_free(&a);
}

static void endpoints_that_are_none_are_refused_by_name(void **state) {
    (void)state;
    static const char *const BAD[] = {
        "sqs",           "sqs=",           "sqs=host",        "nothing=http://a",  "sqs=ftp://a",
        "sqs=http://",   "sqs=http://a b", "sqs=http://a/?q", "sqs=http://a,s3=b", "=http://a",
        "sqs=http://u@h"
    };
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        Arena a = { 0 };
        Str why = STR_NONE;
        if (aws_endpoint_settings_check(str_c(BAD[i]), &a, &why) == OK) fail_msg("%s is taken", BAD[i]);
        assert_true(str_find_str(why, S("expected")) != SIZE_MAX);
        arena_free(&a);
    }
}

/* ------------------------------------------------------------------------------------------------ credentials */

static void credentials_are_found_in_their_profile(void **state) {
    (void)state;
    AwsCredentials c = { 0 };
    Str file = S(
        "; mine\n[default]\naws_access_key_id = A\naws_secret_access_key=B\n\n[two]\r\n"
        "aws_access_key_id=C\r\naws_secret_access_key = D=\r\naws_session_token = E\r\n[three]\n#aws_access_key_id=X\n"
        "aws_secret_access_key=Y\n");
    assert_int_equal(aws_credentials_read(file, S("default"), &c), OK);
    assert_true(str_eq(c.access_key, S("A")) && str_eq(c.secret, S("B")) && !c.token.ptr);
    assert_int_equal(aws_credentials_read(file, S("two"), &c), OK);
    assert_true(str_eq(c.access_key, S("C")) && str_eq(c.secret, S("D=")) && str_eq(c.token, S("E")));
    assert_int_equal(aws_credentials_read(file, S("three"), &c), ERR_NOT_FOUND);
    assert_int_equal(aws_credentials_read(file, S("four"), &c), ERR_NOT_FOUND);
    assert_true(str_eq(c.access_key, S("C"))); /* untouched */
}

/* ------------------------------------------------------------------------------------------------ errors */

static const struct {
    const char *header, *body, *code, *message;
    int status;
    AwsRetry retry;
} ERRORS[] = {
    { NULL, "{\"__type\":\"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException\",\"message\":\"no table\"}",
      "ResourceNotFoundException", "no table", 400, AWS_NEVER },
    { NULL, "{\"__type\":\"ProvisionedThroughputExceededException\",\"Message\":\"slow\"}",
      "ProvisionedThroughputExceededException", "slow", 400, AWS_SLOWER },
    { "TooManyRequestsException:http://x", "{}", "TooManyRequestsException", "", 400, AWS_SLOWER },
    { NULL, "<?xml version=\"1.0\"?><Error><Code>NoSuchBucket</Code><Message>a &lt;b&gt; &amp;c</Message></Error>",
      "NoSuchBucket", "a <b> &c", 404, AWS_NEVER },
    { NULL, "<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code></Error></ErrorResponse>", "Throttling",
      "", 400, AWS_SLOWER },
    { NULL, "<Error><Code>SlowDown</Code></Error>", "SlowDown", "", 503, AWS_SLOWER },
    { NULL, "Bad Gateway", "", "", 502, AWS_AGAIN },
    { NULL, "", "", "", 429, AWS_SLOWER },
    { NULL, "{\"__type\":7}", "", "", 403, AWS_NEVER },
    { NULL, "{\"__type\":", "", "", 500, AWS_AGAIN },
    { NULL, "<Code>never closed", "", "", 400, AWS_NEVER },
};

static void an_error_is_read_in_each_protocol(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof ERRORS / sizeof *ERRORS; i++) {
        Arena a = { 0 };
        HttpHeader h = { S("X-Amzn-Errortype"), str_c(ERRORS[i].header) };
        AwsError e = aws_error_read(&h, ERRORS[i].header ? 1 : 0, str_c(ERRORS[i].body), &a);
        assert_true(str_eq(e.code, str_c(ERRORS[i].code)));
        assert_true(str_eq(e.message, str_c(ERRORS[i].message)));
        assert_int_equal(aws_error_retry(ERRORS[i].status, e.code), ERRORS[i].retry);
        arena_free(&a);
    }
}

/* ------------------------------------------------------------------------------------------------ calls */

static const char *KEYS[] = { "AKIDEXAMPLE", "secret" };
static const char *with_keys(const char *name) {
    if (!strcmp(name, "AWS_ACCESS_KEY_ID")) return KEYS[0];
    if (!strcmp(name, "AWS_SECRET_ACCESS_KEY")) return KEYS[1];
    if (!strcmp(name, "AWS_SESSION_TOKEN")) return "the token";
    return NULL;
}

/* The request as our own server would take it. */
static Err judge(const PeerRequest *rq, Arena *arena, Str *why) {
    HttpHeader headers[40];
    Str head = rq->head, line = str_cut(&head, '\n'), method = str_cut(&line, ' '), path = str_cut(&line, ' ');
    Str query = path;
    path = str_cut(&query, '?');
    size_t n = 0;
    while (head.len && n < 40) {
        Str value = str_trim(str_cut(&head, '\n')), name = str_cut(&value, ':');
        headers[n++] = (HttpHeader){ name, str_trim(value) };
    }
    ApiRequest api = { method, path, query, headers, n, rq->body };
    SigV4 sig;
    SigV4Fault fault;
    Err e = sigv4_parse(&api, real_ms(), arena, &sig, &fault);
    if (e == OK) e = sigv4_verify(&sig, &api, S("secret"), NULL, arena, &fault);
    if (e == OK && !str_eq(sig.security_token, S("the token"))) e = ERR_UNAUTHENTICATED;
    if (e != OK) *why = fault.message;
    return e;
}

static PeerReply verify(Peer *p, const PeerRequest *rq, Arena *arena) {
    (void)p;
    Str why = S("?");
    if (judge(rq, arena, &why) != OK) return peer_reply(arena, 403, "", why);
    return peer_reply(arena, 200, "", rq->head);
}

static AwsClient *client(Peer *p, Fetch **fetch, Arena *a, AwsEnvironment *env) {
    AwsClient *c;
    Str why;
    assert_int_equal(fetch_new(&(FetchOptions){ 0 }, fetch), OK);
    Writer w = writer_in(a);
    for (Str names = aws_service_names(a); names.len;) {
        Str name = str_trim(str_cut(&names, ','));
        writer_format(&w, "%s%.*s=http://127.0.0.1:%d/base", w.len ? "," : "", PS(name), p->port);
    }
    AwsClientOptions o = { .fetch = *fetch, .region = S("us-east-1"), .endpoints = writer_str(&w), .env = env };
    if (aws_client_new(&o, a, &c, &why) != OK) fail_msg("%.*s", PS(why));
    return c;
}

static void every_protocol_is_signed_so_that_a_server_takes_it(void **state) {
    (void)state;
    Arena a = { 0 };
    Fetch *fetch;
    Peer p = { .answer = verify };
    peer_start(&p);
    AwsClient *c = client(&p, &fetch, &a, with_keys);
    const AwsRequest requests[] = {
        { .service = aws_service(S("sqs")), .operation = S("SendMessage"), .body = S("{\"a\":\"\xc3\xa4\"}") },
        { .service = aws_service(S("sns")), .body = S("Action=Publish&Message=a%20b") },
        { .service = aws_service(S("s3")), .method = S("PUT"), .path = S("/bucket/a%20b/%C3%A4+c"), .body = S("x") },
        { .service = aws_service(S("s3")), .method = S("GET"), .path = S("/b/k"), .query = S("x=1&acl=") },
        { .service = aws_service(S("opensearch")), .method = S("PUT"), .path = S("/i/_doc/1%2F2"), .body = S("{}") },
    };
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        AwsAnswer got;
        aws_call_wait(c, &requests[i], &a, &got);
        if (got.result != OK) fail_msg("%zu: %.*s %.*s", i, PS(got.why), PS(got.body));
        if (i == 0) {
            assert_true(str_find_str(got.body, S("X-Amz-Target: AmazonSQS.SendMessage")) != SIZE_MAX);
            assert_true(str_find_str(got.body, S("application/x-amz-json-1.0")) != SIZE_MAX);
            assert_true(str_starts(got.body, S("POST /base/ ")));
        }
    }
    fetch_free(fetch);
    aws_client_free(c);
    peer_stop(&p);
    arena_free(&a);
}

static PeerReply refuse(Peer *p, const PeerRequest *rq, Arena *arena) {
    (void)p;
    static const int STATUS[] = { 400, 503, 400 };
    static const char *const BODY[] = { "{\"__type\":\"x#QueueDoesNotExist\",\"message\":\"none\"}", "busy",
                                        "{\"__type\":\"ThrottlingException\"}" };
    if (rq->n == 3)
        return (PeerReply){ .bytes = S("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), .then = PEER_CUT };
    return peer_reply(arena, STATUS[rq->n], "", str_c(BODY[rq->n]));
}

static void an_answer_says_what_failed_and_whether_to_try_again(void **state) {
    (void)state;
    static const struct {
        Err result;
        AwsRetry retry;
        const char *in_why;
    } WANT[] = { { ERR_DENIED, AWS_NEVER, "sqs answered 400 QueueDoesNotExist: none" },
                 { ERR_DENIED, AWS_AGAIN, "sqs answered 503" },
                 { ERR_DENIED, AWS_SLOWER, "ThrottlingException" },
                 { ERR_IO, AWS_AGAIN, "sqs: " } };
    Arena a = { 0 };
    Fetch *fetch;
    Peer p = { .answer = refuse };
    peer_start(&p);
    AwsClient *c = client(&p, &fetch, &a, with_keys);
    for (size_t i = 0; i < sizeof WANT / sizeof *WANT; i++) {
        AwsAnswer got;
        aws_call_wait(c, &(AwsRequest){ .service = aws_service(S("sqs")), .operation = S("X"), .body = S("{}") }, &a,
                      &got);
        assert_int_equal(got.result, WANT[i].result);
        assert_int_equal(got.retry, WANT[i].retry);
        if (str_find_str(got.why, str_c(WANT[i].in_why)) == SIZE_MAX) fail_msg("%zu: %.*s", i, PS(got.why));
    }
    fetch_free(fetch);
    aws_client_free(c);
    peer_stop(&p);
    arena_free(&a);
}

static void without_credentials_a_call_says_what_to_set(void **state) {
    (void)state;
    Arena a = { 0 };
    Fetch *fetch;
    Peer p = { .answer = verify };
    peer_start(&p);
    AwsClient *c = client(&p, &fetch, &a, no_environment);
    AwsAnswer got;
    aws_call_wait(c, &(AwsRequest){ .service = aws_service(S("sqs")), .operation = S("X"), .body = S("{}") }, &a, &got);
    assert_int_equal(got.result, ERR_NOT_FOUND);
    assert_int_equal(got.retry, AWS_NEVER);
    assert_true(str_find_str(got.why, S("set AWS_ACCESS_KEY_ID")) != SIZE_MAX);
    assert_int_equal(p.requests, 0);
    fetch_free(fetch);
    aws_client_free(c);
    peer_stop(&p);
    arena_free(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_setting_goes_before_the_environment_and_that_before_aws),
        cmocka_unit_test(endpoints_that_are_none_are_refused_by_name),
        cmocka_unit_test(credentials_are_found_in_their_profile),
        cmocka_unit_test(an_error_is_read_in_each_protocol),
        cmocka_unit_test(every_protocol_is_signed_so_that_a_server_takes_it),
        cmocka_unit_test(an_answer_says_what_failed_and_whether_to_try_again),
        cmocka_unit_test(without_credentials_a_call_says_what_to_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
