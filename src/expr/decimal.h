/* Numbers of the expression languages: whole ones of up to 34 digits (ExprInt) and decimals of 34 digits
 * (Decimal, IEEE 754 decimal128). Pure; both are plain values.
 * Source: AWS IoT developer guide, SQL data types: 34 digits, magnitudes 1E-999 to 9.99...E999 */
#pragma once

#include "base/str.h"

__extension__ typedef __int128 ExprInt;
__extension__ typedef unsigned __int128 ExprUInt;

/* Always finite, and zero has no sign. Made only by the functions below. */
typedef struct {
    _Alignas(16) uint64_t w[2];
} Decimal;

enum { DECIMAL_DIGITS = 34, DECIMAL_EXPONENT_MAX = 999, DECIMAL_TEXT_BYTES_MAX = 48, INT_TEXT_BYTES_MAX = 40 };

/* (-1)^negative * digits * 10^exponent */
typedef struct {
    bool negative;
    int32_t exponent;
    ExprUInt digits;
} DecimalParts;

DecimalParts decimal_parts(Decimal d);
/* Rounds to 34 digits, half to even. False where the magnitude is too large; one too small becomes zero. */
bool decimal_from_parts(DecimalParts p, Decimal *out);

/* Shape: -?D+(.D+)?([eE][+-]?D+)?, nothing else; leading zeros are fine. False for anything else, and out of range. */
bool decimal_parse(Str text, Decimal *out);
/* As Java's BigDecimal.toString: the digits as they are, an exponent only where the number is very small or ends in
 * zeros that it does not have: 54.980, 1E+3, 1.5E-7. Returns the length. */
size_t decimal_text(Decimal d, char out[DECIMAL_TEXT_BYTES_MAX]);

Decimal decimal_from_int(ExprInt i); /* |i| < 10^34 */
/* True where d is whole and has no more than 34 digits then. */
bool decimal_to_int(Decimal d, ExprInt *out);

typedef enum { ROUND_DOWN, ROUND_UP, ROUND_TRUNCATE, ROUND_HALF_AWAY } DecimalRounding; /* down: towards -infinity */
/* A whole number beyond 34 digits becomes the largest (or smallest) one; false says so. */
bool decimal_round(Decimal d, DecimalRounding how, ExprInt *out);
/* Cut, not rounded, to n (0..34) places, without trailing zeros. */
Decimal decimal_truncate(Decimal d, int32_t n);

/* Shape: as Java's Double.toString says it: 3.0, 1.5707963267948966, 1.0E+10. False for NaN and infinities. */
bool decimal_from_double(double v, Decimal *out);
double decimal_to_double(Decimal d);

/* False: out of range, or a division by zero. */
bool decimal_add(Decimal a, Decimal b, Decimal *out);
bool decimal_sub(Decimal a, Decimal b, Decimal *out);
bool decimal_mul(Decimal a, Decimal b, Decimal *out);
bool decimal_div(Decimal a, Decimal b, Decimal *out);
bool decimal_rem(Decimal a, Decimal b, Decimal *out); /* the sign is a's */
Decimal decimal_negate(Decimal d);
int decimal_cmp(Decimal a, Decimal b); /* by value: 1.0 equals 1 */
static inline bool decimal_negative(Decimal d) {
    return d.w[1] >> 63;
}

static const ExprInt EXPR_INT_MAX = (ExprInt)9999999999999999LL * 1000000000000000000LL + 999999999999999999LL;
static inline bool expr_int_fits(ExprInt i) {
    return i >= -EXPR_INT_MAX && i <= EXPR_INT_MAX;
}
size_t expr_int_text(ExprInt i, char out[INT_TEXT_BYTES_MAX]);
