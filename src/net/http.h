/* HTTP/1.x, server side: an incremental request parser over llhttp and a response writer. Pure: bytes in,
 * requests out; knows no sockets, routes or signatures. */
#pragma once

#include "base/writer.h"
#include "net/header.h"

typedef struct {
    Str method;      /* "GET" */
    Str target;      /* as sent: path and query */
    Str path, query; /* raw, undecoded; query without its '?', ptr NULL: none */
    HttpHeader *headers;
    size_t headers_n;
    Str body;  /* without its chunks */
    int minor; /* HTTP/1.minor: 0 or 1 */
    bool keep_alive;
    bool upgrade; /* asks to speak something else behind this request; what follows is not HTTP */
    bool expect_continue;
} HttpRequest;

/* Source: header size and count as common servers have them; the body's limit is its listener's, or for some requests
 * more: what `larger` says of one whose head is whole and whose body is longer (NULL: nothing). */
typedef struct {
    size_t target_bytes_max, header_bytes_max, headers_max, body_bytes_max;
    size_t (*larger)(void *ctx, const HttpRequest *head);
    void *ctx;
} HttpLimits;
#define HTTP_LIMITS(body_max) ((HttpLimits){ 8 << 10, 16 << 10, 100, (body_max), NULL, NULL })

typedef struct HttpParser HttpParser;

/* Owns: the parser is process memory; http_parser_free takes it (or NULL) back */
HttpParser *http_parser_new(HttpLimits limits);
void http_parser_free(HttpParser *parser);

/* Take bytes up to the end of one request; call again with what is left (pipelining) once it is answered.
 * Errors: ERR_AGAIN (more bytes needed; all were used), ERR_MALFORMED and ERR_LIMIT for good: answer
 *         with http_parser_status and close
 * Owns:   *out and all it holds live in the parser until the next feed after it, or http_parser_free */
NODISCARD Err http_parser_feed(HttpParser *parser, Str bytes, size_t *used, HttpRequest *out);

/* After an error: 400, 413 (body), 414 (target), 417 (expectation), 431 (headers), 501 (method or transfer coding),
 * 505 (version); *why is a sentence for the answer. 0 before. */
int http_parser_status(const HttpParser *parser, Str *why);

/* True once the head asked for `Expect: 100-continue` and its body has not begun: the caller sends
 * "HTTP/1.1 100 Continue\r\n\r\n". Says so once a request. */
bool http_parser_wants_continue(HttpParser *parser);

/* True between requests: nothing of a next one has come. */
bool http_parser_idle(const HttpParser *parser);

/* Is `token` in the comma-separated lists of this header? Any case. */
bool http_header_has(const HttpRequest *request, Str name, Str token);

/* Status line, headers, Content-Length (not with 1xx, 204, 304), Connection, body
 * (not when head). The headers must be free of CR and LF: such a one is left out. */
void http_write_response(Writer *w, int status, const HttpHeader *headers, size_t n, Str body, bool keep_alive,
                         bool head);
/* "Not Found"; "Unknown" for a status without phrase. */
Str http_reason_phrase(int status);
