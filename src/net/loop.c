#include "net/loop.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "net/conn.h"

/* A turn of the loop: what the kernel says is ready (sockets are read, tasks and timers run), then the flush. The
 * turn's arena is emptied after it, when no output refers to it any more.
 *
 * Straight on epoll: with one message a turn, a message is what a wake-up costs, and a general loop reads the clock
 * twice a turn, sets a timer in the kernel for each wait and holds 160 bytes for each socket. Here the second comes as
 * one more descriptor that becomes readable, so that a wait has no end of its own, and the wake-up is edge-triggered:
 * nobody needs to read it.
 *
 * The wheel has a bucket a second; a timer that is due later than the wheel is long stays in its bucket for
 * another round. Keep-alive moves due_ms only and leaves the timer where it is: when its bucket comes up
 * too early it is put where it belongs. */

enum { EVENTS_MAX = 1024 }; /* of a turn */

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

static void wake_up(Watch *w, Reactor *r, unsigned events) {
    bool stopping;
    (void)w, (void)events;
    run_posted(r, &stopping);
    if (stopping) r->ending = true;
}

static void wake(Reactor *r) {
    const uint64_t one = 1;
    ssize_t n = write(r->wake.fd, &one, sizeof one);
    (void)n; /* it could only fail when it had been written 2^64 times */
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

/* ------------------------------------------------------------------------------------------------ watching */

_Static_assert((int)WATCH_READ == (int)EPOLLIN && (int)WATCH_WRITE == (int)EPOLLOUT &&
                   (int)WATCH_ERROR == (int)EPOLLERR && (int)WATCH_HANGUP == (int)EPOLLHUP,
               "events are handed on as they are");

static void forget_ready(Reactor *r, const Watch *w) {
    for (int i = r->events_at; i < r->events_n; i++)
        if (r->events[i].data.ptr == w) r->events[i].data.ptr = NULL;
}

static bool control(Reactor *r, Watch *w, unsigned events, unsigned how) {
    struct epoll_event e = { .events = events | how, .data.ptr = w };
    int op = !events ? EPOLL_CTL_DEL : w->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (w->events == events) return true;
    if (!events) forget_ready(r, w);
    if (epoll_ctl(r->poll_fd, op, w->fd, &e) && op != EPOLL_CTL_DEL) return false;
    w->events = events;
    return true;
}

bool reactor_watch(Reactor *r, Watch *w, unsigned events) {
    return control(r, w, events, 0);
}

static void turn(Reactor *r, int wait_ms) {
    r->events_n = epoll_wait(r->poll_fd, r->events, EVENTS_MAX, wait_ms);
    for (r->events_at = 0; r->events_at < r->events_n;) {
        const struct epoll_event *e = &r->events[r->events_at++];
        Watch *w = e->data.ptr;
        if (w) w->ready(w, r, e->events);
    }
    flush(r);
    if (!r->second_passed) return;
    r->second_passed = false;
    if (r->each_second) r->each_second(r);
}

/* ------------------------------------------------------------------------------------------------ timers */

int64_t reactor_now_ms(const Reactor *r) {
    return clock_steady_ms(r->clock);
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

/* Nanoseconds that the thread ran, and that it waited for a processor. To measure the time that a loop waits costs a
 * clock twice each time that it wakes up; this is a call a second.
 * Source: Linux, Documentation/scheduler/sched-stats.rst: time on the processor, time waiting for one */
static void used_ns(Reactor *r, uint64_t *ran, uint64_t *waited) {
    char text[96];
    unsigned long long on = 0, off = 0;
    struct timespec t;
    if (r->schedstat_fd < 0) r->schedstat_fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
    ssize_t n = r->schedstat_fd < 0 ? -1 : pread(r->schedstat_fd, text, sizeof text - 1, 0);
    if (n > 0) text[n] = 0;
    if (n <= 0 || sscanf(text, "%llu %llu", &on, &off) != 2) {
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        on = (unsigned long long)t.tv_sec * 1000000000u + (unsigned long long)t.tv_nsec;
        off = 0;
    }
    *ran = on;
    *waited = off;
}

static uint32_t permille_of(uint64_t ns) {
    return ns / 1000000u > 1000 ? 1000 : (uint32_t)(ns / 1000000u);
}

/* Once a second. */
static void measure(Reactor *r) {
    uint64_t ran, waited;
    used_ns(r, &ran, &waited);
    uint64_t on = ran - r->ran_ns_before, off = waited - r->waited_ns_before;
    r->ran_ns_before = ran;
    r->waited_ns_before = waited;
    atomic_store_explicit(&r->busy_permille, permille_of(on + off), memory_order_relaxed);
    atomic_store_explicit(&r->ran_permille, permille_of(on), memory_order_relaxed);
}

static void run_timers(Reactor *r) {
    int64_t now = reactor_now_ms(r), now_s = now / 1000;
    r->now_ms = now;
    if (now_s - r->wheel_s > TIMER_BUCKETS || now_s < r->wheel_s)
        r->wheel_s = now_s - TIMER_BUCKETS; /* the clock jumped, or went back: each bucket once */
    while (r->wheel_s < now_s) run_bucket(r, ++r->wheel_s, now);
}

static void on_tick(Watch *w, Reactor *r, unsigned events) {
    uint64_t seconds;
    (void)events;
    if (read(w->fd, &seconds, sizeof seconds) < 0) return;
    run_timers(r);
    measure(r);
    r->second_passed = true;
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

/* Without these three there is no server. */
static void open_poll(Reactor *r) {
    const struct itimerspec second = { { 1, 0 }, { 1, 0 } };
    r->events = mem_grow(NULL, EVENTS_MAX * sizeof *r->events);
    r->poll_fd = epoll_create1(EPOLL_CLOEXEC);
    r->wake = (Watch){ .ready = wake_up, .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
    r->tick = (Watch){ .ready = on_tick, .fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK) };
    if (r->tick.fd < 0 || timerfd_settime(r->tick.fd, 0, &second, NULL) || !control(r, &r->wake, WATCH_READ, EPOLLET) ||
        !control(r, &r->tick, WATCH_READ, 0)) {
        perror("starling: a reactor's epoll, eventfd and timerfd");
        abort();
    }
}

Reactor *reactor_new(int index, const Clock *clock) {
    Reactor *r = mem_new(sizeof *r);
    r->index = index;
    r->clock = clock;
    r->schedstat_fd = -1;
    r->posted_tail = &r->posted;
    pthread_mutex_init(&r->lock, NULL);
    open_poll(r);
    for (size_t i = 0; i < TIMER_BUCKETS; i++) r->wheel[i].next = r->wheel[i].prev = &r->wheel[i];
    r->now_ms = reactor_now_ms(r);
    r->wheel_s = r->now_ms / 1000;
    size_t have;
    turn_room(r, 0, &have);
    return r;
}

static void *thread_main(void *arg) {
    Reactor *r = arg;
    pthread_setname_np(pthread_self(), "reactor"); /* what top and perf show */
    while (!r->ending) turn(r, -1);
    return NULL;
}

void reactor_turn(Reactor *r) {
    turn(r, 0);
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
    if (first) wake(r);
}

void reactor_stop(Reactor *r) {
    pthread_mutex_lock(&r->lock);
    r->stopping = true;
    pthread_mutex_unlock(&r->lock);
    wake(r);
    pthread_join(r->thread, NULL);
}

bool reactor_drain(Reactor *r) {
    bool stopping, any = run_posted(r, &stopping);
    if (any) flush(r); /* what can still be sent, is */
    if (!conns_end_lingering(r)) return any;
    flush(r);
    return true;
}

void reactor_free(Reactor *r) {
    conn_drop_list(r->dirty);
    conn_pools_free(r);
    close(r->tick.fd);
    close(r->wake.fd);
    close(r->poll_fd);
    free(r->events);
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
