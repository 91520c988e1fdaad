#include <stdlib.h>

#include <llhttp.h>

#include "base/arena.h"
#include "net/http.h"

/* llhttp finds the parts, this keeps them: all of the head's text in one growing buffer, and where in it each
 * part lies; the request's Strs are made when it is whole and nothing moves any more. llhttp in its strict
 * mode refuses what request smuggling is made of (two lengths, a length with chunks, folded lines, bare LF);
 * what it lets pass and a server must not is checked when the head is complete.
 * llhttp starts anew for each request, so nothing of one reaches the next. */

typedef struct {
    uint32_t name_at, name_bytes, value_at, value_bytes; /* in the head's text */
} Field;

struct HttpParser {
    llhttp_t ll;
    HttpLimits limits;
    Arena arena; /* of one request */
    Writer text; /* method, target, names and values */
    Writer body;
    size_t method_bytes, target_bytes, fields_n;
    size_t larger_bytes_max; /* 0: not asked for yet */
    Field *fields;
    bool in_name, begun, in_body, done, wants_continue;
    HttpRequest request;
    int status;
    const char *why;
};

enum {
    KEEP_BYTES_MAX = 64 << 10, /* memory that an idle connection may keep */
    HEAD_BYTES = 768,          /* usually enough for a head's text */
};

static int refuse(HttpParser *p, int status, const char *why) {
    if (p->status == 0) {
        p->status = status;
        p->why = why;
    }
    return -1;
}

static int on_message_begin(llhttp_t *ll) {
    HttpParser *p = ll->data;
    p->begun = true;
    return 0;
}

static int on_method(llhttp_t *ll, const char *at, size_t n) {
    HttpParser *p = ll->data;
    writer_bytes(&p->text, (Str){ (const uint8_t *)at, n });
    p->method_bytes += n;
    return 0;
}

static int on_url(llhttp_t *ll, const char *at, size_t n) {
    HttpParser *p = ll->data;
    p->target_bytes += n;
    if (p->target_bytes > p->limits.target_bytes_max) return refuse(p, 414, "The request target is too long.");
    writer_bytes(&p->text, (Str){ (const uint8_t *)at, n });
    return 0;
}

static int add_to_head(HttpParser *p, const char *at, size_t n) {
    if (p->text.len + n > p->method_bytes + p->target_bytes + p->limits.header_bytes_max)
        return refuse(p, 431, "The request's headers are too large.");
    writer_bytes(&p->text, (Str){ (const uint8_t *)at, n });
    return 0;
}

/* Trailers behind a chunked body count as headers do, but are not kept: no one may add headers late. */
static int on_header_field(llhttp_t *ll, const char *at, size_t n) {
    HttpParser *p = ll->data;
    if (!p->in_name) {
        if (p->fields_n == p->limits.headers_max) return refuse(p, 431, "The request has too many headers.");
        p->fields[p->fields_n++] = (Field){ .name_at = (uint32_t)p->text.len };
        p->in_name = true;
    }
    p->fields[p->fields_n - 1].name_bytes += (uint32_t)n;
    return add_to_head(p, at, n);
}

static int on_header_field_complete(llhttp_t *ll) {
    HttpParser *p = ll->data;
    p->in_name = false;
    p->fields[p->fields_n - 1].value_at = (uint32_t)p->text.len;
    return 0;
}

static int on_header_value(llhttp_t *ll, const char *at, size_t n) {
    HttpParser *p = ll->data;
    p->fields[p->fields_n - 1].value_bytes += (uint32_t)n;
    return add_to_head(p, at, n);
}

/* Target to path and query; the absolute form (RFC 9112 section 3.2.2) loses its scheme and host. */
static void split_target(HttpRequest *rq) {
    Str path = rq->target;
    size_t scheme = str_find_str(path, S("://"));
    if (path.len && path.ptr[0] != '/' && scheme != SIZE_MAX) {
        path = str_from(path, scheme + 3);
        size_t slash = str_find(path, '/'), mark = str_find(path, '?');
        if (mark < slash) slash = mark;
        path = str_from(path, slash);
    }
    rq->path = str_cut(&path, '?');
    rq->query = path;
    if (rq->path.len == 0) rq->path = S("/");
}

/* The head's text no longer moves: Strs into it. */
static void point_to_head(HttpParser *p) {
    HttpRequest *rq = &p->request;
    Str text = writer_str(&p->text);
    rq->method = str_sub(text, 0, p->method_bytes);
    rq->target = str_sub(text, p->method_bytes, p->method_bytes + p->target_bytes);
    split_target(rq);
    rq->headers = arena_array(&p->arena, HttpHeader, p->fields_n ? p->fields_n : 1);
    rq->headers_n = p->fields_n;
    for (size_t i = 0; i < p->fields_n; i++) {
        Field f = p->fields[i];
        rq->headers[i].name = str_sub(text, f.name_at, f.name_at + f.name_bytes);
        rq->headers[i].value = str_trim(str_sub(text, f.value_at, f.value_at + f.value_bytes));
    }
}

static size_t count_of(const HttpRequest *rq, Str name) {
    size_t n = 0;
    for (size_t i = 0; i < rq->headers_n; i++) n += str_eq_nocase(rq->headers[i].name, name);
    return n;
}

static bool too_long(HttpParser *p, uint64_t bytes) {
    if (bytes <= p->limits.body_bytes_max) return false;
    if (!p->larger_bytes_max && p->limits.larger) p->larger_bytes_max = p->limits.larger(p->limits.ctx, &p->request);
    return bytes > p->larger_bytes_max;
}

static int check_head(HttpParser *p) {
    const HttpRequest *rq = &p->request;
    size_t hosts = count_of(rq, S("host")), codings = count_of(rq, S("transfer-encoding"));
    if (hosts > 1) return refuse(p, 400, "The request has more than one Host header.");
    if (hosts == 0 && rq->minor == 1) return refuse(p, 400, "The request has no Host header."); /* RFC 9112 3.2 */
    if (str_find(rq->target, '#') != SIZE_MAX) return refuse(p, 400, "The request target has a fragment.");
    if (str_eq(rq->method, S("CONNECT"))) return refuse(p, 501, "CONNECT is not served here.");
    if (codings && rq->minor == 0) return refuse(p, 400, "HTTP/1.0 has no Transfer-Encoding.");
    if (codings && count_of(rq, S("content-length")))
        return refuse(p, 400, "The request has both Content-Length and Transfer-Encoding.");
    Str coding = http_header(rq->headers, rq->headers_n, S("transfer-encoding"));
    if (codings > 1 || (codings && !str_eq_nocase(coding, S("chunked"))))
        return refuse(p, 501, "No Transfer-Encoding but chunked is understood.");
    Str expect = http_header(rq->headers, rq->headers_n, S("expect"));
    if (expect.ptr && !str_eq_nocase(expect, S("100-continue")))
        return refuse(p, 417, "No expectation but 100-continue is understood.");
    if (too_long(p, p->ll.content_length)) return refuse(p, 413, "The request's body is too large.");
    return 0;
}

static int on_headers_complete(llhttp_t *ll) {
    HttpParser *p = ll->data;
    HttpRequest *rq = &p->request;
    rq->minor = ll->http_minor;
    rq->keep_alive = llhttp_should_keep_alive(ll);
    rq->upgrade = ll->upgrade;
    if (ll->http_major != 1 || ll->http_minor > 1) return refuse(p, 505, "Only HTTP/1.0 and HTTP/1.1 are served here.");
    point_to_head(p);
    int refused = check_head(p);
    if (refused) return refused;
    rq->expect_continue = rq->minor == 1 && count_of(rq, S("expect"));
    p->wants_continue = rq->expect_continue && (ll->content_length > 0 || ll->flags & F_CHUNKED);
    p->in_body = true;
    /* The head is done; trailers begin a text of their own, which is thrown away. */
    p->text = writer_in(&p->arena);
    p->fields_n = p->method_bytes = p->target_bytes = 0;
    return 0;
}

static int on_body(llhttp_t *ll, const char *at, size_t n) {
    HttpParser *p = ll->data;
    p->wants_continue = false;
    if (too_long(p, p->body.len + n)) return refuse(p, 413, "The request's body is too large.");
    writer_bytes(&p->body, (Str){ (const uint8_t *)at, n });
    return 0;
}

static int on_message_complete(llhttp_t *ll) {
    HttpParser *p = ll->data;
    p->request.body = writer_str(&p->body);
    p->done = true;
    p->wants_continue = false;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_message_begin = on_message_begin,
    .on_method = on_method,
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_field_complete = on_header_field_complete,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

static void begin(HttpParser *p) {
    if (arena_used(&p->arena) > KEEP_BYTES_MAX)
        arena_free(&p->arena);
    else
        arena_reset(&p->arena);
    HttpParser fresh = { .limits = p->limits, .arena = p->arena };
    *p = fresh;
    llhttp_init(&p->ll, HTTP_REQUEST, &settings);
    p->ll.data = p;
    p->text = writer_sized(&p->arena, HEAD_BYTES);
    p->body = writer_in(&p->arena);
    p->fields = arena_array(&p->arena, Field, p->limits.headers_max ? p->limits.headers_max : 1);
}

HttpParser *http_parser_new(HttpLimits limits) {
    HttpParser *p = mem_new(sizeof *p);
    p->limits = limits;
    begin(p);
    return p;
}

void http_parser_free(HttpParser *p) {
    if (!p) return;
    arena_free(&p->arena);
    free(p);
}

static bool is_upper(char c) {
    return c >= 'A' && c <= 'Z';
}

/* What llhttp itself refused, as a status. */
static void refuse_for(HttpParser *p, llhttp_errno_t e) {
    switch (e) {
    case HPE_INVALID_METHOD:
        if (is_upper(*llhttp_get_error_pos(&p->ll)))
            refuse(p, 501, "The request's method is not known.");
        else
            refuse(p, 400, "The request is not HTTP.");
        break;
    case HPE_INVALID_VERSION:
    case HPE_PAUSED_H2_UPGRADE: refuse(p, 505, "Only HTTP/1.0 and HTTP/1.1 are served here."); break;
    case HPE_INVALID_URL: refuse(p, 400, "The request target is not valid."); break;
    case HPE_INVALID_CONTENT_LENGTH:
    case HPE_UNEXPECTED_CONTENT_LENGTH: refuse(p, 400, "The request's Content-Length is not valid."); break;
    case HPE_INVALID_TRANSFER_ENCODING: refuse(p, 400, "The request's Transfer-Encoding is not valid."); break;
    case HPE_INVALID_CHUNK_SIZE: refuse(p, 400, "The size of a chunk is not valid."); break;
    default: refuse(p, 400, "The request is not HTTP."); break;
    }
}

static Err err_of(int status) {
    return status == 413 || status == 414 || status == 431 ? ERR_LIMIT : ERR_MALFORMED;
}

Err http_parser_feed(HttpParser *p, Str bytes, size_t *used, HttpRequest *out) {
    if (p->status) return err_of(p->status);
    if (p->done) begin(p);
    if (bytes.len == 0) {
        *used = 0;
        return ERR_AGAIN;
    }
    llhttp_errno_t e = llhttp_execute(&p->ll, (const char *)bytes.ptr, bytes.len);
    if (e == HPE_OK) {
        *used = bytes.len;
        return ERR_AGAIN;
    }
    if (p->done && (e == HPE_PAUSED || e == HPE_PAUSED_UPGRADE)) {
        *used = (size_t)((const uint8_t *)llhttp_get_error_pos(&p->ll) - bytes.ptr);
        *out = p->request;
        return OK;
    }
    refuse_for(p, e);
    return err_of(p->status);
}

int http_parser_status(const HttpParser *p, Str *why) {
    if (p->status) *why = str_c(p->why);
    return p->status;
}

bool http_parser_wants_continue(HttpParser *p) {
    bool wants = p->wants_continue;
    p->wants_continue = false;
    return wants;
}

bool http_parser_idle(const HttpParser *p) {
    return p->done || !p->begun;
}

bool http_header_has(const HttpRequest *rq, Str name, Str token) {
    for (size_t i = 0; i < rq->headers_n; i++) {
        if (!str_eq_nocase(rq->headers[i].name, name)) continue;
        for (Str rest = rq->headers[i].value; rest.ptr;)
            if (str_eq_nocase(str_trim(str_cut(&rest, ',')), token)) return true;
    }
    return false;
}
