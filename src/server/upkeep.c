#include "server/upkeep.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "identity/access_key.h"
#include "identity/issuer.h"
#include "identity/key_ring.h"

/* A thread of its own that sleeps: nothing here may hold up a reactor or a worker, and all of it may be late. What
 * has ended is told by the real time, as TLS and keys have it. When to look goes by the monotonic clock as well, so
 * that setting the system's time back holds nothing up, and a machine that slept catches up. */

enum { PERIOD_S = 1, KEYS_S = 5, HOUR_S = 3600, DAY_S = 24 * HOUR_S, KEYS_PER_TXN = 1000 };

struct Upkeep {
    Server *server;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake; /* by the monotonic clock */
    bool stopping;
    Err store; /* as it was last seen */
};

/* A connection that came with such a key closes: the ring tells of it. */
static void forget_keys(Server *s) {
    keyring_forget_ended(s->env.keys, real_ms());
}

static Err delete_some(Store *store, size_t *deleted) {
    Txn *txn;
    Err e = txn_begin(store, &txn);
    if (e != OK) return e;
    e = access_key_delete_ended(txn, real_ms(), KEYS_PER_TXN, deleted);
    if (e == OK) return txn_commit(txn, false);
    txn_abort(txn);
    return e;
}

static void delete_keys(Server *s) {
    size_t deleted = KEYS_PER_TXN;
    while (deleted == KEYS_PER_TXN)
        if (delete_some(s->env.store, &deleted) != OK) return; /* the next hour tries again */
}

static void renew_certificates(Server *s) {
    Arena arena = { 0 };
    bool changed = false;
    Str why;
    Err e = issuer_renew(s->env.issuer, &arena, &changed, &why);
    if (e == OK && changed) e = server_reload_tls(s, &arena, &why);
    if (e != OK)
        log_line(&s->log, LOG_ERROR, "event=Renew reason=\"the server certificate could not be renewed: %.*s\"",
                 PS(why));
    else if (changed)
        log_line(&s->log, LOG_INFO, "event=Renew reason=\"the server certificate is a new one\"");
    arena_free(&arena);
}

/* Says it once when writes begin to be refused, and once when they are accepted again. */
static void look_at_store(Upkeep *u) {
    Server *s = u->server;
    Err e = store_tend(s->env.store);
    if (e == u->store) return;
    if (e == OK)
        log_line(&s->log, LOG_INFO, "event=Store status=Success reason=\"writes are accepted again\"");
    else
        log_line(
            &s->log, LOG_ERROR,
            "event=Store status=Failure reason=\"%s: writes are refused until it is mended, reads and QoS 0 go on\"",
            err_name(e));
    u->store = e;
}

static bool sleep_on(Upkeep *u) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += PERIOD_S;
    pthread_mutex_lock(&u->lock);
    for (int e = 0; !u->stopping && e != ETIMEDOUT;) e = pthread_cond_timedwait(&u->wake, &u->lock, &until);
    bool stopping = u->stopping;
    pthread_mutex_unlock(&u->lock);
    return !stopping;
}

typedef struct {
    int64_t steady_ms, real_ms;
} Moment;

/* Whether so much time has passed since `last` by either clock; then last is now. */
static bool has_passed(Moment *last, int64_t seconds) {
    Moment now = { monotonic_ns() / 1000000, real_ms() };
    if (now.steady_ms - last->steady_ms < seconds * 1000 && llabs(now.real_ms - last->real_ms) < seconds * 1000)
        return false;
    *last = now;
    return true;
}

static void *run(void *arg) {
    Upkeep *u = arg;
    Moment hour = { monotonic_ns() / 1000000, real_ms() }, day = hour, keys = hour;
    while (sleep_on(u)) {
        look_at_store(u);
        broker_time_passes(u->server->env.broker);
        if (has_passed(&keys, KEYS_S)) forget_keys(u->server);
        if (has_passed(&hour, HOUR_S)) delete_keys(u->server);
        if (has_passed(&day, DAY_S)) renew_certificates(u->server);
    }
    return NULL;
}

Upkeep *upkeep_start(Server *s) {
    Upkeep *u = mem_new(sizeof *u);
    u->server = s;
    pthread_mutex_init(&u->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&u->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_create(&u->thread, NULL, run, u);
    return u;
}

void upkeep_stop(Upkeep *u) {
    if (!u) return;
    pthread_mutex_lock(&u->lock);
    u->stopping = true;
    pthread_cond_signal(&u->wake);
    pthread_mutex_unlock(&u->lock);
    pthread_join(u->thread, NULL);
    pthread_mutex_destroy(&u->lock);
    pthread_cond_destroy(&u->wake);
    free(u);
}
