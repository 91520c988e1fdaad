#include "base/rng.h"

#include <stdlib.h>
#include <sys/random.h>

static uint64_t splitmix(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void rng_fill(Rng *r, void *out, size_t n) {
    uint8_t *p = out;
    if (r->state == 0) {
        while (n) {
            ssize_t got = getrandom(p, n > 256 ? 256 : n, 0);
            if (got < 0) abort(); /* only without a kernel that has it */
            p += got;
            n -= (size_t)got;
        }
        return;
    }
    while (n) {
        uint64_t v = splitmix(&r->state);
        size_t take = n < 8 ? n : 8;
        memcpy(p, &v, take);
        p += take;
        n -= take;
    }
}

uint64_t rng_u64(Rng *r) {
    uint64_t v;
    rng_fill(r, &v, sizeof v);
    return v;
}

enum { UUID_BYTES = 36 };

Str uuid_text(const uint8_t raw[UUID_RAW_BYTES], Arena *arena) {
    uint8_t b[UUID_RAW_BYTES], *p = arena_bytes(arena, UUID_BYTES + 1), *at = p;
    memcpy(b, raw, sizeof b);
    b[6] = (b[6] & 0x0F) | 0x40;
    b[8] = (b[8] & 0x3F) | 0x80;
    for (size_t i = 0; i < sizeof b; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) *at++ = '-';
        *at++ = (uint8_t) "0123456789abcdef"[b[i] >> 4];
        *at++ = (uint8_t) "0123456789abcdef"[b[i] & 15];
    }
    *at = 0;
    return (Str){ p, UUID_BYTES };
}

Str rng_uuid(Rng *r, Arena *arena) {
    uint8_t raw[UUID_RAW_BYTES];
    rng_fill(r, raw, sizeof raw);
    return uuid_text(raw, arena);
}

Str rng_pool_uuid(RngPool *pool, Arena *arena) {
    if (pool->left < UUID_RAW_BYTES) {
        rng_fill(&(Rng){ 0 }, pool->bytes, sizeof pool->bytes);
        pool->left = sizeof pool->bytes;
    }
    pool->left -= UUID_RAW_BYTES;
    uint8_t *raw = pool->bytes + pool->left;
    Str id = uuid_text(raw, arena);
    memset(raw, 0, UUID_RAW_BYTES);
    return id;
}
