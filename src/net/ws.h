/* WebSocket, server side: the handshake, and frames both ways, for MQTT and the tunnels. Pure.
 * Source: RFC 6455; extensions are never agreed to. */
#pragma once

#include "net/http.h"

/* Is this request a handshake for MQTT, and what is the answer?
 * Shape:  *answer is the whole 101, under 1,024 bytes; *protocol what it echoes ("mqtt" or "mqttv3.1"). A key of any
 * length is taken: AWSIoTPythonSDK sends 128 bytes. Errors: ERR_INVALID (not a handshake, or no protocol of ours),
 * ERR_NOT_IMPLEMENTED (another version than 13: answer 426 with Sec-WebSocket-Version: 13) */
NODISCARD Err ws_handshake(Arena *arena, const HttpRequest *request, Str *protocol, Str *answer);

typedef enum { WS_CONTINUATION = 0, WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 } WsOpcode;

enum {
    WS_HEADER_BYTES_MAX = 10,
    WS_CLOSE_NORMAL = 1000,
    WS_CLOSE_GOING_AWAY = 1001,
    WS_CLOSE_PROTOCOL_ERROR = 1002,
    WS_CLOSE_UNSUPPORTED_DATA = 1003,
    WS_CLOSE_NO_CODE = 1005, /* never sent */
    WS_CLOSE_TOO_BIG = 1009,
};

typedef struct WsDecoder WsDecoder;

typedef struct {
    WsOpcode opcode;     /* WS_BINARY: data is the next piece of the stream; else a whole control frame */
    Str data;            /* unmasked; of WS_CLOSE the reason */
    uint16_t close_code; /* of WS_CLOSE: what the peer said, or WS_CLOSE_NO_CODE */
} WsEvent;

/* Owns: the decoder is process memory; ws_decoder_free takes it (or NULL) back */
WsDecoder *ws_decoder_new(uint64_t frame_bytes_max);
void ws_decoder_free(WsDecoder *decoder);

/* Bytes from the peer, borrowed until ws_next has answered ERR_AGAIN. */
void ws_feed(WsDecoder *decoder, Str bytes);

/* The next event of what was fed.
 * Errors: ERR_AGAIN (all is used), and for good: ERR_MALFORMED (close with 1002), ERR_INVALID (a text
 *         frame: 1003), ERR_LIMIT (a frame over frame_bytes_max: 1009); ws_close_code says which
 * Owns:   out->data lives until the next ws_next */
NODISCARD Err ws_next(WsDecoder *decoder, WsEvent *out);
uint16_t ws_close_code(Err e);

/* A final, unmasked frame's header; returns its bytes (2, 4 or 10). */
size_t ws_frame_header(uint8_t out[WS_HEADER_BYTES_MAX], size_t payload_len, WsOpcode opcode);
/* A close frame; returns its bytes (4). */
size_t ws_close_frame(uint8_t out[4], uint16_t code);
