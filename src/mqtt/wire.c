#include "mqtt/wire.h"

/* Topics and client ids are nearly always ASCII: eight bytes at a time are tested for a set high bit or
 * a zero byte; only where one shows does the full check run. */

#define ONES UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

static bool is_plain_ascii(Str s) {
    uint64_t seen = 0, w;
    size_t i = 0;
    for (; i + 8 <= s.len; i += 8) {
        memcpy(&w, s.ptr + i, 8);
        seen |= w | (w - ONES); /* the high bit of a byte: not ASCII, or zero (or, above a zero, maybe not) */
    }
    uint8_t rest = 0;
    for (; i < s.len; i++) rest |= (uint8_t)(s.ptr[i] | (s.ptr[i] - 1));
    return !(seen & HIGHS) && !(rest & 0x80);
}

bool wire_is_string(Str s) {
    if (is_plain_ascii(s)) return true;
    return memchr(s.ptr, 0, s.len) == NULL && str_is_utf8(s);
}

Str wire_binary(Reader *r) {
    return reader_take(r, reader_u16(r));
}

Str wire_string(Reader *r) {
    Str s = wire_binary(r);
    if (!r->bad && !wire_is_string(s)) r->bad = true;
    return r->bad ? STR_NONE : s;
}

void wire_write_binary(Writer *w, Str s) {
    writer_u16(w, (uint16_t)s.len);
    writer_bytes(w, s);
}

size_t wire_varint_bytes(uint32_t v) {
    return v < 1u << 7 ? 1 : v < 1u << 14 ? 2 : v < 1u << 21 ? 3 : 4;
}

uint8_t *wire_write_varint(uint8_t *at, uint32_t v) {
    for (; v > 127; v >>= 7) *at++ = (uint8_t)(v | 128);
    *at++ = (uint8_t)v;
    return at;
}

void wire_write_frame(Writer *w, uint8_t header, const Writer *body) {
    writer_u8(w, header);
    writer_varint(w, (uint32_t)body->len);
    writer_bytes(w, writer_str(body));
}
