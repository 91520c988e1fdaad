/* Delivery: takes the parts of work to their destinations: a bounded queue a destination, batches, retries with
 * back-off, and a limit of tries at the same time, so that one that hangs slows nothing else. One thread of its own;
 * nothing in it waits. Knows actions only by their kinds' descriptions. */
#pragma once

#include <pthread.h>

#include "rules/pool.h"

typedef struct Delivery Delivery;
typedef struct Part Part;
typedef struct Try Try;
typedef struct DestinationQueue DestinationQueue;

/* Mail to the delivery's thread; embedded. */
typedef struct Mail {
    struct Mail *next;
    void (*read)(Delivery *d, struct Mail *mail);
} Mail;

typedef enum { TRY_NEW, TRY_OPEN, TRY_READY, TRY_RUNNING, TRY_RESTING } TryState;

/* One or, of a kind that batches, several parts on their way together. Embedded in the first of them. */
struct Try {
    ActionRun run; /* first: action_done finds the Try by it */
    Mail mail;
    Delivery *delivery;
    DestinationQueue *queue; /* NULL: local, or not queued yet */
    Part *parts, **parts_tail;
    Try *next; /* in its queue, or of its queue's open batches */
    TryState state;
    Arena arena;
    PoolJob job; /* of a kind that waits */
    ActionBatch batch;
    size_t bytes;
    int64_t began_ms, due_ms; /* monotonic */
    size_t heap_at;           /* 1 + its place among those that wait for a time; 0: none */
    ActionResult result;
};

/* Those of one batch that failed together, so that whoever made them can tell of them together: counted by its parts.
 */
typedef struct PartBatch {
    pthread_mutex_t lock;
    size_t left;        /* parts whose maker has not said what he makes of it */
    void *first, *last; /* the makers' */
} PartBatch;
PartBatch *part_batch_new(size_t n);
void part_batch_free(PartBatch *b);

/* One action for one message. Whoever makes it sets what stands before `own`, and all of it lives until `over`. */
struct Part {
    void *owner;
    Rule *rule;
    const Plan *plan;
    ActionFigures *figures;
    ActionItem item;
    void (*over)(Part *part); /* once, on any thread: the outcome is in the part; it may free it */
    Try own;
    Part *next; /* of the same Try */
    Mail mail;
    bool failed, dropped; /* dropped: the server goes down before it was done */
    char *why, *resource; /* of a failure; whoever made the part frees them */
    PartBatch *batch;     /* it failed together with others; NULL: alone. Its makers free it */
};

typedef struct {
    const ActionEnv *env;
    Pool *pool;
    size_t queued_max, queued_bytes_max; /* a destination; what comes beyond fails */
} DeliveryOptions;

Delivery *delivery_start(const DeliveryOptions *options);
/* A local kind's is tried at once, on this thread; any other is queued. */
void delivery_submit(Delivery *d, Part *part);
/* From here on, what fails is dropped: it fails because the server goes down. */
void delivery_close(Delivery *d);
/* No try begins any more; waits a while for those under way, and drops what waits. */
void delivery_stop(Delivery *d);
void delivery_free(Delivery *d);
size_t delivery_waiting(Delivery *d); /* parts that are not over; about */
