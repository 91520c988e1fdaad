/* Time zones: fixed offsets, and the named ones of the system's database (/usr/share/zoneinfo), read once for each
 * expression that names one. Source: RFC 8536 (TZif), POSIX.1-2017 section 8.3 (TZ) */
#pragma once

#include "base/arena.h"

typedef struct Zone Zone;

/* Shape:  "UTC", "GMT", "Z", "+01:00", "-0800", "UTC+01:00", "America/Los_Angeles", "PST"
 * Errors: ERR_NOT_FOUND
 * Owns:   *out lives in the arena */
NODISCARD Err zone_load(Str name, Arena *arena, const Zone **out);

typedef struct {
    int32_t offset_s; /* east of UTC */
    Str name;         /* "PST"; of a fixed offset "+01:00", of UTC "UTC" */
} ZoneAt;
ZoneAt zone_at(const Zone *z, int64_t utc_s);
/* A local time that is there twice is the earlier; one that is skipped moves on by the gap. */
int64_t zone_to_utc(const Zone *z, int64_t local_s);
Str zone_id(const Zone *z);
