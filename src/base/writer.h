/* Writer: builds bytes from front to back in an arena. Grows as needed; what it returned so far may
 * move, so take `writer_str` when all is written. Numbers are big endian. */
#pragma once

#include "base/arena.h"

typedef struct {
    Arena *arena;
    uint8_t *ptr;
    size_t len, cap;
} Writer;

static inline Writer writer_in(Arena *arena) {
    return (Writer){ .arena = arena };
}
/* One that is to hold about so many bytes: growing copies. */
static inline Writer writer_sized(Arena *arena, size_t bytes) {
    return (Writer){ .arena = arena, .ptr = arena_bytes(arena, bytes), .cap = bytes };
}
void writer_grow(Writer *w, size_t n); /* room for n more bytes; for writer_extend */
/* Room for n more bytes at the end, already counted as written. */
static inline uint8_t *writer_extend(Writer *w, size_t n) {
    if (w->cap - w->len < n) writer_grow(w, n);
    uint8_t *p = w->ptr + w->len;
    w->len += n;
    return p;
}
void writer_bytes(Writer *w, Str s);
void writer_format(Writer *w, const char *format, ...) PRINTF_LIKE(2, 3);
void writer_varint(Writer *w, uint32_t v); /* MQTT's, below 2^28 */

static inline void writer_u8(Writer *w, uint8_t v) {
    *writer_extend(w, 1) = v;
}
static inline void writer_u16(Writer *w, uint16_t v) {
    uint8_t *p = writer_extend(w, 2);
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}
static inline void writer_u32(Writer *w, uint32_t v) {
    writer_u16(w, (uint16_t)(v >> 16));
    writer_u16(w, (uint16_t)v);
}
static inline void writer_u64(Writer *w, uint64_t v) {
    writer_u32(w, (uint32_t)(v >> 32));
    writer_u32(w, (uint32_t)v);
}
static inline Str writer_str(const Writer *w) {
    return (Str){ w->ptr ? w->ptr : (const uint8_t *)"", w->len };
}
