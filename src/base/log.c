#include "base/log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* Whoever reads the lines may stall, and the threads that log serve connections: a line that would have to wait is
 * not written. A pipe that polls as writable takes PIPE_BUF bytes, which is more than a line. */

static const char *const NAMES[] = { "DEBUG", "INFO", "WARN", "ERROR" };

static void write_or_lose(const Log *log, const char *line, size_t n) {
    struct pollfd p = { .fd = log->fd, .events = POLLOUT };
    if (poll(&p, 1, 0) != 1) {
        if (log->lost) atomic_fetch_add(log->lost, 1);
        return;
    }
    char told[64];
    uint32_t lost = log->lost ? atomic_exchange(log->lost, 0) : 0;
    int more = lost ? snprintf(told, sizeof told, "WARN event=Log lost=%u\n", lost) : 0;
    if (more > 0 && write(log->fd, told, (size_t)more) < 0) return;
    if (write(log->fd, line, n) < 0) return; /* nobody is left to be told */
}

void log_line(const Log *log, LogLevel level, const char *format, ...) {
    if (level < log->least) return;
    char line[2048];
    struct timespec t;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &t);
    gmtime_r(&t.tv_sec, &utc);
    size_t n = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &utc);
    n += (size_t)snprintf(line + n, sizeof line - n, ".%03ldZ %s ", t.tv_nsec / 1000000, NAMES[level]);
    va_list args;
    va_start(args, format);
    int more = vsnprintf(line + n, sizeof line - n - 1, format, args);
    va_end(args);
    size_t start = n;
    n += more < 0 ? 0 : (size_t)more;
    if (n > sizeof line - 2) n = sizeof line - 2;
    for (size_t i = start; i < n; i++)
        if ((uint8_t)line[i] < 0x20 || line[i] == 0x7F) line[i] = '?';
    line[n++] = '\n';
    if (log->also) log->also(log->also_ctx, (Str){ (const uint8_t *)line, n });
    write_or_lose(log, line, n);
}

void log_raw(const Log *log, Str line) {
    if (log->also) log->also(log->also_ctx, line);
    write_or_lose(log, (const char *)line.ptr, line.len);
}

Err log_level_parse(Str name, LogLevel *out) {
    for (int i = 0; i < 4; i++)
        if (str_eq_nocase(name, str_c(NAMES[i]))) {
            *out = (LogLevel)i;
            return OK;
        }
    return ERR_INVALID;
}
