#include "rules/delivery_internal.h"

#include <stdlib.h>
#include <time.h>

/* All queues belong to one thread; others reach it by mail. A Try is what is tried together: most often one part. It
 * is open (a batch that takes more), ready (in its destination's queue), running, or resting before it is tried again.
 * Open and resting ones wait for a time in one heap. */

enum {
    TRIES_MAX = 4,
    TOTAL_MS = 20000,
    BACKOFF_MS = 200,
    BACKOFF_MS_MAX = 10000,
    STOP_WAIT_MS = 3000,
};

static void post(Delivery *d, Mail *mail) {
    mail->next = NULL;
    pthread_mutex_lock(&d->lock);
    bool was_empty = !d->mail;
    *d->mail_tail = mail;
    d->mail_tail = &mail->next;
    if (was_empty) pthread_cond_signal(&d->wake);
    pthread_mutex_unlock(&d->lock);
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
    atomic_fetch_sub_explicit(&p->figures->queued, 1, memory_order_relaxed);
    if (!p->dropped)
        atomic_fetch_add_explicit(p->failed ? &p->figures->failed : &p->figures->succeeded, 1, memory_order_relaxed);
    p->over(p);
    atomic_fetch_sub_explicit(&d->waiting, 1, memory_order_relaxed);
}

PartBatch *part_batch_new(size_t n) {
    PartBatch *b = mem_new(sizeof *b);
    pthread_mutex_init(&b->lock, NULL);
    b->left = n;
    return b;
}

void part_batch_free(PartBatch *b) {
    pthread_mutex_destroy(&b->lock);
    free(b);
}

/* The Try stands in its first part: both are gone when this returns. */
void delivery_over(Delivery *d, Try *t, const ActionResult *r, bool dropped) {
    Part *first = t->parts;
    DestinationQueue *q = t->queue;
    const ActionResult *each = t->run.each;
    bool told = !dropped && r->outcome != ACTION_DONE && t->run.n > 1 && !t->batch.quiet;
    PartBatch *batch = told ? part_batch_new(t->run.n) : NULL;
    for (Part *p = first; p; p = p->next) {
        const ActionResult *mine = each ? each++ : r;
        p->dropped = dropped;
        p->batch = batch;
        if (!dropped && mine->outcome != ACTION_DONE) part_fail(p, mine->why, mine->resource);
        if (!q) continue;
        q->parts--;
        q->bytes -= p->item.payload.len;
    }
    if (q) queue_free_when_idle(d, q);
    arena_free(&t->arena);
    for (Part *p = first, *next; p; p = next) {
        next = p->next;
        part_over(d, p);
    }
}

/* ------------------------------------------------------------------------------------------------ trying */

static void try_prepare(Delivery *d, Try *t, Part *first) {
    const Rule *rule = first->rule;
    t->delivery = d;
    t->parts = first;
    t->parts_tail = &first->next;
    t->bytes = first->item.payload.len;
    t->began_ms = delivery_now_ms();
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
    int64_t left = t->began_ms + total_ms(t->run.kind) - delivery_now_ms();
    t->state = TRY_RUNNING;
    t->run.left_ms = left > 1 ? left : 1;
    t->job = (PoolJob){ .rule = t->parts->rule, .run = start_on_pool };
    if (!t->run.kind->waits)
        t->run.kind->start(&t->run);
    else if (!pool_submit(t->delivery->o.pool, &t->job, false))
        action_done(&t->run, (ActionResult){ .outcome = ACTION_SLOWER, .why = S("too much waits already") });
}

void delivery_pump(Delivery *d, DestinationQueue *q) {
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
    int64_t due = delivery_now_ms() + backoff_ms(d, t);
    if (t->run.attempt + 1 >= tries || due >= t->began_ms + total_ms(k) || d->stopped) return false;
    count_again(t);
    t->run.attempt++;
    t->state = TRY_RESTING;
    try_heap_add(&d->heap, t, due);
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
        delivery_over(d, t, &t->result, dropped);
        if (!q) return;
        q->under_way--;
        delivery_pump(d, q);
        queue_free_when_idle(d, q);
        return;
    }
    if (q) delivery_pump(d, q);
}

void action_done(ActionRun *run, ActionResult result) {
    Try *t = (Try *)run;
    Delivery *d = t->delivery;
    t->result = result;
    t->result.why = str_dup(&t->arena, result.why);
    t->result.resource = result.resource.ptr ? str_dup(&t->arena, result.resource) : STR_NONE;
    bool retry = result.outcome == ACTION_AGAIN || result.outcome == ACTION_SLOWER;
    if (!t->queue && !retry) { /* local: here and now */
        delivery_over(d, t, &t->result, result.outcome != ACTION_DONE && atomic_load(&d->closing));
        return;
    }
    t->mail.read = read_result;
    post(d, &t->mail);
}

/* ------------------------------------------------------------------------------------------------ submitting */

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
        delivery_over(d, t, &bad, false);
    } else if (k->local) {
        try_start(t);
    } else {
        p->mail.read = queue_part;
        post(d, &p->mail);
    }
}

/* ------------------------------------------------------------------------------------------------ the thread */

static void run_due(Delivery *d, int64_t now) {
    for (Try *t; (t = try_heap_first(&d->heap)) && t->due_ms <= now;) {
        DestinationQueue *q = t->queue;
        if (t->state == TRY_OPEN) {
            queue_close_batch(d, q, t);
        } else {
            try_heap_remove(&d->heap, t);
            if (!q) {
                try_start(t); /* a local kind's */
                continue;
            }
            queue_ready(q, t);
        }
        delivery_pump(d, q);
    }
}

/* Everything that waits is dropped; what runs comes to its end by itself. */
static void drop_all(Delivery *d) {
    d->stopped = true;
    for (Try *t; (t = try_heap_first(&d->heap));) {
        if (t->state == TRY_OPEN) {
            queue_close_batch(d, t->queue, t);
            continue;
        }
        try_heap_remove(&d->heap, t);
        delivery_over(d, t, NULL, true);
    }
    for (bool any = true; any;) {
        any = false;
        map_each (&d->queues, slot) {
            DestinationQueue *q = slot->value;
            Try *t = q->ready;
            if (!t) continue;
            q->ready = t->next;
            if (!q->ready) q->ready_tail = &q->ready;
            delivery_over(d, t, NULL, true);
            any = true; /* the table may have changed: from the start */
            break;
        }
    }
}

static void wait_for_mail(Delivery *d, int64_t until_ms) {
    int64_t left = until_ms - delivery_now_ms();
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
        const Try *first = try_heap_first(&d->heap);
        int64_t until = first ? first->due_ms : delivery_now_ms() + IDLE_MS;
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
            stop_ms = delivery_now_ms() + STOP_WAIT_MS;
        }
        if (d->stopped && (d->running == 0 || delivery_now_ms() >= stop_ms)) break;
        if (!d->stopped) run_due(d, delivery_now_ms());
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
    try_heap_free(&d->heap);
    pthread_cond_destroy(&d->wake);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

size_t delivery_waiting(Delivery *d) {
    return atomic_load_explicit(&d->waiting, memory_order_relaxed);
}
