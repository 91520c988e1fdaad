/* Settle: how a server ends with nothing begun and left. */
#pragma once

#include "net/loop.h"
#include "store/worker.h"

/* Behind reactor_stop, before workers_stop: carries out here what the reactors were posted last, waits for what that
 * asks of workers, and so on until nothing is under way anywhere. What it takes to end is that nobody else posts or
 * submits any more, and that the owners of the reactors let nobody in. pools: those that are NULL are not there */
void store_settle(Reactor *const *reactors, size_t reactors_n, Workers *const *pools, size_t pools_n);
