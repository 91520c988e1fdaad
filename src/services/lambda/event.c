#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "services/lambda/local.h"
#include "store/worker.h"

/* Asynchronous calls. Each is a record from its acknowledgement until its function has done it, or has failed three
 * times, so that a restart loses none; it may then run twice, as AWS's may. What waits for its next attempt sits in a
 * list that a thread looks at once a second, by a clock that tests move and setting the system's time does not.
 * Source: Lambda developer guide, "Asynchronous invocation": two retries after one and two minutes, six hours at most;
 * what is throttled is not an attempt */

enum {
    ATTEMPTS_MAX = 3,
    FIRST_DELAY_MS = 60000,
    DELAY_MS_MAX = FIRST_DELAY_MS * (ATTEMPTS_MAX - 1),
    THROTTLED_DELAY_MS = 1000,
    AGE_MS_MAX = 6 * 3600 * 1000,
};

struct EventRun {
    Job job; /* first */
    EventRun *next;
    Lambda *lambda;
    Arena arena, scratch;
    Tenant tenant;
    LambdaEventRecord event;
    int64_t due_ms; /* steady */
    RunnerCall *run;
    Str code_sha256;
};

static void event_free(EventRun *r) {
    atomic_fetch_sub(&r->lambda->events_n, 1);
    if (r->run) runner_call_free(r->run);
    arena_free(&r->scratch);
    arena_free(&r->arena);
    free(r);
}

static void warn(EventRun *r, const char *what) {
    LambdaOptions *o = &r->lambda->o;
    if (o->line) o->line(o->ctx, LOG_WARN, r->tenant.account, r->event.function_name, r->event.event_id, str_c(what));
}

static void submit(EventRun *r, Err (*run)(Job *, Txn *), void (*done)(Job *, Err)) {
    r->job = (Job){ .key = str_hash(r->event.event_id), .run = run, .done = done };
    workers_submit(r->lambda->o.env->workers, &r->job);
}

static void delay(EventRun *r, int64_t ms) {
    Lambda *l = r->lambda;
    if (ms > DELAY_MS_MAX) ms = DELAY_MS_MAX; /* the system's clock went back */
    r->due_ms = clock_steady_ms(l->o.env->clock) + ms;
    pthread_mutex_lock(&l->lock);
    bool stopping = l->stopping;
    if (!stopping) {
        r->next = l->delayed;
        l->delayed = r;
        pthread_cond_signal(&l->wake);
    }
    pthread_mutex_unlock(&l->lock);
    if (stopping) event_free(r); /* its record brings it back */
}

/* ------------------------------------------------------------------------------------------------ its record */

static Err remove_run(Job *job, Txn *txn) {
    EventRun *r = (EventRun *)job;
    Err e = lambda_event_record_delete(txn, r->tenant, r->event.event_id);
    return e == ERR_NOT_FOUND ? OK : e;
}

static void remove_done(Job *job, Err e) {
    (void)e; /* then it runs again after a restart */
    event_free((EventRun *)job);
}

static Err retry_run(Job *job, Txn *txn) {
    EventRun *r = (EventRun *)job;
    return lambda_event_record_put(txn, r->tenant, &r->event);
}

static void retry_done(Job *job, Err e) {
    EventRun *r = (EventRun *)job;
    (void)e;
    delay(r, r->event.due_ms - clock_ms(r->lambda->o.env->clock));
}

/* ------------------------------------------------------------------------------------------------ an attempt */

static void ran(RunnerCall *run) {
    EventRun *r = run->ctx;
    int64_t now = clock_ms(r->lambda->o.env->clock);
    bool old = now - r->event.accepted_ms > AGE_MS_MAX;
    if (run->result == ERR_CLOSED) {
        event_free(r);
    } else if (run->result == OK && !run->error.len) {
        submit(r, remove_run, remove_done);
    } else if (run->result == ERR_LIMIT && !old) {
        runner_call_free(run);
        r->run = NULL;
        delay(r, THROTTLED_DELAY_MS);
    } else if (++r->event.attempts >= ATTEMPTS_MAX || old) {
        warn(r, "an asynchronous call is given up: its function failed three times, or for six hours");
        submit(r, remove_run, remove_done);
    } else {
        runner_call_free(run);
        r->run = NULL;
        r->event.due_ms = now + FIRST_DELAY_MS * r->event.attempts;
        submit(r, retry_run, retry_done);
    }
}

static Err load_run(Job *job, Txn *txn) {
    EventRun *r = (EventRun *)job;
    LambdaFunctionRecord f, latest;
    const LambdaName name = { r->tenant.account, r->tenant.region, r->event.function_name, STR_NONE };
    arena_reset(&r->scratch);
    Err e = lambda_function_record_peek(txn, r->tenant, name.name, r->event.version, &r->scratch, &f);
    if (e == OK) e = lambda_function_record_peek(txn, r->tenant, name.name, LAMBDA_LATEST, &r->scratch, &latest);
    if (e != OK) return e;
    f.reserved_and_one = latest.reserved_and_one;
    if (r->run) runner_call_free(r->run);
    r->run = lambda_call_new(r->lambda, r->tenant, &f, &name);
    r->run->invoked_arn = str_dup(&r->run->arena, r->event.invoked_arn);
    r->run->request_id = str_dup(&r->run->arena, r->event.event_id);
    r->run->payload = str_dup(&r->run->arena, r->event.payload);
    r->code_sha256 = str_dup(&r->run->arena, f.code_sha256);
    return OK;
}

static void load_done(Job *job, Err e) {
    EventRun *r = (EventRun *)job;
    if (e == ERR_NOT_FOUND) {
        warn(r, "an asynchronous call is given up: its function is gone");
        submit(r, remove_run, remove_done);
        return;
    }
    if (e != OK) {
        delay(r, THROTTLED_DELAY_MS);
        return;
    }
    r->run->done = ran;
    r->run->ctx = r;
    lambda_dispatch(r->lambda, r->run, r->code_sha256);
}

static EventRun *event_new(Lambda *l, Tenant tenant, const LambdaEventRecord *event) {
    EventRun *r = mem_new(sizeof *r);
    atomic_fetch_add(&l->events_n, 1);
    r->lambda = l;
    r->tenant = (Tenant){ str_dup(&r->arena, tenant.account), str_dup(&r->arena, tenant.region) };
    r->event = (LambdaEventRecord){ .event_id = str_dup(&r->arena, event->event_id),
                                    .function_name = str_dup(&r->arena, event->function_name),
                                    .version = str_dup(&r->arena, event->version),
                                    .invoked_arn = str_dup(&r->arena, event->invoked_arn),
                                    .payload = str_dup(&r->arena, event->payload),
                                    .attempts = event->attempts,
                                    .accepted_ms = event->accepted_ms,
                                    .due_ms = event->due_ms };
    return r;
}

Err lambda_event_store(Txn *txn, Tenant tenant, const LambdaEventRecord *event) {
    return lambda_event_record_put(txn, tenant, event);
}

void lambda_event_begin(Lambda *l, Tenant tenant, const LambdaEventRecord *event) {
    submit(event_new(l, tenant, event), load_run, load_done);
}

/* ------------------------------------------------------------------------------------------------ the thread */

static EventRun *take_due(Lambda *l, int64_t now) {
    for (EventRun **at = &l->delayed; *at; at = &(*at)->next) {
        EventRun *r = *at;
        if (r->due_ms > now) continue;
        *at = r->next;
        return r;
    }
    return NULL;
}

static void *watch(void *arg) {
    Lambda *l = arg;
    pthread_mutex_lock(&l->lock);
    while (!l->stopping) {
        EventRun *r = take_due(l, clock_steady_ms(l->o.env->clock));
        if (r) {
            pthread_mutex_unlock(&l->lock);
            submit(r, load_run, load_done);
            pthread_mutex_lock(&l->lock);
        } else if (!l->delayed) {
            pthread_cond_wait(&l->wake, &l->lock);
        } else {
            struct timespec until;
            clock_gettime(CLOCK_MONOTONIC, &until);
            until.tv_sec++;
            pthread_cond_timedwait(&l->wake, &l->lock, &until);
        }
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

void lambda_events_open(Lambda *l) {
    pthread_mutex_init(&l->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&l->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_create(&l->thread, NULL, watch, l);
}

void lambda_events_shut(Lambda *l) {
    pthread_mutex_lock(&l->lock);
    l->stopping = true;
    pthread_cond_signal(&l->wake);
    pthread_mutex_unlock(&l->lock);
    pthread_join(l->thread, NULL);
    while (l->delayed) {
        EventRun *r = l->delayed;
        l->delayed = r->next;
        event_free(r);
    }
}

void lambda_events_close(Lambda *l) {
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->wake);
}

Err lambda_load_account(Lambda *l, Str account) {
    Tenant tenant = { account, l->o.env->region };
    Arena arena = { 0 };
    RecordScan *scan;
    LambdaEventRecord event;
    Txn *txn;
    Err e = txn_begin(l->o.env->store, &txn);
    if (e != OK) return e;
    e = lambda_event_record_scan(txn, tenant, STR_NONE, false, &scan);
    if (e == OK) {
        while (lambda_event_record_next(scan, &arena, &event)) {
            EventRun *r = event_new(l, tenant, &event);
            delay(r, event.due_ms - clock_ms(l->o.env->clock));
        }
        e = record_scan_end(scan);
    }
    txn_abort(txn);
    arena_free(&arena);
    return e;
}
