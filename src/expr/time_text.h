/* Times as text, by a pattern, and back. Names are English.
 * Source: Joda-Time, DateTimeFormat (formatting); Java SE 11, DateTimeFormatter (parsing) */
#pragma once

#include "base/writer.h"
#include "expr/zone.h"

/* Errors: ERR_INVALID (the pattern), ERR_LIMIT (a time beyond the years that there are names for); *why says what */
NODISCARD Err time_format(Str pattern, int64_t ms, const Zone *zone, Arena *arena, Str *out, Str *why);

/* A text without a zone is UTC; without a time, midnight.
 * Errors: ERR_INVALID (the pattern), ERR_MALFORMED (the text); *why says what */
NODISCARD Err time_parse(Str text, Str pattern, Arena *arena, int64_t *out_ms, Str *why);

extern const Str TIME_MONTHS[12], TIME_DAYS[7]; /* "January", "Monday"; short: their first three letters */
