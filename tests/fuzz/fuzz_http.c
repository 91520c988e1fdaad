#include "fuzz.h"

#include "net/http.h"
#include "net/ws.h"

/* Requests come out the same whether their bytes arrive at once or cut into pieces. */

enum { BODY_MAX = 512, LARGER_BODY_MAX = 1024 };

static size_t larger(void *ctx, const HttpRequest *head) {
    (void)ctx;
    return str_starts(head->target, S("/b")) ? LARGER_BODY_MAX : 0;
}

/* Every request of the stream and how it ended, as text. */
static Str transcript(Arena *a, Str in, size_t piece) {
    HttpParser *p = http_parser_new((HttpLimits){ 64, 256, 8, BODY_MAX, .larger = larger });
    Writer w = writer_in(a);
    for (size_t at = 0; at < in.len;) {
        HttpRequest rq;
        size_t used = 0;
        Str part = str_sub(in, at, at + piece);
        Err e = http_parser_feed(p, part, &used, &rq);
        if (e != OK && e != ERR_AGAIN) {
            Str why = STR_NONE;
            CHECK(http_parser_status(p, &why) >= 400 && why.len > 0);
            writer_bytes(&w, S("refused")); /* of two faults in one request the one seen first counts */
            break;
        }
        CHECK(used <= part.len && (e == OK || used == part.len));
        at += used;
        if (e != OK) continue;
        CHECK(rq.body.len <= (larger(NULL, &rq) ? LARGER_BODY_MAX : BODY_MAX) && rq.headers_n <= 8 &&
              rq.target.len <= 64);
        writer_format(&w, "%zu %.*s %.*s|%.*s|%d%d%d%d|", at, PS(rq.method), PS(rq.path), PS(rq.query), rq.minor,
                      rq.keep_alive, rq.upgrade, rq.expect_continue);
        for (size_t i = 0; i < rq.headers_n; i++) {
            writer_bytes(&w, rq.headers[i].name);
            writer_u8(&w, ':');
            writer_bytes(&w, rq.headers[i].value);
        }
        writer_bytes(&w, rq.body);
        Str protocol, answer;
        if (ws_handshake(a, &rq, &protocol, &answer) == OK) CHECK(answer.len < 1024);
    }
    http_parser_free(p);
    return writer_str(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena a = { 0 };
    Str in = { data, size };
    size_t piece = 1 + fuzz_choice(&in);
    CHECK(str_eq(transcript(&a, in, SIZE_MAX / 2), transcript(&a, in, piece)));
    arena_free(&a);
    return 0;
}
