#include "base/map.h"

#include <stdlib.h>

#include "base/arena.h"

/* Linear probing, at most three quarters full; removal shifts the run back, so there are no tombstones
 * and a table that churns does not slow down. */

enum { FIRST_SLOTS = 8 };

static MapSlot *find(const Map *m, Str key, uint64_t hash) {
    if (!m->cap) return NULL;
    for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
        MapSlot *s = &m->slots[i];
        if (!s->value || (s->hash == hash && str_eq(s->key, key))) return s;
    }
}

void *map_get_hashed(const Map *m, Str key, uint64_t hash) {
    MapSlot *s = find(m, key, hash);
    return s ? s->value : NULL;
}

void *map_get(const Map *m, Str key) {
    return m->count ? map_get_hashed(m, key, str_hash(key)) : NULL;
}

static void grow(Map *m) {
    Map bigger = { .cap = m->cap ? m->cap * 2 : FIRST_SLOTS };
    bigger.slots = mem_new(bigger.cap * sizeof *bigger.slots);
    map_each (m, s) *find(&bigger, s->key, s->hash) = *s;
    bigger.count = m->count;
    free(m->slots);
    *m = bigger;
}

void *map_put(Map *m, Str key, void *value) {
    if ((m->count + 1) * 4 > m->cap * 3) grow(m);
    uint64_t hash = str_hash(key);
    MapSlot *s = find(m, key, hash);
    void *old = s->value;
    *s = (MapSlot){ key, hash, value };
    m->count += old == NULL;
    return old;
}

void *map_remove(Map *m, Str key) {
    MapSlot *s = m->count ? find(m, key, str_hash(key)) : NULL;
    if (!s || !s->value) return NULL;
    void *old = s->value;
    size_t mask = m->cap - 1, hole = (size_t)(s - m->slots);
    for (size_t i = (hole + 1) & mask; m->slots[i].value; i = (i + 1) & mask) {
        size_t home = m->slots[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) { /* may move back to the hole */
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole] = (MapSlot){ 0 };
    m->count--;
    return old;
}

void map_free(Map *m) {
    free(m->slots);
    *m = (Map){ 0 };
}
