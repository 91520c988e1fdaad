/* Log: one line an event on standard error, key=value pairs, for people and machines alike.
 * Only gateway and server log; everybody else says what is wrong through its return. */
#pragma once

#include <stdatomic.h>

#include "base/str.h"

typedef enum { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR } LogLevel;

typedef struct {
    LogLevel least;                    /* lines below it are dropped */
    int fd;                            /* where lines go; one write a line, none while nobody takes them */
    _Atomic uint32_t *lost;            /* how many were not written, told with the next that is; NULL: not counted */
    void (*also)(void *ctx, Str line); /* gets each line, too, on the thread that logs; NULL: nobody */
    void *also_ctx;
} Log;

/* Shape: "2026-01-02T03:04:05.678Z LEVEL " + the formatted rest. Control characters in it become '?'. */
void log_line(const Log *log, LogLevel level, const char *format, ...) PRINTF_LIKE(3, 4);
/* A line that somebody else made, with its line break: whatever `least` is, as it stands. */
void log_raw(const Log *log, Str line);
NODISCARD Err log_level_parse(Str name, LogLevel *out); /* "debug" .. "error" */
