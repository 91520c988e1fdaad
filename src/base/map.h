/* Map: Str to pointer, open addressing. Keys are borrowed: they live in what they point to.
 * Not shared between threads without a lock of the caller's. */
#pragma once

#include "base/str.h"

typedef struct {
    Str key;
    uint64_t hash;
    void *value; /* NULL: free */
} MapSlot;
typedef struct {
    MapSlot *slots;
    size_t count, cap; /* cap: a power of two, or 0 */
} Map;

void *map_get(const Map *m, Str key);
void *map_get_hashed(const Map *m, Str key, uint64_t hash); /* hash: str_hash(key) */
/* Replaces key and value where the key is there; value must not be NULL. Returns the old value or NULL. */
void *map_put(Map *m, Str key, void *value);
void *map_remove(Map *m, Str key); /* returns what was there, or NULL */
void map_free(Map *m);

/* The table may not change while it is walked. */
#define map_each(m, slot)                                                                                              \
    for (MapSlot *slot = (m)->slots, *slot##_end = slot ? slot + (m)->cap : slot; slot != slot##_end; slot++)          \
        if (slot->value)
