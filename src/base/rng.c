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

Str rng_uuid(Rng *r, Arena *arena) {
    uint8_t b[16];
    rng_fill(r, b, sizeof b);
    b[6] = (b[6] & 0x0F) | 0x40;
    b[8] = (b[8] & 0x3F) | 0x80;
    return str_format(arena, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2],
                      b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}
