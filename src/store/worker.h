/* Workers: threads that run store work off the reactors. Work with the same key runs in the order it was
 * given; a worker drains its queue into one transaction and one sync (group commit), then answers.
 * The queue has no bound of its own: whoever submits bounds what it has under way. */
#pragma once

#include "store/store.h"

typedef struct Workers Workers;
typedef struct Job Job;

/* Embedded as the first member of what it is about.
 * run may happen more than once (a commit that conflicts is done again): it writes nothing but its Job's own
 * memory and the txn. It has a savepoint of its own: when it returns an Err its writes are undone and the rest
 * of the batch goes on. done runs once, after the commit, in key order, on the worker's thread: with run's Err,
 * or the commit's; it may free the job and submit others. A read-only batch is not synced. */
struct Job {
    Job *next;
    uint64_t key; /* a hash of whose order matters */
    Err (*run)(Job *job, Txn *txn);
    void (*done)(Job *job, Err e);
    Err result;
};

Workers *workers_start(Store *store, int threads);
/* A batch is answered when its last job has run: where one job takes long, each has a transaction of its own.
 * Before the first job. */
void workers_one_by_one(Workers *workers);
/* Plants the fault that the crash checker must find: jobs are told before the commit. Before the first job. */
void workers_answer_early(Workers *workers);
void workers_submit(Workers *workers, Job *job); /* from any thread */
void workers_stop(Workers *workers);             /* finishes what is queued, and what that submits; then joins */
/* Waits until nothing is queued or running. Returns whether anything was submitted since it was last called. From one
 * thread, which is none of theirs. */
bool workers_wait(Workers *workers);
/* Jobs submitted and not done, for /metrics. */
size_t workers_queued(const Workers *workers);
