#include "expr/calendar.h"
#include "expr/time_text.h"

/* The pattern is walked beside the text; fields that are numbers without a fixed width leave room for the fields of
 * fixed width that stand right behind them (yyyyMMdd). What was read is put together at the end, as Java's SMART
 * resolver does: a day behind its month's last is the last. */

enum { DAY_S = 86400, DIGITS_MAX = 18, OPTIONAL_DEPTH_MAX = 8, UNKNOWN = -1 };

typedef struct {
    Str text, pattern;
    size_t at; /* in the text */
    Arena *arena;
    Err err;
    Str why;
    bool year_known, bc, pm_known, pm, epoch_known;
    int64_t year;
    int32_t month, day, day_of_year, hour, half_hour, minute, second, milli_of_day;
    int64_t nano;
    const Zone *zone;
} Parse;

static bool bad_pattern(Parse *p, char letter, size_t n) {
    p->err = ERR_INVALID;
    p->why = str_format(p->arena, "'%c' %zu times is nothing in a pattern", letter, n);
    return false;
}

static bool bad_text(Parse *p, const char *wanted) {
    if (p->err != OK) return false;
    p->err = ERR_MALFORMED;
    p->why = str_format(p->arena, "expected %s at character %zu of '%.*s'", wanted,
                        str_code_points(str_sub(p->text, 0, p->at)) + 1, PS(p->text));
    return false;
}

static bool letter(uint8_t c) {
    return (c | 32) >= 'a' && (c | 32) <= 'z';
}
static bool digit(uint8_t c) {
    return c >= '0' && c <= '9';
}

/* ---- numbers ---- */

/* How wide a number field of so many letters is: exactly, or 0 for what there is. */
static size_t fixed_width(char c, size_t n) {
    switch (c) {
    case 'y':
    case 'u': return n == 2 ? 2 : 0;
    case 'M':
    case 'L': return n == 2 ? 2 : 0;
    case 'd':
    case 'H':
    case 'h':
    case 'k':
    case 'K':
    case 'm':
    case 's': return n == 2 ? 2 : 0;
    case 'D': return n == 3 ? 3 : 0;
    case 'S': return n;
    default: return 0;
    }
}

/* Digits that fields of fixed width right behind pattern byte i want. */
static size_t reserved(const Parse *p, size_t i) {
    size_t total = 0;
    while (i < p->pattern.len && letter(p->pattern.ptr[i])) {
        size_t n = 1;
        while (i + n < p->pattern.len && p->pattern.ptr[i + n] == p->pattern.ptr[i]) n++;
        size_t width = fixed_width((char)p->pattern.ptr[i], n);
        if (!width) break;
        total += width;
        i += n;
    }
    return total;
}

static bool number(Parse *p, size_t least, size_t most, size_t keep, int64_t *out) {
    size_t n = 0;
    while (p->at + n < p->text.len && digit(p->text.ptr[p->at + n])) n++;
    if (n > keep && n - keep >= least)
        n = n - keep;
    else if (keep && n > least)
        n = least;
    if (n > most) n = most;
    if (n < least || n == 0 || n > DIGITS_MAX) return bad_text(p, "digits");
    int64_t v = 0;
    for (size_t i = 0; i < n; i++) v = v * 10 + (p->text.ptr[p->at + i] - '0');
    p->at += n;
    *out = v;
    return true;
}

static bool number_field(Parse *p, char c, size_t n, size_t next, int32_t low, int32_t high, int32_t *out) {
    size_t width = fixed_width(c, n);
    int64_t v;
    if (n > (c == 'D' ? 3 : 2)) return bad_pattern(p, c, n);
    size_t before = p->at;
    if (!number(p, width ? width : 1, width ? width : 10, width ? 0 : reserved(p, next), &v)) return false;
    if (v < low || v > high) {
        p->at = before;
        return bad_text(p, "a number in range");
    }
    *out = (int32_t)v;
    return true;
}

static bool year_field(Parse *p, char c, size_t n, size_t next) {
    int64_t v;
    size_t width = fixed_width(c, n);
    bool negative = !width && p->at < p->text.len && p->text.ptr[p->at] == '-' && c == 'u';
    if (negative || (n >= 4 && p->at < p->text.len && p->text.ptr[p->at] == '+')) p->at++;
    size_t least = width ? width : n, most = width ? width : 8;
    if (!number(p, least, most, width ? 0 : reserved(p, next), &v)) return false;
    p->year = n == 2 ? 2000 + v : negative ? -v : v;
    p->year_known = true;
    return true;
}

static bool fraction(Parse *p, size_t n) {
    int64_t v;
    if (n > 9) return bad_pattern(p, 'S', n);
    if (!number(p, n, n, 0, &v)) return false;
    for (; n < 9; n++) v *= 10;
    p->nano = v;
    return true;
}

/* ---- names ---- */

static bool name_field(Parse *p, const Str *names, size_t count, bool full, int32_t *out) {
    for (size_t i = 0; i < count; i++) {
        Str name = full ? names[i] : str_sub(names[i], 0, 3);
        if (!str_starts(str_from(p->text, p->at), name)) continue;
        p->at += name.len;
        *out = (int32_t)i + 1;
        return true;
    }
    return bad_text(p, full ? "a full English name" : "an English name of three letters");
}

static bool one_of(Parse *p, Str yes, Str no, const char *wanted, bool *out) {
    Str rest = str_from(p->text, p->at);
    bool is_yes = str_starts(rest, yes);
    if (!is_yes && !str_starts(rest, no)) return bad_text(p, wanted);
    p->at += is_yes ? yes.len : no.len;
    *out = is_yes;
    return true;
}

/* ---- zones ---- */

static bool zone_text(Parse *p) {
    size_t end = p->at;
    while (end < p->text.len &&
           (letter(p->text.ptr[end]) || digit(p->text.ptr[end]) || memchr("/_+-:", p->text.ptr[end], 5)))
        end++;
    if (zone_load(str_sub(p->text, p->at, end), p->arena, &p->zone) != OK) return bad_text(p, "a time zone");
    p->at = end;
    return true;
}

/* +hh, +hhmm or +hh:mm; Z where the pattern allows it. */
static bool offset_text(Parse *p, bool zulu) {
    if (zulu && p->at < p->text.len && p->text.ptr[p->at] == 'Z') {
        p->at++;
        return zone_load(S("Z"), p->arena, &p->zone) == OK;
    }
    size_t end = p->at;
    if (end < p->text.len && (p->text.ptr[end] == '+' || p->text.ptr[end] == '-'))
        for (end++; end < p->text.len && (digit(p->text.ptr[end]) || p->text.ptr[end] == ':');) end++;
    if (zone_load(str_sub(p->text, p->at, end), p->arena, &p->zone) != OK)
        return bad_text(p, "an offset such as +01:00");
    p->at = end;
    return true;
}

/* ---- the walk ---- */

static bool field(Parse *p, char c, size_t n, size_t next) {
    int32_t ignored;
    int64_t nano;
    switch (c) {
    case 'G': return one_of(p, S("BC"), S("AD"), "AD or BC", &p->bc);
    case 'u':
    case 'y': return year_field(p, c, n, next);
    case 'M':
    case 'L':
        if (n == 3 || n == 4) return name_field(p, TIME_MONTHS, 12, n == 4, &p->month);
        return number_field(p, c, n, next, 1, 12, &p->month);
    case 'E':
        if (n > 4) return bad_pattern(p, c, n);
        return name_field(p, TIME_DAYS, 7, n == 4, &ignored);
    case 'd': return number_field(p, c, n, next, 1, 31, &p->day);
    case 'D': return number_field(p, c, n, next, 1, 366, &p->day_of_year);
    case 'H': return number_field(p, c, n, next, 0, 23, &p->hour);
    case 'k':
        if (!number_field(p, c, n, next, 1, 24, &p->hour)) return false;
        p->hour %= 24;
        return true;
    case 'h':
        if (!number_field(p, c, n, next, 1, 12, &p->half_hour)) return false;
        p->half_hour %= 12;
        return true;
    case 'K': return number_field(p, c, n, next, 0, 11, &p->half_hour);
    case 'm': return number_field(p, c, n, next, 0, 59, &p->minute);
    case 's': return number_field(p, c, n, next, 0, 59, &p->second);
    case 'S': return fraction(p, n);
    case 'n':
        if (!number(p, n > 9 ? 9 : n, 9, 0, &nano)) return false;
        p->nano = nano;
        return true;
    case 'A':
        if (!number(p, 1, 8, 0, &nano)) return false;
        if (nano >= DAY_S * 1000) return bad_text(p, "milliseconds of a day");
        p->milli_of_day = (int32_t)nano;
        return true;
    case 'a':
        p->pm_known = true;
        return n == 1 ? one_of(p, S("PM"), S("AM"), "AM or PM", &p->pm) : bad_pattern(p, c, n);
    case 'V': return n == 2 ? zone_text(p) : bad_pattern(p, c, n);
    case 'z':
    case 'v':
    case 'O': return zone_text(p);
    case 'X': return n <= 5 ? offset_text(p, true) : bad_pattern(p, c, n);
    case 'x': return n <= 5 ? offset_text(p, false) : bad_pattern(p, c, n);
    case 'Z': return n == 4 ? zone_text(p) : n <= 5 ? offset_text(p, n == 5) : bad_pattern(p, c, n);
    default: return bad_pattern(p, c, n);
    }
}

static bool literal(Parse *p, uint8_t c) {
    char wanted[] = { '\'', (char)c, '\'', 0 };
    if (p->at >= p->text.len || p->text.ptr[p->at] != c) return bad_text(p, wanted);
    p->at++;
    return true;
}

/* A quoted text, from its opening quote. */
static bool quoted(Parse *p, size_t *i) {
    Str s = p->pattern;
    if (*i + 1 < s.len && s.ptr[*i + 1] == '\'') {
        *i += 2;
        return literal(p, '\'');
    }
    for (++*i; *i < s.len; ++*i) {
        if (s.ptr[*i] == '\'') {
            if (*i + 1 >= s.len || s.ptr[*i + 1] != '\'') {
                ++*i;
                return true;
            }
            ++*i;
        }
        if (!literal(p, s.ptr[*i])) return false;
    }
    p->err = ERR_INVALID;
    p->why = S("a quote of the pattern is not closed");
    return false;
}

static size_t after_optional(Str pattern, size_t i) {
    int depth = 1;
    for (; i < pattern.len && depth; i++) {
        if (pattern.ptr[i] == '\'')
            while (++i < pattern.len && pattern.ptr[i] != '\'') continue;
        else
            depth += pattern.ptr[i] == '[' ? 1 : pattern.ptr[i] == ']' ? -1 : 0;
    }
    return i;
}

/* One step of the pattern; what is in brackets may be missing: then all of it is taken back. */
static bool walk(Parse *p) {
    struct {
        Parse before;
        size_t behind;
    } open[OPTIONAL_DEPTH_MAX];
    size_t depth = 0;
    for (size_t i = 0; i < p->pattern.len;) {
        uint8_t c = p->pattern.ptr[i];
        bool good = true;
        if (c == '[') {
            if (depth == OPTIONAL_DEPTH_MAX) return bad_pattern(p, '[', depth + 1);
            open[depth].before = *p;
            open[depth++].behind = after_optional(p->pattern, i + 1);
            i++;
        } else if (c == ']') {
            if (depth == 0) return bad_pattern(p, ']', 1);
            depth--;
            i++;
        } else if (c == '\'') {
            good = quoted(p, &i);
        } else if (letter(c)) {
            size_t n = 1;
            while (i + n < p->pattern.len && p->pattern.ptr[i + n] == c) n++;
            good = field(p, (char)c, n, i + n);
            i += n;
        } else {
            good = literal(p, c);
            i++;
        }
        if (good) continue;
        if (depth == 0 || p->err == ERR_INVALID) return false;
        depth--;
        *p = open[depth].before;
        i = open[depth].behind;
    }
    return p->at == p->text.len || bad_text(p, "the end");
}

static bool missing(Parse *p, const char *what) {
    p->err = ERR_MALFORMED;
    p->why = str_format(p->arena, "the pattern gives no %s", what);
    return false;
}

static bool resolve(Parse *p, int64_t *out_ms) {
    if (!p->year_known) return missing(p, "year");
    int64_t year = p->bc ? 1 - p->year : p->year, days;
    if (p->day_of_year != UNKNOWN) {
        if (p->day_of_year > 365 + year_is_leap(year)) return missing(p, "such day of that year");
        days = date_days(year, 1, 1) + p->day_of_year - 1;
    } else {
        if (p->month == UNKNOWN) return missing(p, "month");
        if (p->day == UNKNOWN) return missing(p, "day");
        int32_t last = month_days(year, p->month);
        days = date_days(year, p->month, p->day > last ? last : p->day);
    }
    if (p->half_hour != UNKNOWN) {
        if (!p->pm_known) return missing(p, "AM or PM with its hour of 12");
        p->hour = p->half_hour + (p->pm ? 12 : 0);
    }
    int64_t local = days * DAY_S + p->hour * 3600 + p->minute * 60 + p->second, ms = p->nano / 1000000;
    if (p->milli_of_day != UNKNOWN) {
        local = days * DAY_S + p->milli_of_day / 1000;
        ms = p->milli_of_day % 1000;
    }
    *out_ms = (p->zone ? zone_to_utc(p->zone, local) : local) * 1000 + ms;
    return true;
}

Err time_parse(Str text, Str pattern, Arena *arena, int64_t *out_ms, Str *why) {
    Parse p = { .text = text,
                .pattern = pattern,
                .arena = arena,
                .month = UNKNOWN,
                .day = UNKNOWN,
                .day_of_year = UNKNOWN,
                .half_hour = UNKNOWN,
                .milli_of_day = UNKNOWN };
    if (walk(&p) && resolve(&p, out_ms)) return OK;
    *why = p.why;
    return p.err;
}
