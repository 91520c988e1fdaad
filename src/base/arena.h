/* Arena: memory that is given back all at once. Never implied, always passed.
 * Running out of the machine's memory ends the process with a message: every size that
 * comes from outside is bounded before it reaches an arena. */
#pragma once

#include <stdarg.h>

#include "base/str.h"

typedef struct ArenaBlock ArenaBlock;
typedef struct {
    ArenaBlock *head; /* the block that is being filled */
    uint8_t *at, *end;
    size_t block_bytes; /* of the next block; 0 = 4096 */
} Arena;

#define arena_new(arena, Type) ((Type *)arena_alloc((arena), sizeof(Type)))
#define arena_array(arena, Type, n) ((Type *)arena_alloc_array((arena), sizeof(Type), (n)))

/* A zeroed Arena is ready for use; the first allocation takes the first block. */
void *arena_alloc(Arena *a, size_t bytes); /* zeroed, aligned for any type */
void *arena_alloc_array(Arena *a, size_t size, size_t n);
uint8_t *arena_bytes(Arena *a, size_t n); /* neither zeroed nor aligned */
/* Keeps the newest block for the next use. */
void arena_reset(Arena *a);
void arena_free(Arena *a);
size_t arena_used(const Arena *a);

Str str_dup(Arena *a, Str s);
char *str_dup_c(Arena *a, Str s); /* terminated */
Str str_format(Arena *a, const char *format, ...) PRINTF_LIKE(2, 3);
Str str_format_v(Arena *a, const char *format, va_list args);

/* malloc, calloc and realloc that never return NULL. */
void *mem_new(size_t bytes); /* zeroed */
void *mem_grow(void *p, size_t bytes);
