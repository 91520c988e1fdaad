#include "load.h"

#include <stdio.h>
#include <time.h>

void histogram_add(Histogram *h, uint64_t v) {
    uint32_t k;
    if (v < (1u << HISTOGRAM_BITS))
        k = v;
    else {
        int e = 63 - __builtin_clzll(v);
        k = ((uint32_t)(e - HISTOGRAM_BITS + 1) << HISTOGRAM_BITS) +
            ((v >> (e - HISTOGRAM_BITS)) & ((1u << HISTOGRAM_BITS) - 1));
    }
    h->b[k]++;
    h->n++;
    if (v > h->max) h->max = v;
}
static double percentile(const Histogram *h, double p) {
    uint64_t want = (uint64_t)(p * h->n + 0.5), s = 0;
    if (!h->n) return 0;
    if (want < 1) want = 1;
    for (uint32_t k = 0; k < HISTOGRAM_N; k++)
        if ((s += h->b[k]) >= want) {
            if (k < (1u << HISTOGRAM_BITS)) return k / 1e3;
            int e = (k >> HISTOGRAM_BITS) + HISTOGRAM_BITS - 1;
            uint64_t lo = (1ull << e) + ((uint64_t)(k & ((1u << HISTOGRAM_BITS) - 1)) << (e - HISTOGRAM_BITS));
            uint64_t v = lo + (1ull << (e - HISTOGRAM_BITS)) / 2;
            return (v > h->max ? h->max : v) / 1e3;
        }
    return h->max / 1e3;
}
void histogram_merge(Histogram *a, const Histogram *b) {
    for (uint32_t k = 0; k < HISTOGRAM_N; k++) a->b[k] += b->b[k];
    a->n += b->n;
    if (b->max > a->max) a->max = b->max;
}
static double broker_cpu(void) {
    double s = 0;
    for (int i = 0; i < opt.npid; i++) {
        clockid_t c;
        struct timespec t;
        if (!clock_getcpuclockid(opt.pid[i], &c) && !clock_gettime(c, &t)) s += t.tv_sec + t.tv_nsec / 1e9;
    }
    return s;
}
static double own_cpu(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}
static long rss_kb(void) {
    long sum = 0, v;
    char p[64], l[256];
    for (int i = 0; i < opt.npid; i++) {
        snprintf(p, sizeof p, "/proc/%d/status", opt.pid[i]);
        FILE *f = fopen(p, "r");
        if (!f) continue;
        while (fgets(l, sizeof l, f))
            if (sscanf(l, "VmRSS: %ld", &v) == 1) sum += v;
        fclose(f);
    }
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
    static const struct {
        const char *name;
        double p;
    } POINTS[] = { { "p50", .5 }, { "p90", .9 }, { "p99", .99 }, { "p999", .999 } };
    printf(", \"%s_us\": {\"max\": %.1f", name, (double)h->max / 1e3);
    for (size_t i = 0; i < sizeof POINTS / sizeof *POINTS; i++)
        printf(", \"%s\": %.1f", POINTS[i].name, percentile(h, POINTS[i].p));
    printf("}");
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
    number("broker_cpu_us_per_connect", (m[1].broker_cpu_s - m[0].broker_cpu_s) * 1e6 / each);
    number("own_cpu_us_per_connect", (m[1].own_cpu_s - m[0].own_cpu_s) * 1e6 / each);
    number("rss_kb", (double)m[3].rss_kb);
    number("kb_per_connection", (double)(m[1].rss_kb - m[0].rss_kb) / each);
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
