#include "store/sorted.h"

#include <stdlib.h>

/* A skip list: each entry is on level 0, a quarter of those on a level are on the next. No rebalancing, and
 * an entry never moves, so a scan may stand on one while others are added. The lowest level is doubly linked,
 * which is all that walking backwards needs. */

typedef struct {
    Entry *at[SORTED_HEIGHT_MAX]; /* the last entry before a key on each level; NULL: the list's head */
} Path;

static Entry **next_of(Sorted *s, Entry *e, int level) {
    return e ? &e->next[level] : &s->first[level];
}

static Entry *path_to(const Sorted *s, Str key, Path *path) {
    Entry *e = NULL;
    for (int level = SORTED_HEIGHT_MAX - 1; level >= 0; level--) {
        for (Entry *n; (n = e ? e->next[level] : s->first[level]) && str_cmp(n->key, key) < 0;) e = n;
        if (path) path->at[level] = e;
    }
    return e;
}

Entry *sorted_before(const Sorted *s, Str key) {
    return path_to(s, key, NULL);
}

Entry *sorted_from(const Sorted *s, Str key) {
    Entry *e = path_to(s, key, NULL);
    return e ? e->next[0] : s->first[0];
}

Entry *sorted_find(const Sorted *s, Str key) {
    Entry *e = sorted_from(s, key);
    return e && str_eq(e->key, key) ? e : NULL;
}

static int random_height(Sorted *s) {
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    int height = 1;
    for (uint64_t r = s->random; height < SORTED_HEIGHT_MAX && (r & 3) == 0; r >>= 2) height++;
    return height;
}

static Entry *entry_new(Sorted *s, Str key, int height) {
    size_t bytes = sizeof(Entry) + (size_t)height * sizeof(Entry *);
    Entry *e = s->arena ? arena_alloc(s->arena, bytes + key.len) : mem_new(bytes + key.len);
    uint8_t *copy = (uint8_t *)e + bytes;
    if (key.len) memcpy(copy, key.ptr, key.len);
    e->key = (Str){ copy, key.len };
    e->height = height;
    return e;
}

Entry *sorted_insert(Sorted *s, Str key) {
    Path path;
    Entry *before = path_to(s, key, &path);
    Entry *after = before ? before->next[0] : s->first[0];
    if (after && str_eq(after->key, key)) return after;
    Entry *e = entry_new(s, key, random_height(s));
    for (int level = 0; level < e->height; level++) {
        Entry **link = next_of(s, path.at[level], level);
        e->next[level] = *link;
        *link = e;
    }
    e->prev = before;
    if (after)
        after->prev = e;
    else
        s->last = e;
    s->count++;
    return e;
}

void sorted_remove(Sorted *s, Entry *e) {
    Path path;
    path_to(s, e->key, &path);
    for (int level = 0; level < e->height; level++) *next_of(s, path.at[level], level) = e->next[level];
    if (e->next[0])
        e->next[0]->prev = e->prev;
    else
        s->last = e->prev;
    s->count--;
    if (!s->arena) free(e);
}

void sorted_free(Sorted *s) {
    if (!s->arena)
        for (Entry *e = s->first[0], *next; e; e = next) {
            next = e->next[0];
            free(e);
        }
    *s = sorted_in(s->arena);
}
