#include "api/timestamp.h"

/* Days since 1970 and back, by eras of 400 years that begin on the first of March, so that the leap day is
 * the last of its year. Source: H. Hinnant, "chrono-compatible low-level date algorithms". */

enum { DAY_S = 86400, ERA_DAYS = 146097 };

static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec", weekdays[] = "ThuFriSatSunMonTueWed";

static int64_t days_from(int64_t year, int64_t month, int64_t day) {
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400, of_era = year - era * 400;
    int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * ERA_DAYS + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void date_of(int64_t days, int *year, int *month, int *day) {
    days += 719468;
    int64_t era = (days >= 0 ? days : days - (ERA_DAYS - 1)) / ERA_DAYS, of_era = days - era * ERA_DAYS;
    int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * y + y / 4 - y / 100), m = (5 * of_year + 2) / 153;
    *day = (int)(of_year - (153 * m + 2) / 5 + 1);
    *month = (int)(m < 10 ? m + 3 : m - 9);
    *year = (int)(y + era * 400 + (*month <= 2));
}

/* A cursor that remembers whether anything did not fit. */
typedef struct {
    Str rest;
    bool bad;
} Scanner;

static int64_t digits(Scanner *s, size_t n) {
    int64_t v = 0;
    if (s->rest.len < n) s->bad = true;
    for (size_t i = 0; i < n && !s->bad; i++) {
        uint8_t c = s->rest.ptr[i];
        if (c < '0' || c > '9') s->bad = true;
        v = v * 10 + (c - '0');
    }
    if (!s->bad) s->rest = str_from(s->rest, n);
    return s->bad ? 0 : v;
}

static void expect(Scanner *s, Str literal) {
    if (!s->bad && str_starts(s->rest, literal))
        s->rest = str_from(s->rest, literal.len);
    else
        s->bad = true;
}

static bool at(const Scanner *s, char c) {
    return !s->bad && s->rest.len && s->rest.ptr[0] == (uint8_t)c;
}

/* ".678": digits beyond the third are dropped. */
static int64_t fraction_ms(Scanner *s) {
    int64_t v = 0, unit = 100;
    if (!at(s, '.')) return 0;
    s->rest = str_from(s->rest, 1);
    if (!s->rest.len || s->rest.ptr[0] < '0' || s->rest.ptr[0] > '9') s->bad = true;
    for (; s->rest.len && s->rest.ptr[0] >= '0' && s->rest.ptr[0] <= '9'; s->rest = str_from(s->rest, 1)) {
        v += unit * (s->rest.ptr[0] - '0');
        unit /= 10;
    }
    return v;
}

static int64_t clock_of_day_s(Scanner *s) {
    int64_t hour = digits(s, 2);
    expect(s, S(":"));
    int64_t minute = digits(s, 2);
    expect(s, S(":"));
    int64_t second = digits(s, 2);
    if (hour > 23 || minute > 59 || second > 60) s->bad = true;
    return hour * 3600 + minute * 60 + second;
}

static int64_t offset_s(Scanner *s) {
    if (at(s, 'Z') || at(s, 'z')) {
        s->rest = str_from(s->rest, 1);
        return 0;
    }
    int64_t sign = at(s, '-') ? -1 : 1;
    if (!at(s, '-') && !at(s, '+')) s->bad = true;
    s->rest = str_from(s->rest, 1);
    int64_t hours = digits(s, 2);
    if (at(s, ':')) s->rest = str_from(s->rest, 1);
    return sign * (hours * 3600 + digits(s, 2) * 60);
}

static bool date_stands(int64_t year, int64_t month, int64_t day) {
    if (year < 1 || month < 1 || month > 12 || day < 1) return false;
    int64_t next = month == 12 ? days_from(year + 1, 1, 1) : days_from(year, month + 1, 1);
    return day <= next - days_from(year, month, 1);
}

static Err parse_iso8601(Scanner s, int64_t *out) {
    int64_t year = digits(&s, 4);
    expect(&s, S("-"));
    int64_t month = digits(&s, 2);
    expect(&s, S("-"));
    int64_t day = digits(&s, 2), seconds = 0, ms = 0;
    if (s.rest.len) {
        if (at(&s, 't') || at(&s, ' '))
            s.rest = str_from(s.rest, 1);
        else
            expect(&s, S("T"));
        seconds = clock_of_day_s(&s);
        ms = fraction_ms(&s);
        seconds -= s.rest.len ? offset_s(&s) : 0;
    }
    if (s.bad || s.rest.len || !date_stands(year, month, day)) return ERR_MALFORMED;
    *out = (days_from(year, month, day) * DAY_S + seconds) * 1000 + ms;
    return OK;
}

static Err parse_rfc822(Scanner s, int64_t *out) {
    s.rest = str_from(s.rest, 5); /* the day of the week says nothing new */
    int64_t day = digits(&s, 2), month = 0;
    expect(&s, S(" "));
    Str name = str_sub(s.rest, 0, 3);
    for (int i = 0; i < 12; i++)
        if (name.len == 3 && memcmp(months + 3 * i, name.ptr, 3) == 0) month = i + 1;
    s.rest = str_from(s.rest, 3);
    expect(&s, S(" "));
    int64_t year = digits(&s, 4);
    expect(&s, S(" "));
    int64_t seconds = clock_of_day_s(&s), ms = fraction_ms(&s);
    expect(&s, S(" GMT"));
    if (s.bad || s.rest.len || !date_stands(year, month, day)) return ERR_MALFORMED;
    *out = (days_from(year, month, day) * DAY_S + seconds) * 1000 + ms;
    return OK;
}

static Err parse_seconds(Scanner s, int64_t *out) {
    bool negative = at(&s, '-');
    if (negative) s.rest = str_from(s.rest, 1);
    size_t n = 0;
    while (n < s.rest.len && s.rest.ptr[n] >= '0' && s.rest.ptr[n] <= '9') n++;
    if (n == 0) return ERR_MALFORMED;
    if (n > 12) return ERR_LIMIT; /* year 9999 has 12 digits */
    int64_t v = digits(&s, n) * 1000 + fraction_ms(&s);
    if (s.bad || s.rest.len) return ERR_MALFORMED;
    *out = negative ? -v : v;
    return OK;
}

/* 0001-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z */
#define FIRST_MS (INT64_C(-62135596800) * 1000)
#define LAST_MS (INT64_C(253402300800) * 1000 - 1)

static Err parse_any(Scanner s, int64_t *out) {
    if (s.rest.len > 4 && s.rest.ptr[4] == '-') return parse_iso8601(s, out);
    if (s.rest.len > 5 && s.rest.ptr[3] == ',') return parse_rfc822(s, out);
    return parse_seconds(s, out);
}

Err timestamp_parse(Str text, int64_t *out_ms) {
    Scanner s = { .rest = str_trim(text) };
    if (s.rest.len > 64) return ERR_MALFORMED;
    int64_t ms;
    Err e = parse_any(s, &ms);
    if (e != OK) return e;
    if (ms < FIRST_MS || ms > LAST_MS) return ERR_LIMIT; /* by its seconds, or by an offset at either end */
    *out_ms = ms;
    return OK;
}

typedef struct {
    int year, month, day, hour, minute, second, ms, weekday;
} Parts;

static Parts parts_of(int64_t t) {
    Parts p = { .ms = (int)((t % 1000 + 1000) % 1000) };
    int64_t seconds = (t - p.ms) / 1000, days = (seconds - ((seconds % DAY_S + DAY_S) % DAY_S)) / DAY_S;
    int64_t of_day = seconds - days * DAY_S;
    date_of(days, &p.year, &p.month, &p.day);
    p.hour = (int)(of_day / 3600);
    p.minute = (int)(of_day / 60 % 60);
    p.second = (int)(of_day % 60);
    p.weekday = (int)((days % 7 + 7) % 7);
    return p;
}

Str timestamp_iso8601(Arena *a, int64_t ms) {
    Parts p = parts_of(ms);
    if (p.ms == 0)
        return str_format(a, "%04d-%02d-%02dT%02d:%02d:%02dZ", p.year, p.month, p.day, p.hour, p.minute, p.second);
    return str_format(a, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", p.year, p.month, p.day, p.hour, p.minute, p.second,
                      p.ms);
}

Str timestamp_rfc822(Arena *a, int64_t ms) {
    Parts p = parts_of(ms);
    return str_format(a, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", weekdays + 3 * p.weekday, p.day,
                      months + 3 * (p.month - 1), p.year, p.hour, p.minute, p.second);
}
