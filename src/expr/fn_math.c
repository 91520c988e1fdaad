#include <math.h>

#include "expr/convert.h"
#include "expr/functions.h"

typedef void Call(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out);

static double as_double(const ExprValue *v) {
    return v->type == EXPR_INT ? (double)v->i : decimal_to_double(v->d);
}

static void set_double(ExprRun *run, double v, ExprValue *out) {
    *out = expr_double(run, v);
    if (out->type == EXPR_UNDEFINED) *out = expr_because(run, "the result is no real number");
}

static void call_real(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)n;
    set_double(run, node->fn->real(as_double(&args[0])), out);
}

static void call_atan2(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)node, (void)n;
    set_double(run, atan2(as_double(&args[0]), as_double(&args[1])), out);
}

static void call_power(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)node, (void)n;
    set_double(run, pow(as_double(&args[0]), as_double(&args[1])), out);
}

static void call_abs(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)node, (void)n;
    *out = args[0];
    if (out->type == EXPR_INT)
        out->i = out->i < 0 ? -out->i : out->i;
    else
        *out = expr_decimal(decimal_negative(out->d) ? decimal_negate(out->d) : out->d, run->whole_is_int);
}

static void call_sign(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)run, (void)node, (void)n;
    *out = expr_int(args[0].type == EXPR_INT ? (args[0].i > 0) - (args[0].i < 0)
                                             : decimal_cmp(args[0].d, decimal_from_int(0)));
}

static void set_rounded(ExprRun *run, const ExprValue *v, DecimalRounding how, ExprValue *out) {
    ExprInt i;
    if (v->type == EXPR_INT)
        *out = *v;
    else
        *out = decimal_round(v->d, how, &i) ? expr_int(i) : expr_because(run, "the result has more than 34 digits");
}

static void call_ceil(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)node, (void)n;
    set_rounded(run, &args[0], ROUND_UP, out);
}

static void call_floor(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)node, (void)n;
    set_rounded(run, &args[0], ROUND_DOWN, out);
}

/* The samples (1.5 is 2, -1.5 is -2) outweigh the prose, which says up. */
static void call_round(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)node, (void)n;
    set_rounded(run, &args[0], ROUND_HALF_AWAY, out);
}

static void call_trunc(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)node, (void)n;
    ExprInt places = args[1].i < 0 ? 0 : args[1].i > DECIMAL_DIGITS ? DECIMAL_DIGITS : args[1].i;
    *out = args[0];
    if (out->type == EXPR_DECIMAL) *out = expr_decimal(decimal_truncate(out->d, (int32_t)places), run->whole_is_int);
}

static void call_rem(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)node, (void)n;
    Decimal d;
    if (args[0].type == EXPR_INT && args[1].type == EXPR_INT && args[1].i != 0)
        *out = expr_int(args[0].i % args[1].i);
    else if (decimal_rem(expr_as_decimal(&args[0]), expr_as_decimal(&args[1]), &d))
        *out = expr_decimal(d, run->whole_is_int);
    else
        *out = expr_because(run, "a division by zero");
}

static void call_bitand(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)run, (void)node, (void)n;
    *out = expr_int(args[0].i & args[1].i);
}

static void call_bitor(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)run, (void)node, (void)n;
    *out = expr_int(args[0].i | args[1].i);
}

static void call_bitxor(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)run, (void)node, (void)n;
    *out = expr_int(args[0].i ^ args[1].i);
}

/* Two's complement: bitnot(13) is -14. The guide's sample, 2, shows four bits. */
static void call_bitnot(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)run, (void)node, (void)n;
    *out = expr_int(~args[0].i);
}

#define FN(fn_name, args, letters, fn_call)                                                                            \
    { .name = STR_INIT(fn_name), .args_min = args, .args_max = args, .takes = letters, .call = fn_call }
#define REAL(fn_name, of)                                                                                              \
    { .name = STR_INIT(fn_name), .args_min = 1, .args_max = 1, .takes = "n", .call = call_real, .real = of }

static const ExprFn ITEMS[] = {
    REAL("acos", acos),
    REAL("asin", asin),
    REAL("atan", atan),
    REAL("cos", cos),
    REAL("cosh", cosh),
    REAL("exp", exp),
    REAL("ln", log),
    REAL("log", log10),
    REAL("sin", sin),
    REAL("sinh", sinh),
    REAL("sqrt", sqrt),
    REAL("tan", tan),
    REAL("tanh", tanh),
    FN("atan2", 2, "n", call_atan2),
    FN("power", 2, "n", call_power),
    FN("abs", 1, "n", call_abs),
    FN("sign", 1, "n", call_sign),
    FN("ceil", 1, "n", call_ceil),
    FN("floor", 1, "n", call_floor),
    FN("round", 1, "n", call_round),
    FN("trunc", 2, "nt", call_trunc),
    FN("mod", 2, "n", call_rem),
    FN("remainder", 2, "n", call_rem),
    FN("bitand", 2, "i", call_bitand),
    FN("bitor", 2, "i", call_bitor),
    FN("bitxor", 2, "i", call_bitxor),
    FN("bitnot", 1, "i", call_bitnot),
};

const ExprFns expr_math_functions = { ITEMS, sizeof ITEMS / sizeof *ITEMS };
