/* A JSON number is digits times a power of ten. With the zeros at both ends taken off the digits, equal numbers have
 * equal sign, digits and power, so they are compared without ever being converted: 64-bit ids and long decimals
 * that a double would round stay apart. */
#include "services/shadow/number.h"

typedef struct {
    bool negative;
    Str digits;         /* as written, may hold the point; from the first to the last that is not zero */
    int64_t power;      /* of the first digit */
    bool out_of_bounds; /* the exponent is beyond EXPONENT_MAX */
} Number;

enum { EXPONENT_DIGITS_MAX = 15 };

static int64_t exponent_of(Str s, bool *out_of_bounds) {
    bool negative = s.len && s.ptr[0] == '-';
    if (s.len && (s.ptr[0] == '-' || s.ptr[0] == '+')) s = str_from(s, 1);
    while (s.len && s.ptr[0] == '0') s = str_from(s, 1);
    if (s.len > EXPONENT_DIGITS_MAX) {
        *out_of_bounds = true;
        return 0;
    }
    int64_t v = 0;
    for (size_t i = 0; i < s.len; i++) v = v * 10 + (s.ptr[i] - '0');
    return negative ? -v : v;
}

static Number number_from(Str s) {
    Number n = { .negative = s.len && s.ptr[0] == '-' };
    if (n.negative) s = str_from(s, 1);
    size_t e = 0;
    while (e < s.len && s.ptr[e] != 'e' && s.ptr[e] != 'E') e++;
    if (e < s.len) n.power = exponent_of(str_from(s, e + 1), &n.out_of_bounds);
    s = str_sub(s, 0, e);
    size_t point = str_find(s, '.'), from = 0;
    if (point == SIZE_MAX) point = s.len;
    while (from < s.len && (s.ptr[from] == '0' || s.ptr[from] == '.')) from++;
    while (s.len > from && (s.ptr[s.len - 1] == '0' || s.ptr[s.len - 1] == '.')) s.len--;
    n.digits = str_from(s, from);
    n.power += from < point ? (int64_t)(point - from) : -(int64_t)(from - point - 1);
    return n;
}

static bool digits_same(Str a, Str b) {
    size_t i = 0, k = 0;
    for (;;) {
        if (i < a.len && a.ptr[i] == '.') i++;
        if (k < b.len && b.ptr[k] == '.') k++;
        if (i == a.len || k == b.len) return i == a.len && k == b.len;
        if (a.ptr[i++] != b.ptr[k++]) return false;
    }
}

bool number_same(Str a, Str b) {
    if (str_eq(a, b)) return true;
    Number x = number_from(a), y = number_from(b);
    if (x.digits.len == 0 || y.digits.len == 0) return x.digits.len == y.digits.len; /* zero, of either sign */
    if (x.out_of_bounds || y.out_of_bounds) return false;
    return x.negative == y.negative && x.power == y.power && digits_same(x.digits, y.digits);
}
