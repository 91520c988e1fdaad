/* What all packets of this folder are made of. Only for this folder. */
#pragma once

#include "base/reader.h"
#include "mqtt/packet.h"
#include "mqtt/props.h"

/* Well-formed UTF-8 without U+0000 [MQTT-1.5.4-1] [MQTT-1.5.4-2]. */
bool wire_is_string(Str s);

/* A length of two bytes, then that many; the string also sets `bad` when it is none. */
Str wire_binary(Reader *r);
Str wire_string(Reader *r);
void wire_write_binary(Writer *w, Str s);

/* A property list with its length in front; its bytes without it. */
static inline Str wire_props(Reader *r) {
    return reader_take(r, reader_varint(r));
}

size_t wire_varint_bytes(uint32_t v);
uint8_t *wire_write_varint(uint8_t *at, uint32_t v);

/* A whole packet: first byte, remaining length, and what `body` collected. */
void wire_write_frame(Writer *w, uint8_t header, const Writer *body);
