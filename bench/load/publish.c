#include "load.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

enum { LATE_NS = 200000 };

void publisher_may(Worker *w, uint32_t pn) {
    Publisher *P = &run.pubs[pn];
    if (!P->ready) {
        P->ready = 1;
        w->rdy[w->nrdy++] = pn;
    }
}

static int window_open(Publisher *P) {
    if (opt.qos && (int32_t)(P->seq - P->acked) >= opt.window) return 0;
    if (run.pairs) return (int32_t)(P->seq - P->recv) < opt.window; /* signed: late arrivals after a resync */
    return (int64_t)(atomic_load_explicit(&run.sent, memory_order_relaxed) -
                     atomic_load_explicit(&run.recv, memory_order_relaxed) / run.fan) <
           (int64_t)opt.window * run.pubs_n;
}
static void fill(Worker *w, uint32_t pn) /* closed loop: whatever the window allows */
{
    Publisher *P = &run.pubs[pn];
    LoadConn *c = P->c;
    while (c->state == STATE_READY && c->outlen - c->outoff < OUT_HIGH && window_open(P)) queue_publish(w, pn, w->now);
}
static uint64_t pump(Worker *w) /* returns when it wants to be called next (ns), 0: on events */
{
    if (opt.rate <= 0) {
        if (!run.pairs) {
            for (uint32_t i = 0; i < w->np; i++) fill(w, w->pubs[i]);
            w->nrdy = 0;
            return w->np ? w->now + 500000 : 0;
        }
        for (uint32_t i = 0; i < w->nrdy; i++) {
            uint32_t pn = w->rdy[i];
            run.pubs[pn].ready = 0;
            fill(w, pn);
        }
        w->nrdy = 0;
        return 0;
    }
    for (uint32_t i = 0; i < w->nrdy; i++) run.pubs[w->rdy[i]].ready = 0;
    w->nrdy = 0;
    if (!w->np) return 0;
    for (int lim = 0; lim < 20000; lim++) { /* open loop */
        uint64_t due = run.start_ns + (uint64_t)(w->sched_k * 1e9 / w->rate);
        if (due > w->now) return due;
        uint32_t pn = w->pubs[w->rr];
        LoadConn *c = run.pubs[pn].c;
        if (c->outlen - c->outoff > 4 * OUT_HIGH) {
            w->late++;
            return w->now + 200000;
        } /* the broker does not take it */
        if (c->state == STATE_READY) queue_publish(w, pn, w->now - due > LATE_NS ? due : w->now);
        w->sched_k++;
        if (++w->rr == w->np) w->rr = 0;
    }
    return w->now;
}
static void slow_tick(Worker *w, int ph) /* every 100 ms: pings, windows without progress */
{
    uint32_t slice = w->nc / 10 + 1;
    for (uint32_t i = 0; i < slice && w->nc; i++) {
        LoadConn *c = w->cs[w->pingpos++ % w->nc];
        if (c->state == STATE_READY && w->now - c->tping > opt.keepalive * 500000000ull) {
            uint8_t *p = room(c, 2);
            p[0] = 0xc0;
            p[1] = 0;
            c->outlen += 2;
            c->tping = w->now;
        }
    }
    if (opt.rate > 0 || (ph != PHASE_RUN && ph != PHASE_MEASURE)) return;
    if (run.pairs)
        for (uint32_t i = 0; i < w->np; i++) {
            Publisher *P = &run.pubs[w->pubs[i]];
            if (!window_open(P) && w->now - P->tprog > 1000000000ull) {
                w->resync++;
                P->recv = P->acked = P->seq;
                P->tprog = w->now;
                publisher_may(w, w->pubs[i]);
            }
        }
    else if (w->id == 0) {
        uint64_t r = atomic_load(&run.recv);
        if (r != w->last_recv || !w->last_recv_ns) {
            w->last_recv = r;
            w->last_recv_ns = w->now;
        } else if (w->now - w->last_recv_ns > 1000000000ull) {
            w->resync++;
            w->last_recv_ns = w->now;
            atomic_store(&run.recv, atomic_load(&run.sent) * run.fan);
            for (uint32_t i = 0; i < run.pubs_n; i++) run.pubs[i].acked = run.pubs[i].seq;
        }
    }
}
void *worker_main(void *arg) {
    Worker *w = arg;
    struct epoll_event ev[512];
    uint64_t next = 0, tick = 0;
    int primed = 0;
    prctl(PR_SET_TIMERSLACK, 1000);
    for (;;) {
        int ph = atomic_load(&run.phase);
        w->now = now_ns();
        if (ph == PHASE_STOP) break;
        if (ph == PHASE_RAMP)
            while (w->started < w->nc && w->inflight < (uint32_t)(opt.conc + opt.threads - 1) / opt.threads) {
                conn_start(w->cs[w->started++]);
                if (w->dead > 100) die("too many failed connections");
            }
        if (ph == PHASE_HANG_UP && w->started) {
            for (uint32_t i = 0; i < w->nc; i++) conn_hang_up(w->cs[i]);
            w->started = 0;
        }
        next = 0;
        if (ph == PHASE_RUN || ph == PHASE_MEASURE) {
            if (!primed) {
                primed = 1;
                for (uint32_t i = 0; i < w->np; i++) {
                    run.pubs[w->pubs[i]].tprog = w->now;
                    publisher_may(w, w->pubs[i]);
                }
            }
            next = pump(w);
        }
        if (w->now >= tick) {
            slow_tick(w, ph);
            tick = w->now + 100000000;
        }
        for (LoadConn *c = w->dirty, *n; c; c = n) {
            n = c->nextdirty;
            c->dirty = 0;
            conn_flush(c);
        }
        w->dirty = NULL;
        uint64_t to = tick - w->now;
        if (next && next < tick) to = next > w->now ? next - w->now : 0;
        if (to > 10000000) to = 10000000;
        struct timespec ts = { 0, (long)to };
        int n = epoll_pwait2(w->ep, ev, 512, &ts, NULL);
        w->now = now_ns();
        for (int i = 0; i < n; i++) {
            errno = 0;
            conn_event(ev[i].data.ptr, ev[i].events);
        }
    }
    return NULL;
}
