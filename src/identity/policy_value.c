#include "identity/policy_value.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdlib.h>

enum { NUMBER_BYTES_MAX = 63, ADDRESS_BYTES_MAX = 45 };

static bool is_digit(uint8_t c) {
    return c >= '0' && c <= '9';
}

Err policy_number(Str text, double *out) {
    if (text.len == 0 || text.len > NUMBER_BYTES_MAX) return ERR_MALFORMED;
    char c[NUMBER_BYTES_MAX + 1];
    bool digit = false;
    for (size_t i = 0; i < text.len; i++) {
        if (!is_digit(text.ptr[i]) && !memchr("+-.eE", text.ptr[i], 5)) return ERR_MALFORMED;
        digit |= is_digit(text.ptr[i]);
        c[i] = (char)text.ptr[i];
    }
    c[text.len] = 0;
    char *end;
    double v = strtod(c, &end);
    if (!digit || *end || !isfinite(v)) return ERR_MALFORMED;
    *out = v;
    return OK;
}

/* Exactly n digits at *at, or -1. */
static int digits(Str text, size_t *at, size_t n) {
    int v = 0;
    if (*at + n > text.len) return -1;
    for (size_t i = 0; i < n; i++) {
        if (!is_digit(text.ptr[*at + i])) return -1;
        v = v * 10 + text.ptr[*at + i] - '0';
    }
    *at += n;
    return v;
}
static bool skip(Str text, size_t *at, char c) {
    if (*at >= text.len || text.ptr[*at] != (uint8_t)c) return false;
    (*at)++;
    return true;
}

/* Days since 1970-01-01 in the Gregorian calendar; years count from March, so that a leap day comes last. */
static int64_t days_from(int year, int month, int day) {
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = y / 400, of_era = y % 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int month_days(int year, int month) {
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

static Err zone(Str text, size_t *at, int *out_minutes) {
    if (*at == text.len || skip(text, at, 'Z') || skip(text, at, 'z')) {
        *out_minutes = 0;
        return OK;
    }
    int sign = skip(text, at, '+') ? 1 : skip(text, at, '-') ? -1 : 0;
    int h = sign ? digits(text, at, 2) : -1;
    skip(text, at, ':');
    int m = *at < text.len ? digits(text, at, 2) : 0;
    if (h < 0 || h > 23 || m < 0 || m > 59) return ERR_MALFORMED;
    *out_minutes = sign * (h * 60 + m);
    return OK;
}

static Err time_of_day(Str text, size_t *at, int64_t *out_ms) {
    int h = digits(text, at, 2);
    int m = skip(text, at, ':') ? digits(text, at, 2) : -1;
    int s = skip(text, at, ':') ? digits(text, at, 2) : 0;
    if (h < 0 || h > 23 || m < 0 || m > 59 || s < 0 || s > 60) return ERR_MALFORMED;
    int64_t ms = 0, unit = 100;
    if (skip(text, at, '.')) {
        if (*at >= text.len || !is_digit(text.ptr[*at])) return ERR_MALFORMED;
        for (; *at < text.len && is_digit(text.ptr[*at]); (*at)++, unit /= 10) ms += (text.ptr[*at] - '0') * unit;
    }
    *out_ms = ((h * 60 + m) * 60 + s) * 1000LL + ms;
    return OK;
}

Err policy_date(Str text, int64_t *out_ms) {
    int64_t seconds;
    if (str_to_i64(text, &seconds) == OK && (text.len != 4 || seconds < 0)) {
        if (seconds > INT64_MAX / 1000 || seconds < INT64_MIN / 1000) return ERR_MALFORMED;
        *out_ms = seconds * 1000;
        return OK;
    }
    size_t at = 0;
    int year = digits(text, &at, 4), month = 1, day = 1, minutes = 0;
    int64_t ms = 0;
    if (year < 0) return ERR_MALFORMED;
    if (skip(text, &at, '-')) {
        month = digits(text, &at, 2);
        if (skip(text, &at, '-')) day = digits(text, &at, 2);
    }
    if (month < 1 || month > 12 || day < 1 || day > month_days(year, month)) return ERR_MALFORMED;
    if (skip(text, &at, 'T')) {
        if (time_of_day(text, &at, &ms) != OK || zone(text, &at, &minutes) != OK) return ERR_MALFORMED;
    }
    if (at != text.len) return ERR_MALFORMED;
    *out_ms = days_from(year, month, day) * 86400000 + ms - minutes * 60000LL;
    return OK;
}

Err policy_net(Str text, PolicyNet *out) {
    Str rest = text, address = str_cut(&rest, '/');
    if (address.len == 0 || address.len > ADDRESS_BYTES_MAX) return ERR_MALFORMED;
    char c[ADDRESS_BYTES_MAX + 1];
    memcpy(c, address.ptr, address.len);
    c[address.len] = 0;
    if (strlen(c) != address.len) return ERR_MALFORMED;

    PolicyNet net = { .bytes = { [10] = 0xFF, [11] = 0xFF } };
    bool v4 = inet_pton(AF_INET, c, net.bytes + 12) == 1;
    if (!v4 && inet_pton(AF_INET6, c, net.bytes) != 1) return ERR_MALFORMED;
    int64_t bits = v4 ? 32 : 128;
    if (rest.ptr && (rest.len > 3 || str_to_i64(rest, &bits) != OK || bits < 0 || bits > (v4 ? 32 : 128)))
        return ERR_MALFORMED;
    net.bits = (int)bits + (v4 ? 96 : 0);
    *out = net;
    return OK;
}

bool policy_net_has(const PolicyNet *net, const PolicyNet *address) {
    if (address->bits < net->bits) return false;
    int whole = net->bits / 8, left = net->bits % 8;
    if (memcmp(net->bytes, address->bytes, (size_t)whole) != 0) return false;
    return left == 0 || ((net->bytes[whole] ^ address->bytes[whole]) >> (8 - left)) == 0;
}
