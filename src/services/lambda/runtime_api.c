#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/writer.h"
#include "services/lambda/peer.h"
#include "services/lambda/runner_internal.h"

/* The Lambda Runtime API: each instance has a listener of its own, that answers its own processes only. Whoever asks
 * for the next invocation waits until there is one.
 * Source: Lambda developer guide, "Using the Lambda runtime API" */

/* A runtime needs a connection or two, and reads an answer before it asks again. */
enum { ERROR_CAUSE_BYTES_MAX = 1 << 20, READ_BYTES = 65536, CONNS_MAX = 8, UNREAD_BYTES_MAX = 64 << 10 };

struct ApiConn {
    uv_tcp_t tcp;
    Instance *instance;
    ApiConn *next;
    HttpParser *parser;
    bool closing, keep_alive;
};

typedef struct {
    uv_write_t write;
    Arena arena;
} Answer;

static void conn_closed(uv_handle_t *h) {
    ApiConn *c = (ApiConn *)h;
    Instance *i = c->instance;
    http_parser_free(c->parser);
    free(c);
    instance_handle_closed(i);
}

static void conn_close_now(ApiConn *c) {
    Instance *i = c->instance;
    if (c->closing) return;
    c->closing = true;
    ApiConn **at = &i->conns;
    while (*at && *at != c) at = &(*at)->next;
    if (*at) *at = c->next;
    if (i->next_conn == c) i->next_conn = NULL;
    uv_close((uv_handle_t *)&c->tcp, conn_closed);
}

static void written(uv_write_t *w, int status) {
    Answer *a = (Answer *)w;
    ApiConn *c = w->handle->data;
    if (status || !c->keep_alive) conn_close_now(c);
    arena_free(&a->arena);
    free(a);
}

static void answer(ApiConn *c, int status, const HttpHeader *headers, size_t n, Str body) {
    Answer *a = mem_new(sizeof *a);
    Writer w = writer_in(&a->arena);
    http_write_response(&w, status, headers, n, body, c->keep_alive, false);
    uv_buf_t buf = uv_buf_init((char *)w.ptr, (unsigned)w.len);
    if (uv_write(&a->write, (uv_stream_t *)&c->tcp, &buf, 1, written)) {
        arena_free(&a->arena);
        free(a);
        conn_close_now(c);
    }
}

static void answer_json(ApiConn *c, int status, Str body) {
    const HttpHeader h = { S("Content-Type"), S("application/json") };
    answer(c, status, &h, 1, body);
}

void api_give(Instance *i) {
    ApiConn *c = i->next_conn;
    RunnerCall *call = i->call;
    Arena a = { 0 };
    int64_t deadline = real_ms() + i->deadline_ms - runner_now_ms();
    HttpHeader h[8] = {
        { S("Content-Type"), S("application/json") },
        { S("Lambda-Runtime-Aws-Request-Id"), call->request_id },
        { S("Lambda-Runtime-Deadline-Ms"), str_format(&a, "%lld", (long long)deadline) },
        { S("Lambda-Runtime-Invoked-Function-Arn"), call->invoked_arn },
        { S("Lambda-Runtime-Trace-Id"),
          str_format(&a, "Root=1-%08llx-%016llx%08llx;Parent=%016llx;Sampled=0", (unsigned long long)(real_ms() / 1000),
                     (unsigned long long)rng_u64(&i->runner->rng), (unsigned long long)rng_u64(&i->runner->rng) >> 32,
                     (unsigned long long)rng_u64(&i->runner->rng)) }
    };
    size_t n = 5;
    if (call->client_context.len) h[n++] = (HttpHeader){ S("Lambda-Runtime-Client-Context"), call->client_context };
    i->next_conn = NULL;
    answer(c, 200, h, n, call->payload);
    arena_free(&a);
}

/* ------------------------------------------------------------------------------------------------ requests */

#define BASE "/2018-06-01/runtime/"

static void next_invocation(ApiConn *c) {
    Instance *i = c->instance;
    if (i->next_conn || i->state == INSTANCE_BUSY) {
        answer_json(c, 403,
                    S("{\"errorType\":\"InvalidStateTransition\",\"errorMessage\":\"an invocation is under way\"}"));
        return;
    }
    i->next_conn = c;
    instance_ready(i);
}

static void invocation_word(ApiConn *c, const HttpRequest *rq, Str id, bool failed) {
    Instance *i = c->instance;
    if (i->state != INSTANCE_BUSY || !str_eq(id, str_c(i->request_id))) {
        answer_json(
            c, 400,
            S("{\"errorType\":\"InvalidRequestID\",\"errorMessage\":\"no invocation of that id is under way\"}"));
        return;
    }
    answer_json(c, 202, S("{\"status\":\"OK\"}"));
    instance_answered(i, failed ? S("Unhandled") : STR_NONE, rq->body);
}

static void init_error(ApiConn *c, const HttpRequest *rq) {
    Instance *i = c->instance;
    if (i->state != INSTANCE_STARTING) {
        answer_json(c, 403, S("{\"errorType\":\"InvalidStateTransition\",\"errorMessage\":\"it has begun\"}"));
        return;
    }
    answer_json(c, 202, S("{\"status\":\"OK\"}"));
    instance_init_failed(i, rq->body);
}

static void handle(ApiConn *c, const HttpRequest *rq) {
    Str path = rq->path, rest = str_from(path, sizeof BASE - 1);
    bool post = str_eq(rq->method, S("POST"));
    c->keep_alive = rq->keep_alive;
    if (!str_starts(path, S(BASE))) rest = STR_NONE;
    if (!post && str_eq(rest, S("invocation/next"))) {
        next_invocation(c);
        return;
    }
    if (post && str_eq(rest, S("init/error"))) {
        init_error(c, rq);
        return;
    }
    if (post && str_starts(rest, S("invocation/"))) {
        Str id = str_from(rest, 11), word = id;
        id = str_cut(&word, '/');
        if (str_eq(word, S("response")) || str_eq(word, S("error"))) {
            invocation_word(c, rq, id, str_eq(word, S("error")));
            return;
        }
    }
    answer_json(c, 404, S("{\"errorType\":\"NotFound\",\"errorMessage\":\"the Runtime API has no such path\"}"));
}

/* ------------------------------------------------------------------------------------------------ bytes */

/* Source of the text: AWS's answer to a response that is too large */
static void too_large(Instance *i) {
    char text[256];
    if (i->state != INSTANCE_BUSY) return;
    int n =
        snprintf(text, sizeof text,
                 "{\"errorType\":\"Function.ResponseSizeTooLarge\",\"errorMessage\":\"Response payload size exceeded "
                 "maximum allowed payload size (%d bytes).\"}",
                 PAYLOAD_BYTES_MAX);
    instance_answered(i, S("Unhandled"), (Str){ (uint8_t *)text, (size_t)n });
}

static void room_for(uv_handle_t *h, size_t wanted, uv_buf_t *buf) {
    (void)h, (void)wanted;
    *buf = uv_buf_init(mem_grow(NULL, READ_BYTES), READ_BYTES);
}

static void feed(ApiConn *c, Str bytes) {
    Instance *i = c->instance;
    while (bytes.len && !c->closing) {
        HttpRequest rq;
        size_t used = 0;
        /* it has asked and may only wait, or does not read what it is told */
        if (i->next_conn == c || uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp) > UNREAD_BYTES_MAX) {
            conn_close_now(c);
            return;
        }
        Err e = http_parser_feed(c->parser, bytes, &used, &rq);
        bytes = str_from(bytes, used);
        if (e == ERR_AGAIN) {
            static const char CONTINUE[] = "HTTP/1.1 100 Continue\r\n\r\n";
            uv_buf_t buf = uv_buf_init((char *)(uintptr_t)CONTINUE, sizeof CONTINUE - 1);
            if (http_parser_wants_continue(c->parser) && uv_try_write((uv_stream_t *)&c->tcp, &buf, 1) < 0)
                conn_close_now(c);
            return;
        }
        if (e != OK) {
            Str why = STR_NONE;
            int status = http_parser_status(c->parser, &why);
            c->keep_alive = false;
            answer_json(c, status ? status : 400, S("{\"errorType\":\"RequestEntityTooLarge\"}"));
            if (status == 413) too_large(i);
            return;
        }
        handle(c, &rq);
    }
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
    ApiConn *c = (ApiConn *)stream;
    if (n > 0 && !c->closing) feed(c, (Str){ (uint8_t *)buf->base, (size_t)n });
    free(buf->base);
    if (n < 0) conn_close_now(c);
}

static size_t conns_of(const Instance *i) {
    size_t n = 0;
    for (const ApiConn *c = i->conns; c; c = c->next) n++;
    return n;
}

/* Another function would take this one's events and answer them. */
static bool is_foreign(ApiConn *c) {
    Instance *i = c->instance;
    uv_os_fd_t fd;
    if (uv_fileno((uv_handle_t *)&c->tcp, &fd)) return true;
    Peer peer = peer_of(fd, i->pid, i->runner->contained);
    if (peer == PEER_UNKNOWN && !i->runner->told_unknown) {
        i->runner->told_unknown = true;
        instance_line(i, RUNNER_WARNING,
                      S("who asks a function's Runtime API cannot be told here (the right SYS_PTRACE is missing): "
                        "functions are not kept from each other's events"));
    }
    return peer == PEER_FOREIGN;
}

static void on_connection(uv_stream_t *server, int status) {
    Instance *i = server->data;
    if (status || i->state == INSTANCE_ENDED) return;
    ApiConn *c = mem_new(sizeof *c);
    bool too_many = conns_of(i) >= CONNS_MAX;
    c->instance = i;
    c->parser = http_parser_new((HttpLimits){ .target_bytes_max = 8 << 10,
                                              .header_bytes_max = ERROR_CAUSE_BYTES_MAX + (64 << 10),
                                              .headers_max = 100,
                                              .body_bytes_max = PAYLOAD_BYTES_MAX });
    uv_tcp_init(&i->runner->loop, &c->tcp);
    c->tcp.data = c;
    i->handles++;
    c->next = i->conns;
    i->conns = c;
    if (uv_accept(server, (uv_stream_t *)&c->tcp) || too_many || is_foreign(c) ||
        uv_read_start((uv_stream_t *)&c->tcp, room_for, on_read))
        conn_close_now(c);
    uv_tcp_nodelay(&c->tcp, 1);
}

static void server_closed(uv_handle_t *h) {
    instance_handle_closed(h->data);
}

Err api_listen(Instance *i) {
    struct sockaddr_in a = { .sin_family = AF_INET };
    uint64_t r = rng_u64(&i->runner->rng);
    unsigned low = (unsigned)(r & 0xff);
    a.sin_addr.s_addr = htonl(127u << 24 | (unsigned)((r >> 8) & 0xffff) << 8 | (low % 254 + 1));
    uv_tcp_init(&i->runner->loop, &i->server);
    i->server.data = i;
    i->handles++;
    int n = sizeof a;
    if (uv_tcp_bind(&i->server, (struct sockaddr *)&a, 0) || uv_listen((uv_stream_t *)&i->server, 16, on_connection) ||
        uv_tcp_getsockname(&i->server, (struct sockaddr *)&a, &n))
        return ERR_IO;
    char ip[INET_ADDRSTRLEN];
    snprintf(i->api, sizeof i->api, "%s:%d", inet_ntop(AF_INET, &a.sin_addr, ip, sizeof ip), ntohs(a.sin_port));
    return OK;
}

void api_close_all(Instance *i) {
    while (i->conns) conn_close_now(i->conns);
    if (i->server.data && !uv_is_closing((uv_handle_t *)&i->server)) uv_close((uv_handle_t *)&i->server, server_closed);
}
