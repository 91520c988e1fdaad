/* Pool: threads that may wait for others, for statements that reach outside. They are made as they are needed, and one
 * rule never has more than a part of them: what waits for one function holds up nobody else. */
#pragma once

#include "base/rng.h"
#include "rules/rule.h"

typedef struct Pool Pool;
typedef struct PoolJob {
    struct PoolJob *next;
    Rule *rule;
    void (*run)(struct PoolJob *job, Rng *rng);
} PoolJob;

Pool *pool_start(size_t threads_max);
/* False: too much waits already, unless it must be taken. From any thread. */
NODISCARD bool pool_submit(Pool *p, PoolJob *job, bool must);
/* Runs what is under way to its end; what waits is run with *stopping set, so that it gives up at once. */
void pool_stop(Pool *p);
void pool_free(Pool *p);
