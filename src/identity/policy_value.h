/* The values that condition operators compare: numbers, dates, addresses. Pure. */
#pragma once

#include "base/str.h"

/* Shape: an optional sign, decimal digits with an optional point, an optional exponent */
NODISCARD Err policy_number(Str text, double *out);
/* Shape: ISO 8601 (2026-01-31, 2026-01-31T12:30Z, …:45.5+01:00), or seconds since 1970. Units: ms since 1970 */
NODISCARD Err policy_date(Str text, int64_t *out_ms);

typedef struct {
    uint8_t bytes[16]; /* of IPv6; IPv4 as ::ffff:a.b.c.d */
    int bits;          /* that count, of 128 */
} PolicyNet;
/* Shape: an address, or ADDRESS/BITS. IPv4 and IPv6 */
NODISCARD Err policy_net(Str text, PolicyNet *out);
bool policy_net_has(const PolicyNet *net, const PolicyNet *address);
