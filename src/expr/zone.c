#include "expr/zone.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/reader.h"
#include "expr/calendar.h"

/* A zone is its transitions up to the end of its table, and a rule for every year after that. Files are read whole
 * into the arena and used as they lie there. */

#define FOLDER "/usr/share/zoneinfo/"
enum { FILE_BYTES_MAX = 1 << 16, NAME_BYTES_MAX = 64, DAY_S = 86400, OFFSET_S_MAX = 18 * 3600 };

typedef struct {
    char kind; /* 'M', 'J' or '0' */
    int32_t month, week, day, time_s;
} Change;

typedef struct {
    bool there, dst;
    ZoneAt standard, summer;
    Change start, end;
} Rule;

struct Zone {
    Str id;
    ZoneAt fixed; /* where there is no file */
    Str times, indexes, types, names;
    size_t transitions, types_n;
    Rule after;
};

/* ---- the rule of the years to come ---- */

static bool take(Str *s, char c) {
    if (!s->len || s->ptr[0] != c) return false;
    *s = str_from(*s, 1);
    return true;
}

static int32_t number(Str *s) {
    int32_t v = 0;
    for (; s->len && s->ptr[0] >= '0' && s->ptr[0] <= '9' && v < 100000; *s = str_from(*s, 1))
        v = v * 10 + s->ptr[0] - '0';
    return v;
}

/* [+-]hh[:mm[:ss]] */
static int32_t clock_s(Str *s) {
    bool negative = take(s, '-');
    if (!negative) take(s, '+');
    int32_t v = number(s) * 3600;
    if (take(s, ':')) v += number(s) * 60;
    if (take(s, ':')) v += number(s);
    return negative ? -v : v;
}

static Str zone_name(Str *s) {
    Str all = *s;
    size_t n = 0;
    if (take(s, '<')) {
        n = str_find(*s, '>');
        if (n == SIZE_MAX) return STR_NONE;
        Str name = str_sub(*s, 0, n);
        *s = str_from(*s, n + 1);
        return name;
    }
    while (n < all.len && (all.ptr[n] | 32) >= 'a' && (all.ptr[n] | 32) <= 'z') n++;
    *s = str_from(all, n);
    return n ? str_sub(all, 0, n) : STR_NONE;
}

static Change change(Str *s) {
    Change c = { .kind = '0', .time_s = 2 * 3600 };
    if (take(s, 'M')) {
        c.kind = 'M';
        c.month = number(s);
        if (take(s, '.')) c.week = number(s);
        if (take(s, '.')) c.day = number(s);
    } else {
        if (take(s, 'J')) c.kind = 'J';
        c.day = number(s);
    }
    if (take(s, '/')) c.time_s = clock_s(s);
    return c;
}

static Rule rule_of(Str s) {
    Rule r = { .there = s.len > 0 };
    r.standard.name = zone_name(&s);
    r.standard.offset_s = -clock_s(&s);
    r.summer.name = zone_name(&s);
    r.dst = r.summer.name.ptr != NULL;
    if (!r.dst) return r;
    r.summer.offset_s = s.len && s.ptr[0] != ',' ? -clock_s(&s) : r.standard.offset_s + 3600;
    if (take(&s, ',')) r.start = change(&s);
    if (take(&s, ',')) r.end = change(&s);
    if (r.start.kind == 'M' && (r.start.month < 1 || r.start.month > 12)) r.dst = false;
    if (r.end.kind == 'M' && (r.end.month < 1 || r.end.month > 12)) r.dst = false;
    return r;
}

/* Local seconds since 1970 at which the change of that year is. */
static int64_t change_at(const Change *c, int64_t year) {
    int64_t days;
    if (c->kind == 'M') {
        int64_t first = date_days(year, c->month, 1);
        int32_t weekday = day_of_week(first) % 7, day = 1 + (c->day - weekday + 7) % 7 + (c->week - 1) * 7;
        while (day > month_days(year, c->month)) day -= 7;
        days = first + day - 1;
    } else {
        days = date_days(year, 1, 1) + c->day - (c->kind == 'J');
        if (c->kind == 'J' && c->day >= 60 && year_is_leap(year)) days++;
    }
    return days * DAY_S + c->time_s;
}

static ZoneAt rule_at(const Rule *r, int64_t utc_s) {
    if (!r->dst) return r->standard;
    int64_t year = date_of(floor_div(utc_s + r->standard.offset_s, DAY_S)).year;
    int64_t start = change_at(&r->start, year) - r->standard.offset_s,
            end = change_at(&r->end, year) - r->summer.offset_s;
    bool summer = start < end ? utc_s >= start && utc_s < end : utc_s >= start || utc_s < end;
    return summer ? r->summer : r->standard;
}

/* ---- the table ---- */

static uint64_t big(Str s, size_t at, size_t bytes) {
    uint64_t v = 0;
    for (size_t i = 0; i < bytes; i++) v = v << 8 | s.ptr[at + i];
    return v;
}

enum { HEADER = 44, TYPE_BYTES = 6 };
typedef struct {
    uint32_t isut, isstd, leap, time, type, chars;
} Counts;

static Counts counts(Reader *r) {
    reader_take(r, 20);
    Counts c = { .isut = reader_u32(r), .isstd = reader_u32(r) };
    c.leap = reader_u32(r);
    c.time = reader_u32(r);
    c.type = reader_u32(r);
    c.chars = reader_u32(r);
    if (c.time > 10000 || c.type > 256 || c.chars > 4096 || c.leap > 1000 || c.isut > 256 || c.isstd > 256)
        r->bad = true;
    return c;
}

static bool parse(Str file, Zone *z) {
    Reader r = reader_from(file);
    if (!str_starts(file, S("TZif")) || file.len < HEADER || file.ptr[4] < '2') return false;
    Counts c = counts(&r);
    if (r.bad) return false;
    reader_take(&r, c.time * 5 + c.type * TYPE_BYTES + c.chars + c.leap * 8 + c.isstd + c.isut);
    c = counts(&r);
    if (r.bad || c.type == 0) return false;
    z->times = reader_take(&r, c.time * 8);
    z->indexes = reader_take(&r, c.time);
    z->types = reader_take(&r, c.type * TYPE_BYTES);
    z->names = reader_take(&r, c.chars);
    reader_take(&r, c.leap * 12 + c.isstd + c.isut);
    z->transitions = c.time;
    z->types_n = c.type;
    Str footer = reader_rest(&r);
    if (r.bad) return false;
    if (take(&footer, '\n')) z->after = rule_of(str_cut(&footer, '\n'));
    for (size_t i = 0; i < c.time; i++)
        if (z->indexes.ptr[i] >= c.type) return false;
    return true;
}

static ZoneAt type_at(const Zone *z, size_t type) {
    size_t at = type * TYPE_BYTES;
    ZoneAt out = { .offset_s = (int32_t)big(z->types, at, 4) };
    Str name = str_from(z->names, z->types.ptr[at + 5]);
    out.name = str_cut(&name, '\0');
    return out;
}

ZoneAt zone_at(const Zone *z, int64_t utc_s) {
    if (z->types_n == 0) return z->fixed;
    size_t low = 0, high = z->transitions; /* transitions at or before utc_s */
    while (low < high) {
        size_t middle = (low + high) / 2;
        if ((int64_t)big(z->times, middle * 8, 8) <= utc_s)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == z->transitions && z->after.there) return rule_at(&z->after, utc_s);
    return type_at(z, low == 0 ? 0 : z->indexes.ptr[low - 1]);
}

int64_t zone_to_utc(const Zone *z, int64_t local_s) {
    /* Offsets a day before and after: the time is right under one of them, or it falls into a gap. */
    int32_t before = zone_at(z, local_s - DAY_S).offset_s, after = zone_at(z, local_s + DAY_S).offset_s;
    int64_t first = local_s - before;
    if (zone_at(z, first).offset_s == before || zone_at(z, local_s - after).offset_s != after) return first;
    return local_s - after;
}

Str zone_id(const Zone *z) {
    return z->id;
}

/* ---- names ---- */

/* +h, +hh, +hhmm, +hh:mm, +hh:mm:ss */
static bool offset_of(Str s, int32_t *out) {
    bool negative = s.len && s.ptr[0] == '-';
    if (s.len < 2 || (!negative && s.ptr[0] != '+')) return false;
    int32_t parts[3] = { 0 }, n = 0;
    for (size_t i = 1; i < s.len && n < 3; n++) {
        size_t digits = 0;
        for (; digits < 2 && i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9'; i++, digits++)
            parts[n] = parts[n] * 10 + s.ptr[i] - '0';
        if (digits == 0 || (n > 0 && digits != 2)) return false;
        if (i < s.len && s.ptr[i] == ':' && ++i == s.len) return false;
        if (n == 2 && i < s.len) return false;
    }
    int32_t v = parts[0] * 3600 + parts[1] * 60 + parts[2];
    if (parts[1] > 59 || parts[2] > 59 || v > OFFSET_S_MAX) return false;
    *out = negative ? -v : v;
    return true;
}

static Zone *fixed(Arena *arena, Str id, int32_t offset_s) {
    Zone *z = arena_new(arena, Zone);
    int32_t size = offset_s < 0 ? -offset_s : offset_s;
    z->id = str_dup(arena, id);
    z->fixed.offset_s = offset_s;
    z->fixed.name = offset_s == 0
                        ? S("UTC")
                        : str_format(arena, "%c%02d:%02d", offset_s < 0 ? '-' : '+', size / 3600, size / 60 % 60);
    return z;
}

/* Short names that have one meaning in Java, too. Source: Joda-Time time zones; java.time.ZoneId.SHORT_IDS */
static const struct {
    Str name, zone;
} SHORT[] = {
    { STR_INIT("PST"), STR_INIT("America/Los_Angeles") }, { STR_INIT("PDT"), STR_INIT("America/Los_Angeles") },
    { STR_INIT("MDT"), STR_INIT("America/Denver") },      { STR_INIT("CST"), STR_INIT("America/Chicago") },
    { STR_INIT("CDT"), STR_INIT("America/Chicago") },     { STR_INIT("EDT"), STR_INIT("America/New_York") },
    { STR_INIT("AKST"), STR_INIT("America/Anchorage") },  { STR_INIT("AKDT"), STR_INIT("America/Anchorage") },
    { STR_INIT("JST"), STR_INIT("Asia/Tokyo") },          { STR_INIT("IST"), STR_INIT("Asia/Kolkata") },
    { STR_INIT("BST"), STR_INIT("Europe/London") },       { STR_INIT("CEST"), STR_INIT("Europe/Paris") },
    { STR_INIT("EEST"), STR_INIT("Europe/Athens") },
};

static bool good_name(Str s) {
    if (s.len == 0 || s.len > NAME_BYTES_MAX || s.ptr[0] == '/') return false;
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.ptr[i];
        bool letter = ((c | 32) >= 'a' && (c | 32) <= 'z') || (c >= '0' && c <= '9');
        if (!letter && c != '/' && c != '_' && c != '-' && c != '+')
            return false; /* no dot: no way out of the folder */
    }
    return true;
}

static bool read_zone(Str name, Arena *arena, Zone *z) {
    char path[sizeof FOLDER + NAME_BYTES_MAX] = FOLDER;
    memcpy(path + sizeof FOLDER - 1, name.ptr, name.len);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    uint8_t *file = arena_bytes(arena, FILE_BYTES_MAX);
    size_t n = 0;
    for (ssize_t got = 1; got > 0 && n<FILE_BYTES_MAX; n += got> 0 ? (size_t)got : 0)
        got = read(fd, file + n, FILE_BYTES_MAX - n);
    close(fd);
    return parse((Str){ file, n }, z);
}

Err zone_load(Str name, Arena *arena, const Zone **out) {
    int32_t offset_s = 0;
    Str rest = name;
    for (size_t i = 0; i < 3; i++) {
        static const Str utc[] = { STR_INIT("UTC"), STR_INIT("GMT"), STR_INIT("UT") };
        if (!str_starts(name, utc[i])) continue;
        rest = str_from(name, utc[i].len);
        break;
    }
    bool zero = str_eq(name, S("Z")) || (rest.len == 0 && name.len > 0);
    if (zero || offset_of(rest, &offset_s)) {
        *out = fixed(arena, name, offset_s);
        return OK;
    }
    for (size_t i = 0; i < sizeof SHORT / sizeof *SHORT; i++)
        if (str_eq(SHORT[i].name, name)) name = SHORT[i].zone;
    Zone *z = arena_new(arena, Zone);
    if (!good_name(name) || !read_zone(name, arena, z)) return ERR_NOT_FOUND;
    z->id = str_dup(arena, name);
    *out = z;
    return OK;
}
