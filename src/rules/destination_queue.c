#include <stdlib.h>

#include "rules/delivery_internal.h"

/* A part counts in its destination from its submission until it is over, so that a destination that is down holds a
 * bounded number, whatever state they are in. */

enum { UNDER_WAY_MAX = 32 };

static DestinationQueue *queue_of(Delivery *d, Str key, const ActionKind *kind) {
    DestinationQueue *q = map_get(&d->queues, key);
    if (q) return q;
    q = mem_new(sizeof *q + key.len);
    if (key.len) memcpy(q->text, key.ptr, key.len);
    q->key = (Str){ q->text, key.len };
    q->ready_tail = &q->ready;
    q->under_way_max = kind->under_way_max ? kind->under_way_max : UNDER_WAY_MAX;
    map_put(&d->queues, q->key, q);
    return q;
}

void queue_free_when_idle(Delivery *d, DestinationQueue *q) {
    if (q->parts || q->under_way) return;
    map_remove(&d->queues, q->key);
    free(q);
}

/* The key lives in the arena. */
static Str destination_of(const Part *p, Arena *arena) {
    const ActionKind *k = p->plan->kind;
    if (k->destination) return k->destination(arena, p->item.action);
    Str resource = k->resource ? k->resource(arena, p->item.action) : S("");
    return str_format(arena, "%.*s %.*s", PS(k->member), PS(resource));
}

void queue_ready(DestinationQueue *q, Try *t) {
    t->state = TRY_READY;
    t->next = NULL;
    *q->ready_tail = t;
    q->ready_tail = &t->next;
}

/* ------------------------------------------------------------------------------------------------ batches */

static void gather_items(Try *t) {
    size_t n = 0;
    for (Part *p = t->parts; p; p = p->next) n++;
    if (n == 1) return;
    ActionItem *items = arena_array(&t->arena, ActionItem, n);
    t->run.items = items;
    t->run.n = n;
    for (Part *p = t->parts; p; p = p->next) *items++ = p->item;
}

static bool same_batch(const Try *t, const Part *p) {
    const Part *first = t->parts;
    return first->rule == p->rule && first->plan == p->plan &&
           (t->batch.across_topics || str_eq(first->item.topic, p->item.topic));
}

void queue_close_batch(Delivery *d, DestinationQueue *q, Try *t) {
    for (Try **at = &q->open; *at; at = &(*at)->next)
        if (*at == t) {
            *at = t->next;
            break;
        }
    try_heap_remove(&d->heap, t);
    gather_items(t);
    queue_ready(q, t);
}

/* Joins an open batch, or opens one. */
static void into_batch(Delivery *d, DestinationQueue *q, Part *p, ActionBatch batch) {
    size_t bytes = p->item.payload.len;
    Try *t = q->open;
    while (t && !same_batch(t, p)) t = t->next;
    if (t && t->bytes + bytes + 1 > t->batch.bytes_max) {
        queue_close_batch(d, q, t);
        t = NULL;
    }
    if (!t) {
        t = &p->own;
        t->batch = batch;
        t->state = TRY_OPEN;
        t->next = q->open;
        q->open = t;
        t->run.n = 1;
        try_heap_add(&d->heap, t, delivery_now_ms() + batch.open_ms);
    } else {
        arena_free(&p->own.arena); /* it is no try of its own */
        *t->parts_tail = p;
        t->parts_tail = &p->next;
        t->bytes += bytes + 1;
        t->run.n++;
    }
    if (t->run.n >= t->batch.n_max || t->bytes >= t->batch.bytes_max) queue_close_batch(d, q, t);
}

void queue_part(Delivery *d, Mail *mail) {
    Part *p = (Part *)((char *)mail - offsetof(Part, mail));
    const ActionKind *k = p->plan->kind;
    Try *t = &p->own;
    DestinationQueue *q = queue_of(d, destination_of(p, &t->arena), k);
    ActionResult full = { .outcome = ACTION_FAILED };
    bool over = q->parts >= d->o.queued_max || q->bytes + p->item.payload.len > d->o.queued_bytes_max;
    if (over || d->stopped) {
        full.why = str_format(&t->arena, "%.*s was throttled: %zu messages wait for this destination already",
                              PS(k->failed), q->parts);
        if (over) atomic_fetch_add_explicit(&p->figures->throttled, 1, memory_order_relaxed);
        queue_free_when_idle(d, q);
        delivery_over(d, t, &full, !over);
        return;
    }
    t->queue = q;
    q->parts++;
    q->bytes += p->item.payload.len;
    ActionBatch batch = k->batch ? k->batch(p->item.action) : (ActionBatch){ 0 };
    if (batch.n_max > 1)
        into_batch(d, q, p, batch);
    else
        queue_ready(q, t);
    delivery_pump(d, q);
}
