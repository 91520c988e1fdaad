#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>

#include "net/ws.h"

enum { FRAME_MAX = 70000 };

/* A client's frame, masked. */
static void put_frame(Writer *w, bool fin, int rsv, int opcode, bool mask, Str payload) {
    static const uint8_t key[4] = { 0x37, 0xFA, 0x21, 0x3D };
    uint8_t head[WS_HEADER_BYTES_MAX];
    size_t n = ws_frame_header(head, payload.len, (WsOpcode)opcode);
    head[0] = (uint8_t)((fin ? 0x80 : 0) | rsv << 4 | opcode);
    if (mask) head[1] |= 0x80;
    writer_bytes(w, (Str){ head, n });
    if (mask) writer_bytes(w, (Str){ key, 4 });
    for (size_t i = 0; i < payload.len; i++) writer_u8(w, (uint8_t)(payload.ptr[i] ^ (mask ? key[i % 4] : 0)));
}

/* Feeds in pieces, each in memory of its own; the stream's bytes and the control frames go to the writers. */
static Err decode(WsDecoder *d, Str bytes, size_t piece, Writer *stream, Writer *controls) {
    Err e = ERR_AGAIN;
    for (size_t at = 0; at < bytes.len && e == ERR_AGAIN; at += piece) {
        Str part = str_sub(bytes, at, at + piece);
        uint8_t *copy = malloc(part.len);
        memcpy(copy, part.ptr, part.len);
        ws_feed(d, (Str){ copy, part.len });
        WsEvent ev;
        while ((e = ws_next(d, &ev)) == OK) {
            if (ev.opcode == WS_BINARY)
                writer_bytes(stream, ev.data);
            else
                writer_format(controls, "%d:%d:%.*s;", ev.opcode, ev.close_code, PS(ev.data));
        }
        free(copy);
    }
    return e;
}

static void the_stream_is_the_same_however_it_is_cut(void **state) {
    (void)state;
    Arena a = { 0 };
    uint8_t big[66000];
    for (size_t i = 0; i < sizeof big; i++) big[i] = (uint8_t)(i * 7);
    Writer in = writer_in(&a), expect = writer_in(&a);
    size_t sizes[] = { 0, 1, 125, 126, 127, 65535, 65536 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        Str payload = { big, sizes[i] };
        put_frame(&in, true, 0, WS_BINARY, true, payload);
        writer_bytes(&expect, payload);
    }
    put_frame(&in, false, 0, WS_BINARY, true, S("fr"));
    put_frame(&in, true, 0, WS_PING, true, S("between")); /* control frames may come between fragments */
    put_frame(&in, false, 0, WS_CONTINUATION, true, S(""));
    put_frame(&in, true, 0, WS_CONTINUATION, true, S("ag"));
    put_frame(&in, true, 0, WS_PONG, true, S(""));
    put_frame(&in, true, 0, WS_CLOSE, true,
              S("\x03\xE8"
                "bye"));
    writer_bytes(&expect, S("frag"));
    size_t pieces[] = { 1, 2, 3, 7, 1000, 4096, 4097, in.len };
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        WsDecoder *d = ws_decoder_new(FRAME_MAX);
        Writer stream = writer_in(&a), controls = writer_in(&a);
        assert_int_equal(decode(d, writer_str(&in), pieces[i], &stream, &controls), ERR_AGAIN);
        assert_true(str_eq(writer_str(&stream), writer_str(&expect)));
        assert_true(str_eq(writer_str(&controls), S("9:0:between;10:0:;8:1000:bye;")));
        ws_decoder_free(d);
    }
    arena_free(&a);
}

static void each_broken_frame_has_its_close_code(void **state) {
    (void)state;
    static const struct {
        bool fin;
        int rsv, opcode;
        bool mask;
        Str payload;
        Err err;
    } cases[] = {
        { true, 0, WS_BINARY, false, STR_INIT("x"), ERR_MALFORMED }, /* not masked */
        { true, 4, WS_BINARY, true, STR_INIT("x"), ERR_MALFORMED },  /* compressed */
        { true, 2, WS_BINARY, true, STR_INIT(""), ERR_MALFORMED },
        { true, 1, WS_PING, true, STR_INIT(""), ERR_MALFORMED },
        { true, 0, WS_TEXT, true, STR_INIT("x"), ERR_INVALID },
        { true, 0, WS_CONTINUATION, true, STR_INIT("x"), ERR_MALFORMED }, /* of nothing */
        { false, 0, WS_PING, true, STR_INIT("x"), ERR_MALFORMED },        /* control frames are whole */
        { true, 0, 3, true, STR_INIT("x"), ERR_MALFORMED },
        { true, 0, 11, true, STR_INIT("x"), ERR_MALFORMED },
        { true, 0, WS_CLOSE, true, STR_INIT("\x03"), ERR_MALFORMED },
        { true, 0, WS_CLOSE, true, STR_INIT("\x03\xED"), ERR_MALFORMED }, /* 1005 is never sent */
        { true, 0, WS_CLOSE, true, STR_INIT("\x00\x01"), ERR_MALFORMED },
        { true, 0, WS_CLOSE, true, STR_INIT("\x03\xE8\xFF"), ERR_MALFORMED }, /* reason not UTF-8 */
    };
    Arena a = { 0 };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        WsDecoder *d = ws_decoder_new(FRAME_MAX);
        Writer in = writer_in(&a), stream = writer_in(&a), controls = writer_in(&a);
        put_frame(&in, cases[i].fin, cases[i].rsv, cases[i].opcode, cases[i].mask, cases[i].payload);
        assert_int_equal(decode(d, writer_str(&in), 1, &stream, &controls), cases[i].err);
        assert_true(stream.len == 0 && controls.len == 0);
        WsEvent ev;
        ws_feed(d, S("\x82\x80zzzz"));
        assert_int_equal(ws_next(d, &ev), cases[i].err); /* for good */
        ws_decoder_free(d);
    }
    assert_int_equal(ws_close_code(ERR_MALFORMED), 1002);
    assert_int_equal(ws_close_code(ERR_INVALID), 1003);
    assert_int_equal(ws_close_code(ERR_LIMIT), 1009);
    arena_free(&a);
}

static Err first_error(Str bytes, uint64_t max) {
    Arena a = { 0 };
    WsDecoder *d = ws_decoder_new(max);
    Writer stream = writer_in(&a), controls = writer_in(&a);
    Err e = decode(d, bytes, 1, &stream, &controls);
    ws_decoder_free(d);
    arena_free(&a);
    return e;
}

static void lengths_are_shortest_and_within_the_limit(void **state) {
    (void)state;
    Arena a = { 0 };
    assert_int_equal(first_error(S("\x82\xFE\x00\x05zzzz12345"), 10), ERR_MALFORMED); /* 5 in three bytes */
    assert_int_equal(first_error(S("\x82\xFF\0\0\0\0\0\0\xFF\xFFzzzz1"), 1 << 20), ERR_MALFORMED);
    assert_int_equal(first_error(S("\x82\xFF\x80\0\0\0\0\0\0\0zzzz1"), UINT64_MAX), ERR_MALFORMED);
    assert_int_equal(first_error(S("\x82\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFFzzzz1"), 1 << 20), ERR_LIMIT);
    assert_int_equal(first_error(S("\x89\xFE\x00\x7Ezzzz"), 1 << 20), ERR_MALFORMED); /* a ping of 126 */
    Writer w = writer_in(&a);
    put_frame(&w, true, 0, WS_BINARY, true, S("12345"));
    assert_int_equal(first_error(writer_str(&w), 5), ERR_AGAIN);
    assert_int_equal(first_error(writer_str(&w), 4), ERR_LIMIT);
    w = writer_in(&a); /* a new message inside another */
    put_frame(&w, false, 0, WS_BINARY, true, S("1"));
    put_frame(&w, true, 0, WS_BINARY, true, S("2"));
    assert_int_equal(first_error(writer_str(&w), 5), ERR_MALFORMED);
    w = writer_in(&a);
    put_frame(&w, true, 0, WS_CLOSE, true, S(""));
    assert_int_equal(first_error(writer_str(&w), 5), ERR_AGAIN);
    arena_free(&a);
}

static void headers_are_written_in_three_sizes(void **state) {
    (void)state;
    uint8_t out[WS_HEADER_BYTES_MAX];
    assert_int_equal(ws_frame_header(out, 125, WS_BINARY), 2);
    assert_memory_equal(out, "\x82\x7D", 2);
    assert_int_equal(ws_frame_header(out, 126, WS_BINARY), 4);
    assert_memory_equal(out, "\x82\x7E\0\x7E", 4);
    assert_int_equal(ws_frame_header(out, 65536, WS_PONG), 10);
    assert_memory_equal(out, "\x8A\x7F\0\0\0\0\0\1\0\0", 10);
    assert_int_equal(ws_close_frame(out, WS_CLOSE_GOING_AWAY), 4);
    assert_memory_equal(out, "\x88\x02\x03\xE9", 4);
}

static Err handshake(Arena *a, const char *request, Str *protocol, Str *answer) {
    HttpParser *p = http_parser_new(HTTP_LIMITS(0));
    HttpRequest rq;
    size_t used;
    assert_int_equal(http_parser_feed(p, str_c(request), &used, &rq), OK);
    Err e = ws_handshake(a, &rq, protocol, answer);
    http_parser_free(p);
    return e;
}
#define HEAD "GET /mqtt HTTP/1.1\r\nHost: h\r\n"
#define ASK "Upgrade: websocket\r\nConnection: Upgrade\r\n"

/* Source: RFC 6455 section 1.3 */
static void the_key_of_the_standard_is_answered_as_there(void **state) {
    (void)state;
    Arena a = { 0 };
    Str protocol, answer;
    assert_int_equal(handshake(&a,
                               HEAD ASK "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                                        "Sec-WebSocket-Protocol: chat, mqtt\r\n\r\n",
                               &protocol, &answer),
                     OK);
    assert_true(str_eq(protocol, S("mqtt")));
    assert_true(str_eq(answer, S("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                 "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                                 "Sec-WebSocket-Protocol: mqtt\r\n\r\n")));
    arena_free(&a);
}

/* Source: AWSIoTPythonSDK 1.4.3: 128 random bytes in base64, names in lower case, an extension offered */
static void the_python_sdk_gets_a_short_answer_without_extensions(void **state) {
    (void)state;
    Arena a = { 0 };
    Str protocol, answer;
    char key[173];
    memset(key, 'A', 172);
    key[172] = 0;
    Str rq = str_format(&a,
                        "GET /mqtt?X-Amz-Algorithm=AWS4-HMAC-SHA256 HTTP/1.1\r\nhost: h\r\nconnection: Upgrade\r\n"
                        "upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: %s\r\n"
                        "sec-websocket-protocol: mqttv3.1\r\nsec-websocket-extensions: permessage-deflate; "
                        "client_max_window_bits\r\n\r\n%c",
                        key, 0);
    assert_int_equal(handshake(&a, (const char *)rq.ptr, &protocol, &answer), OK);
    assert_true(str_eq(protocol, S("mqttv3.1")) && answer.len < 1024);
    assert_int_equal(str_find_str(answer, S("xtensions")), SIZE_MAX);
    assert_true(str_find_str(answer, S("Sec-WebSocket-Protocol: mqttv3.1\r\n")) != SIZE_MAX);
    arena_free(&a);
}

static void what_is_no_handshake_is_refused(void **state) {
    (void)state;
    Arena a = { 0 };
    Str protocol = S("untouched"), answer = S("untouched");
    const char *bad[] = {
        HEAD "\r\n",
        HEAD "Upgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Key: a\r\nSec-WebSocket-Version: "
             "13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
        HEAD "Upgrade: websocket\r\nSec-WebSocket-Key: a\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: "
             "mqtt\r\n\r\n",
        HEAD ASK "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
        HEAD ASK "Sec-WebSocket-Key:\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
        HEAD ASK "Sec-WebSocket-Key: a\r\nSec-WebSocket-Version: 13\r\n\r\n",
        HEAD ASK "Sec-WebSocket-Key: a\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat\r\n\r\n",
        "POST /mqtt HTTP/1.1\r\nHost: h\r\n" ASK
        "Sec-WebSocket-Key: a\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
        "GET /mqtt HTTP/1.0\r\n" ASK
        "Sec-WebSocket-Key: a\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(handshake(&a, bad[i], &protocol, &answer), ERR_INVALID);
    assert_int_equal(handshake(&a,
                               HEAD ASK "Sec-WebSocket-Key: a\r\nSec-WebSocket-Version: 8\r\n"
                                        "Sec-WebSocket-Protocol: mqtt\r\n\r\n",
                               &protocol, &answer),
                     ERR_NOT_IMPLEMENTED);
    assert_true(str_eq(protocol, S("untouched")) && str_eq(answer, S("untouched")));
    arena_free(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_stream_is_the_same_however_it_is_cut),
        cmocka_unit_test(each_broken_frame_has_its_close_code),
        cmocka_unit_test(lengths_are_shortest_and_within_the_limit),
        cmocka_unit_test(headers_are_written_in_three_sizes),
        cmocka_unit_test(the_key_of_the_standard_is_answered_as_there),
        cmocka_unit_test(the_python_sdk_gets_a_short_answer_without_extensions),
        cmocka_unit_test(what_is_no_handshake_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
