#include "store/worker.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* Each worker has a queue; a job's key picks the worker, so jobs of one key never run side by side. A worker
 * takes what is there, at most BATCH_MAX, never waits for more, and commits it as one: alone, a request pays one
 * sync and no delay; under load, jobs gather while the disk syncs, and the sync is shared by all of them.
 *
 * Two workers' batches rarely touch the same record, and the later one then loses and is run again. After
 * TRIES_SHARED losses it runs with no other worker's batch beside it (`turn` held for writing), which only
 * transactions outside of the workers can make fail; then each of its jobs has a transaction of its own. */

enum { BATCH_MAX = 256, TRIES_SHARED = 3, TRIES_ALONE = 3, TRIES_SINGLE = 10 };

typedef struct {
    Workers *workers;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    Job *first, **tail;
    bool asleep;
} Worker;

struct Workers {
    Store *store;
    pthread_rwlock_t turn;
    _Atomic size_t queued;    /* submitted and not done */
    _Atomic size_t submitted; /* ever */
    size_t submitted_before;  /* when workers_wait was last called */
    _Atomic bool stopping, awaited;
    pthread_mutex_t idle_lock;
    pthread_cond_t idle; /* queued has come to 0, and somebody waits for that */
    bool answers_early;  /* a planted fault */
    int count, batch_max;
    Worker worker[];
};

static void run_jobs(Txn *txn, Job *first, const Job *end) {
    for (Job *j = first; j != end; j = j->next) {
        txn_savepoint(txn);
        j->result = j->run(j, txn);
        if (j->result == OK)
            txn_release(txn);
        else
            txn_rollback(txn);
    }
}

static Err run_batch(Store *store, Job *first, const Job *end) {
    Txn *txn;
    Err e = txn_begin(store, &txn);
    if (e != OK) return e;
    run_jobs(txn, first, end);
    return txn_commit(txn, true);
}

static Err try_batch(Workers *w, Job *first, const Job *end) {
    Err e = ERR_CONFLICT;
    for (int i = 0; i < TRIES_SHARED && e == ERR_CONFLICT; i++) {
        pthread_rwlock_rdlock(&w->turn);
        e = run_batch(w->store, first, end);
        pthread_rwlock_unlock(&w->turn);
    }
    return e;
}

static void fail_batch(Job *first, const Job *end, Err e) {
    for (Job *j = first; j != end; j = j->next)
        if (j->result == OK) j->result = e;
}

/* No other worker runs meanwhile. */
static void run_alone(Workers *w, Job *first, const Job *end) {
    pthread_rwlock_wrlock(&w->turn);
    Err e = ERR_CONFLICT;
    for (int i = 0; i < TRIES_ALONE && e == ERR_CONFLICT; i++) e = run_batch(w->store, first, end);
    if (e != OK && e != ERR_CONFLICT) fail_batch(first, end, e);
    if (e == ERR_CONFLICT) {
        for (Job *j = first; j != end; j = j->next) {
            for (int i = 0; i < TRIES_SINGLE && e == ERR_CONFLICT; i++) e = run_batch(w->store, j, j->next);
            if (e != OK) fail_batch(j, j->next, e);
            e = ERR_CONFLICT;
        }
    }
    pthread_rwlock_unlock(&w->turn);
}

static void tell(Workers *w, Job *first, const Job *end) {
    for (Job *j = first, *next; j != end; j = next) {
        next = j->next;
        j->next = NULL;
        j->done(j, j->result); /* may free it */
        atomic_fetch_sub(&w->queued, 1);
    }
}

static void wake_all(Workers *w) {
    for (int i = 0; i < w->count; i++) {
        pthread_mutex_lock(&w->worker[i].mutex);
        pthread_cond_signal(&w->worker[i].wake);
        pthread_mutex_unlock(&w->worker[i].mutex);
    }
}

static void tell_idle(Workers *w) {
    if (!atomic_load(&w->awaited) || atomic_load(&w->queued)) return;
    pthread_mutex_lock(&w->idle_lock);
    pthread_cond_signal(&w->idle);
    pthread_mutex_unlock(&w->idle_lock);
}

static void do_batch(Workers *w, Job *first, const Job *end) {
    for (Job *j = first; j != end; j = j->next) j->result = OK;
    Err e = try_batch(w, first, end);
    if (e == ERR_CONFLICT)
        run_alone(w, first, end);
    else if (e != OK)
        fail_batch(first, end, e);
    tell(w, first, end);
}

/* What must never be: each job is told that it is done, and then the batch is committed. */
static void do_batch_early(Workers *w, Job *first, const Job *end) {
    Txn *txn;
    Err e = txn_begin(w->store, &txn);
    if (e == OK)
        run_jobs(txn, first, end);
    else
        fail_batch(first, end, e);
    tell(w, first, end);
    if (e != OK || txn_commit(txn, true) != OK) return; /* lost, as planted */
}

/* Takes a batch off the queue: *first up to (not with) *end. False when the workers stop and all is done. */
static bool take_batch(Worker *me, Job **first, Job **end) {
    Workers *w = me->workers;
    pthread_mutex_lock(&me->mutex);
    while (!me->first && !(atomic_load(&w->stopping) && atomic_load(&w->queued) == 0)) {
        me->asleep = true;
        pthread_cond_wait(&me->wake, &me->mutex);
        me->asleep = false;
    }
    Job *j = *first = me->first;
    for (int n = 0; j && n < w->batch_max; n++) j = j->next;
    *end = me->first = j;
    if (!j) me->tail = &me->first;
    pthread_mutex_unlock(&me->mutex);
    return *first != NULL;
}

static void *worker_main(void *arg) {
    Worker *me = arg;
    pthread_setname_np(pthread_self(), "worker"); /* what top and perf show */
    for (Job *first, *end; take_batch(me, &first, &end);) {
        (me->workers->answers_early ? do_batch_early : do_batch)(me->workers, first, end);
        tell_idle(me->workers);
        if (atomic_load(&me->workers->stopping) && atomic_load(&me->workers->queued) == 0) wake_all(me->workers);
    }
    return NULL;
}

Workers *workers_start(Store *store, int threads) {
    if (threads < 1) threads = 1;
    Workers *w = mem_new(sizeof *w + (size_t)threads * sizeof(Worker));
    w->store = store;
    pthread_rwlockattr_t attr;
    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&w->turn, &attr);
    pthread_rwlockattr_destroy(&attr);
    pthread_mutex_init(&w->idle_lock, NULL);
    pthread_cond_init(&w->idle, NULL);
    for (int i = 0; i < threads; i++) {
        Worker *me = &w->worker[i];
        me->workers = w;
        me->tail = &me->first;
        pthread_mutex_init(&me->mutex, NULL);
        pthread_cond_init(&me->wake, NULL);
    }
    w->count = threads;
    w->batch_max = BATCH_MAX;
    for (int i = 0; i < threads; i++)
        if (pthread_create(&w->worker[i].thread, NULL, worker_main, &w->worker[i]) != 0) abort(); /* at start only */
    return w;
}

void workers_one_by_one(Workers *w) {
    w->batch_max = 1;
}

void workers_answer_early(Workers *w) {
    w->answers_early = true;
}

void workers_submit(Workers *w, Job *job) {
    Worker *to = &w->worker[(job->key * 0x9e3779b97f4a7c15u >> 32) % (uint64_t)w->count];
    atomic_fetch_add(&w->queued, 1);
    atomic_fetch_add(&w->submitted, 1);
    job->next = NULL;
    pthread_mutex_lock(&to->mutex);
    *to->tail = job;
    to->tail = &job->next;
    bool wake = to->asleep;
    to->asleep = false; /* one signal is enough */
    pthread_mutex_unlock(&to->mutex);
    if (wake) pthread_cond_signal(&to->wake);
}

bool workers_wait(Workers *w) {
    size_t submitted = atomic_load(&w->submitted);
    bool any = submitted != w->submitted_before;
    w->submitted_before = submitted;
    atomic_store(&w->awaited, true); /* before it is looked: who makes it 0 later sees that */
    pthread_mutex_lock(&w->idle_lock);
    while (atomic_load(&w->queued)) pthread_cond_wait(&w->idle, &w->idle_lock);
    pthread_mutex_unlock(&w->idle_lock);
    atomic_store(&w->awaited, false);
    return any;
}

void workers_stop(Workers *w) {
    if (!w) return;
    atomic_store(&w->stopping, true);
    wake_all(w);
    for (int i = 0; i < w->count; i++) pthread_join(w->worker[i].thread, NULL);
    for (int i = 0; i < w->count; i++) {
        pthread_mutex_destroy(&w->worker[i].mutex);
        pthread_cond_destroy(&w->worker[i].wake);
    }
    pthread_cond_destroy(&w->idle);
    pthread_mutex_destroy(&w->idle_lock);
    pthread_rwlock_destroy(&w->turn);
    free(w);
}

size_t workers_queued(const Workers *w) {
    return atomic_load(&w->queued);
}
