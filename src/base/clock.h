/* Clock: the time that the system's rules go by. Tests move it; TLS, X.509, SigV4 and the Date header
 * use the real one (real_ms). */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

typedef struct {
    _Atomic int64_t ahead_ms; /* of the real time; 0 but in tests */
} Clock;

int64_t real_ms(void);      /* since 1970, UTC */
int64_t monotonic_ns(void); /* for measuring spans */
static inline int64_t clock_ms(const Clock *c) {
    return real_ms() + atomic_load_explicit(&c->ahead_ms, memory_order_relaxed);
}
/* For spans that tests move over and that setting the system's time does not change. */
static inline int64_t clock_steady_ms(const Clock *c) {
    return monotonic_ns() / 1000000 + atomic_load_explicit(&c->ahead_ms, memory_order_relaxed);
}
