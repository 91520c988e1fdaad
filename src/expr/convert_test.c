#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/rng.h"
#include "expr/convert.h"
#include "expr/operators.h"

/* The documented tables again, one letter a cell, and random values of each type held against them:
 *   . Undefined   = itself   0 Null   otherwise the type: d Decimal, i Int, b Boolean, s String
 *   ~ the type or Undefined: what the String says decides */

static const char *const STANDARD[EXPR_BYTES] = {
    /* to             Decimal Int Boolean String */
    [EXPR_UNDEFINED] = "....", [EXPR_NULL] = "00..",   [EXPR_BOOLEAN] = "..=s", [EXPR_INT] = "==.s",
    [EXPR_DECIMAL] = "=i.s",   [EXPR_STRING] = "~~~=", [EXPR_ARRAY] = "...s",   [EXPR_OBJECT] = "...s",
};
static const char *const CAST[EXPR_BYTES] = {
    [EXPR_UNDEFINED] = "....", [EXPR_NULL] = "....",   [EXPR_BOOLEAN] = "di=s", [EXPR_INT] = "d=bs",
    [EXPR_DECIMAL] = "=ibs",   [EXPR_STRING] = "~~~=", [EXPR_ARRAY] = "...s",   [EXPR_OBJECT] = "...s",
};
static const ExprType TARGETS[EXPR_TARGETS] = { EXPR_DECIMAL, EXPR_INT, EXPR_BOOLEAN, EXPR_STRING };

static Str random_text(Rng *rng, Arena *a) {
    static const char *const texts[] = { "",      "true", "FALSE", "0",      "-1.2",
                                         "5E-12", "5e+1", "1.",    ".5",     "abc",
                                         " 1",    "1e5",  "-",     "truely", "12",
                                         "1.50",  "0x1",  "1E",    "1E-",    "99999999999999999999" };
    return str_dup(a, str_c(texts[rng_u64(rng) % (sizeof texts / sizeof *texts)]));
}

static ExprValue random_value(Rng *rng, Arena *a, ExprType type) {
    ExprValue v = { .type = type };
    Decimal d;
    switch (type) {
    case EXPR_BOOLEAN: v.boolean = rng_u64(rng) & 1; return v;
    case EXPR_INT: v.i = (ExprInt)(int64_t)rng_u64(rng) * (int64_t)(rng_u64(rng) % 1000); return v;
    case EXPR_DECIMAL:
        assert_true(decimal_from_parts((DecimalParts){ .negative = rng_u64(rng) & 1,
                                                       .digits = rng_u64(rng),
                                                       .exponent = (int32_t)(rng_u64(rng) % 40) - 30 },
                                       &d));
        v.d = d;
        return v;
    case EXPR_STRING: v.s = random_text(rng, a); return v;
    case EXPR_ARRAY:
        v = expr_items(arena_array(a, ExprValue, 2), 2);
        v.items[0] = expr_string(random_text(rng, a));
        v.items[1] = expr_null();
        return v;
    case EXPR_OBJECT:
        v = expr_members(arena_array(a, ExprMember, 1), 1);
        v.members[0] = (ExprMember){ random_text(rng, a), expr_boolean(true) };
        return v;
    default: return v;
    }
}

/* What a String must look like, said by hand. Source: ^-?\d+(\.\d+)?((?i)E-?\d+)?$ */
static bool reads_as_number(Str s) {
    const char *const good[] = { "0", "-1.2", "5E-12", "1e5", "12", "1.50", "99999999999999999999" };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (str_eq(s, str_c(good[i]))) return true;
    return false;
}

static bool fits(ExprRun *run, char cell, const ExprValue *v, ExprTarget to, const ExprValue *got) {
    if (cell == '~') {
        bool reads = to == EXPR_TO_BOOLEAN ? str_eq_nocase(v->s, S("true")) || str_eq_nocase(v->s, S("false"))
                                           : reads_as_number(v->s);
        return got->type == (reads ? TARGETS[to] : EXPR_UNDEFINED);
    }
    if (cell == '=') return got->type == v->type && expr_equal(run, v, got);
    if (cell == '.') return got->type == EXPR_UNDEFINED;
    if (cell == '0') return got->type == EXPR_NULL;
    if (cell == 'i' && v->type == EXPR_DECIMAL && got->type == EXPR_DECIMAL) return true; /* more than 34 digits */
    return got->type == (cell == 'd'   ? EXPR_DECIMAL
                         : cell == 'i' ? EXPR_INT
                         : cell == 'b' ? EXPR_BOOLEAN
                                       : EXPR_STRING);
}

static void random_values_convert_as_the_tables_say(void **state) {
    (void)state;
    Rng rng = { .state = 5 };
    Arena a = { 0 };
    for (int round = 0; round < 50000; round++) {
        ExprRun run = { .arena = &a, .steps_left = 1 << 20, .value_bytes_max = 1 << 20, .made_bytes_left = 1 << 20 };
        ExprType type = (ExprType)(rng_u64(&rng) % EXPR_BYTES);
        ExprTarget to = (ExprTarget)(rng_u64(&rng) % EXPR_TARGETS);
        ExprValue v = random_value(&rng, &a, type), standard = expr_convert(&run, &v, to),
                  cast = expr_cast(&run, &v, to);
        bool wide = type == EXPR_DECIMAL && to == EXPR_TO_INT && standard.type == EXPR_UNDEFINED; /* beyond any Int */
        if (!wide && !fits(&run, STANDARD[type][to], &v, to, &standard))
            fail_msg("%s to %d gave %s", expr_type_name(type), to, expr_type_name(standard.type));
        if (!wide && !fits(&run, CAST[type][to], &v, to, &cast))
            fail_msg("cast of %s to %d gave %s", expr_type_name(type), to, expr_type_name(cast.type));
        arena_reset(&a);
    }
    arena_free(&a);
}

static const ExprOperator OP = { .spelled = STR_INIT("op") };

/* - * / % and the sign: Int of two Ints, else Decimal; Undefined without two numbers, by zero and beyond what there is.
 * The four comparisons agree with each other. */
static void check_numbers(ExprRun *run, const ExprValue *x, const ExprValue *y, bool both_ints, bool both_numbers) {
    ExprApply *const arithmetic[] = { expr_apply_sub, expr_apply_mul, expr_apply_div, expr_apply_rem };
    ExprValue out, less, less_equal, greater, greater_equal;
    for (size_t i = 0; i < sizeof arithmetic / sizeof *arithmetic; i++) {
        arithmetic[i](run, &OP, x, y, &out);
        if (!both_numbers)
            assert_int_equal(out.type, EXPR_UNDEFINED);
        else if (both_ints)
            assert_true(out.type == EXPR_INT || out.type == EXPR_UNDEFINED || out.type == EXPR_DECIMAL);
        else
            assert_true(out.type == EXPR_DECIMAL || out.type == EXPR_UNDEFINED);
        if (both_ints && i >= 2 && y->i != 0) assert_int_equal(out.type, EXPR_INT);
        if (both_ints && i >= 2 && y->i == 0) assert_int_equal(out.type, EXPR_UNDEFINED);
    }
    expr_apply_less(run, &OP, x, y, &less);
    expr_apply_less_equal(run, &OP, x, y, &less_equal);
    expr_apply_greater(run, &OP, x, y, &greater);
    expr_apply_greater_equal(run, &OP, x, y, &greater_equal);
    assert_true(less.type == less_equal.type && less.type == greater.type && less.type == greater_equal.type);
    if (less.type == EXPR_BOOLEAN) {
        assert_true(less.boolean + greater.boolean <= 1);
        assert_true(less_equal.boolean == !greater.boolean && greater_equal.boolean == !less.boolean);
    }
    expr_apply_negate(run, &OP, x, NULL, &out);
    expr_apply_negate(run, &OP, &out, NULL, &out);
    ExprValue back = expr_convert(run, x, EXPR_TO_DECIMAL);
    if (expr_is_number(&back))
        assert_true(expr_equal(run, &out, &back));
    else
        assert_int_equal(out.type, EXPR_UNDEFINED);
}

/* A Boolean, or a String that reads as one: -1 where it is neither. */
static int truth_of(const ExprValue *v) {
    if (v->type == EXPR_BOOLEAN) return v->boolean;
    if (v->type != EXPR_STRING) return -1;
    return str_eq_nocase(v->s, S("true")) ? 1 : str_eq_nocase(v->s, S("false")) ? 0 : -1;
}

static void check_logic(ExprRun *run, const ExprValue *x, const ExprValue *y) {
    ExprValue out;
    int p = truth_of(x), q = truth_of(y);
    expr_apply_and(run, &OP, x, y, &out);
    if (p >= 0 && q >= 0) assert_true(out.type == EXPR_BOOLEAN && out.boolean == (p && q));
    if (p < 0 && q < 0) assert_int_equal(out.type, EXPR_UNDEFINED);
    expr_apply_or(run, &OP, x, y, &out);
    if (p >= 0 && q >= 0) assert_true(out.type == EXPR_BOOLEAN && out.boolean == (p || q));
    if (p < 0 && q < 0) assert_int_equal(out.type, EXPR_UNDEFINED);
    expr_apply_not(run, &OP, x, NULL, &out);
    assert_int_equal(out.type, p >= 0 ? EXPR_BOOLEAN : EXPR_UNDEFINED);
    if (p >= 0) assert_true(out.boolean == !p);
}

/* In an array of itself and another, in one of others, and in what is no array. */
static void check_in(ExprRun *run, Rng *rng, const ExprValue *x, const ExprValue *y) {
    ExprValue out, equal, array = expr_items(arena_array(run->arena, ExprValue, 2), 2);
    size_t at = rng_u64(rng) % 2;
    array.items[at] = *y;
    array.items[1 - at] = *x;
    expr_apply_in(run, &OP, x, &array, &out);
    assert_int_equal(out.type, x->type == EXPR_UNDEFINED ? EXPR_UNDEFINED : EXPR_BOOLEAN);
    if (out.type == EXPR_BOOLEAN) assert_true(out.boolean);
    array.items[1 - at] = *y;
    expr_apply_in(run, &OP, x, &array, &out);
    expr_apply_equal(run, &OP, x, y, &equal);
    if (out.type == EXPR_BOOLEAN) assert_true(out.boolean == (equal.type == EXPR_BOOLEAN && equal.boolean));
    if (y->type == EXPR_ARRAY) return;
    expr_apply_in(run, &OP, x, y, &out);
    assert_int_equal(out.type, EXPR_UNDEFINED);
}

/* What the operators' tables say of types alone: the result's type, U where it is Undefined. */
static void random_operands_give_what_the_operators_tables_say(void **state) {
    (void)state;
    Rng rng = { .state = 6 };
    Arena a = { 0 };
    const ExprOperator op = { .spelled = S("op") };
    for (int round = 0; round < 50000; round++) {
        ExprRun run = { .arena = &a, .steps_left = 1 << 20, .value_bytes_max = 1 << 20, .made_bytes_left = 1 << 20 };
        ExprType p = (ExprType)(rng_u64(&rng) % EXPR_BYTES), q = (ExprType)(rng_u64(&rng) % EXPR_BYTES);
        ExprValue x = random_value(&rng, &a, p), y = random_value(&rng, &a, q), out;
        bool either_undefined = p == EXPR_UNDEFINED || q == EXPR_UNDEFINED;
        bool numeric_p = p == EXPR_INT || p == EXPR_DECIMAL || (p == EXPR_STRING && reads_as_number(x.s));
        bool numeric_q = q == EXPR_INT || q == EXPR_DECIMAL || (q == EXPR_STRING && reads_as_number(y.s));
        bool both_ints = p == EXPR_INT && q == EXPR_INT;
        expr_apply_equal(&run, &op, &x, &y, &out);
        assert_int_equal(out.type, either_undefined ? EXPR_UNDEFINED : EXPR_BOOLEAN);
        ExprValue unequal;
        expr_apply_unequal(&run, &op, &x, &y, &unequal);
        if (!either_undefined) {
            assert_true(out.boolean != unequal.boolean);
            bool comparable = p == q || (expr_is_number(&x) && expr_is_number(&y));
            if (!comparable) assert_false(out.boolean);
            if (p == EXPR_NULL && q == EXPR_NULL) assert_true(out.boolean);
        }
        expr_apply_less(&run, &op, &x, &y, &out);
        assert_int_equal(out.type, numeric_p && numeric_q ? EXPR_BOOLEAN : EXPR_UNDEFINED);
        if (out.type == EXPR_BOOLEAN) {
            ExprValue not_less;
            expr_apply_greater_equal(&run, &op, &x, &y, &not_less);
            assert_true(out.boolean != not_less.boolean);
        }
        expr_apply_sub(&run, &op, &x, &y, &out);
        if (!numeric_p || !numeric_q)
            assert_int_equal(out.type, EXPR_UNDEFINED);
        else if (both_ints && expr_int_fits(x.i - y.i))
            assert_int_equal(out.type, EXPR_INT);
        else
            assert_int_equal(out.type, EXPR_DECIMAL);
        check_numbers(&run, &x, &y, both_ints, numeric_p && numeric_q);
        check_logic(&run, &x, &y);
        check_in(&run, &rng, &x, &y);
        expr_apply_add(&run, &op, &x, &y, &out);
        if (p == EXPR_STRING || q == EXPR_STRING) {
            bool other_has_text = p > EXPR_NULL && q > EXPR_NULL;
            assert_int_equal(out.type, other_has_text ? EXPR_STRING : EXPR_UNDEFINED);
        } else if (!numeric_p || !numeric_q) {
            assert_int_equal(out.type, EXPR_UNDEFINED);
        }
        arena_reset(&a);
    }
    arena_free(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_values_convert_as_the_tables_say),
        cmocka_unit_test(random_operands_give_what_the_operators_tables_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
