#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "api/error.h"
#include "base/clock.h"
#include "gateway/internal.h"
#include "identity/key_ring.h"
#include "services/admin/admin.h"
#include "services/lambda/code.h"

/* One request at a time: its memory is the parser's until the answer is written, then the next is taken from what
 * has already come (pipelining). Who sends requests and does not read the answers waits: they would pile up here. */

enum { UNREAD_BYTES_MAX = 16 << 10 };

static void idle_late(Timer *t, Reactor *r) {
    Conn *c = (Conn *)((char *)t - offsetof(Conn, timer));
    Link *l = c->owner;
    if (l->call)
        timer_arm(r, t, r->now_ms + 60000);
    else
        conn_close(c, CLOSE_BY_SERVER);
}

static void wait_next(Link *l) {
    l->conn->timer.fire = idle_late;
    timer_arm(l->conn->reactor, &l->conn->timer, l->conn->reactor->now_ms + l->gateway->o.http_idle_s * 1000);
}

/* The real time, whatever the test clock says: clients correct their own by it. Source: RFC 9110 section 5.6.7 */
static Str http_date(Link *l) {
    static const char DAYS[] = "SunMonTueWedThuFriSat", MONTHS[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    HttpDate *d = &l->gateway->dates[l->conn->reactor->index];
    time_t now = time(NULL);
    if (d->second != now) {
        struct tm t;
        gmtime_r(&now, &t);
        snprintf(d->text, sizeof d->text, "%.3s, %02d %.3s %d %02d:%02d:%02d GMT", DAYS + 3 * t.tm_wday, t.tm_mday,
                 MONTHS + 3 * t.tm_mon, t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
        d->second = now;
    }
    return str_c(d->text);
}

void http_answer(Link *l, const ApiResponse *rs, bool head, Arena *scratch) {
    enum { HEAD_BYTES = 512 }; /* usually enough */
    Writer w = writer_sized(scratch, HEAD_BYTES + rs->body.len);
    HttpHeader headers[API_HEADERS_MAX + 1];
    memcpy(headers, rs->headers, rs->headers_n * sizeof *headers);
    headers[rs->headers_n] = (HttpHeader){ S("Date"), http_date(l) };
    http_write_response(&w, rs->status, headers, rs->headers_n + 1, rs->body, l->keep_alive, head);
    conn_put(l->conn, w.ptr, w.len);
    l->call = NULL;
    if (!l->keep_alive) {
        conn_finish(l->conn);
        return;
    }
    wait_next(l);
    conn_resume(l->conn);
}

static void answer_text(Link *l, int status, Str body) {
    ApiResponse rs = {
        .status = status, .headers = { { S("Content-Type"), S("application/json") } }, .headers_n = 1, .body = body
    };
    Arena arena = { 0 };
    http_answer(l, &rs, false, &arena);
    arena_free(&arena);
}

static bool loopback(const Link *l) {
    return conn_is_loopback(l->conn);
}

static bool is_signed(const HttpRequest *rq) {
    const ApiRequest in = { rq->method, rq->path, rq->query, rq->headers, rq->headers_n, rq->body };
    return sigv4_present(&in);
}

/* What is below /_starling/ takes another method or is not there; what is there for who signs asks for that. */
static bool local_misses(Link *l, const HttpRequest *rq) {
    if (!str_starts(rq->path, S(ADMIN_PREFIX)) || is_signed(rq) || admin_has(rq->path)) return false;
    Arena arena = { 0 };
    for (size_t i = 0; i < l->gateway->o.local_n; i++) {
        const LocalRoute *r = &l->gateway->o.local[i];
        if (!str_eq(r->path, rq->path)) continue;
        answer_text(l, 405, str_format(&arena, "{\"message\":\"%.*s takes %.*s only\"}", PS(r->path), PS(r->method)));
        arena_free(&arena);
        return true;
    }
    answer_text(l, 404,
                str_format(&arena,
                           "{\"message\":\"there is no such path; there are, of a server with --test: %s; for "
                           "requests that an access key signed: %.*s\"}",
                           "POST " ADMIN_PREFIX "clock, POST " ADMIN_PREFIX "reset", PS(admin_routes(&arena))));
    arena_free(&arena);
    return true;
}

/* The server's own paths; false: it is none of them. */
static bool local(Link *l, const HttpRequest *rq) {
    const GatewayOptions *o = &l->gateway->o;
    for (size_t i = 0; i < o->local_n; i++) {
        const LocalRoute *r = &o->local[i];
        if (!(r->prefix ? str_starts(rq->path, r->path) : str_eq(r->path, rq->path))) continue;
        if (!str_eq(r->method, rq->method) || (r->prefix && is_signed(rq))) continue;
        if (r->loopback_only && !loopback(l)) {
            answer_text(l, 403, S("{\"message\":\"only from this machine\"}"));
            return true;
        }
        if (r->waits) {
            http_call_local(l, rq, r);
            return true;
        }
        Arena arena = { 0 };
        ApiResponse rs = { .status = 200 };
        ApiRequest in = { rq->method, rq->path, rq->query, rq->headers, rq->headers_n, rq->body };
        r->handle(o->local_ctx, &in, &arena, &rs);
        http_answer(l, &rs, false, &arena);
        arena_free(&arena);
        return true;
    }
    return local_misses(l, rq);
}

/* ------------------------------------------------------------------------------------------------ requests */

/* What is no request, or too large for one: no operation has been asked yet. */
static void bad_request(Link *l) {
    Str why = STR_NONE;
    int status = http_parser_status(l->parser, &why);
    Arena arena = { 0 };
    Str id = rng_pool_uuid(&l->gateway->ids[l->conn->reactor->index], &arena);
    ApiResponse rs = { .status = status ? status : 400,
                       .headers = { { S("Content-Type"), S("application/json") }, { S("x-amzn-RequestId"), id } },
                       .headers_n = 2,
                       .body = str_format(&arena, "{\"message\":\"%.*s\"}", PS(why)) };
    if (status == 413) rs.headers[rs.headers_n++] = (HttpHeader){ S("x-amzn-ErrorType"), API_TOO_LARGE->name };
    l->keep_alive = false;
    http_answer(l, &rs, false, &arena);
    if (status == 413) conn_linger(l->conn); /* its body is on the way */
    arena_free(&arena);
}

/* Source: what the data plane answers who may not be there */
static void refuse_certificate(Link *l) {
    Arena arena = { 0 };
    Str id = rng_pool_uuid(&l->gateway->ids[l->conn->reactor->index], &arena);
    ApiResponse rs = { .status = 403,
                       .headers = { { S("Content-Type"), S("application/json") },
                                    { S("x-amzn-RequestId"), id },
                                    { S("x-amzn-ErrorType"), S("ForbiddenException") } },
                       .headers_n = 3,
                       .body = str_format(&arena, "{\"message\":\"Forbidden\",\"traceId\":\"%.*s\"}", PS(id)) };
    l->keep_alive = false;
    http_answer(l, &rs, false, &arena);
    arena_free(&arena);
}

static void identified(Link *l) {
    conn_resume(l->conn);
}

static void handle(Link *l, const HttpRequest *rq) {
    l->keep_alive = rq->keep_alive;
    atomic_fetch_add_explicit(&l->gateway->counters.http_requests, 1, memory_order_relaxed);
    conn_pause(l->conn); /* until it is answered */
    if (link_refused(l)) {
        refuse_certificate(l);
        return;
    }
    if (local(l, rq)) return;
    if (rq->upgrade && str_eq(rq->path, S("/mqtt")))
        upgrade_start(l, rq);
    else
        http_call_start(l, rq);
}

/* Packages of functions come in one piece, as base64. Only who names a key that stands may have the server hold so
 * much: whether the signature is the key's can be told only when all of the body is here. */
static size_t larger_body(void *ctx, const HttpRequest *head) {
    const Link *l = ctx;
    Str begin = S("AWS4-HMAC-SHA256 Credential=");
    Str given = http_header(head->headers, head->headers_n, S("Authorization"));
    if (!str_starts(head->path, S("/2015-03-31/functions")) || !str_starts(given, begin)) return 1;
    given = str_from(given, begin.len);
    return keyring_alive(l->gateway->o.env->keys, str_cut(&given, '/'), real_ms()) ? LAMBDA_BODY_BYTES_MAX : 1;
}

static HttpLimits limits_of(Link *l) {
    HttpLimits limits = HTTP_LIMITS(l->gateway->o.body_bytes_max);
    limits.larger = larger_body;
    limits.ctx = l;
    return limits;
}

size_t http_input(Conn *c, uint8_t *bytes, size_t len) {
    Link *l = c->owner;
    size_t at = 0;
    if (l->call) return 0;
    if (!link_current(l)) { /* a certificate changed since the last request */
        link_identify(l, identified);
        if (c->paused || c->closed) return 0; /* else the answer was at hand, and nothing would come to call us again */
    }
    if (!l->parser) l->parser = http_parser_new(limits_of(l));
    while (at < len && !c->closed && !c->paused && c->handler == &HTTP_HANDLER) {
        HttpRequest rq;
        size_t used = 0;
        if (conn_waiting(c) > UNREAD_BYTES_MAX) {
            l->full = c->tell_drained = true;
            conn_pause(c);
            break;
        }
        Err e = http_parser_feed(l->parser, (Str){ bytes + at, len - at }, &used, &rq);
        at += used;
        if (e == ERR_AGAIN) {
            if (http_parser_wants_continue(l->parser)) conn_put(c, "HTTP/1.1 100 Continue\r\n\r\n", 25);
            break;
        }
        if (e != OK) {
            bad_request(l);
            return len;
        }
        handle(l, &rq);
    }
    return at;
}

static void closed(Conn *c) {
    Link *l = c->owner;
    l->gone = true;
    link_unlist(l);
    link_release(l);
}

static void drained(Conn *c) {
    Link *l = c->owner;
    if (!l->full) return;
    l->full = false;
    conn_resume(c);
}

const ConnHandler HTTP_HANDLER = { .input = http_input, .closed = closed, .drained = drained };
