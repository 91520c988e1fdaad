/* Dates of the proleptic Gregorian calendar, as days since 1970. Source: ISO 8601; the arithmetic is Howard Hinnant's
 * "chrono-Compatible Low-Level Date Algorithms" */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    int64_t year;
    int32_t month, day; /* from 1 */
} Date;

static inline int64_t date_days(int64_t year, int32_t month, int32_t day) {
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400, in_era = year - era * 400;
    int64_t in_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719468;
}

static inline Date date_of(int64_t days) {
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097, in_era = days - era * 146097;
    int64_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    int64_t in_year = in_era - (365 * year + year / 4 - year / 100), month = (5 * in_year + 2) / 153;
    Date d = { .day = (int32_t)(in_year - (153 * month + 2) / 5 + 1),
               .month = (int32_t)(month < 10 ? month + 3 : month - 9) };
    d.year = year + era * 400 + (d.month <= 2);
    return d;
}

static inline bool year_is_leap(int64_t y) {
    return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

static inline int32_t month_days(int64_t year, int32_t month) {
    return month == 2 ? 28 + year_is_leap(year) : 30 + ((month + (month > 7)) & 1);
}

static inline int32_t day_of_week(int64_t days) { /* 1 Monday .. 7 Sunday */
    int64_t d = (days + 3) % 7;
    return (int32_t)(d < 0 ? d + 8 : d + 1);
}

static inline int64_t floor_div(int64_t a, int64_t b) { /* b > 0 */
    return a / b - (a % b < 0);
}
