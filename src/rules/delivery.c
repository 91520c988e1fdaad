#include "rules/delivery.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/map.h"

/* All queues belong to one thread; others reach it by mail. A Try is what is tried together: most often one part. It
 * is open (a batch that takes more), ready (in its destination's queue), running, or resting before it is tried again.
 * Open and resting ones wait for a time in one heap. A part counts in its destination from its submission until it is
 * over, so that a destination that is down holds a bounded number, whatever state they are in. */

enum {
    UNDER_WAY_MAX = 32,
    TRIES_MAX = 4,
    TOTAL_MS = 20000,
    BACKOFF_MS = 200,
    BACKOFF_MS_MAX = 10000,
    STOP_WAIT_MS = 3000,
};

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
    Try **heap;
    size_t heap_n, heap_cap;
    size_t running;
    bool stopped; /* nothing is started any more */
    uint64_t random;
};

static int64_t now_ms(void) {
    return monotonic_ns() / 1000000;
}

static void post(Delivery *d, Mail *mail) {
    mail->next = NULL;
    pthread_mutex_lock(&d->lock);
    bool was_empty = !d->mail;
    *d->mail_tail = mail;
    d->mail_tail = &mail->next;
    if (was_empty) pthread_cond_signal(&d->wake);
    pthread_mutex_unlock(&d->lock);
}

/* ------------------------------------------------------------------------------------------------ the heap */

static void heap_set(Delivery *d, size_t i, Try *t) {
    d->heap[i] = t;
    t->heap_at = i + 1;
}

static void heap_up(Delivery *d, size_t i) {
    Try *t = d->heap[i];
    for (; i && d->heap[(i - 1) / 2]->due_ms > t->due_ms; i = (i - 1) / 2) heap_set(d, i, d->heap[(i - 1) / 2]);
    heap_set(d, i, t);
}

static void heap_down(Delivery *d, size_t i) {
    Try *t = d->heap[i];
    for (size_t child; (child = 2 * i + 1) < d->heap_n; i = child) {
        if (child + 1 < d->heap_n && d->heap[child + 1]->due_ms < d->heap[child]->due_ms) child++;
        if (d->heap[child]->due_ms >= t->due_ms) break;
        heap_set(d, i, d->heap[child]);
    }
    heap_set(d, i, t);
}

static void heap_add(Delivery *d, Try *t, int64_t due_ms) {
    if (d->heap_n == d->heap_cap) {
        d->heap_cap = d->heap_cap ? d->heap_cap * 2 : 64;
        d->heap = mem_grow(d->heap, d->heap_cap * sizeof *d->heap);
    }
    t->due_ms = due_ms;
    heap_set(d, d->heap_n++, t);
    heap_up(d, d->heap_n - 1);
}

static void heap_remove(Delivery *d, Try *t) {
    if (!t->heap_at) return;
    size_t i = t->heap_at - 1;
    t->heap_at = 0;
    Try *last = d->heap[--d->heap_n];
    if (last == t) return;
    heap_set(d, i, last);
    heap_up(d, i);
    heap_down(d, last->heap_at - 1);
}

/* ------------------------------------------------------------------------------------------------ queues */

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

static void queue_free_when_idle(Delivery *d, DestinationQueue *q) {
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

static void queue_ready(DestinationQueue *q, Try *t) {
    t->state = TRY_READY;
    t->next = NULL;
    *q->ready_tail = t;
    q->ready_tail = &t->next;
}

/* ------------------------------------------------------------------------------------------------ over */

static char *text_dup(Str s) {
    char *t = mem_grow(NULL, s.len + 1);
    if (s.len) memcpy(t, s.ptr, s.len);
    t[s.len] = '\0';
    return t;
}

static void part_fail(Part *p, Str why, Str resource) {
    Arena arena = { 0 };
    const ActionKind *k = p->plan->kind;
    if (!resource.ptr && k->resource) resource = k->resource(&arena, p->item.action);
    p->failed = true;
    p->why = text_dup(why);
    p->resource = text_dup(resource);
    arena_free(&arena);
}

static void part_over(Delivery *d, Part *p) {
    atomic_fetch_sub_explicit(&d->waiting, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&p->figures->queued, 1, memory_order_relaxed);
    if (!p->dropped)
        atomic_fetch_add_explicit(p->failed ? &p->figures->failed : &p->figures->succeeded, 1, memory_order_relaxed);
    p->over(p);
}

/* The Try stands in its first part, which therefore goes last. */
static void try_over(Delivery *d, Try *t, const ActionResult *r, bool dropped) {
    Part *first = t->parts;
    DestinationQueue *q = t->queue;
    for (Part *p = first; p; p = p->next) {
        p->dropped = dropped;
        if (!dropped && r->outcome != ACTION_DONE) part_fail(p, r->why, r->resource);
        if (!q) continue;
        q->parts--;
        q->bytes -= p->item.payload.len;
    }
    if (q) queue_free_when_idle(d, q);
    arena_free(&t->arena);
    for (Part *p = first->next, *next; p; p = next) {
        next = p->next;
        part_over(d, p);
    }
    part_over(d, first);
}

/* ------------------------------------------------------------------------------------------------ trying */

static void try_prepare(Delivery *d, Try *t, Part *first) {
    const Rule *rule = first->rule;
    t->delivery = d;
    t->parts = first;
    t->parts_tail = &first->next;
    t->bytes = first->item.payload.len;
    t->began_ms = now_ms();
    t->run = (ActionRun){ .env = d->o.env,
                          .kind = first->plan->kind,
                          .account = rule->account,
                          .region = rule->region,
                          .rule_name = rule->name,
                          .rule_arn = rule->arn,
                          .items = &first->item,
                          .n = 1,
                          .arena = &t->arena };
}

static int64_t total_ms(const ActionKind *k) {
    return k->total_ms ? k->total_ms : TOTAL_MS;
}

static void start_on_pool(PoolJob *job, Rng *rng) {
    Try *t = (Try *)((char *)job - offsetof(Try, job));
    (void)rng;
    t->run.kind->start(&t->run);
}

static void try_start(Try *t) {
    int64_t left = t->began_ms + total_ms(t->run.kind) - now_ms();
    t->state = TRY_RUNNING;
    t->run.left_ms = left > 1 ? left : 1;
    t->job = (PoolJob){ .rule = t->parts->rule, .run = start_on_pool };
    if (!t->run.kind->waits)
        t->run.kind->start(&t->run);
    else if (!pool_submit(t->delivery->o.pool, &t->job, false))
        action_done(&t->run, (ActionResult){ .outcome = ACTION_SLOWER, .why = S("too much waits already") });
}

static void gather_items(Try *t) {
    size_t n = 0;
    for (Part *p = t->parts; p; p = p->next) n++;
    if (n == 1) return;
    ActionItem *items = arena_array(&t->arena, ActionItem, n);
    t->run.items = items;
    t->run.n = n;
    for (Part *p = t->parts; p; p = p->next) *items++ = p->item;
}

static void pump(Delivery *d, DestinationQueue *q) {
    while (q->ready && q->under_way < q->under_way_max && !d->stopped) {
        Try *t = q->ready;
        q->ready = t->next;
        if (!q->ready) q->ready_tail = &q->ready;
        q->under_way++;
        d->running++;
        try_start(t);
    }
}

/* Doubled each time, between half and all of it. Of the local ones' first try, on any thread, nothing is changed. */
static int64_t backoff_ms(Delivery *d, const Try *t) {
    int64_t ms = t->run.kind->backoff_ms ? t->run.kind->backoff_ms : BACKOFF_MS;
    for (int i = 0; i < t->run.attempt && ms < BACKOFF_MS_MAX; i++) ms *= 2;
    d->random = d->random * UINT64_C(6364136223846793005) + 1;
    return ms / 2 + (int64_t)((d->random >> 33) % (uint64_t)(ms / 2 + 1));
}

static void count_again(Try *t) {
    for (Part *p = t->parts; p; p = p->next) {
        atomic_fetch_add_explicit(&p->figures->retried, 1, memory_order_relaxed);
        if (t->result.outcome == ACTION_SLOWER)
            atomic_fetch_add_explicit(&p->figures->throttled, 1, memory_order_relaxed);
    }
}

static bool again(Delivery *d, Try *t) {
    const ActionKind *k = t->run.kind;
    if (t->result.outcome != ACTION_AGAIN && t->result.outcome != ACTION_SLOWER) return false;
    int tries = (int)(k->tries_max ? k->tries_max : TRIES_MAX);
    int64_t due = now_ms() + backoff_ms(d, t);
    if (t->run.attempt + 1 >= tries || due >= t->began_ms + total_ms(k) || d->stopped) return false;
    count_again(t);
    t->run.attempt++;
    t->state = TRY_RESTING;
    heap_add(d, t, due);
    return true;
}

/* On the delivery's thread. */
static void read_result(Delivery *d, Mail *mail) {
    Try *t = (Try *)((char *)mail - offsetof(Try, mail));
    DestinationQueue *q = t->queue;
    if (q) {
        q->under_way--;
        d->running--;
    }
    /* what ends with the server has not failed: it is done after the next start, where it is stored */
    bool dropped = t->result.outcome != ACTION_DONE && atomic_load(&d->closing);
    if (dropped || !again(d, t)) {
        if (q) q->under_way++; /* it stays while the try is told of */
        try_over(d, t, &t->result, dropped);
        if (!q) return;
        q->under_way--;
        pump(d, q);
        queue_free_when_idle(d, q);
        return;
    }
    if (q) pump(d, q);
}

void action_done(ActionRun *run, ActionResult result) {
    Try *t = (Try *)run;
    Delivery *d = t->delivery;
    t->result = result;
    t->result.why = str_dup(&t->arena, result.why);
    t->result.resource = result.resource.ptr ? str_dup(&t->arena, result.resource) : STR_NONE;
    bool retry = result.outcome == ACTION_AGAIN || result.outcome == ACTION_SLOWER;
    if (!t->queue && !retry) { /* local: here and now */
        try_over(d, t, &t->result, result.outcome != ACTION_DONE && atomic_load(&d->closing));
        return;
    }
    t->mail.read = read_result;
    post(d, &t->mail);
}

/* ------------------------------------------------------------------------------------------------ queueing */

static bool same_batch(const Try *t, const Part *p) {
    const Part *first = t->parts;
    return first->rule == p->rule && first->plan == p->plan &&
           (t->batch.across_topics || str_eq(first->item.topic, p->item.topic));
}

static void open_close(Delivery *d, DestinationQueue *q, Try *t) {
    for (Try **at = &q->open; *at; at = &(*at)->next)
        if (*at == t) {
            *at = t->next;
            break;
        }
    heap_remove(d, t);
    gather_items(t);
    queue_ready(q, t);
}

/* Joins an open batch, or opens one. */
static void into_batch(Delivery *d, DestinationQueue *q, Part *p, ActionBatch batch) {
    size_t bytes = p->item.payload.len;
    Try *t = q->open;
    while (t && !same_batch(t, p)) t = t->next;
    if (t && t->bytes + bytes + 1 > t->batch.bytes_max) {
        open_close(d, q, t);
        t = NULL;
    }
    if (!t) {
        t = &p->own;
        t->batch = batch;
        t->state = TRY_OPEN;
        t->next = q->open;
        q->open = t;
        t->run.n = 1;
        heap_add(d, t, now_ms() + batch.open_ms);
    } else {
        arena_free(&p->own.arena); /* it is no try of its own */
        *t->parts_tail = p;
        t->parts_tail = &p->next;
        t->bytes += bytes + 1;
        t->run.n++;
    }
    if (t->run.n >= t->batch.n_max || t->bytes >= t->batch.bytes_max) open_close(d, q, t);
}

static void read_part(Delivery *d, Mail *mail) {
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
        try_over(d, t, &full, !over);
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
    pump(d, q);
}

void delivery_submit(Delivery *d, Part *p) {
    const ActionKind *k = p->plan->kind;
    Try *t = &p->own;
    p->next = NULL;
    try_prepare(d, t, p);
    atomic_fetch_add_explicit(&d->waiting, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&p->figures->queued, 1, memory_order_relaxed);
    ActionResult bad = { .outcome = ACTION_FAILED };
    if (k->json_only && !p->item.json)
        bad.why = str_format(&t->arena,
                             "%.*s takes JSON: the result of the rule is the payload's bytes. Use "
                             "encode(*, 'base64')",
                             PS(k->failed));
    if (k->payload_bytes_max && p->item.payload.len > k->payload_bytes_max)
        bad.why = str_format(&t->arena, "%.*s: the result of %zu bytes is larger than the maximum of %zu",
                             PS(k->failed), p->item.payload.len, k->payload_bytes_max);
    if (bad.why.ptr) {
        try_over(d, t, &bad, false);
    } else if (k->local) {
        try_start(t);
    } else {
        p->mail.read = read_part;
        post(d, &p->mail);
    }
}

/* ------------------------------------------------------------------------------------------------ the thread */

static void run_due(Delivery *d, int64_t now) {
    while (d->heap_n && d->heap[0]->due_ms <= now) {
        Try *t = d->heap[0];
        DestinationQueue *q = t->queue;
        if (t->state == TRY_OPEN) {
            open_close(d, q, t);
        } else {
            heap_remove(d, t);
            if (!q) {
                try_start(t); /* a local kind's */
                continue;
            }
            queue_ready(q, t);
        }
        pump(d, q);
    }
}

/* Everything that waits is dropped; what runs comes to its end by itself. */
static void drop_all(Delivery *d) {
    d->stopped = true;
    while (d->heap_n) {
        Try *t = d->heap[0];
        if (t->state == TRY_OPEN) {
            open_close(d, t->queue, t);
            continue;
        }
        heap_remove(d, t);
        try_over(d, t, NULL, true);
    }
    for (bool any = true; any;) {
        any = false;
        map_each (&d->queues, slot) {
            DestinationQueue *q = slot->value;
            Try *t = q->ready;
            if (!t) continue;
            q->ready = t->next;
            if (!q->ready) q->ready_tail = &q->ready;
            try_over(d, t, NULL, true);
            any = true; /* the table may have changed: from the start */
            break;
        }
    }
}

static void wait_for_mail(Delivery *d, int64_t until_ms) {
    int64_t left = until_ms - now_ms();
    if (d->mail || d->stopping != d->stopped || left <= 0) return;
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += left / 1000;
    at.tv_nsec += left % 1000 * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&d->wake, &d->lock, &at);
}

static void *run(void *arg) {
    Delivery *d = arg;
    int64_t stop_ms = INT64_MAX;
    for (;;) {
        enum { IDLE_MS = 60000 };
        int64_t until = d->heap_n ? d->heap[0]->due_ms : now_ms() + IDLE_MS;
        if (stop_ms < until) until = stop_ms;
        pthread_mutex_lock(&d->lock);
        wait_for_mail(d, until);
        Mail *mail = d->mail;
        d->mail = NULL;
        d->mail_tail = &d->mail;
        bool stopping = d->stopping;
        pthread_mutex_unlock(&d->lock);
        for (Mail *next; mail; mail = next) {
            next = mail->next;
            mail->read(d, mail);
        }
        if (stopping && !d->stopped) {
            drop_all(d);
            stop_ms = now_ms() + STOP_WAIT_MS;
        }
        if (d->stopped && (d->running == 0 || now_ms() >= stop_ms)) break;
        if (!d->stopped) run_due(d, now_ms());
    }
    return NULL;
}

Delivery *delivery_start(const DeliveryOptions *options) {
    Delivery *d = mem_new(sizeof *d);
    pthread_condattr_t monotonic;
    d->o = *options;
    d->mail_tail = &d->mail;
    d->random = (uint64_t)monotonic_ns();
    pthread_mutex_init(&d->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&d->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&d->thread, NULL, run, d)) abort();
    return d;
}

void delivery_close(Delivery *d) {
    atomic_store(&d->closing, true);
}

void delivery_stop(Delivery *d) {
    delivery_close(d);
    pthread_mutex_lock(&d->lock);
    d->stopping = true;
    pthread_cond_signal(&d->wake);
    pthread_mutex_unlock(&d->lock);
    pthread_join(d->thread, NULL);
}

void delivery_free(Delivery *d) {
    /* what was posted after its end, by whoever went on for a moment */
    for (Mail *mail = d->mail, *next; mail; mail = next) {
        next = mail->next;
        mail->read(d, mail);
    }
    map_free(&d->queues);
    free(d->heap);
    pthread_cond_destroy(&d->wake);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

size_t delivery_waiting(Delivery *d) {
    return atomic_load_explicit(&d->waiting, memory_order_relaxed);
}
