#include "base/arena.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/format.h"

/* A list of blocks, each twice the one before up to 1 MiB. A request larger than a block gets a
 * block of its own behind the head, so that the head's free tail is not lost. */

struct ArenaBlock {
    ArenaBlock *next;
    size_t bytes; /* of data */
    _Alignas(16) uint8_t data[];
};

enum { ALIGN = 16, FIRST_BLOCK_BYTES = 4096, BLOCK_BYTES_MAX = 1 << 20, FORMAT_BYTES = 512 };

static void out_of_memory(size_t bytes) {
    fprintf(stderr, "starling: out of memory: the system refused %zu bytes\n", bytes);
    abort();
}

void *mem_new(size_t bytes) {
    void *p = calloc(1, bytes ? bytes : 1);
    if (!p) out_of_memory(bytes);
    return p;
}

void *mem_grow(void *p, size_t bytes) {
    void *q = realloc(p, bytes ? bytes : 1);
    if (!q) out_of_memory(bytes);
    return q;
}

static ArenaBlock *block_new(size_t bytes) {
    ArenaBlock *b = malloc(sizeof *b + bytes);
    if (!b) out_of_memory(bytes);
    b->bytes = bytes;
    b->next = NULL;
    return b;
}

static uint8_t *take_slow(Arena *a, size_t bytes) {
    size_t block = a->block_bytes ? a->block_bytes : FIRST_BLOCK_BYTES;
    if (bytes > block / 2 && a->head) { /* a block of its own */
        ArenaBlock *b = block_new(bytes);
        b->next = a->head->next;
        a->head->next = b;
        return b->data;
    }
    if (bytes > block) block = bytes;
    ArenaBlock *b = block_new(block);
    b->next = a->head;
    a->head = b;
    a->at = b->data + bytes;
    a->end = b->data + block;
    a->block_bytes = block * 2 > BLOCK_BYTES_MAX ? BLOCK_BYTES_MAX : block * 2;
    return b->data;
}

uint8_t *arena_bytes(Arena *a, size_t n) {
    if ((size_t)(a->end - a->at) < n || !a->head) return take_slow(a, n);
    uint8_t *p = a->at;
    a->at += n;
    return p;
}

void *arena_alloc(Arena *a, size_t bytes) {
    size_t pad = (size_t)(-(uintptr_t)a->at & (ALIGN - 1));
    void *p;
    if (!a->head || (size_t)(a->end - a->at) < pad + bytes) {
        p = take_slow(a, bytes); /* block data is aligned */
    } else {
        p = a->at + pad;
        a->at += pad + bytes;
    }
    return memset(p, 0, bytes);
}

void *arena_alloc_array(Arena *a, size_t size, size_t n) {
    if (n && size > SIZE_MAX / n) out_of_memory(SIZE_MAX);
    return arena_alloc(a, size * n);
}

void arena_reset(Arena *a) {
    if (!a->head) return;
    for (ArenaBlock *b = a->head->next, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    a->head->next = NULL;
    a->at = a->head->data;
    a->end = a->head->data + a->head->bytes;
}

void arena_free(Arena *a) {
    for (ArenaBlock *b = a->head, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    *a = (Arena){ 0 };
}

size_t arena_used(const Arena *a) {
    size_t n = 0;
    for (const ArenaBlock *b = a->head; b; b = b->next) n += b->bytes;
    return n - (size_t)(a->end - a->at);
}

Str str_dup(Arena *a, Str s) {
    if (!s.ptr) return s;
    uint8_t *p = arena_bytes(a, s.len);
    if (s.len) memcpy(p, s.ptr, s.len);
    return (Str){ p, s.len };
}

char *str_dup_c(Arena *a, Str s) {
    uint8_t *p = arena_bytes(a, s.len + 1);
    if (s.len) memcpy(p, s.ptr, s.len);
    p[s.len] = 0;
    return (char *)p;
}

Str str_format_v(Arena *a, const char *format, va_list args) {
    char text[FORMAT_BYTES];
    size_t n;
    va_list again;
    va_copy(again, args);
    uint8_t *p;
    if (format_simple(text, sizeof text, &n, format, args) && n <= sizeof text) {
        p = arena_bytes(a, n + 1);
        memcpy(p, text, n);
        p[n] = 0;
    } else {
        va_list measured;
        va_copy(measured, again);
        int length = vsnprintf(NULL, 0, format, measured);
        va_end(measured);
        n = length < 0 ? 0 : (size_t)length;
        p = arena_bytes(a, n + 1);
        vsnprintf((char *)p, n + 1, format, again);
    }
    va_end(again);
    return (Str){ p, n };
}

Str str_format(Arena *a, const char *format, ...) {
    va_list args;
    va_start(args, format);
    Str s = str_format_v(a, format, args);
    va_end(args);
    return s;
}
