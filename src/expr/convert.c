#include "expr/convert.h"

/* Two tables of one shape: from each type to each target, a function of a few lines. */

typedef ExprValue Converter(ExprRun *run, const ExprValue *v);

static ExprValue itself(ExprRun *run, const ExprValue *v) {
    (void)run;
    return *v;
}

static ExprValue nothing(ExprRun *run, const ExprValue *v) {
    (void)run, (void)v;
    return expr_undefined();
}

bool expr_text_is_number(Str s) {
    size_t i = s.len && s.ptr[0] == '-';
    for (int part = 0; part < 3; part++) { /* whole digits, those behind a point, those of an exponent */
        if (part == 1) {
            if (i == s.len || s.ptr[i] != '.') continue;
            i++;
        } else if (part == 2) {
            if (i == s.len || (s.ptr[i] | 32) != 'e') break;
            i++;
            if (i < s.len && s.ptr[i] == '-') i++;
        }
        size_t from = i;
        while (i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9') i++;
        if (i == from) return false;
    }
    return i == s.len;
}

static ExprValue text_to_decimal(ExprRun *run, const ExprValue *v) {
    (void)run;
    Decimal d;
    if (!expr_text_is_number(v->s) || !decimal_parse(v->s, &d)) return expr_undefined();
    return expr_decimal(d, false); /* "a Decimal value is returned", whole or not: '7' / 2 is 3.5 */
}

static ExprValue round_by(const ExprValue *v, DecimalRounding how) {
    ExprInt i;
    return decimal_round(v->d, how, &i) ? expr_int(i) : expr_undefined();
}

static ExprValue text_to_int_by(ExprRun *run, const ExprValue *v, DecimalRounding how) {
    ExprValue d = text_to_decimal(run, v);
    return d.type == EXPR_DECIMAL ? round_by(&d, how) : d;
}

static ExprValue text_truncated(ExprRun *run, const ExprValue *v) {
    return text_to_int_by(run, v, ROUND_TRUNCATE);
}

static ExprValue text_floored(ExprRun *run, const ExprValue *v) {
    return text_to_int_by(run, v, ROUND_DOWN);
}

static ExprValue decimal_nearest(ExprRun *run, const ExprValue *v) {
    (void)run;
    return round_by(v, ROUND_HALF_AWAY);
}

static ExprValue decimal_floored(ExprRun *run, const ExprValue *v) {
    (void)run;
    return round_by(v, ROUND_DOWN);
}

static ExprValue text_to_boolean(ExprRun *run, const ExprValue *v) {
    (void)run;
    if (str_eq_nocase(v->s, S("true"))) return expr_boolean(true);
    return str_eq_nocase(v->s, S("false")) ? expr_boolean(false) : expr_undefined();
}

static ExprValue number_to_text(ExprRun *run, const ExprValue *v) {
    char text[DECIMAL_TEXT_BYTES_MAX];
    size_t n = v->type == EXPR_INT ? expr_int_text(v->i, text) : decimal_text(v->d, text);
    return expr_string(str_dup(run->arena, (Str){ (const uint8_t *)text, n }));
}

static ExprValue boolean_to_text(ExprRun *run, const ExprValue *v) {
    (void)run;
    return expr_string(v->boolean ? S("true") : S("false"));
}

static ExprValue collection_to_text(ExprRun *run, const ExprValue *v) {
    Str text = expr_to_json(run, v);
    if (!text.ptr || !expr_make(run, text.len)) return expr_undefined(); /* counts it */
    return expr_string(text);
}

/* true = 1.0, which is what a whole number makes of it where those are Ints. */
static ExprValue boolean_to_decimal(ExprRun *run, const ExprValue *v) {
    Decimal d;
    if (!decimal_from_parts((DecimalParts){ .digits = v->boolean ? 10 : 0, .exponent = -1 }, &d))
        return expr_undefined();
    return expr_decimal(d, run->whole_is_int);
}

/* "A Decimal with no decimal point" */
static ExprValue int_to_decimal(ExprRun *run, const ExprValue *v) {
    return expr_decimal(decimal_from_int(v->i), run->whole_is_int);
}

static ExprValue boolean_to_int(ExprRun *run, const ExprValue *v) {
    (void)run;
    return expr_int(v->boolean);
}

static ExprValue number_to_boolean(ExprRun *run, const ExprValue *v) {
    (void)run;
    return expr_boolean(v->type == EXPR_INT ? v->i != 0 : decimal_cmp(v->d, decimal_from_int(0)) != 0);
}

/* to:                                  Decimal          Int              Boolean          String */
static Converter *const STANDARD[EXPR_TYPES][EXPR_TARGETS] = {
    [EXPR_UNDEFINED] = { nothing, nothing, nothing, nothing },
    [EXPR_NULL] = { itself, itself, nothing, nothing },
    [EXPR_BOOLEAN] = { nothing, nothing, itself, boolean_to_text },
    [EXPR_INT] = { itself, itself, nothing, number_to_text },
    [EXPR_DECIMAL] = { itself, decimal_nearest, nothing, number_to_text },
    [EXPR_STRING] = { text_to_decimal, text_truncated, text_to_boolean, itself },
    [EXPR_ARRAY] = { nothing, nothing, nothing, collection_to_text },
    [EXPR_OBJECT] = { nothing, nothing, nothing, collection_to_text },
    [EXPR_BYTES] = { nothing, nothing, nothing, nothing },
};

static Converter *const CAST[EXPR_TYPES][EXPR_TARGETS] = {
    [EXPR_UNDEFINED] = { nothing, nothing, nothing, nothing },
    [EXPR_NULL] = { nothing, nothing, nothing, nothing },
    [EXPR_BOOLEAN] = { boolean_to_decimal, boolean_to_int, itself, boolean_to_text },
    [EXPR_INT] = { int_to_decimal, itself, number_to_boolean, number_to_text },
    [EXPR_DECIMAL] = { itself, decimal_floored, number_to_boolean, number_to_text },
    [EXPR_STRING] = { text_to_decimal, text_floored, text_to_boolean, itself },
    [EXPR_ARRAY] = { nothing, nothing, nothing, collection_to_text },
    [EXPR_OBJECT] = { nothing, nothing, nothing, collection_to_text },
    [EXPR_BYTES] = { nothing, nothing, nothing, nothing },
};

ExprValue expr_convert(ExprRun *run, const ExprValue *v, ExprTarget to) {
    return STANDARD[v->type][to](run, v);
}

ExprValue expr_cast(ExprRun *run, const ExprValue *v, ExprTarget to) {
    return CAST[v->type][to](run, v);
}

Str expr_text(ExprRun *run, const ExprValue *v) {
    if (v->type == EXPR_STRING) return v->s;
    ExprValue text = expr_convert(run, v, EXPR_TO_STRING);
    return text.type == EXPR_STRING ? text.s : STR_NONE;
}

ExprValue expr_double(ExprRun *run, double v) {
    Decimal d;
    return decimal_from_double(v, &d) ? expr_decimal(d, run->whole_is_int) : expr_undefined();
}
