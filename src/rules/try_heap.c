#include "rules/try_heap.h"

#include <stdlib.h>

/* A binary heap; each try knows its place, so that one that ends early is taken out without a search. */

static void heap_set(TryHeap *h, size_t i, Try *t) {
    h->items[i] = t;
    t->heap_at = i + 1;
}

static void heap_up(TryHeap *h, size_t i) {
    Try *t = h->items[i];
    for (; i && h->items[(i - 1) / 2]->due_ms > t->due_ms; i = (i - 1) / 2) heap_set(h, i, h->items[(i - 1) / 2]);
    heap_set(h, i, t);
}

static void heap_down(TryHeap *h, size_t i) {
    Try *t = h->items[i];
    for (size_t child; (child = 2 * i + 1) < h->n; i = child) {
        if (child + 1 < h->n && h->items[child + 1]->due_ms < h->items[child]->due_ms) child++;
        if (h->items[child]->due_ms >= t->due_ms) break;
        heap_set(h, i, h->items[child]);
    }
    heap_set(h, i, t);
}

void try_heap_add(TryHeap *h, Try *t, int64_t due_ms) {
    if (h->n == h->cap) {
        h->cap = h->cap ? h->cap * 2 : 64;
        h->items = mem_grow(h->items, h->cap * sizeof *h->items);
    }
    t->due_ms = due_ms;
    heap_set(h, h->n++, t);
    heap_up(h, h->n - 1);
}

void try_heap_remove(TryHeap *h, Try *t) {
    if (!t->heap_at) return;
    size_t i = t->heap_at - 1;
    t->heap_at = 0;
    Try *last = h->items[--h->n];
    if (last == t) return;
    heap_set(h, i, last);
    heap_up(h, i);
    heap_down(h, last->heap_at - 1);
}

Try *try_heap_first(const TryHeap *h) {
    return h->n ? h->items[0] : NULL;
}

void try_heap_free(TryHeap *h) {
    free(h->items);
}
