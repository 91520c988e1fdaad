/* Rng: randomness as a parameter. Unseeded it is the system's, fit for keys and ids;
 * seeded it repeats itself, for tests. One thread at a time. */
#pragma once

#include "base/arena.h"

typedef struct {
    uint64_t state; /* 0: the system's */
} Rng;

void rng_fill(Rng *r, void *out, size_t n);
uint64_t rng_u64(Rng *r);
/* The system's randomness taken in blocks, for ids that are made often: a system call each would cost more than all
 * else about them. Zeroed, it is empty. One thread at a time. */
typedef struct {
    size_t left;
    uint8_t bytes[512];
} RngPool;
Str rng_pool_uuid(RngPool *pool, Arena *arena);

/* Shape: 8-4-4-4-12 lower-case hex, version 4. Source: RFC 9562 section 5.4 */
Str rng_uuid(Rng *r, Arena *arena);
enum { UUID_RAW_BYTES = 16 };
Str uuid_text(const uint8_t raw[UUID_RAW_BYTES], Arena *arena); /* the same of bytes that were random before */
