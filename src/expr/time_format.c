#include "expr/calendar.h"
#include "expr/time_text.h"

const Str TIME_MONTHS[12] = { STR_INIT("January"),   STR_INIT("February"), STR_INIT("March"),    STR_INIT("April"),
                              STR_INIT("May"),       STR_INIT("June"),     STR_INIT("July"),     STR_INIT("August"),
                              STR_INIT("September"), STR_INIT("October"),  STR_INIT("November"), STR_INIT("December") };
const Str TIME_DAYS[7] = { STR_INIT("Monday"), STR_INIT("Tuesday"),  STR_INIT("Wednesday"), STR_INIT("Thursday"),
                           STR_INIT("Friday"), STR_INIT("Saturday"), STR_INIT("Sunday") };

/* Long names of zones, by their short ones: those that have one. */
static const struct {
    Str name, full;
} LONG_NAMES[] = {
    { STR_INIT("UTC"), STR_INIT("Coordinated Universal Time") },
    { STR_INIT("GMT"), STR_INIT("Greenwich Mean Time") },
    { STR_INIT("PST"), STR_INIT("Pacific Standard Time") },
    { STR_INIT("PDT"), STR_INIT("Pacific Daylight Time") },
    { STR_INIT("MST"), STR_INIT("Mountain Standard Time") },
    { STR_INIT("MDT"), STR_INIT("Mountain Daylight Time") },
    { STR_INIT("CST"), STR_INIT("Central Standard Time") },
    { STR_INIT("CDT"), STR_INIT("Central Daylight Time") },
    { STR_INIT("EST"), STR_INIT("Eastern Standard Time") },
    { STR_INIT("EDT"), STR_INIT("Eastern Daylight Time") },
    { STR_INIT("AKST"), STR_INIT("Alaska Standard Time") },
    { STR_INIT("AKDT"), STR_INIT("Alaska Daylight Time") },
    { STR_INIT("BST"), STR_INIT("British Summer Time") },
    { STR_INIT("JST"), STR_INIT("Japan Standard Time") },
    { STR_INIT("CET"), STR_INIT("Central European Time") },
    { STR_INIT("CEST"), STR_INIT("Central European Summer Time") },
};

enum { DAY_S = 86400 };
#define TIME_MS_MAX INT64_C(8640000000000000)

typedef struct {
    const Zone *zone;
    ZoneAt at;
    Date date;
    int64_t days;
    int32_t second, ms; /* of the day, of the second */
} Moment;

static void put_number(Writer *w, int64_t v, size_t width) {
    writer_format(w, "%s%0*lld", v < 0 ? "-" : "", (int)width, (long long)(v < 0 ? -v : v));
}

static void put_name(Writer *w, Str name, bool full) {
    writer_bytes(w, full ? name : str_sub(name, 0, 3));
}

static void put_offset(Writer *w, int32_t offset_s, bool colon) {
    int32_t size = offset_s < 0 ? -offset_s : offset_s;
    writer_format(w, "%c%02d%s%02d", offset_s < 0 ? '-' : '+', size / 3600, colon ? ":" : "", size / 60 % 60);
}

static void put_zone_name(Writer *w, const Moment *m, bool full) {
    Str name = m->at.name;
    if (name.len && (name.ptr[0] == '+' || name.ptr[0] == '-')) { /* the database has no name: the offset */
        put_offset(w, m->at.offset_s, true);
        return;
    }
    for (size_t i = 0; full && i < sizeof LONG_NAMES / sizeof *LONG_NAMES; i++)
        if (str_eq(LONG_NAMES[i].name, name)) name = LONG_NAMES[i].full;
    writer_bytes(w, name);
}

/* The ISO week and the year that it belongs to. */
static void week_of(const Moment *m, int64_t *year, int32_t *week) {
    int64_t thursday = m->days - day_of_week(m->days) + 4;
    *year = date_of(thursday).year;
    *week = (int32_t)((thursday - date_days(*year, 1, 1)) / 7) + 1;
}

static void put_year(Writer *w, int64_t year, size_t n) {
    int64_t two = year % 100;
    if (n == 2)
        put_number(w, two < 0 ? -two : two, 2);
    else
        put_number(w, year, n);
}

static void put_fraction(Writer *w, int32_t ms, size_t n) {
    char digits[4] = { (char)('0' + ms / 100), (char)('0' + ms / 10 % 10), (char)('0' + ms % 10), 0 };
    for (size_t i = 0; i < n; i++) writer_u8(w, i < 3 ? (uint8_t)digits[i] : '0');
}

/* False for a letter that means nothing. */
static bool put_field(Writer *w, const Moment *m, char letter, size_t n) {
    int32_t hour = m->second / 3600, week;
    int64_t year = m->date.year, era_year = year > 0 ? year : 1 - year, week_year;
    week_of(m, &week_year, &week);
    switch (letter) {
    case 'G': writer_bytes(w, year > 0 ? S("AD") : S("BC")); return true;
    case 'C': put_number(w, era_year / 100, n); return true;
    case 'Y': put_year(w, era_year, n); return true;
    case 'y': put_year(w, year, n); return true;
    case 'x': put_year(w, week_year, n); return true;
    case 'w': put_number(w, week, n); return true;
    case 'e': put_number(w, day_of_week(m->days), n); return true;
    case 'E': put_name(w, TIME_DAYS[day_of_week(m->days) - 1], n >= 4); return true;
    case 'D': put_number(w, m->days - date_days(year, 1, 1) + 1, n); return true;
    case 'M':
        if (n >= 3)
            put_name(w, TIME_MONTHS[m->date.month - 1], n >= 4);
        else
            put_number(w, m->date.month, n);
        return true;
    case 'd': put_number(w, m->date.day, n); return true;
    case 'a': writer_bytes(w, hour < 12 ? S("AM") : S("PM")); return true;
    case 'K': put_number(w, hour % 12, n); return true;
    case 'h': put_number(w, (hour + 11) % 12 + 1, n); return true;
    case 'H': put_number(w, hour, n); return true;
    case 'k': put_number(w, (hour + 23) % 24 + 1, n); return true;
    case 'm': put_number(w, m->second / 60 % 60, n); return true;
    case 's': put_number(w, m->second % 60, n); return true;
    case 'S': put_fraction(w, m->ms, n); return true;
    case 'z': put_zone_name(w, m, n >= 4); return true;
    case 'Z':
        if (n >= 3)
            writer_bytes(w, zone_id(m->zone));
        else
            put_offset(w, m->at.offset_s, n == 2);
        return true;
    default: return false;
    }
}

/* A quoted text from its opening quote on; a doubled quote is one. False where it is not closed. */
static bool put_quoted(Writer *w, Str pattern, size_t *i) {
    if (*i + 1 < pattern.len && pattern.ptr[*i + 1] == '\'') {
        writer_u8(w, '\'');
        *i += 2;
        return true;
    }
    for (++*i; *i < pattern.len; ++*i) {
        if (pattern.ptr[*i] != '\'') {
            writer_u8(w, pattern.ptr[*i]);
        } else if (*i + 1 < pattern.len && pattern.ptr[*i + 1] == '\'') {
            writer_u8(w, '\'');
            ++*i;
        } else {
            ++*i;
            return true;
        }
    }
    return false;
}

enum { FIELD_WIDTH_MAX = 100 };

Err time_format(Str pattern, int64_t ms, const Zone *zone, Arena *arena, Str *out, Str *why) {
    if (ms > TIME_MS_MAX || ms < -TIME_MS_MAX) {
        *why = str_format(arena, "%lld is no time: it is further than 275,000 years from 1970", (long long)ms);
        return ERR_LIMIT;
    }
    int64_t utc_s = floor_div(ms, 1000);
    Moment m = { .zone = zone, .at = zone_at(zone, utc_s), .ms = (int32_t)(ms - utc_s * 1000) };
    int64_t local = utc_s + m.at.offset_s;
    m.days = floor_div(local, DAY_S);
    m.second = (int32_t)(local - m.days * DAY_S);
    m.date = date_of(m.days);
    Writer w = writer_in(arena);
    for (size_t i = 0; i < pattern.len;) {
        char c = (char)pattern.ptr[i];
        size_t n = 1;
        if (c == '\'') {
            if (put_quoted(&w, pattern, &i)) continue;
            *why = S("a quote of the pattern is not closed");
            return ERR_INVALID;
        }
        if (!((c | 32) >= 'a' && (c | 32) <= 'z')) {
            writer_u8(&w, (uint8_t)c);
            i++;
            continue;
        }
        while (i + n < pattern.len && pattern.ptr[i + n] == (uint8_t)c) n++;
        if (n > FIELD_WIDTH_MAX || !put_field(&w, &m, c, n)) {
            *why = str_format(arena, "'%c' %zu times is nothing in a pattern", c, n);
            return ERR_INVALID;
        }
        i += n;
    }
    *out = writer_str(&w);
    return OK;
}
