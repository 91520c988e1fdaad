#include "server/log_ring.h"

#include <pthread.h>
#include <stdlib.h>

/* Bytes in a circle. A position is how many bytes were ever written before it, so it never comes again; `first` is that
 * of the oldest line that is whole, and moves over whole lines only. */

struct LogRing {
    pthread_mutex_t lock;
    uint64_t first, end;
    size_t cap;
    uint8_t bytes[];
};

LogRing *log_ring_new(size_t bytes) {
    LogRing *r = mem_new(sizeof *r + bytes);
    pthread_mutex_init(&r->lock, NULL);
    r->cap = bytes;
    return r;
}

void log_ring_free(LogRing *r) {
    if (!r) return;
    pthread_mutex_destroy(&r->lock);
    free(r);
}

static void drop_line(LogRing *r) {
    while (r->first < r->end && r->bytes[r->first++ % r->cap] != '\n') continue;
}

void log_ring_add(void *ring, Str line) {
    LogRing *r = ring;
    if (line.len == 0 || line.len > r->cap) return;
    pthread_mutex_lock(&r->lock);
    while (r->end + line.len - r->first > r->cap) drop_line(r);
    for (size_t i = 0; i < line.len; i++) r->bytes[(r->end + i) % r->cap] = line.ptr[i];
    r->end += line.len;
    pthread_mutex_unlock(&r->lock);
}

Str log_ring_read(LogRing *r, uint64_t from, Arena *arena, uint64_t *next) {
    pthread_mutex_lock(&r->lock);
    if (from > r->end || from < r->first) from = r->first;
    size_t n = (size_t)(r->end - from);
    uint8_t *out = arena_bytes(arena, n ? n : 1);
    for (size_t i = 0; i < n; i++) out[i] = r->bytes[(from + i) % r->cap];
    *next = r->end;
    pthread_mutex_unlock(&r->lock);
    return (Str){ out, n };
}
