/* Sorted: a list of entries in key order, found in O(log n). A transaction's own writes and the whole
 * of the memory engine are one each. Not shared between threads without a lock of the caller's. */
#pragma once

#include "base/arena.h"

typedef enum { ENTRY_NONE, ENTRY_PUT, ENTRY_DELETE, ENTRY_ADD } EntryKind;

typedef struct Entry Entry;
struct Entry {
    Str key, value; /* value: of ENTRY_PUT */
    int64_t delta;  /* of ENTRY_ADD */
    EntryKind kind;
    int height;
    Entry *prev;
    Entry *next[]; /* next[0] is the neighbour, higher ones skip */
};

enum { SORTED_HEIGHT_MAX = 20 };

typedef struct {
    Arena *arena; /* where entries live; NULL: each has its own memory, and sorted_remove gives it back */
    Entry *first[SORTED_HEIGHT_MAX];
    Entry *last;
    size_t count;
    uint64_t random;
} Sorted;

static inline Sorted sorted_in(Arena *arena) {
    return (Sorted){ .arena = arena, .random = 0x9e3779b97f4a7c15u };
}
void sorted_free(Sorted *s); /* without an arena; values are the caller's */

Entry *sorted_find(const Sorted *s, Str key);   /* NULL: not there */
Entry *sorted_from(const Sorted *s, Str key);   /* the first at or after key, or NULL */
Entry *sorted_before(const Sorted *s, Str key); /* the last before key, or NULL */
/* The entry of key, made (ENTRY_NONE, key copied) when it is not there. */
Entry *sorted_insert(Sorted *s, Str key);
void sorted_remove(Sorted *s, Entry *e);
