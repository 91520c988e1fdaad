/* Reader: takes a message apart from front to back. The first step that does not fit sets `bad`
 * and every later one gives zeros, so a parser checks once, at its end. Numbers are big endian. */
#pragma once

#include "base/str.h"

typedef struct {
    const uint8_t *at, *end;
    bool bad;
} Reader;

static inline Reader reader_from(Str s) {
    if (!s.ptr) s = S("");
    return (Reader){ s.ptr, s.ptr + s.len, false };
}
static inline size_t reader_left(const Reader *r) {
    return (size_t)(r->end - r->at);
}
static inline Str reader_take(Reader *r, size_t n) {
    if (r->bad || reader_left(r) < n) {
        r->bad = true;
        return STR_NONE;
    }
    Str s = { r->at, n };
    r->at += n;
    return s;
}
static inline uint8_t reader_u8(Reader *r) {
    Str s = reader_take(r, 1);
    return s.ptr ? s.ptr[0] : 0;
}
static inline uint16_t reader_u16(Reader *r) {
    Str s = reader_take(r, 2);
    return s.ptr ? (uint16_t)(s.ptr[0] << 8 | s.ptr[1]) : 0;
}
static inline uint32_t reader_u32(Reader *r) {
    uint32_t high = reader_u16(r);
    return high << 16 | reader_u16(r);
}
static inline uint64_t reader_u64(Reader *r) {
    uint64_t high = reader_u32(r);
    return high << 32 | reader_u32(r);
}
/* MQTT's variable byte integer, at most four bytes, shortest form. Source: MQTT 5 section 1.5.5 */
static inline uint32_t reader_varint(Reader *r) {
    uint32_t v = 0;
    for (int shift = 0; shift <= 21; shift += 7) {
        uint8_t b = reader_u8(r);
        if (r->bad) return 0;
        v |= (uint32_t)(b & 127) << shift;
        if (!(b & 128)) {
            if (shift > 0 && b == 0) break; /* not the shortest */
            return v;
        }
    }
    r->bad = true;
    return 0;
}
static inline Str reader_rest(Reader *r) {
    return reader_take(r, r->bad ? 0 : reader_left(r));
}
