/* Inside of delivery: its thread's state, the queues of destinations, and the tries. All but what is said otherwise
 * runs on that thread. */
#pragma once

#include <pthread.h>

#include "base/clock.h"
#include "base/map.h"
#include "rules/try_heap.h"

struct DestinationQueue {
    Str key; /* behind the struct */
    Try *ready, **ready_tail, *open;
    uint32_t under_way, under_way_max;
    size_t parts, bytes; /* not over */
    uint8_t text[];
};

struct Delivery {
    DeliveryOptions o;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    Mail *mail, **mail_tail;
    bool stopping;
    _Atomic bool closing;
    _Atomic size_t waiting;
    /* the thread's own */
    Map queues;
    TryHeap heap; /* open batches and resting tries */
    size_t running;
    bool stopped; /* nothing is started any more */
    uint64_t random;
};

static inline int64_t delivery_now_ms(void) {
    return monotonic_ns() / 1000000;
}

/* ---- destination_queue.c ---- */
void queue_part(Delivery *d, Mail *mail); /* a new part finds its queue, and its batch */
void queue_free_when_idle(Delivery *d, DestinationQueue *q);
void queue_ready(DestinationQueue *q, Try *t);
/* A batch takes no more: it is ready. */
void queue_close_batch(Delivery *d, DestinationQueue *q, Try *t);

/* ---- delivery.c ---- */
/* As many tries begin as the destination may have under way. */
void delivery_pump(Delivery *d, DestinationQueue *q);
/* The try is over, and so are its parts. Any thread, where it has no queue. r NULL: dropped */
void delivery_over(Delivery *d, Try *t, const ActionResult *r, bool dropped);
