#include "net/loop.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "net/conn.h"

/* A turn of the loop: timers, then the poll (sockets are read, tasks run), then the flush. The flush runs
 * before the poll as well, for what timers wrote. The turn's arena is emptied after a flush, when no output
 * refers to it any more.
 *
 * The wheel has a bucket a second; a timer that is due later than the wheel is long stays in its bucket for
 * another round. Keep-alive moves due_ms only and leaves the timer where it is: when its bucket comes up
 * too early it is put where it belongs. */

/* Runs what was posted so far; *stopping as it was then. False: there was nothing. */
static bool run_posted(Reactor *r, bool *stopping) {
    pthread_mutex_lock(&r->lock);
    Task *task = r->posted;
    bool any = task != NULL;
    r->posted = NULL;
    r->posted_tail = &r->posted;
    *stopping = r->stopping;
    pthread_mutex_unlock(&r->lock);
    while (task) {
        Task *next = task->next;
        task->run(task, r);
        task = next;
    }
    return any;
}

static void wake_up(uv_async_t *async) {
    Reactor *r = async->data;
    bool stopping;
    run_posted(r, &stopping);
    if (stopping) uv_stop(&r->loop);
}

static void turn_end(Reactor *r) {
    for (TurnBlock *b = r->turn->next, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    r->turn->next = NULL;
    r->turn->used = 0;
    if (r->turn->cap > TURN_BLOCK_BYTES) { /* one large message made it */
        free(r->turn);
        r->turn = NULL;
        size_t have;
        turn_room(r, 0, &have);
    }
}

static void flush(Reactor *r) {
    if (r->before_flush) r->before_flush(r);
    while (r->dirty) {
        Conn *list = r->dirty;
        r->dirty = NULL;
        conn_flush_list(list);
    }
    if (r->turn->used || r->turn->next) turn_end(r);
}

static void on_prepare(uv_prepare_t *h) {
    flush(h->data);
}

static void on_check(uv_check_t *h) {
    flush(h->data);
}

int64_t reactor_now_ms(const Reactor *r) {
    return monotonic_ns() / 1000000 + atomic_load_explicit(&r->clock->ahead_ms, memory_order_relaxed);
}

void timer_disarm(Timer *t) {
    if (!t->next) return;
    t->next->prev = t->prev;
    t->prev->next = t->next;
    t->next = t->prev = NULL;
}

/* Seconds since the machine started go below zero where a clock goes back further than that. */
static Timer *bucket_of(Reactor *r, int64_t second) {
    return &r->wheel[(uint64_t)second % TIMER_BUCKETS];
}

void timer_arm(Reactor *r, Timer *t, int64_t due_ms) {
    t->due_ms = due_ms;
    int64_t due_s = due_ms / 1000 + 1; /* never early */
    if (due_s <= r->wheel_s) due_s = r->wheel_s + 1;
    Timer *head = bucket_of(r, due_s);
    timer_disarm(t);
    t->next = head;
    t->prev = head->prev;
    head->prev->next = t;
    head->prev = t;
}

static void run_bucket(Reactor *r, int64_t second, int64_t now_ms) {
    Timer *head = bucket_of(r, second), due;
    if (head->next == head) return;
    due = *head; /* a list of its own: firing may arm timers in this bucket again */
    due.next->prev = &due;
    due.prev->next = &due;
    head->next = head->prev = head;
    while (due.next != &due) {
        Timer *t = due.next;
        timer_disarm(t);
        if (t->due_ms > now_ms)
            timer_arm(r, t, t->due_ms);
        else
            t->fire(t, r);
    }
}

/* Nanoseconds that the thread ran or would have run, had there been a processor for it. libuv's measure of idle time
 * costs a system call more each time that a loop wakes up; this costs one a second.
 * Source: Linux, Documentation/scheduler/sched-stats.rst: time on the processor, time waiting for one */
static uint64_t used_ns(Reactor *r) {
    char text[96];
    unsigned long long ran = 0, waited = 0;
    struct timespec t;
    if (r->schedstat_fd < 0) r->schedstat_fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
    ssize_t n = r->schedstat_fd < 0 ? -1 : pread(r->schedstat_fd, text, sizeof text - 1, 0);
    if (n > 0) {
        text[n] = 0;
        if (sscanf(text, "%llu %llu", &ran, &waited) == 2) return ran + waited;
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Once a second. */
static void measure(Reactor *r) {
    uint64_t used = used_ns(r), permille = (used - r->used_ns_before) / 1000000u;
    r->used_ns_before = used;
    atomic_store_explicit(&r->busy_permille, permille > 1000 ? 1000 : (uint32_t)permille, memory_order_relaxed);
}

static void run_timers(Reactor *r) {
    int64_t now = reactor_now_ms(r), now_s = now / 1000;
    r->now_ms = now;
    if (now_s - r->wheel_s > TIMER_BUCKETS || now_s < r->wheel_s)
        r->wheel_s = now_s - TIMER_BUCKETS; /* the clock jumped, or went back: each bucket once */
    while (r->wheel_s < now_s) run_bucket(r, ++r->wheel_s, now);
}

static void on_tick(uv_timer_t *h) {
    Reactor *r = h->data;
    run_timers(r);
    measure(r);
}

typedef struct {
    Task task;
} ClockTask;

static void clock_task(Task *task, Reactor *r) {
    run_timers(r);
    free(task);
}

void reactor_clock_moved(Reactor *r) {
    ClockTask *t = mem_new(sizeof *t);
    t->task.run = clock_task;
    reactor_post(r, &t->task);
}

uint8_t *turn_room(Reactor *r, size_t need, size_t *have) {
    TurnBlock *b = r->turn;
    if (!b || b->cap - b->used < need || b->cap - b->used < TURN_ROOM_MIN) {
        size_t cap = need > TURN_BLOCK_BYTES ? need : TURN_BLOCK_BYTES;
        b = mem_grow(NULL, sizeof *b + cap);
        b->next = r->turn;
        b->used = 0;
        b->cap = cap;
        r->turn = b;
    }
    *have = b->cap - b->used;
    return b->data + b->used;
}

uint8_t *turn_copy(Reactor *r, Str bytes) {
    size_t have;
    uint8_t *p = turn_room(r, bytes.len, &have);
    if (bytes.len) memcpy(p, bytes.ptr, bytes.len);
    turn_take(r, bytes.len);
    return p;
}

Reactor *reactor_new(int index, const Clock *clock) {
    Reactor *r = mem_new(sizeof *r);
    r->index = index;
    r->clock = clock;
    r->schedstat_fd = -1;
    r->posted_tail = &r->posted;
    pthread_mutex_init(&r->lock, NULL);
    uv_loop_init(&r->loop);
    uv_async_init(&r->loop, &r->wake, wake_up);
    uv_prepare_init(&r->loop, &r->before_poll);
    uv_check_init(&r->loop, &r->after_poll);
    uv_timer_init(&r->loop, &r->tick);
    r->wake.data = r->before_poll.data = r->after_poll.data = r->tick.data = r;
    uv_prepare_start(&r->before_poll, on_prepare);
    uv_check_start(&r->after_poll, on_check);
    uv_timer_start(&r->tick, on_tick, 1000, 1000);
    for (size_t i = 0; i < TIMER_BUCKETS; i++) r->wheel[i].next = r->wheel[i].prev = &r->wheel[i];
    r->now_ms = reactor_now_ms(r);
    r->wheel_s = r->now_ms / 1000;
    size_t have;
    turn_room(r, 0, &have);
    return r;
}

static void *thread_main(void *arg) {
    Reactor *r = arg;
    uv_run(&r->loop, UV_RUN_DEFAULT);
    return NULL;
}

void reactor_start(Reactor *r) {
    pthread_create(&r->thread, NULL, thread_main, r);
}

void reactor_post(Reactor *r, Task *task) {
    task->next = NULL;
    pthread_mutex_lock(&r->lock);
    bool first = r->posted == NULL;
    *r->posted_tail = task;
    r->posted_tail = &task->next;
    pthread_mutex_unlock(&r->lock);
    if (first) uv_async_send(&r->wake);
}

void reactor_stop(Reactor *r) {
    pthread_mutex_lock(&r->lock);
    r->stopping = true;
    pthread_mutex_unlock(&r->lock);
    uv_async_send(&r->wake);
    pthread_join(r->thread, NULL);
}

bool reactor_drain(Reactor *r) {
    bool stopping;
    return run_posted(r, &stopping);
}

static void close_handle(uv_handle_t *h, void *arg) {
    (void)arg;
    if (!uv_is_closing(h)) uv_close(h, NULL);
}

void reactor_free(Reactor *r) {
    uv_walk(&r->loop, close_handle, NULL);
    uv_run(&r->loop, UV_RUN_NOWAIT);
    uv_loop_close(&r->loop);
    conn_pools_free(r);
    for (TurnBlock *b = r->turn, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    if (r->schedstat_fd >= 0) close(r->schedstat_fd);
    free(r->tls.in_buffer);
    free(r->tls.out);
    pthread_mutex_destroy(&r->lock);
    free(r);
}
