#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>

#include "net/http.h"

enum { BODY_MAX = 1000 };

/* Feeds in pieces of `piece` bytes, each in memory of its own so that a step beyond shows. Stops at the first
 * answer that is not ERR_AGAIN; *used counts from the start. */
static Err feed_in_pieces(HttpParser *p, Str bytes, size_t piece, size_t *used, HttpRequest *out) {
    *used = 0;
    while (*used < bytes.len) {
        Str part = str_sub(bytes, *used, *used + piece);
        uint8_t *copy = malloc(part.len);
        memcpy(copy, part.ptr, part.len);
        size_t n = 0;
        Err e = http_parser_feed(p, (Str){ copy, part.len }, &n, out);
        free(copy);
        *used += n;
        if (e != ERR_AGAIN) return e;
        assert_int_equal(n, part.len);
    }
    return ERR_AGAIN;
}

static const Str publish = STR_INIT("POST /topics/a%2Fb?qos=1&x HTTP/1.1\r\nHost: h:8443\r\nContent-Length: 5\r\n"
                                    "X-Empty:\r\nx-twice: one\r\nX-Twice:  two \t\r\n\r\nhello");

static void is_publish(const HttpRequest *rq) {
    assert_true(str_eq(rq->method, S("POST")) && str_eq(rq->target, S("/topics/a%2Fb?qos=1&x")));
    assert_true(str_eq(rq->path, S("/topics/a%2Fb")) && str_eq(rq->query, S("qos=1&x")));
    assert_true(str_eq(rq->body, S("hello")) && rq->minor == 1 && rq->keep_alive);
    assert_false(rq->upgrade || rq->expect_continue);
    assert_int_equal(rq->headers_n, 5);
    assert_true(str_eq(http_header(rq->headers, rq->headers_n, S("HOST")), S("h:8443")));
    assert_true(str_eq(http_header(rq->headers, rq->headers_n, S("x-twice")), S("one")));
    assert_true(str_eq(rq->headers[4].name, S("X-Twice")) && str_eq(rq->headers[4].value, S("two")));
    Str empty = http_header(rq->headers, rq->headers_n, S("x-empty"));
    assert_true(empty.ptr && empty.len == 0);
    assert_null(http_header(rq->headers, rq->headers_n, S("x-none")).ptr);
}

static void a_request_is_the_same_however_it_is_cut(void **state) {
    (void)state;
    HttpParser *p = http_parser_new(HTTP_LIMITS(BODY_MAX));
    assert_true(http_parser_idle(p));
    for (size_t piece = 1; piece <= publish.len; piece++) { /* also: one after the other on one connection */
        HttpRequest rq;
        size_t used;
        assert_int_equal(feed_in_pieces(p, publish, piece, &used, &rq), OK);
        assert_int_equal(used, publish.len);
        is_publish(&rq);
        assert_true(http_parser_idle(p));
    }
    http_parser_free(p);
}

static void an_unfinished_request_waits_for_more(void **state) {
    (void)state;
    for (size_t n = 0; n < publish.len; n++) {
        HttpParser *p = http_parser_new(HTTP_LIMITS(BODY_MAX));
        HttpRequest rq = { .minor = 99 };
        size_t used = 99;
        assert_int_equal(http_parser_feed(p, str_sub(publish, 0, n), &used, &rq), ERR_AGAIN);
        assert_int_equal(used, n);
        assert_int_equal(rq.minor, 99);
        assert_int_equal(http_parser_idle(p), n == 0);
        http_parser_free(p);
    }
}

static void requests_in_one_read_come_one_by_one(void **state) {
    (void)state;
    Str three = S("GET / HTTP/1.1\r\nHost: h\r\n\r\n"
                  "PUT /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
                  "chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nLate: 1\r\n\r\n"
                  "DELETE /c HTTP/1.0\r\n\r\nGET /d");
    for (size_t piece = 1; piece <= three.len; piece++) {
        HttpParser *p = http_parser_new(HTTP_LIMITS(BODY_MAX));
        HttpRequest rq;
        size_t used = 0, at = 0;
        assert_int_equal(feed_in_pieces(p, three, piece, &used, &rq), OK);
        assert_true(str_eq(rq.path, S("/")) && !rq.query.ptr && rq.body.len == 0);
        at += used;
        assert_int_equal(feed_in_pieces(p, str_from(three, at), piece, &used, &rq), OK);
        assert_true(str_eq(rq.path, S("/b")) && str_eq(rq.body, S("abcde")));
        assert_int_equal(rq.headers_n, 2); /* nobody adds a header late */
        at += used;
        assert_int_equal(feed_in_pieces(p, str_from(three, at), piece, &used, &rq), OK);
        assert_true(str_eq(rq.path, S("/c")) && rq.minor == 0 && !rq.keep_alive);
        at += used;
        assert_true(str_eq(str_from(three, at), S("GET /d")));
        assert_int_equal(feed_in_pieces(p, str_from(three, at), piece, &used, &rq), ERR_AGAIN);
        assert_false(http_parser_idle(p));
        http_parser_free(p);
    }
}

static void keep_alive_is_as_version_and_header_say(void **state) {
    (void)state;
    static const struct {
        Str bytes;
        bool keep;
    } cases[] = {
        { STR_INIT("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), true },
        { STR_INIT("GET / HTTP/1.1\r\nHost: h\r\nConnection: Close\r\n\r\n"), false },
        { STR_INIT("GET / HTTP/1.0\r\n\r\n"), false },
        { STR_INIT("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), true },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        HttpParser *p = http_parser_new(HTTP_LIMITS(BODY_MAX));
        HttpRequest rq;
        size_t used;
        assert_int_equal(http_parser_feed(p, cases[i].bytes, &used, &rq), OK);
        assert_int_equal(rq.keep_alive, cases[i].keep);
        http_parser_free(p);
    }
}

#define GET(headers) STR_INIT("GET / HTTP/1.1\r\nHost: h\r\n" headers "\r\n")
#define POST(headers) STR_INIT("POST / HTTP/1.1\r\nHost: h\r\n" headers)

static void each_bad_request_has_its_status(void **state) {
    (void)state;
    static const struct {
        int status;
        Str bytes;
    } cases[] = {
        /* what request smuggling is made of */
        { 400, POST("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n") },
        { 400, POST("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n") },
        { 400, POST("Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc") },
        { 400, POST("Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc") },
        { 400, POST("Content-Length: 3, 3\r\n\r\nabc") },
        { 400, POST("Content-Length: +3\r\n\r\nabc") },
        { 400, POST("Content-Length: -3\r\n\r\nabc") },
        { 400, POST("Content-Length: 0x3\r\n\r\nabc") },
        { 400, POST("Content-Length: 99999999999999999999999\r\n\r\n") },
        { 400, POST("Content-Length : 3\r\n\r\nabc") },
        { 400, POST("Transfer-Encoding : chunked\r\n\r\n") },
        { 501, POST("Transfer-Encoding: gzip, chunked\r\n\r\n") },
        { 400, POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n") },
        { 400, POST("Transfer-Encoding: chunked, identity\r\n\r\n") },
        { 501, POST("Transfer-Encoding: xchunked\r\n\r\n") },
        { 400, STR_INIT("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n") },
        { 400, GET("X: a\r\n folded\r\n") },
        { 400, GET("X: a\nY: b\r\n") },
        { 400, GET("X: a\rb\r\n") },
        { 400, GET("X: a\0b\r\n") },
        { 400, GET(": a\r\n") },
        { 400, GET("X\r\n") },
        { 400, GET("X(: a\r\n") },
        { 400, POST("Transfer-Encoding: chunked\r\n\r\ng\r\n") },
        { 400, POST("Transfer-Encoding: chunked\r\n\r\n-1\r\n") },
        { 400, POST("Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n") },
        { 400, POST("Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n") },
        /* hosts, targets, versions, methods */
        { 400, STR_INIT("GET / HTTP/1.1\r\n\r\n") },
        { 400, GET("Host: other\r\n") },
        { 400, STR_INIT("GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n") },
        { 400, STR_INIT("GET /a b HTTP/1.1\r\nHost: h\r\n\r\n") },
        { 400, STR_INIT("\x16\x03\x01\x02\x00\x01\x00\x01") }, /* TLS */
        { 505, STR_INIT("GET / HTTP/2.0\r\nHost: h\r\n\r\n") },
        { 505, STR_INIT("GET / HTTP/1.2\r\nHost: h\r\n\r\n") },
        { 505, STR_INIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") },
        { 501, STR_INIT("BREW / HTTP/1.1\r\nHost: h\r\n\r\n") },
        { 501, STR_INIT("CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n") },
        { 417, GET("Expect: the-unexpected\r\n") },
        /* limits */
        { 413, POST("Content-Length: 1001\r\n\r\n") },
        { 413, POST("Transfer-Encoding: chunked\r\n\r\n3e9\r\n") },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t piece = 1; piece <= cases[i].bytes.len; piece += cases[i].bytes.len - 1) {
            HttpParser *p = http_parser_new(HTTP_LIMITS(BODY_MAX));
            HttpRequest rq = { .minor = 99 };
            size_t used;
            Str why = STR_NONE;
            assert_int_equal(http_parser_status(p, &why), 0);
            Err e = feed_in_pieces(p, cases[i].bytes, piece, &used, &rq);
            if (e == ERR_AGAIN && cases[i].status == 413) { /* a chunk's size alone waits for its bytes */
                uint8_t filler[1001] = { 0 };
                e = http_parser_feed(p, (Str){ filler, sizeof filler }, &used, &rq);
            }
            int status = http_parser_status(p, &why);
            if (status != cases[i].status) print_error("%d for %.*s\n", status, PS(cases[i].bytes));
            assert_int_equal(status, cases[i].status);
            assert_int_equal(e, status == 413 ? ERR_LIMIT : ERR_MALFORMED);
            assert_true(why.len > 0 && rq.minor == 99);
            assert_int_equal(http_parser_feed(p, publish, &used, &rq), e); /* for good */
            http_parser_free(p);
        }
    }
}

static int status_of(Str bytes) {
    HttpParser *p = http_parser_new(HTTP_LIMITS(BODY_MAX));
    HttpRequest rq;
    size_t used;
    Str why;
    Err e = http_parser_feed(p, bytes, &used, &rq);
    int status = http_parser_status(p, &why);
    assert_true(e == OK || status);
    http_parser_free(p);
    return e == OK ? 200 : status;
}

static void limits_hold_to_the_byte(void **state) {
    (void)state;
    Arena a = { 0 };
    uint8_t x[20000];
    memset(x, 'x', sizeof x);
    assert_int_equal(status_of(str_format(&a, "GET /%.*s HTTP/1.1\r\nHost: h\r\n\r\n", 8191, x)), 200);
    assert_int_equal(status_of(str_format(&a, "GET /%.*s HTTP/1.1\r\nHost: h\r\n\r\n", 8192, x)), 414);
    assert_int_equal(status_of(str_format(&a, "GET / HTTP/1.1\r\nHost: h\r\nX: %.*s\r\n\r\n", 16384 - 6, x)), 200);
    assert_int_equal(status_of(str_format(&a, "GET / HTTP/1.1\r\nHost: h\r\nX: %.*s\r\n\r\n", 16384 - 5, x)), 431);
    assert_int_equal(status_of(str_format(&a, "GET / HTTP/1.1\r\nHost: h\r\n%.*s: 1\r\n\r\n", 17000, x)), 431);
    for (int n = 100; n <= 101; n++) {
        Writer w = writer_in(&a);
        writer_bytes(&w, S("GET / HTTP/1.1\r\nHost: h\r\n"));
        for (int i = 1; i < n; i++) writer_format(&w, "X%d: 1\r\n", i);
        writer_bytes(&w, S("\r\n"));
        assert_int_equal(status_of(writer_str(&w)), n == 100 ? 200 : 431);
    }
    assert_int_equal(
        status_of(str_format(&a, "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n%.*s", 1000, x)), 200);
    assert_int_equal(status_of(str_format(&a,
                                          "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                                          "1f4\r\n%.*s\r\n1f4\r\n%.*s\r\n0\r\n\r\n",
                                          500, x, 500, x)),
                     200);
    assert_int_equal(status_of(str_format(&a,
                                          "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                                          "1f4\r\n%.*s\r\n1f5\r\n%.*s\r\n0\r\n\r\n",
                                          500, x, 501, x)),
                     413);
    Writer w = writer_in(&a); /* trailers are headers too */
    writer_bytes(&w, S("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"));
    for (int i = 0; i < 101; i++) writer_bytes(&w, S("X: 1\r\n"));
    assert_int_equal(status_of(writer_str(&w)), 431);
    arena_free(&a);
}

static void a_target_may_name_scheme_and_host(void **state) {
    (void)state;
    static const struct {
        Str target, path, query;
    } cases[] = {
        { STR_INIT("http://h:80/a?b"), STR_INIT("/a"), STR_INIT("b") },
        { STR_INIT("http://h"), STR_INIT("/"), { NULL, 0 } },
        { STR_INIT("http://h?b"), STR_INIT("/"), STR_INIT("b") },
        { STR_INIT("/a?u=http://x/y"), STR_INIT("/a"), STR_INIT("u=http://x/y") },
        { STR_INIT("/a?"), STR_INIT("/a"), STR_INIT("") },
        { STR_INIT("//a//"), STR_INIT("//a//"), { NULL, 0 } },
        { STR_INIT("*"), STR_INIT("*"), { NULL, 0 } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Arena a = { 0 };
        HttpParser *p = http_parser_new(HTTP_LIMITS(BODY_MAX));
        HttpRequest rq;
        size_t used;
        Str bytes = str_format(&a, "OPTIONS %.*s HTTP/1.1\r\nHost: h\r\n\r\n", PS(cases[i].target));
        assert_int_equal(http_parser_feed(p, bytes, &used, &rq), OK);
        assert_true(str_eq(rq.path, cases[i].path) && str_eq(rq.query, cases[i].query));
        assert_int_equal(!rq.query.ptr, !cases[i].query.ptr);
        http_parser_free(p);
        arena_free(&a);
    }
}

static void behind_an_upgrade_the_bytes_are_not_touched(void **state) {
    (void)state;
    Str bytes =
        S("GET /mqtt HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n\x82\x80zzzz");
    for (size_t piece = 1; piece <= bytes.len; piece++) {
        HttpParser *p = http_parser_new(HTTP_LIMITS(BODY_MAX));
        HttpRequest rq;
        size_t used;
        assert_int_equal(feed_in_pieces(p, bytes, piece, &used, &rq), OK);
        assert_true(rq.upgrade && http_header_has(&rq, S("connection"), S("upgrade")));
        assert_false(http_header_has(&rq, S("connection"), S("up")));
        assert_int_equal(used, bytes.len - 6);
        size_t more; /* not agreed to: the connection goes on as HTTP */
        assert_int_equal(feed_in_pieces(p, publish, piece, &more, &rq), OK);
        is_publish(&rq);
        http_parser_free(p);
    }
}

static void a_client_that_waits_to_be_asked_is_seen_once(void **state) {
    (void)state;
    HttpParser *p = http_parser_new(HTTP_LIMITS(BODY_MAX));
    HttpRequest rq;
    size_t used;
    Str head = S("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n");
    assert_false(http_parser_wants_continue(p));
    assert_int_equal(http_parser_feed(p, head, &used, &rq), ERR_AGAIN);
    assert_true(http_parser_wants_continue(p));
    assert_false(http_parser_wants_continue(p));
    assert_int_equal(http_parser_feed(p, S("hi"), &used, &rq), OK);
    assert_true(rq.expect_continue && str_eq(rq.body, S("hi")));
    assert_int_equal(http_parser_feed(p, head, &used, &rq), ERR_AGAIN);
    assert_int_equal(http_parser_feed(p, S("h"), &used, &rq), ERR_AGAIN);
    assert_false(http_parser_wants_continue(p)); /* it did not wait */
    http_parser_free(p);
}

static void a_response_is_written_whole(void **state) {
    (void)state;
    Arena a = { 0 };
    HttpHeader headers[] = { { S("Content-Type"), S("application/json") },
                             { S("X-Evil"), S("a\r\nSet-Cookie: b") },
                             { S("X\n"), S("a") } };
    Writer w = writer_in(&a);
    http_write_response(&w, 404, headers, 3, S("{}"), true, false);
    assert_true(
        str_eq(writer_str(&w), S("HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
                                 "Connection: keep-alive\r\n\r\n{}")));
    w = writer_in(&a);
    http_write_response(&w, 200, NULL, 0, S("{}"), false, true); /* HEAD: the length, not the body */
    assert_true(str_eq(writer_str(&w), S("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n")));
    w = writer_in(&a);
    http_write_response(&w, 204, NULL, 0, S("x"), true, false);
    assert_true(str_eq(writer_str(&w), S("HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n")));
    assert_true(str_eq(http_reason_phrase(299), S("Unknown")));
    arena_free(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_the_same_however_it_is_cut),
        cmocka_unit_test(an_unfinished_request_waits_for_more),
        cmocka_unit_test(requests_in_one_read_come_one_by_one),
        cmocka_unit_test(keep_alive_is_as_version_and_header_say),
        cmocka_unit_test(each_bad_request_has_its_status),
        cmocka_unit_test(limits_hold_to_the_byte),
        cmocka_unit_test(a_target_may_name_scheme_and_host),
        cmocka_unit_test(behind_an_upgrade_the_bytes_are_not_touched),
        cmocka_unit_test(a_client_that_waits_to_be_asked_is_seen_once),
        cmocka_unit_test(a_response_is_written_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
