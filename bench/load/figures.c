#include "figures.h"

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
double histogram_percentile_us(const Histogram *h, double p) {
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
void histogram_print(const Histogram *h) {
    static const struct {
        const char *name;
        double p;
    } POINTS[] = { { "p50", .5 }, { "p90", .9 }, { "p99", .99 }, { "p999", .999 } };
    printf("{\"max\": %.1f", (double)h->max / 1e3);
    for (size_t i = 0; i < sizeof POINTS / sizeof *POINTS; i++)
        printf(", \"%s\": %.1f", POINTS[i].name, histogram_percentile_us(h, POINTS[i].p));
    printf("}");
}

double process_cpu_s(int pid) {
    clockid_t c;
    struct timespec t;
    if (clock_getcpuclockid(pid, &c) || clock_gettime(c, &t)) return 0;
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

long process_rss_kb(int pid) {
    long v, got = 0;
    char p[64], l[256];
    snprintf(p, sizeof p, "/proc/%d/status", pid);
    FILE *f = fopen(p, "r");
    if (!f) return 0;
    while (fgets(l, sizeof l, f))
        if (sscanf(l, "VmRSS: %ld", &v) == 1) got = v;
    fclose(f);
    return got;
}
