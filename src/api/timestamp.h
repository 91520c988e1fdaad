/* Timestamps as APIs write them. Pure. Milliseconds since 1970, UTC; the proleptic Gregorian calendar. */
#pragma once

#include "base/arena.h"

/* Shape:  "2026-01-02T03:04:05Z", with a fraction or an offset (+01:00) where there is one;
 *         "Fri, 02 Jan 2026 03:04:05 GMT"; or seconds, "1767323045.678"
 * Errors: ERR_MALFORMED, ERR_LIMIT (years beyond 0001 to 9999)
 * Source: Smithy, timestampFormat trait: date-time, http-date, epoch-seconds */
NODISCARD Err timestamp_parse(Str text, int64_t *out_ms);
Str timestamp_iso8601(Arena *a, int64_t ms); /* "2026-01-02T03:04:05.678Z", without the fraction when it is 0 */
Str timestamp_rfc822(Arena *a, int64_t ms);  /* "Fri, 02 Jan 2026 03:04:05 GMT" */
