#include "net/ws.h"

#include <stdlib.h>

#include <openssl/sha.h>
#include <wslay/wslay.h>

#include "base/encode.h"

/* wslay's frame layer cuts the bytes into frames and unmasks them, in a buffer of its own of 4 KB. On top
 * of it stand the rules that it leaves to others: a client masks, no reserved bits, fragments in order. MQTT
 * does not care where messages begin and end, so pieces of payload are handed on as they come. */

static Err pick_protocol(const HttpRequest *rq, Str *out) {
    static const Str ours[] = { STR_INIT("mqtt"), STR_INIT("mqttv3.1") };
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        if (!http_header_has(rq, S("sec-websocket-protocol"), ours[i])) continue;
        *out = ours[i];
        return OK;
    }
    return ERR_INVALID;
}

/* base64(SHA-1(key + GUID)). Source: RFC 6455 section 4.2.2 */
static Str accept_of(Arena *arena, Str key) {
    Writer w = writer_in(arena);
    writer_bytes(&w, key);
    writer_bytes(&w, S("258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    uint8_t digest[SHA_DIGEST_LENGTH];
    SHA1(w.ptr, w.len, digest);
    return base64_encode(arena, (Str){ digest, sizeof digest });
}

Err ws_handshake(Arena *arena, const HttpRequest *rq, Str *protocol, Str *answer) {
    if (!str_eq(rq->method, S("GET")) || rq->minor != 1) return ERR_INVALID;
    if (!http_header_has(rq, S("upgrade"), S("websocket"))) return ERR_INVALID;
    if (!http_header_has(rq, S("connection"), S("upgrade"))) return ERR_INVALID;
    Str key = http_header(rq->headers, rq->headers_n, S("sec-websocket-key"));
    if (key.len == 0) return ERR_INVALID;
    if (!str_eq(http_header(rq->headers, rq->headers_n, S("sec-websocket-version")), S("13")))
        return ERR_NOT_IMPLEMENTED;
    Str chosen;
    Err e = pick_protocol(rq, &chosen);
    if (e != OK) return e;
    Str accept = accept_of(arena, key);
    *protocol = chosen;
    /* AWSIoTPythonSDK looks for sec-websocket-accept in lower case, and only so. */
    *answer = str_format(arena,
                         "HTTP/1.1 101 Switching Protocols\r\n"
                         "Upgrade: websocket\r\n"
                         "Connection: Upgrade\r\n"
                         "sec-websocket-accept: %.*s\r\n"
                         "Sec-WebSocket-Protocol: %.*s\r\n\r\n",
                         PS(accept), PS(chosen));
    return OK;
}

enum { CONTROL_BYTES_MAX = 125 };

struct WsDecoder {
    wslay_frame_context_ptr frames;
    Str in;                             /* fed, and not yet taken by wslay */
    uint64_t frame_bytes_max, frame_at; /* frame_at: payload bytes of this frame so far */
    bool fragmented;                    /* inside a message of several frames */
    Err failed;                         /* sticky */
    uint8_t control[CONTROL_BYTES_MAX];
};

static ssize_t take_input(uint8_t *buf, size_t len, int flags, void *user_data) {
    (void)flags;
    WsDecoder *d = user_data;
    size_t n = len < d->in.len ? len : d->in.len;
    if (n == 0) return -1; /* no more for now */
    memcpy(buf, d->in.ptr, n);
    d->in = str_from(d->in, n);
    return (ssize_t)n;
}

WsDecoder *ws_decoder_new(uint64_t frame_bytes_max) {
    static const struct wslay_frame_callbacks callbacks = { .recv_callback = take_input };
    WsDecoder *d = mem_new(sizeof *d);
    d->frame_bytes_max = frame_bytes_max;
    if (wslay_frame_context_init(&d->frames, &callbacks, d) != 0) abort(); /* out of memory */
    return d;
}

void ws_decoder_free(WsDecoder *d) {
    if (!d) return;
    wslay_frame_context_free(d->frames);
    free(d);
}

void ws_feed(WsDecoder *d, Str bytes) {
    d->in = bytes;
}

static bool is_control(uint8_t opcode) {
    return opcode & 8;
}

/* The rules of a frame's header, once a frame. Source: RFC 6455 sections 5.1, 5.2, 5.4, 5.5 */
static Err check_frame(WsDecoder *d, const struct wslay_frame_iocb *f) {
    if (!f->mask || f->rsv) return ERR_MALFORMED;
    switch (f->opcode) {
    case WS_CONTINUATION:
        if (!d->fragmented) return ERR_MALFORMED;
        break;
    case WS_TEXT: return ERR_INVALID; /* [MQTT-6.0.0-1] */
    case WS_BINARY:
        if (d->fragmented) return ERR_MALFORMED;
        break;
    case WS_CLOSE:
    case WS_PING:
    case WS_PONG: return f->fin && f->payload_length <= CONTROL_BYTES_MAX ? OK : ERR_MALFORMED;
    default: return ERR_MALFORMED;
    }
    if (f->payload_length > d->frame_bytes_max) return ERR_LIMIT;
    d->fragmented = !f->fin;
    return OK;
}

/* Codes that may stand in a frame. Source: RFC 6455 section 7.4 */
static bool close_code_is_allowed(uint16_t code) {
    if (code >= 3000) return code <= 4999;
    return code >= 1000 && code <= 1014 && code != 1004 && code != WS_CLOSE_NO_CODE && code != 1006;
}

static Err control_event(const WsDecoder *d, uint8_t opcode, size_t len, WsEvent *out) {
    WsEvent e = { .opcode = (WsOpcode)opcode, .data = { d->control, len } };
    if (opcode == WS_CLOSE) {
        e.close_code = WS_CLOSE_NO_CODE;
        if (len == 1) return ERR_MALFORMED;
        if (len >= 2) {
            e.close_code = (uint16_t)(d->control[0] << 8 | d->control[1]);
            e.data = str_from(e.data, 2);
            if (!close_code_is_allowed(e.close_code) || !str_is_utf8(e.data)) return ERR_MALFORMED;
        }
    }
    *out = e;
    return OK;
}

/* One step of wslay: a piece of a frame. ERR_AGAIN with *has_event false where it gave none to hand on. */
static Err step(WsDecoder *d, bool *has_event, WsEvent *out) {
    struct wslay_frame_iocb f = { 0 };
    ssize_t n = wslay_frame_recv(d->frames, &f);
    if (n == WSLAY_ERR_WANT_READ) return ERR_AGAIN;
    if (n < 0) return ERR_MALFORMED;
    if (d->frame_at == 0) {
        Err e = check_frame(d, &f);
        if (e != OK) return e;
    }
    uint64_t at = d->frame_at;
    d->frame_at += f.data_length;
    bool whole = d->frame_at == f.payload_length;
    if (whole) d->frame_at = 0;
    if (!is_control(f.opcode)) {
        *has_event = f.data_length > 0;
        if (*has_event) *out = (WsEvent){ .opcode = WS_BINARY, .data = { f.data, f.data_length } };
        return OK;
    }
    if (f.data_length) memcpy(d->control + at, f.data, f.data_length);
    *has_event = whole;
    return whole ? control_event(d, f.opcode, (size_t)f.payload_length, out) : OK;
}

Err ws_next(WsDecoder *d, WsEvent *out) {
    bool has_event = false;
    while (d->failed == OK && !has_event) {
        Err e = step(d, &has_event, out);
        if (e == ERR_AGAIN) return e;
        d->failed = e;
    }
    return d->failed;
}

uint16_t ws_close_code(Err e) {
    return e == ERR_INVALID ? WS_CLOSE_UNSUPPORTED_DATA : e == ERR_LIMIT ? WS_CLOSE_TOO_BIG : WS_CLOSE_PROTOCOL_ERROR;
}

size_t ws_frame_header(uint8_t out[WS_HEADER_BYTES_MAX], size_t payload_len, WsOpcode opcode) {
    out[0] = (uint8_t)(0x80 | opcode);
    if (payload_len < 126) {
        out[1] = (uint8_t)payload_len;
        return 2;
    }
    size_t n = payload_len < 1 << 16 ? 2 : 8;
    out[1] = n == 2 ? 126 : 127;
    for (size_t i = 0; i < n; i++) out[2 + i] = (uint8_t)((uint64_t)payload_len >> 8 * (n - 1 - i));
    return 2 + n;
}

size_t ws_close_frame(uint8_t out[4], uint16_t code) {
    out[0] = 0x80 | WS_CLOSE;
    out[1] = 2;
    out[2] = (uint8_t)(code >> 8);
    out[3] = (uint8_t)code;
    return 4;
}
