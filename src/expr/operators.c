#include "expr/operators.h"

#include "expr/convert.h"

static ExprValue refused(ExprRun *run, const ExprOperator *op, const ExprValue *a, const ExprValue *b) {
    if (a->type == EXPR_UNDEFINED || (b && b->type == EXPR_UNDEFINED)) return expr_undefined(); /* said already */
    if (!b) return expr_because(run, "%.*s does not take %.*s", PS(op->spelled), PS(expr_shown(run, a)));
    return expr_because(run, "%.*s does not take %.*s and %.*s", PS(op->spelled), PS(expr_shown(run, a)),
                        PS(expr_shown(run, b)));
}

/* ---- logic ---- */

static bool booleans(ExprRun *run, const ExprValue *a, const ExprValue *b, bool *x, bool *y) {
    ExprValue p = expr_convert(run, a, EXPR_TO_BOOLEAN), q = b ? expr_convert(run, b, EXPR_TO_BOOLEAN) : p;
    if (p.type != EXPR_BOOLEAN || q.type != EXPR_BOOLEAN) return false;
    *x = p.boolean;
    *y = q.boolean;
    return true;
}

void expr_apply_and(ExprRun *run, const ExprOperator *op, const ExprValue *a, const ExprValue *b, ExprValue *out) {
    bool x, y;
    *out = booleans(run, a, b, &x, &y) ? expr_boolean(x && y) : refused(run, op, a, b);
}

void expr_apply_or(ExprRun *run, const ExprOperator *op, const ExprValue *a, const ExprValue *b, ExprValue *out) {
    bool x, y;
    *out = booleans(run, a, b, &x, &y) ? expr_boolean(x || y) : refused(run, op, a, b);
}

void expr_apply_not(ExprRun *run, const ExprOperator *op, const ExprValue *a, const ExprValue *b, ExprValue *out) {
    bool x, y;
    (void)b;
    *out = booleans(run, a, NULL, &x, &y) ? expr_boolean(!x) : refused(run, op, a, NULL);
}

/* ---- comparison ---- */

static bool either_undefined(const ExprValue *a, const ExprValue *b) {
    return a->type == EXPR_UNDEFINED || b->type == EXPR_UNDEFINED || a->type == EXPR_BYTES || b->type == EXPR_BYTES;
}

void expr_apply_equal(ExprRun *run, const ExprOperator *op, const ExprValue *a, const ExprValue *b, ExprValue *out) {
    *out = either_undefined(a, b) ? refused(run, op, a, b) : expr_boolean(expr_equal(run, a, b));
}

void expr_apply_unequal(ExprRun *run, const ExprOperator *op, const ExprValue *a, const ExprValue *b, ExprValue *out) {
    *out = either_undefined(a, b) ? refused(run, op, a, b) : expr_boolean(!expr_equal(run, a, b));
}

/* The number that an operand is, or reads as; NULL: none. */
static const ExprValue *number(ExprRun *run, const ExprValue *v, ExprValue *room) {
    if (expr_is_number(v)) return v;
    if (v->type != EXPR_STRING) return NULL;
    *room = expr_convert(run, v, EXPR_TO_DECIMAL);
    return expr_is_number(room) ? room : NULL;
}

/* -1, 0, 1; or 2 where the operands have no order: only numbers and Strings that read as such have one. */
static int order(ExprRun *run, const ExprValue *a, const ExprValue *b) {
    if (a->type == EXPR_INT && b->type == EXPR_INT) return a->i < b->i ? -1 : a->i > b->i;
    ExprValue rooms[2];
    const ExprValue *x = number(run, a, &rooms[0]), *y = number(run, b, &rooms[1]);
    return x && y ? decimal_cmp(expr_as_decimal(x), expr_as_decimal(y)) : 2;
}

void expr_apply_less(ExprRun *run, const ExprOperator *op, const ExprValue *a, const ExprValue *b, ExprValue *out) {
    int o = order(run, a, b);
    *out = o == 2 ? refused(run, op, a, b) : expr_boolean(o < 0);
}

void expr_apply_less_equal(ExprRun *run, const ExprOperator *op, const ExprValue *a, const ExprValue *b,
                           ExprValue *out) {
    int o = order(run, a, b);
    *out = o == 2 ? refused(run, op, a, b) : expr_boolean(o <= 0);
}

void expr_apply_greater(ExprRun *run, const ExprOperator *op, const ExprValue *a, const ExprValue *b, ExprValue *out) {
    int o = order(run, a, b);
    *out = o == 2 ? refused(run, op, a, b) : expr_boolean(o > 0);
}

void expr_apply_greater_equal(ExprRun *run, const ExprOperator *op, const ExprValue *a, const ExprValue *b,
                              ExprValue *out) {
    int o = order(run, a, b);
    *out = o == 2 ? refused(run, op, a, b) : expr_boolean(o >= 0);
}

void expr_apply_in(ExprRun *run, const ExprOperator *op, const ExprValue *a, const ExprValue *b, ExprValue *out) {
    if (a->type == EXPR_UNDEFINED || b->type != EXPR_ARRAY) {
        *out = refused(run, op, a, b);
        return;
    }
    *out = expr_boolean(false);
    for (ExprEach each = expr_each(b, run->whole_is_int); !out->boolean && expr_next(&each);)
        out->boolean = each.value.type != EXPR_UNDEFINED && expr_equal(run, a, &each.value);
}

/* ---- arithmetic ---- */

typedef bool IntOp(ExprInt a, ExprInt b, ExprInt *out); /* false: by zero, or beyond 127 bits */
typedef bool DecimalOp(Decimal a, Decimal b, Decimal *out);

static bool int_add(ExprInt a, ExprInt b, ExprInt *out) {
    return !__builtin_add_overflow(a, b, out);
}
static bool int_sub(ExprInt a, ExprInt b, ExprInt *out) {
    return !__builtin_sub_overflow(a, b, out);
}
static bool int_mul(ExprInt a, ExprInt b, ExprInt *out) {
    return !__builtin_mul_overflow(a, b, out);
}
static bool int_div(ExprInt a, ExprInt b, ExprInt *out) {
    if (b == 0) return false;
    *out = a / b;
    return true;
}
static bool int_rem(ExprInt a, ExprInt b, ExprInt *out) {
    if (b == 0) return false;
    *out = a % b;
    return true;
}

static void calculate(ExprRun *run, const ExprOperator *op, const ExprValue *a, const ExprValue *b, IntOp *on_ints,
                      DecimalOp *on_decimals, ExprValue *out) {
    ExprInt i;
    Decimal d;
    ExprValue x = expr_convert(run, a, EXPR_TO_DECIMAL), y = expr_convert(run, b, EXPR_TO_DECIMAL);
    if (!expr_is_number(&x) || !expr_is_number(&y))
        *out = refused(run, op, a, b);
    else if (x.type == EXPR_INT && y.type == EXPR_INT && on_ints(x.i, y.i, &i))
        *out = expr_int(i);
    else if (on_decimals(expr_as_decimal(&x), expr_as_decimal(&y), &d))
        *out = expr_decimal(d, run->whole_is_int);
    else
        *out = expr_because(run, "%.*s %.*s %.*s has no result", PS(expr_shown(run, a)), PS(op->spelled),
                            PS(expr_shown(run, b)));
}

static void concatenate(ExprRun *run, const ExprOperator *op, const ExprValue *a, const ExprValue *b, ExprValue *out) {
    Str x = expr_text(run, a), y = expr_text(run, b);
    uint8_t *p = x.ptr && y.ptr ? expr_make(run, x.len + y.len) : NULL;
    if (!p) {
        *out = refused(run, op, a, b);
        return;
    }
    if (x.len) memcpy(p, x.ptr, x.len);
    if (y.len) memcpy(p + x.len, y.ptr, y.len);
    *out = expr_string((Str){ p, x.len + y.len });
}

void expr_apply_add(ExprRun *run, const ExprOperator *op, const ExprValue *a, const ExprValue *b, ExprValue *out) {
    if (a->type == EXPR_STRING || b->type == EXPR_STRING)
        concatenate(run, op, a, b, out);
    else
        calculate(run, op, a, b, int_add, decimal_add, out);
}

void expr_apply_sub(ExprRun *run, const ExprOperator *op, const ExprValue *a, const ExprValue *b, ExprValue *out) {
    calculate(run, op, a, b, int_sub, decimal_sub, out);
}

void expr_apply_mul(ExprRun *run, const ExprOperator *op, const ExprValue *a, const ExprValue *b, ExprValue *out) {
    calculate(run, op, a, b, int_mul, decimal_mul, out);
}

void expr_apply_div(ExprRun *run, const ExprOperator *op, const ExprValue *a, const ExprValue *b, ExprValue *out) {
    calculate(run, op, a, b, int_div, decimal_div, out);
}

void expr_apply_rem(ExprRun *run, const ExprOperator *op, const ExprValue *a, const ExprValue *b, ExprValue *out) {
    calculate(run, op, a, b, int_rem, decimal_rem, out);
}

void expr_apply_negate(ExprRun *run, const ExprOperator *op, const ExprValue *a, const ExprValue *b, ExprValue *out) {
    (void)b;
    ExprValue x = expr_convert(run, a, EXPR_TO_DECIMAL);
    if (x.type == EXPR_INT)
        *out = expr_int(-x.i);
    else if (x.type == EXPR_DECIMAL)
        *out = expr_decimal(decimal_negate(x.d), run->whole_is_int);
    else
        *out = refused(run, op, a, NULL);
}
