#include "base/writer.h"

#include <stdio.h>

#include "base/format.h"

enum { FIRST_BYTES = 64, FORMAT_BYTES = 512 };

void writer_grow(Writer *w, size_t n) {
    size_t cap = w->cap ? w->cap * 2 : FIRST_BYTES;
    while (cap - w->len < n) cap *= 2;
    uint8_t *p = arena_bytes(w->arena, cap);
    if (w->len) memcpy(p, w->ptr, w->len);
    w->ptr = p;
    w->cap = cap;
}

void writer_bytes(Writer *w, Str s) {
    if (s.len) memcpy(writer_extend(w, s.len), s.ptr, s.len);
}

void writer_format(Writer *w, const char *format, ...) {
    va_list args, again;
    char text[FORMAT_BYTES];
    size_t simple;
    int n = 0;
    va_start(args, format);
    va_copy(again, args);
    if (format_simple(text, sizeof text, &simple, format, args) && simple <= sizeof text) {
        writer_bytes(w, (Str){ (uint8_t *)text, simple });
    } else {
        va_list measured;
        va_copy(measured, again);
        n = vsnprintf(NULL, 0, format, measured);
        va_end(measured);
    }
    if (n > 0) {
        char *p = (char *)writer_extend(w, (size_t)n + 1);
        vsnprintf(p, (size_t)n + 1, format, again);
        w->len--; /* the terminator */
    }
    va_end(again);
    va_end(args);
}

void writer_varint(Writer *w, uint32_t v) {
    do {
        uint8_t b = v & 127;
        v >>= 7;
        writer_u8(w, v ? b | 128 : b);
    } while (v);
}
