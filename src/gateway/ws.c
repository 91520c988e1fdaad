#include <stdlib.h>

#include "gateway/internal.h"

/* MQTT inside WebSocket frames. Frames and packets need not coincide: the payloads are one stream, whose unfinished
 * tail is kept here. Packets go out in a frame each, which AWSIoTPythonSDK expects. */

static void fail(Link *l, uint16_t code) {
    uint8_t frame[4];
    conn_put(l->conn, frame, ws_close_frame(frame, code));
    conn_finish(l->conn);
}

/* All payload of this read, behind what was left over, in the turn's arena. */
static size_t gather(Link *l, uint8_t *bytes, size_t len, uint8_t **stream, bool *closing) {
    Reactor *r = l->conn->reactor;
    size_t have, n = 0;
    WsEvent event;
    Err e;
    uint8_t *room = turn_room(r, len + l->ws_left_len, &have);
    if (l->ws_left_len) memcpy(room, l->ws_left, l->ws_left_len);
    n = l->ws_left_len;
    ws_feed(l->ws, (Str){ bytes, len });
    while ((e = ws_next(l->ws, &event)) == OK) {
        if (event.opcode == WS_BINARY) {
            memcpy(room + n, event.data.ptr, event.data.len);
            n += event.data.len;
        } else if (event.opcode == WS_PING) {
            uint8_t head[WS_HEADER_BYTES_MAX];
            conn_put(l->conn, head, ws_frame_header(head, event.data.len, WS_PONG));
            if (event.data.len) conn_put(l->conn, event.data.ptr, event.data.len);
        } else if (event.opcode == WS_CLOSE) {
            *closing = true;
            break;
        }
    }
    turn_take(r, n);
    *stream = room;
    if (e != OK && e != ERR_AGAIN) {
        fail(l, ws_close_code(e));
        *closing = false;
    }
    return n;
}

static void keep(Link *l, const uint8_t *bytes, size_t len) {
    uint8_t *copy = NULL;
    if (len) {
        copy = mem_grow(NULL, len);
        memcpy(copy, bytes, len);
    }
    free(l->ws_left);
    l->ws_left = copy;
    l->ws_left_len = len;
}

static size_t input(Conn *c, uint8_t *bytes, size_t len) {
    Link *l = c->owner;
    bool closing = false;
    uint8_t *stream;
    link_retain(l);
    size_t n = gather(l, bytes, len, &stream, &closing), used = mqtt_input(l->client, stream, n);
    if (!l->gone) keep(l, stream + used, n - used);
    if (closing && !l->gone) {
        uint8_t frame[4];
        conn_put(c, frame, ws_close_frame(frame, WS_CLOSE_NORMAL));
        l->orderly = true;
        conn_finish(c);
    }
    link_release(l);
    return len;
}

static void closed(Conn *c) {
    Link *l = c->owner;
    l->gone = true;
    mqtt_closed(l->client, l->orderly);
    link_release(l);
}

/* The client paused its input while it connected: what came meanwhile is in the tail. */
static void resumed(Conn *c) {
    Link *l = c->owner;
    size_t n = l->ws_left_len;
    if (n == 0) return;
    uint8_t *stream = turn_copy(c->reactor, (Str){ l->ws_left, n });
    link_retain(l);
    size_t used = mqtt_input(l->client, stream, n);
    if (!l->gone) keep(l, stream + used, n - used);
    link_release(l);
}

static void drained(Conn *c) {
    Link *l = c->owner;
    mqtt_drained(l->client);
}

const ConnHandler WS_HANDLER = { .input = input, .closed = closed, .drained = drained, .resumed = resumed };

Str ws_host(Str host) {
    size_t colon = str_find(host, ':');
    if (colon != SIZE_MAX) host.len = colon;
    return host;
}

void ws_begin(Link *l, const MqttLink *m) {
    l->ws = ws_decoder_new(l->gateway->o.body_bytes_max);
    link_unlist(l);
    l->conn->handler = &WS_HANDLER;
    l->client = mqtt_attach(l->gateway->o.env->broker, l->conn, m);
    conn_resume(l->conn);
}
