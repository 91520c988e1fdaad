#include "rules/pool.h"

#include <pthread.h>
#include <stdlib.h>

enum { THREADS_MAX = 64, PER_RULE_MAX = 8, WAITING_MAX = 10000 };

struct Pool {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    PoolJob *first, **tail;
    size_t waiting, threads_n, threads_max, idle;
    bool stopping;
    pthread_t threads[THREADS_MAX];
};

/* The first whose rule has room. */
static PoolJob *take(Pool *p) {
    for (PoolJob **at = &p->first; *at; at = &(*at)->next) {
        PoolJob *job = *at;
        if (!p->stopping && atomic_load(&job->rule->running) >= PER_RULE_MAX) continue;
        *at = job->next;
        if (p->tail == &job->next) p->tail = at;
        p->waiting--;
        return job;
    }
    return NULL;
}

static void *run(void *arg) {
    Pool *p = arg;
    Rng rng = { 0 };
    pthread_mutex_lock(&p->lock);
    for (;;) {
        PoolJob *job = take(p);
        if (!job && p->stopping && !p->first) break;
        if (!job) {
            p->idle++;
            pthread_cond_wait(&p->wake, &p->lock);
            p->idle--;
            continue;
        }
        Rule *rule = rule_retain(job->rule);
        atomic_fetch_add(&rule->running, 1);
        pthread_mutex_unlock(&p->lock);
        job->run(job, &rng);
        pthread_mutex_lock(&p->lock);
        atomic_fetch_sub(&rule->running, 1);
        rule_release(rule);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

Pool *pool_start(size_t threads_max) {
    Pool *p = mem_new(sizeof *p);
    p->tail = &p->first;
    p->threads_max = threads_max && threads_max < THREADS_MAX ? threads_max : THREADS_MAX;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    return p;
}

bool pool_submit(Pool *p, PoolJob *job, bool must) {
    pthread_mutex_lock(&p->lock);
    bool ok = (must || p->waiting < WAITING_MAX) && !p->stopping;
    if (ok) {
        job->next = NULL;
        *p->tail = job;
        p->tail = &job->next;
        p->waiting++;
        if (p->idle)
            pthread_cond_signal(&p->wake);
        else if (p->threads_n < p->threads_max && !pthread_create(&p->threads[p->threads_n], NULL, run, p))
            p->threads_n++;
        ok = p->threads_n > 0;
    }
    pthread_mutex_unlock(&p->lock);
    return ok;
}

void pool_stop(Pool *p) {
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    for (size_t i = 0; i < p->threads_n; i++) pthread_join(p->threads[i], NULL);
}

void pool_free(Pool *p) {
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
