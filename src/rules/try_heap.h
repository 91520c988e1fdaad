/* TryHeap: tries that wait for a time, the earliest first. Not shared between threads. */
#pragma once

#include "rules/delivery.h"

typedef struct {
    Try **items;
    size_t n, cap;
} TryHeap;

void try_heap_add(TryHeap *h, Try *t, int64_t due_ms);
void try_heap_remove(TryHeap *h, Try *t); /* one that is not in it stays out */
Try *try_heap_first(const TryHeap *h);    /* NULL: it is empty */
void try_heap_free(TryHeap *h);
