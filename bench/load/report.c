#include "load.h"

#include <stdio.h>
#include <time.h>

static double broker_cpu(void) {
    double s = 0;
    for (int i = 0; i < opt.npid; i++) s += process_cpu_s(opt.pid[i]);
    return s;
}
static double own_cpu(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}
static long rss_kb(void) {
    long sum = 0;
    for (int i = 0; i < opt.npid; i++) sum += process_rss_kb(opt.pid[i]);
    return sum;
}

Mark mark(void) {
    return (Mark){ now_ns(), broker_cpu(), own_cpu(), rss_kb() };
}

static void gather(Worker *sum, Histogram *connects, Histogram *latency) {
    for (int i = 0; i < opt.threads; i++) {
        const Worker *w = &run.workers[i];
        histogram_merge(connects, &w->con);
        histogram_merge(latency, &w->lat);
        sum->sent += w->sent;
        sum->recv += w->recv;
        sum->sent_m += w->sent_m;
        sum->recv_m += w->recv_m;
        sum->gaps += w->gaps;
        sum->reorder += w->reorder;
        sum->resync += w->resync;
        sum->bytes_m += w->bytes_m;
        sum->late += w->late;
    }
}

static void number(const char *name, double value) {
    printf(", \"%s\": %.4f", name, value);
}

static void distribution(const char *name, const Histogram *h) {
    printf(", \"%s_us\": ", name);
    histogram_print(h);
}

int report(const Mark m[4], double ramp_s, uint32_t up) {
    Worker *sum = zeroed(sizeof *sum);
    Histogram *connects = zeroed(sizeof *connects), *latency = zeroed(sizeof *latency);
    gather(sum, connects, latency);
    double each = up ? up : 1, span = (double)(m[3].ns - m[2].ns) / 1e9, million = (double)sum->recv_m / 1e6;
    double broker_s = m[3].broker_cpu_s - m[2].broker_cpu_s, own_s = m[3].own_cpu_s - m[2].own_cpu_s;
    uint32_t dead = atomic_load(&run.dead);
    printf("{\"label\": \"%s\", \"mode\": \"%s\"", opt.label, opt.mode_name);
    number("connections", run.conns_n);
    number("up", up);
    number("connections_lost", dead);
    number("connects_per_s", up / ramp_s);
    number("resumed", atomic_load(&run.resumed));
    number("broker_cpu_us_per_connect", (m[1].broker_cpu_s - m[0].broker_cpu_s) * 1e6 / each);
    number("own_cpu_us_per_connect", (m[1].own_cpu_s - m[0].own_cpu_s) * 1e6 / each);
    number("rss_kb", (double)m[3].rss_kb);
    number("kb_per_connection", (double)(m[1].rss_kb - m[0].rss_kb) / each);
    if (opt.wild) number("kb_per_subscription", (double)(m[1].rss_kb - m[0].rss_kb) / opt.wild);
    distribution("connack", connects);
    number("seconds", span);
    number("published_per_s", (double)sum->sent_m / span);
    number("delivered_per_s", (double)sum->recv_m / span);
    number("megabytes_per_s", (double)sum->bytes_m / 1e6 / span);
    number("broker_cpu_s", broker_s);
    number("broker_cpu_s_per_million", million > 0 ? broker_s / million : 0);
    number("own_cpu_s_per_million", million > 0 ? own_s / million : 0);
    distribution("latency", latency);
    number("sent", (double)(sum->sent * run.fan));
    number("received", (double)sum->recv);
    number("lost", (double)(sum->sent * run.fan) - (double)sum->recv);
    number("gaps", (double)sum->gaps);
    number("reordered", (double)sum->reorder);
    number("resyncs", (double)sum->resync);
    number("held_back", (double)sum->late);
    printf("}\n");
    return up == run.conns_n && !dead ? 0 : 1;
}
