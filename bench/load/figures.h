/* Figures: a distribution of times, and what a process has used. */
#pragma once

#include <stdint.h>

enum { HISTOGRAM_BITS = 7, HISTOGRAM_N = (64 - HISTOGRAM_BITS) << HISTOGRAM_BITS };
/* 128 linear steps a power of two: an error below 0.8 %. Nanoseconds. */
typedef struct {
    uint64_t n, max;
    uint32_t b[HISTOGRAM_N];
} Histogram;

void histogram_add(Histogram *h, uint64_t v);
void histogram_merge(Histogram *a, const Histogram *b);
double histogram_percentile_us(const Histogram *h, double p);
void histogram_print(const Histogram *h); /* a JSON object of percentiles in microseconds */

double process_cpu_s(int pid); /* of all its threads so far */
long process_rss_kb(int pid);  /* its resident memory */
