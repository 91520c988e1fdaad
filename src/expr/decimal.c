#include "expr/decimal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define DECIMAL_CALL_BY_REFERENCE 0
#define DECIMAL_GLOBAL_ROUNDING 0
#define DECIMAL_GLOBAL_EXCEPTION_FLAGS 0
#include <bid_conf.h>
#include <bid_functions.h>

/* Intel's library does the arithmetic. Texts are read and written here: its own readers want terminated strings and
 * its writer knows no notation but digits with an exponent. In the binary encoding a finite number is a sign bit, an
 * exponent of 14 bits biased by 6176, and 113 bits of digits; numbers of 34 digits never need its second form.
 * The languages' exponents end at 999, far inside, so that no operation here overflows the format itself. */

enum { BIAS = 6176, HALF_EVEN = 0 };
#define TEN_34 ((ExprUInt)EXPR_INT_MAX + 1)

static BID_UINT128 bid(Decimal d) {
    BID_UINT128 b;
    memcpy(&b, &d, sizeof b);
    return b;
}

static const uint64_t POWERS[20] = { 1u,
                                     10u,
                                     100u,
                                     1000u,
                                     10000u,
                                     100000u,
                                     1000000u,
                                     10000000u,
                                     100000000u,
                                     1000000000u,
                                     10000000000u,
                                     100000000000u,
                                     1000000000000u,
                                     10000000000000u,
                                     100000000000000u,
                                     1000000000000000u,
                                     10000000000000000u,
                                     100000000000000000u,
                                     1000000000000000000u,
                                     10000000000000000000u };

static uint32_t digits_of(ExprUInt v) {
    uint32_t n = 1;
    for (; v >= 1000000000u; v /= 1000000000u) n += 9;
    for (uint64_t low = (uint64_t)v; low >= 10; low /= 10) n++;
    return n;
}

static ExprUInt power_of_ten(uint32_t n) { /* n <= 38 */
    return n < 20 ? POWERS[n] : (ExprUInt)POWERS[19] * POWERS[n - 19];
}

DecimalParts decimal_parts(Decimal d) {
    return (DecimalParts){ .negative = d.w[1] >> 63,
                           .exponent = (int32_t)(d.w[1] >> 49 & 0x3fff) - BIAS,
                           .digits = (ExprUInt)(d.w[1] & ((UINT64_C(1) << 49) - 1)) << 64 | d.w[0] };
}

static Decimal pack(DecimalParts p) {
    return (Decimal){ { (uint64_t)p.digits, (uint64_t)(p.negative && p.digits) << 63 |
                                                (uint64_t)(p.exponent + BIAS) << 49 | (uint64_t)(p.digits >> 64) } };
}

bool decimal_from_parts(DecimalParts p, Decimal *out) {
    if (p.digits >= TEN_34) {
        uint32_t extra = digits_of(p.digits) - DECIMAL_DIGITS;
        ExprUInt unit = power_of_ten(extra), rest = p.digits % unit;
        p.digits /= unit;
        p.exponent += (int32_t)extra;
        if (rest * 2 > unit || (rest * 2 == unit && (p.digits & 1))) p.digits++;
        if (p.digits == TEN_34) {
            p.digits /= 10;
            p.exponent++;
        }
    }
    if (p.digits == 0) { /* keep the places of a zero, within reason */
        if (p.exponent > DECIMAL_EXPONENT_MAX) p.exponent = DECIMAL_EXPONENT_MAX;
        if (p.exponent < -DECIMAL_EXPONENT_MAX) p.exponent = -DECIMAL_EXPONENT_MAX;
    } else {
        int32_t magnitude = p.exponent + (int32_t)digits_of(p.digits) - 1;
        if (magnitude > DECIMAL_EXPONENT_MAX) return false;
        if (magnitude < -DECIMAL_EXPONENT_MAX) p = (DecimalParts){ .exponent = 0 };
    }
    *out = pack(p);
    return true;
}

/* What an operation gave, brought into the languages' range. */
static bool settle(BID_UINT128 b, Decimal *out) {
    Decimal d;
    memcpy(&d, &b, sizeof d);
    if ((d.w[1] & UINT64_C(0x7800000000000000)) == UINT64_C(0x7800000000000000)) return false; /* NaN, infinity */
    return decimal_from_parts(decimal_parts(d), out);
}

static size_t skip_digits(Str t, size_t i) {
    while (i < t.len && t.ptr[i] >= '0' && t.ptr[i] <= '9') i++;
    return i;
}

/* Exponents beyond this are told from those within by their size alone. */
enum { EXPONENT_READ_MAX = 200000 };

static bool parse_exponent(Str t, size_t i, int32_t *out) {
    bool negative = i < t.len && t.ptr[i] == '-';
    if (i < t.len && (t.ptr[i] == '-' || t.ptr[i] == '+')) i++;
    if (i >= t.len || skip_digits(t, i) != t.len) return false;
    int32_t v = 0;
    for (; i < t.len; i++) v = v > EXPONENT_READ_MAX ? v : v * 10 + (t.ptr[i] - '0');
    *out = negative ? -v : v;
    return true;
}

/* Adds the digits of t from..to; those beyond 38 are only remembered as being there (*more). */
static void take_digits(Str t, size_t from, size_t to, bool fraction, DecimalParts *p, bool *more) {
    for (size_t i = from; i < to; i++) {
        uint8_t digit = (uint8_t)(t.ptr[i] - '0');
        if (p->digits < TEN_34 * 100) {
            p->digits = p->digits * 10 + digit;
            p->exponent -= fraction;
        } else {
            *more |= digit != 0;
            p->exponent += !fraction;
        }
    }
}

/* Most numbers have no exponent and few digits. */
static bool parse_short(Str t, Decimal *out) {
    size_t i = t.len && t.ptr[0] == '-', start = i, point = 0;
    uint64_t digits = 0;
    if (t.len > 19 || i == t.len) return false;
    for (; i < t.len; i++) {
        uint8_t digit = (uint8_t)(t.ptr[i] - '0');
        if (digit < 10)
            digits = digits * 10 + digit;
        else if (t.ptr[i] == '.' && !point && i > start)
            point = i;
        else
            return false;
    }
    if (point == t.len - 1) return false;
    *out = pack((DecimalParts){
        .negative = start, .exponent = point ? (int32_t)point + 1 - (int32_t)t.len : 0, .digits = digits });
    return true;
}

bool decimal_parse(Str t, Decimal *out) {
    if (parse_short(t, out)) return true;
    DecimalParts p = { .negative = t.len && t.ptr[0] == '-' };
    size_t start = p.negative, point = skip_digits(t, start), end = point;
    if (point == start || t.len > EXPONENT_READ_MAX) return false;
    if (point < t.len && t.ptr[point] == '.') {
        end = skip_digits(t, point + 1);
        if (end == point + 1) return false;
    }
    int32_t exponent = 0;
    if (end < t.len && ((t.ptr[end] | 32) != 'e' || !parse_exponent(t, end + 1, &exponent))) return false;
    bool more = false;
    take_digits(t, start, point, false, &p, &more);
    if (end > point) take_digits(t, point + 1, end, true, &p, &more);
    /* 36 digits or more: a one at the end says that a half is more than a half. */
    if (more) p.digits |= 1;
    p.exponent += exponent;
    return decimal_from_parts(p, out);
}

static size_t write_digits(ExprUInt v, char *out) {
    char reversed[INT_TEXT_BYTES_MAX];
    size_t n = 0;
    while (v > UINT64_MAX) {
        ExprUInt high = v / 1000000000u;
        uint32_t low = (uint32_t)(v - high * 1000000000u);
        for (int i = 0; i < 9; i++, low /= 10) reversed[n++] = (char)('0' + low % 10);
        v = high;
    }
    uint64_t u = (uint64_t)v;
    do reversed[n++] = (char)('0' + u % 10);
    while (u /= 10);
    for (size_t i = 0; i < n; i++) out[i] = reversed[n - 1 - i];
    return n;
}

size_t expr_int_text(ExprInt i, char out[INT_TEXT_BYTES_MAX]) {
    size_t n = 0;
    if (i < 0) out[n++] = '-';
    return n + write_digits(i < 0 ? -(ExprUInt)i : (ExprUInt)i, out + n);
}

/* Source: Java SE 11, BigDecimal.toString */
size_t decimal_text(Decimal d, char out[DECIMAL_TEXT_BYTES_MAX]) {
    DecimalParts p = decimal_parts(d);
    char digits[INT_TEXT_BYTES_MAX];
    int32_t n = (int32_t)write_digits(p.digits, digits), magnitude = p.exponent + n - 1;
    char *at = out;
    if (p.negative) *at++ = '-';
    if (p.exponent <= 0 && magnitude >= -6) {
        int32_t whole = n + p.exponent; /* digits before the point */
        if (whole <= 0) *at++ = '0';
        for (int32_t i = 0; i < whole; i++) *at++ = digits[i];
        if (p.exponent < 0) *at++ = '.';
        for (int32_t i = whole; i < 0; i++) *at++ = '0';
        for (int32_t i = whole > 0 ? whole : 0; i < n; i++) *at++ = digits[i];
        return (size_t)(at - out);
    }
    *at++ = digits[0];
    if (n > 1) *at++ = '.';
    for (int32_t i = 1; i < n; i++) *at++ = digits[i];
    return (size_t)(at - out) + (size_t)snprintf(at, 8, "E%+d", magnitude);
}

Decimal decimal_from_int(ExprInt i) {
    return pack((DecimalParts){ .negative = i < 0, .digits = i < 0 ? -(ExprUInt)i : (ExprUInt)i });
}

bool decimal_to_int(Decimal d, ExprInt *out) {
    DecimalParts p = decimal_parts(d);
    if (p.digits == 0) p.exponent = 0;
    if (p.exponent > 0) {
        if (p.exponent >= DECIMAL_DIGITS || p.digits >= power_of_ten(DECIMAL_DIGITS - (uint32_t)p.exponent))
            return false;
        p.digits *= power_of_ten((uint32_t)p.exponent);
    } else if (p.exponent < 0) {
        if (p.exponent < -DECIMAL_DIGITS) return false;
        ExprUInt unit = power_of_ten((uint32_t)-p.exponent);
        if (p.digits <= UINT64_MAX && unit <= UINT64_MAX) { /* 64 bits are divided ten times as fast */
            if ((uint64_t)p.digits % (uint64_t)unit) return false;
            p.digits = (uint64_t)p.digits / (uint64_t)unit;
        } else {
            if (p.digits % unit) return false;
            p.digits /= unit;
        }
    }
    *out = p.negative ? -(ExprInt)p.digits : (ExprInt)p.digits;
    return true;
}

bool decimal_round(Decimal d, DecimalRounding how, ExprInt *out) {
    if (decimal_to_int(d, out)) return true;
    DecimalParts p = decimal_parts(d);
    if (p.exponent > 0) {
        *out = p.negative ? -EXPR_INT_MAX : EXPR_INT_MAX;
        return false;
    }
    ExprUInt whole = 0, rest = p.digits, unit = 0; /* unit 0: more than any double of rest */
    if (p.exponent >= -DECIMAL_DIGITS) {
        unit = power_of_ten((uint32_t)-p.exponent);
        whole = p.digits / unit;
        rest = p.digits % unit;
    }
    bool away = how == ROUND_DOWN        ? p.negative
                : how == ROUND_UP        ? !p.negative
                : how == ROUND_HALF_AWAY ? unit && rest * 2 >= unit
                                         : false;
    if (away) whole++; /* rest is never 0 here */
    *out = p.negative ? -(ExprInt)whole : (ExprInt)whole;
    return true;
}

Decimal decimal_truncate(Decimal d, int32_t n) {
    DecimalParts p = decimal_parts(d);
    int32_t extra = -p.exponent - n; /* digits behind the last place that stays */
    if (extra > 0) {
        p.digits = extra > DECIMAL_DIGITS ? 0 : p.digits / power_of_ten((uint32_t)extra);
        p.exponent = -n;
    }
    for (; p.exponent < 0 && p.digits % 10 == 0; p.exponent++) p.digits /= 10;
    return pack(p);
}

/* The shortest digits that read back as v. */
static int shortest(double v, char *text, size_t size) {
    int n = 0;
    for (int precision = 1; precision <= 17; precision++) {
        n = snprintf(text, size, "%.*e", precision - 1, v);
        if (strtod(text, NULL) == v) break;
    }
    return n;
}

bool decimal_from_double(double v, Decimal *out) {
    if (!isfinite(v)) return false;
    char text[40];
    int n = shortest(v, text, sizeof text);
    Decimal d;
    if (!decimal_parse((Str){ (const uint8_t *)text, (size_t)n }, &d)) return false;
    DecimalParts p = decimal_parts(d);
    /* Double.toString has one digit behind the point at least, and an exponent from 10^7 on. */
    double size = fabs(v);
    int32_t magnitude = p.exponent + (int32_t)digits_of(p.digits) - 1;
    int32_t lowest = v == 0 || (size >= 1e-3 && size < 1e7) ? -1 : magnitude - 1;
    for (; p.exponent > lowest && p.digits < TEN_34 / 10; p.exponent--) p.digits *= 10;
    *out = pack(p);
    return true;
}

double decimal_to_double(Decimal d) {
    _IDEC_flags flags = 0;
    return bid128_to_binary64(bid(d), HALF_EVEN, &flags);
}

bool decimal_add(Decimal a, Decimal b, Decimal *out) {
    _IDEC_flags flags = 0;
    return settle(bid128_add(bid(a), bid(b), HALF_EVEN, &flags), out);
}

bool decimal_sub(Decimal a, Decimal b, Decimal *out) {
    _IDEC_flags flags = 0;
    return settle(bid128_sub(bid(a), bid(b), HALF_EVEN, &flags), out);
}

bool decimal_mul(Decimal a, Decimal b, Decimal *out) {
    _IDEC_flags flags = 0;
    return settle(bid128_mul(bid(a), bid(b), HALF_EVEN, &flags), out);
}

bool decimal_div(Decimal a, Decimal b, Decimal *out) {
    _IDEC_flags flags = 0;
    return settle(bid128_div(bid(a), bid(b), HALF_EVEN, &flags), out);
}

bool decimal_rem(Decimal a, Decimal b, Decimal *out) {
    _IDEC_flags flags = 0;
    return settle(bid128_fmod(bid(a), bid(b), &flags), out);
}

Decimal decimal_negate(Decimal d) {
    if (d.w[0] || d.w[1] << 15) d.w[1] ^= UINT64_C(1) << 63;
    return d;
}

/* -1, 0, 1 of two magnitudes; 2 where their digits do not line up within 128 bits. */
static int compare_sizes(DecimalParts a, DecimalParts b) {
    int32_t apart = a.exponent - b.exponent;
    if (apart > 18 || apart < -18 || a.digits > UINT64_MAX || b.digits > UINT64_MAX) return 2;
    if (apart > 0)
        a.digits *= power_of_ten((uint32_t)apart);
    else if (apart < 0)
        b.digits *= power_of_ten((uint32_t)-apart);
    return a.digits < b.digits ? -1 : a.digits > b.digits;
}

int decimal_cmp(Decimal a, Decimal b) {
    DecimalParts x = decimal_parts(a), y = decimal_parts(b);
    if (x.negative != y.negative) return x.negative ? -1 : 1; /* zero has no sign */
    int sizes = compare_sizes(x, y);                          /* most numbers are small: no need of the library */
    if (sizes != 2) return x.negative ? -sizes : sizes;
    _IDEC_flags flags = 0;
    if (bid128_quiet_less(bid(a), bid(b), &flags)) return -1;
    return bid128_quiet_greater(bid(a), bid(b), &flags);
}
