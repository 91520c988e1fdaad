#include "base/format.h"

#include <stdint.h>
#include <string.h>
#include <sys/types.h>

/* printf of the C library costs hundreds of instructions a directive, and an API call formats a dozen texts: ARNs,
 * topics, ids. This knows the directives that they use and leaves the others to it. */

typedef struct {
    char *out;
    size_t cap, len;
} Sink;

static void put(Sink *s, const char *bytes, size_t n) {
    if (s->len < s->cap) memcpy(s->out + s->len, bytes, n < s->cap - s->len ? n : s->cap - s->len);
    s->len += n;
}

static void put_number(Sink *s, uint64_t v, bool negative, unsigned base, size_t width, bool zeros) {
    char digits[24];
    size_t n = 0;
    do digits[sizeof digits - ++n] = "0123456789abcdef"[v % base];
    while ((v /= base) != 0);
    size_t bytes = n + negative;
    if (!zeros)
        for (; bytes < width; bytes++) put(s, " ", 1);
    if (negative) put(s, "-", 1);
    for (; bytes < width; bytes++) put(s, "0", 1);
    put(s, digits + sizeof digits - n, n);
}

typedef struct {
    bool zeros, has_precision;
    size_t width, precision;
    int longs; /* 0: int, 1: long, 2: long long, 3: size_t */
} Directive;

static const char *read_directive(const char *at, Directive *d, bool *star) {
    *star = false;
    if (*at == '0') {
        d->zeros = true;
        at++;
    }
    while (*at >= '0' && *at <= '9' && d->width < 100) d->width = d->width * 10 + (size_t)(*at++ - '0');
    if (at[0] == '.' && at[1] == '*') {
        *star = true;
        at += 2;
    }
    while (*at == 'l' && d->longs < 2) {
        d->longs++;
        at++;
    }
    if (*at == 'z' && d->longs == 0) {
        d->longs = 3;
        at++;
    }
    return at;
}

bool format_simple(char *out, size_t cap, size_t *len, const char *format, va_list args) {
    Sink s = { out, cap, 0 };
    for (const char *at = format; *at;) {
        const char *percent = strchr(at, '%');
        if (!percent) {
            put(&s, at, strlen(at));
            break;
        }
        put(&s, at, (size_t)(percent - at));
        Directive d = { 0 };
        bool star;
        at = read_directive(percent + 1, &d, &star);
        int precision = star ? va_arg(args, int) : -1;
        if ((*at != 's' && star) || (*at == 's' && (d.width || d.longs))) return false;
        switch (*at) {
        case '%': put(&s, "%", 1); break;
        case 'c': {
            if (d.width || d.longs) return false;
            char c = (char)va_arg(args, int);
            put(&s, &c, 1);
            break;
        }
        case 's': {
            const char *text = va_arg(args, const char *);
            if (!text && precision != 0) return false;
            put(&s, text ? text : "", precision >= 0 ? strnlen(text ? text : "", (size_t)precision) : strlen(text));
            break;
        }
        case 'd': {
            int64_t v = d.longs == 0   ? va_arg(args, int)
                        : d.longs == 1 ? va_arg(args, long)
                        : d.longs == 2 ? va_arg(args, long long)
                                       : va_arg(args, ssize_t);
            put_number(&s, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, v < 0, 10, d.width, d.zeros);
            break;
        }
        case 'u':
        case 'x': {
            uint64_t v = d.longs == 0   ? va_arg(args, unsigned)
                         : d.longs == 1 ? va_arg(args, unsigned long)
                         : d.longs == 2 ? va_arg(args, unsigned long long)
                                        : va_arg(args, size_t);
            put_number(&s, v, false, *at == 'x' ? 16 : 10, d.width, d.zeros);
            break;
        }
        default: return false;
        }
        at++;
    }
    *len = s.len;
    return true;
}
