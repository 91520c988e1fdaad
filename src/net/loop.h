/* Reactor: one thread with its event loop. It owns connections; nobody else touches them.
 * Others reach it by posting a task. Reading and writing are batched by the turn of its loop: bytes
 * that arrive go to the turn's arena, where they stay until every connection's output has been written. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/str.h"

typedef struct Reactor Reactor;
typedef struct Conn Conn;

/* Embedded in what it is about; belongs to the reactor from post until run. */
typedef struct Task {
    struct Task *next;
    void (*run)(struct Task *task, Reactor *reactor);
} Task;

/* A deadline in whole seconds, cheap to move: for keep-alive, expiry, delays. Embedded. */
typedef struct Timer {
    struct Timer *next, *prev; /* in its bucket; next NULL: not armed */
    int64_t due_ms;            /* on the reactor's clock (reactor_now_ms) */
    void (*fire)(struct Timer *timer, Reactor *reactor);
} Timer;

/* A descriptor that a reactor looks at. Embedded; `ready` runs on the reactor's thread. */
enum { WATCH_READ = 1, WATCH_WRITE = 4, WATCH_ERROR = 8, WATCH_HANGUP = 16 }; /* as poll numbers them */
typedef struct Watch {
    void (*ready)(struct Watch *watch, Reactor *reactor, unsigned events);
    int fd;
    unsigned events; /* that are asked for; 0: it is not looked at */
} Watch;

enum { REACTOR_SATURATED_PERMILLE = 850 }; /* of its busy_permille or ran_permille: others are to take over */

enum { TIMER_BUCKETS = 1024, TURN_BLOCK_BYTES = 256 * 1024, TURN_ROOM_MIN = 32 * 1024 };

typedef struct TurnBlock {
    struct TurnBlock *next;
    size_t used, cap;
    uint8_t data[];
} TurnBlock;

typedef struct OutNode OutNode;
typedef struct OutChunk OutChunk;

struct Reactor {
    int index;
    void *owner; /* the broker's part of this reactor */
    int poll_fd;
    Watch wake, tick;           /* an eventfd, and a timer of a second */
    struct epoll_event *events; /* of this turn */
    int events_n, events_at;
    pthread_t thread;
    const Clock *clock;
    /* posted tasks */
    pthread_mutex_t lock;
    Task *posted, **posted_tail;
    bool stopping;
    bool ending; /* its thread's: this turn is the last */
    /* this turn */
    TurnBlock *turn;                        /* newest first */
    Conn *dirty;                            /* have output to write */
    void (*before_flush)(Reactor *reactor); /* the broker's batches to other reactors leave here */
    void (*each_second)(Reactor *reactor);  /* when all has been written; may be NULL */
    bool second_passed;
    OutNode *free_nodes;
    OutChunk *free_chunks;
    /* TLS records on their way between socket and OpenSSL */
    struct {
        const uint8_t *in;
        size_t in_left;
        uint8_t *in_buffer, *out;
        size_t out_len, out_cap;
    } tls;
    Timer wheel[TIMER_BUCKETS];     /* list heads; bucket = due second modulo */
    int64_t wheel_s;                /* seconds that have been handled */
    int64_t now_ms;                 /* of the clock's monotonic time, read once a turn */
    _Atomic uint32_t busy_permille; /* of the last second; waiting for a processor counts */
    _Atomic uint32_t ran_permille;  /* … does not */
    int schedstat_fd;               /* of its thread; -1: not opened yet, or not there */
    uint64_t ran_ns_before, waited_ns_before;
    _Atomic uint32_t conns, handshakes; /* TLS handshakes: under way, or on their way here */
};

Reactor *reactor_new(int index, const Clock *clock);
void reactor_start(Reactor *r);
/* Instead of reactor_start: one turn on the caller's thread, which waits for nothing. */
void reactor_turn(Reactor *r);
/* Runs the task on the reactor's thread, in the order of posting. */
void reactor_post(Reactor *r, Task *task);
/* Ends the thread after the tasks posted so far, and joins it. */
void reactor_stop(Reactor *r);
/* After reactor_stop, or instead of reactor_start: one turn here of what was posted, so that nothing posted is lost,
 * and the end of connections that linger. False: there was nothing. */
bool reactor_drain(Reactor *r);
void reactor_free(Reactor *r);

/* From its thread, or before that runs. events 0: not any more, and what this turn still has of it is forgotten. false:
 * the system watches as many descriptors as it may. */
bool reactor_watch(Reactor *r, Watch *w, unsigned events);

/* Monotonic milliseconds that the test clock can move forward. */
int64_t reactor_now_ms(const Reactor *r);
/* Moves the timer if it is armed. Fires within a second after due_ms. */
void timer_arm(Reactor *r, Timer *t, int64_t due_ms);
void timer_disarm(Timer *t);
static inline bool timer_armed(const Timer *t) {
    return t->next != NULL;
}
/* Looks at the clock again at once: after a test moved it. From any thread. */
void reactor_clock_moved(Reactor *r);

/* Room for at least `need` bytes in the turn's arena; nothing is taken yet. */
uint8_t *turn_room(Reactor *r, size_t need, size_t *have);
static inline void turn_take(Reactor *r, size_t n) {
    r->turn->used += n;
}
/* A copy that lives until this turn's output is written. */
uint8_t *turn_copy(Reactor *r, Str bytes);
