#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>

#include "base/rng.h"
#include "expr/decimal.h"

static Decimal of(const char *text) {
    Decimal d;
    if (!decimal_parse(str_c(text), &d)) fail_msg("%s is no decimal", text);
    return d;
}

static void check_text(Decimal d, const char *wanted, const char *what) {
    char text[DECIMAL_TEXT_BYTES_MAX];
    size_t n = decimal_text(d, text);
    if (!str_eq((Str){ (const uint8_t *)text, n }, str_c(wanted)))
        fail_msg("%s gave %.*s, wanted %s", what, (int)n, text, wanted);
}

/* Source: Java SE 11, BigDecimal.toString */
static void a_text_is_as_java_writes_it(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        { "0", "0" },
        { "-0", "0" },
        { "0.00", "0.00" },
        { "0e5", "0E+5" },
        { "1", "1" },
        { "-1.50", "-1.50" },
        { "1e3", "1E+3" },
        { "1.5E3", "1.5E+3" },
        { "15E+2", "1.5E+3" },
        { "1E-6", "0.000001" },
        { "1E-7", "1E-7" },
        { "0.00000012", "1.2E-7" },
        { "000123.40", "123.40" },
        { "1234567890123456789012345678901234", "1234567890123456789012345678901234" },
        { "12345678901234567890123456789012345", "1.234567890123456789012345678901234E+34" }, /* half to even */
        { "12345678901234567890123456789012355", "1.234567890123456789012345678901236E+34" },
        { "123456789012345678901234567890123450000000000000000001", "1.234567890123456789012345678901235E+53" },
        { "99999999999999999999999999999999999", "1.000000000000000000000000000000000E+35" },
        { "9.99E999", "9.99E+999" },
        { "1E-999", "1E-999" },
        { "1E-1000", "0" },
        { "0.1234567890123456789012345678901234567", "0.1234567890123456789012345678901235" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) check_text(of(rows[i][0]), rows[i][1], rows[i][0]);
    static const char *const bad[] = {
        "",    "-",    "+1", ".5", "5.", "1e", "1e+", "1.e5", " 1", "1 ", "0x1", "1E1000", "1e99999999999",
        "--1", "1..2", "NaN"
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        Decimal d = of("7");
        if (decimal_parse(str_c(bad[i]), &d)) fail_msg("%s is read", bad[i]);
    }
}

static void arithmetic_is_exact_to_34_digits(void **state) {
    (void)state;
    static const struct {
        const char *a;
        char op;
        const char *b, *wanted; /* NULL: no result */
    } rows[] = {
        { "0.1", '+', "0.2", "0.3" },
        { "1.10", '-', "0.10", "1.00" },
        { "1", '/', "3", "0.3333333333333333333333333333333333" },
        { "2", '/', "3", "0.6666666666666666666666666666666667" },
        { "1", '/', "4", "0.25" },
        { "1", '/', "0", NULL },
        { "0", '/', "0", NULL },
        { "5.5", '%', "2", "1.5" },
        { "-5.5", '%', "2", "-1.5" },
        { "5.5", '%', "-2", "1.5" },
        { "1", '%', "0", NULL },
        { "1.50", '*', "2.0", "3.000" },
        { "1E600", '*', "1E600", NULL },
        { "1E-600", '*', "1E-600", "0" },
        { "-0.1", '+', "0.1", "0.0" },
        { "9999999999999999999999999999999999", '+', "1", "1.000000000000000000000000000000000E+34" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Decimal a = of(rows[i].a), b = of(rows[i].b), out;
        bool good = rows[i].op == '+'   ? decimal_add(a, b, &out)
                    : rows[i].op == '-' ? decimal_sub(a, b, &out)
                    : rows[i].op == '*' ? decimal_mul(a, b, &out)
                    : rows[i].op == '/' ? decimal_div(a, b, &out)
                                        : decimal_rem(a, b, &out);
        assert_int_equal(good, rows[i].wanted != NULL);
        if (good) check_text(out, rows[i].wanted, rows[i].a);
    }
}

static void rounding_goes_where_it_is_told(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int down, up, cut, half;
    } rows[] = {
        { "1.5", 1, 2, 1, 2 },         { "-1.5", -2, -1, -1, -2 }, { "0.5", 0, 1, 0, 1 },      { "-0.5", -1, 0, 0, -1 },
        { "2.4", 2, 3, 2, 2 },         { "-2.6", -3, -2, -2, -3 }, { "7", 7, 7, 7, 7 },        { "7.000", 7, 7, 7, 7 },
        { "1E2", 100, 100, 100, 100 }, { "1E-40", 0, 1, 0, 0 },    { "-1E-999", -1, 0, 0, 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ExprInt got[4];
        for (int how = ROUND_DOWN; how <= ROUND_HALF_AWAY; how++)
            assert_true(decimal_round(of(rows[i].text), (DecimalRounding)how, &got[how]));
        if (got[0] != rows[i].down || got[1] != rows[i].up || got[2] != rows[i].cut || got[3] != rows[i].half)
            fail_msg("%s: %d %d %d %d", rows[i].text, (int)got[0], (int)got[1], (int)got[2], (int)got[3]);
    }
    ExprInt i;
    assert_false(decimal_round(of("-1E40"), ROUND_DOWN, &i));
    assert_true(i == -EXPR_INT_MAX);
}

/* Source: Java SE 11, Double.toString */
static void a_double_is_written_as_java_does(void **state) {
    (void)state;
    static const struct {
        double v;
        const char *wanted;
    } rows[] = { { 0, "0.0" },       { 3, "3.0" },
                 { -2.5, "-2.5" },   { 0.1, "0.1" },
                 { 1e7, "1.0E+7" },  { 9999999, "9999999.0" },
                 { 0.001, "0.001" }, { 1.0 / 3, "0.3333333333333333" },
                 { 1e22, "1.0E+22" } };
    Decimal d;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_true(decimal_from_double(rows[i].v, &d));
        check_text(d, rows[i].wanted, rows[i].wanted);
    }
    assert_false(decimal_from_double(NAN, &d));
    assert_false(decimal_from_double(INFINITY, &d));
}

/* Small numbers, whose answers 64 bits give. */
static void small_numbers_agree_with_a_naive_twin(void **state) {
    (void)state;
    Rng rng = { .state = 11 };
    for (int round = 0; round < 200000; round++) {
        int64_t x = (int64_t)(rng_u64(&rng) % 2000001) - 1000000, y = (int64_t)(rng_u64(&rng) % 2000001) - 1000000;
        int places = (int)(rng_u64(&rng) % 5);
        DecimalParts p = { .negative = x < 0, .digits = (ExprUInt)(x < 0 ? -x : x), .exponent = -places };
        DecimalParts q = { .negative = y < 0, .digits = (ExprUInt)(y < 0 ? -y : y), .exponent = -places };
        Decimal a, b, sum, product;
        ExprInt i;
        assert_true(decimal_from_parts(p, &a));
        assert_true(decimal_from_parts(q, &b));
        assert_int_equal(decimal_cmp(a, b), x < y ? -1 : x > y);
        assert_true(decimal_add(a, b, &sum));
        assert_true(decimal_mul(a, b, &product));
        DecimalParts s = decimal_parts(sum), m = decimal_parts(product);
        assert_true(s.exponent == -places && (ExprInt)s.digits == (x + y < 0 ? -(x + y) : x + y));
        assert_true(m.exponent == -2 * places && (ExprInt)m.digits == (x * y < 0 ? -(x * y) : x * y));
        int64_t unit = 1;
        for (int k = 0; k < places; k++) unit *= 10;
        assert_int_equal(decimal_to_int(a, &i), x % unit == 0);
        char text[DECIMAL_TEXT_BYTES_MAX];
        Decimal again;
        size_t n = decimal_text(a, text);
        assert_true(decimal_parse((Str){ (const uint8_t *)text, n }, &again) && memcmp(&a, &again, sizeof a) == 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_is_as_java_writes_it),           cmocka_unit_test(arithmetic_is_exact_to_34_digits),
        cmocka_unit_test(rounding_goes_where_it_is_told),        cmocka_unit_test(a_double_is_written_as_java_does),
        cmocka_unit_test(small_numbers_agree_with_a_naive_twin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
