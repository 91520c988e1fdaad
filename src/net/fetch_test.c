#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "net/fetch.h"
#include "net/testing/peer.h"

/* What came of one request, kept beyond its FetchDone. */
typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t came;
    int answers;
    Arena arena;
    FetchAnswer answer;
} Got;

static void got(void *ctx, const FetchAnswer *a) {
    Got *g = ctx;
    pthread_mutex_lock(&g->lock);
    g->answers++;
    g->answer = *a;
    g->answer.body = str_dup(&g->arena, a->body);
    g->answer.why = str_dup(&g->arena, a->why);
    HttpHeader *headers = arena_array(&g->arena, HttpHeader, a->headers_n + 1);
    for (size_t i = 0; i < a->headers_n; i++)
        headers[i] = (HttpHeader){ str_dup(&g->arena, a->headers[i].name), str_dup(&g->arena, a->headers[i].value) };
    g->answer.headers = headers;
    pthread_cond_signal(&g->came);
    pthread_mutex_unlock(&g->lock);
}

static void got_new(Got *g) {
    *g = (Got){ 0 };
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->came, NULL);
}

static const FetchAnswer *got_wait(Got *g) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 20;
    pthread_mutex_lock(&g->lock);
    while (g->answers == 0) assert_int_equal(pthread_cond_timedwait(&g->came, &g->lock, &until), 0);
    pthread_mutex_unlock(&g->lock);
    return &g->answer;
}

static void got_free(Got *g) {
    assert_int_equal(g->answers, 1);
    arena_free(&g->arena);
    pthread_cond_destroy(&g->came);
    pthread_mutex_destroy(&g->lock);
}

/* A peer and a client with an arena for URLs. */
typedef struct {
    Peer peer;
    Fetch *fetch;
    Arena arena;
} Bed;

static Bed *bed(PeerReply (*answer)(Peer *, const PeerRequest *, Arena *), const FetchOptions *o) {
    Bed *b = mem_new(sizeof *b);
    b->peer.answer = answer;
    b->peer.ctx = b;
    peer_start(&b->peer);
    assert_int_equal(fetch_new(o ? o : &(FetchOptions){ 0 }, &b->fetch), OK);
    return b;
}

static void bed_free(Bed *b) {
    fetch_free(b->fetch);
    peer_stop(&b->peer);
    arena_free(&b->arena);
    free(b);
}

static Str url(Bed *b, const char *path) {
    return str_format(&b->arena, "http://127.0.0.1:%d%s", b->peer.port, path);
}

static PeerReply echo(Peer *p, const PeerRequest *rq, Arena *arena) {
    (void)p;
    Str text = str_format(arena, "%.*s|%.*s", PS(rq->head), PS(rq->body));
    return peer_reply(arena, 200, "X-Answer:  to that \r\n", text);
}

static void a_request_arrives_as_it_was_written(void **state) {
    (void)state;
    Bed *b = bed(echo, NULL);
    Got g;
    got_new(&g);
    const HttpHeader headers[] = { { S("X-One"), S("a b") }, { S("x-empty"), S("") } };
    fetch_start(b->fetch,
                &(FetchRequest){ .method = S("PUT"),
                                 .url = url(b, "/a/../b%20c?d=e"),
                                 .headers = headers,
                                 .headers_n = 2,
                                 .body = S("hello") },
                got, &g);
    const FetchAnswer *a = got_wait(&g);
    assert_int_equal(a->result, OK);
    assert_int_equal(a->status, 200);
    assert_true(str_eq(http_header(a->headers, a->headers_n, S("x-answer")), S("to that")));
    Str want = str_format(&b->arena,
                          "PUT /a/../b%%20c?d=e HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nX-One: a b\r\nx-empty:\r\n"
                          "Content-Length: 5|hello",
                          b->peer.port);
    assert_true(str_eq(a->body, want));
    got_free(&g);
    bed_free(b);
}

static void a_request_that_cannot_be_is_answered_at_once_and_never_sent(void **state) {
    (void)state;
    Bed *b = bed(echo, NULL);
    const HttpHeader smuggled = { S("X-A"), S("b\r\nX-B: c") }, unnamed = { S("a b"), S("c") };
    const FetchRequest bad[] = {
        { .url = S("ftp://localhost/") },
        { .url = S("http://localhost/\nx") },
        { .url = S("") },
        { .url = url(b, "/"), .method = S("GET /x HTTP/1.1\r\n") },
        { .url = url(b, "/"), .headers = &smuggled, .headers_n = 1 },
        { .url = url(b, "/"), .headers = &unnamed, .headers_n = 1 },
        { .url = url(b, "/"), .client_cert_pem = S("x") },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        Got g;
        got_new(&g);
        fetch_start(b->fetch, &bad[i], got, &g);
        assert_int_equal(g.answers, 1);
        assert_int_equal(g.answer.result, ERR_INVALID);
        assert_true(g.answer.why.len > 0);
        got_free(&g);
    }
    assert_int_equal(b->peer.requests, 0);
    bed_free(b);
}

static void connections_are_used_again(void **state) {
    (void)state;
    Bed *b = bed(echo, NULL);
    for (int i = 0; i < 20; i++) {
        Got g;
        got_new(&g);
        fetch_start(b->fetch, &(FetchRequest){ .url = url(b, "/"), .body = S("x") }, got, &g);
        assert_int_equal(got_wait(&g)->status, 200);
        got_free(&g);
    }
    assert_int_equal(b->peer.requests, 20);
    assert_int_equal(b->peer.connections, 1);
    bed_free(b);
}

static void a_host_gets_so_many_connections_and_all_requests(void **state) {
    (void)state;
    enum { N = 60 };
    Bed *b = bed(echo, &(FetchOptions){ .connections_per_host_max = 3 });
    Got g[N];
    for (int i = 0; i < N; i++) got_new(&g[i]);
    for (int i = 0; i < N; i++)
        fetch_start(b->fetch, &(FetchRequest){ .url = url(b, "/"), .body = S("x") }, got, &g[i]);
    for (int i = 0; i < N; i++) {
        assert_int_equal(got_wait(&g[i])->status, 200);
        got_free(&g[i]);
    }
    assert_int_equal(b->peer.requests, N);
    assert_in_range(b->peer.open_most, 1, 3);
    bed_free(b);
}

static PeerReply hang(Peer *p, const PeerRequest *rq, Arena *arena) {
    (void)p;
    (void)rq;
    (void)arena;
    return (PeerReply){ .then = PEER_HANG };
}

static void a_peer_that_says_nothing_ends_in_time_also_for_those_that_wait_for_a_connection(void **state) {
    (void)state;
    Bed *b = bed(hang, &(FetchOptions){ .connections_per_host_max = 1 });
    Got g[3];
    int64_t start = monotonic_ns();
    for (int i = 0; i < 3; i++) {
        got_new(&g[i]);
        fetch_start(b->fetch, &(FetchRequest){ .url = url(b, "/"), .total_ms = 200 }, got, &g[i]);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(got_wait(&g[i])->result, ERR_AGAIN);
        assert_true(str_find_str(g[i].answer.why, S("no answer within 200 ms")) != SIZE_MAX);
        got_free(&g[i]);
    }
    assert_true(monotonic_ns() - start < 5000000000);
    bed_free(b);
}

static void stopping_answers_what_is_under_way_and_what_comes_later(void **state) {
    (void)state;
    Bed *b = bed(hang, &(FetchOptions){ .connections_per_host_max = 2 });
    Got g[5], late;
    for (int i = 0; i < 5; i++) {
        got_new(&g[i]);
        fetch_start(b->fetch, &(FetchRequest){ .url = url(b, "/") }, got, &g[i]);
    }
    fetch_stop(b->fetch);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(g[i].answers, 1);
        assert_int_equal(g[i].answer.result, ERR_CLOSED);
        got_free(&g[i]);
    }
    got_new(&late);
    fetch_start(b->fetch, &(FetchRequest){ .url = url(b, "/") }, got, &late);
    assert_int_equal(late.answers, 1);
    assert_int_equal(late.answer.result, ERR_CLOSED);
    got_free(&late);
    bed_free(b);
}

static void requests_beyond_the_limit_are_refused_at_once(void **state) {
    (void)state;
    Bed *b = bed(hang, &(FetchOptions){ .waiting_max = 2 });
    Got g[3];
    for (int i = 0; i < 3; i++) {
        got_new(&g[i]);
        fetch_start(b->fetch, &(FetchRequest){ .url = url(b, "/") }, got, &g[i]);
    }
    assert_int_equal(g[2].answers, 1);
    assert_int_equal(g[2].answer.result, ERR_LIMIT);
    fetch_stop(b->fetch);
    for (int i = 0; i < 3; i++) got_free(&g[i]);
    bed_free(b);
}

static PeerReply fault(Peer *p, const PeerRequest *rq, Arena *arena) {
    (void)p;
    if (str_starts(rq->head, S("GET /cut")))
        return (PeerReply){ S("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), PEER_CUT };
    if (str_starts(rq->head, S("GET /nothing"))) return (PeerReply){ .then = PEER_CUT };
    if (str_starts(rq->head, S("GET /garbage"))) return (PeerReply){ S("no http at all\r\n\r\n"), PEER_CUT };
    if (str_starts(rq->head, S("GET /large"))) {
        uint8_t *many = arena_bytes(arena, 5000);
        memset(many, 'x', 5000);
        return peer_reply(arena, 200, "", (Str){ many, 5000 });
    }
    if (str_starts(rq->head, S("GET /moved"))) return peer_reply(arena, 302, "Location: /large\r\n", S("here"));
    return peer_reply(arena, 503, "Retry-After: 7\r\n", S("busy"));
}

static void each_fault_of_a_peer_has_its_word(void **state) {
    (void)state;
    static const struct {
        const char *path;
        Err result;
        int status, redirects;
    } CASES[] = {
        { "/cut", ERR_IO, 0, 0 },      { "/nothing", ERR_IO, 0, 0 }, { "/garbage", ERR_IO, 0, 0 },
        { "/large", ERR_LIMIT, 0, 0 }, { "/busy", OK, 503, 0 },      { "/moved", OK, 302, 0 },
        { "/moved", ERR_LIMIT, 0, 1 },
    };
    Bed *b = bed(fault, NULL);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Got g;
        got_new(&g);
        fetch_start(b->fetch,
                    &(FetchRequest){
                        .url = url(b, CASES[i].path), .answer_bytes_max = 4999, .redirects_max = CASES[i].redirects },
                    got, &g);
        assert_int_equal(got_wait(&g)->result, CASES[i].result);
        assert_int_equal(g.answer.status, CASES[i].status);
        assert_int_equal(g.answer.why.len > 0, CASES[i].result != OK);
        got_free(&g);
    }
    Got g; /* nobody listens there once it is closed */
    got_new(&g);
    Str closed = url(b, "/");
    peer_stop(&b->peer);
    fetch_start(b->fetch, &(FetchRequest){ .url = closed }, got, &g);
    assert_int_equal(got_wait(&g)->result, ERR_IO);
    got_free(&g);
    fetch_free(b->fetch);
    arena_free(&b->arena);
    free(b);
}

/* ------------------------------------------------------------------------------------------------ TLS */

static EVP_PKEY *self_signed(const char *cert_file, const char *key_file, X509 **out) {
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -60);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const uint8_t *)"peer", -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    X509V3_CTX v3;
    X509V3_set_ctx(&v3, x, x, NULL, NULL, 0);
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, &v3, NID_subject_alt_name, "IP:127.0.0.1");
    X509_add_ext(x, names, -1);
    X509_EXTENSION_free(names);
    X509_sign(x, key, EVP_sha256());
    FILE *f = fopen(cert_file, "w");
    PEM_write_X509(f, x);
    fclose(f);
    f = fopen(key_file, "w");
    PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    fclose(f);
    *out = x;
    return key;
}

static Str file(Arena *arena, const char *path) {
    char text[4096];
    FILE *f = fopen(path, "r");
    size_t n = fread(text, 1, sizeof text, f);
    fclose(f);
    return str_dup(arena, (Str){ (const uint8_t *)text, n });
}

static void tls_is_checked_both_ways(void **state) {
    (void)state;
    char dir[] = "/tmp/fetch-test-XXXXXX", cert[64], key[64];
    assert_non_null(mkdtemp(dir));
    snprintf(cert, sizeof cert, "%s/cert.pem", dir);
    snprintf(key, sizeof key, "%s/key.pem", dir);
    X509 *x;
    EVP_PKEY *pkey = self_signed(cert, key, &x);
    Bed *b = mem_new(sizeof *b);
    b->peer.answer = echo;
    b->peer.tls = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(b->peer.tls, x);
    SSL_CTX_use_PrivateKey(b->peer.tls, pkey);
    SSL_CTX_load_verify_file(b->peer.tls, cert);
    SSL_CTX_set_verify(b->peer.tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    peer_start(&b->peer);
    assert_int_equal(fetch_new(&(FetchOptions){ 0 }, &b->fetch), OK);
    FetchRequest rq = { .url = str_format(&b->arena, "https://127.0.0.1:%d/", b->peer.port) };
    for (int i = 0; i < 4; i++) { /* unknown CA; known, but no certificate of one's own; both; a name it is not for */
        Got g;
        got_new(&g);
        rq.ca_file = i ? cert : NULL;
        rq.client_cert_pem = i < 2 ? STR_NONE : file(&b->arena, cert);
        rq.client_key = i < 2 ? STR_NONE : file(&b->arena, key);
        if (i == 3) rq.url = str_format(&b->arena, "https://localhost:%d/", b->peer.port);
        fetch_start(b->fetch, &rq, got, &g);
        assert_int_equal(got_wait(&g)->result, i == 2 ? OK : ERR_IO);
        if (i == 2) assert_int_equal(g.answer.status, 200);
        got_free(&g);
    }
    fetch_free(b->fetch);
    peer_stop(&b->peer);
    SSL_CTX_free(b->peer.tls);
    X509_free(x);
    EVP_PKEY_free(pkey);
    arena_free(&b->arena);
    free(b);
    unlink(cert);
    unlink(key);
    rmdir(dir);
}

static void whoever_is_not_the_operator_does_not_reach_this_machine(void **state) {
    (void)state;
    Bed *b = bed(echo, &(FetchOptions){ .elsewhere_only = true });
    static const char *const HOSTS[] = { "127.0.0.1",          "localhost",  "[::1]",           "0.0.0.0",
                                         "[::ffff:127.0.0.1]", "2130706433", "169.254.169.254", "[fe80::1]" };
    for (size_t i = 0; i < sizeof HOSTS / sizeof *HOSTS; i++) {
        Got g;
        got_new(&g);
        Str url = str_format(&b->arena, "http://%s:%d/", HOSTS[i], b->peer.port);
        fetch_start(b->fetch, &(FetchRequest){ .url = url, .total_ms = 5000 }, got, &g);
        assert_int_equal(got_wait(&g)->result, ERR_IO);
        got_free(&g);
    }
    assert_int_equal(atomic_load(&b->peer.connections), 0);
    bed_free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_arrives_as_it_was_written),
        cmocka_unit_test(a_request_that_cannot_be_is_answered_at_once_and_never_sent),
        cmocka_unit_test(connections_are_used_again),
        cmocka_unit_test(whoever_is_not_the_operator_does_not_reach_this_machine),
        cmocka_unit_test(a_host_gets_so_many_connections_and_all_requests),
        cmocka_unit_test(a_peer_that_says_nothing_ends_in_time_also_for_those_that_wait_for_a_connection),
        cmocka_unit_test(stopping_answers_what_is_under_way_and_what_comes_later),
        cmocka_unit_test(requests_beyond_the_limit_are_refused_at_once),
        cmocka_unit_test(each_fault_of_a_peer_has_its_word),
        cmocka_unit_test(tls_is_checked_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
