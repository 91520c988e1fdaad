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
    WS_CLOSE_TOO_BIG = 1009,
};

/* The decoder's state between two reads; zeroed is ready for use. */
typedef struct {
    uint8_t head[14]; /* of the frame that is being read, as far as it came */
    uint8_t head_n, head_need;
    uint8_t opcode, key[4];
    bool fragmented; /* inside a message of several frames */
    uint64_t payload_bytes, payload_at;
    uint8_t control[125]; /* payload of a control frame */
} WsDecoder;

typedef struct {
    WsOpcode opcode; /* WS_BINARY: data is the next piece of the stream; else a whole control frame */
    Str data;
    uint16_t close_code; /* of WS_CLOSE: what the peer said, or 1005 when it said nothing */
} WsEvent;

/* Take frames from `bytes`, which are unmasked in place: one event a call, go on behind *used.
 * Errors: ERR_AGAIN (all used, no event), ERR_INVALID (text: close with 1003), ERR_MALFORMED (1002),
 *         ERR_LIMIT (a frame over frame_bytes_max: 1009) */
NODISCARD Err ws_decode(WsDecoder *d, uint8_t *bytes, size_t n, uint64_t frame_bytes_max, size_t *used, WsEvent *out);

/* A final, unmasked frame's header; returns its bytes (2, 4 or 10). */
size_t ws_frame_header(uint8_t out[WS_HEADER_BYTES_MAX], size_t payload_len, WsOpcode opcode);
/* A close frame; returns its bytes (4). */
size_t ws_close_frame(uint8_t out[4], uint16_t code);
