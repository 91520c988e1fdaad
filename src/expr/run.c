#include "expr/run.h"

void expr_fail(ExprRun *run, Err e, const char *format, ...) {
    if (run->err != OK) return;
    va_list args;
    va_start(args, format);
    run->err = e;
    run->why = str_format_v(run->arena, format, args);
    va_end(args);
}

void expr_exhausted(ExprRun *run) {
    run->steps_left = 0;
    expr_fail(run, ERR_LIMIT, "the evaluation takes too many steps");
}

void *expr_make(ExprRun *run, size_t bytes) {
    if (run->err != OK) return NULL;
    if (bytes > run->value_bytes_max) {
        expr_fail(run, ERR_LIMIT, "a value of %zu bytes is larger than %zu", bytes, run->value_bytes_max);
        return NULL;
    }
    if (bytes > run->made_bytes_left) {
        expr_fail(run, ERR_LIMIT, "the values made are larger than allowed altogether");
        return NULL;
    }
    run->made_bytes_left -= bytes;
    return arena_bytes(run->arena, bytes);
}

/* An item counts as its few bytes of JSON would: the limit of a value is one of its text. */
enum { ITEM_BYTES = 2 };

static void *make_array(ExprRun *run, size_t n, size_t size) {
    if (run->err != OK) return NULL;
    if (n > run->value_bytes_max / ITEM_BYTES || n * size > run->made_bytes_left) {
        expr_fail(run, ERR_LIMIT, "an array or object of %zu items is larger than allowed", n);
        return NULL;
    }
    run->made_bytes_left -= n * size;
    return arena_alloc(run->arena, n * size);
}

ExprValue *expr_make_items(ExprRun *run, size_t n) {
    return make_array(run, n, sizeof(ExprValue));
}

ExprMember *expr_make_members(ExprRun *run, size_t n) {
    return make_array(run, n, sizeof(ExprMember));
}

ExprValue expr_because(ExprRun *run, const char *format, ...) {
    if (run->notes && !run->notes->hidden) {
        va_list args;
        va_start(args, format);
        run->notes->pending = str_format_v(run->arena, format, args);
        va_end(args);
    }
    return expr_undefined();
}

enum { SHOWN_BYTES_MAX = 60 };

Str expr_shown(ExprRun *run, const ExprValue *v) {
    if (!run->notes) return S("");
    if (v->type == EXPR_UNDEFINED || v->type == EXPR_NULL || v->type == EXPR_BYTES)
        return str_c(expr_type_name(v->type));
    /* A value may be large, and looking at it may not end the run. */
    ExprRun aside = {
        .arena = run->arena, .steps_left = 10000, .value_bytes_max = SIZE_MAX, .made_bytes_left = SIZE_MAX
    };
    Str text = expr_to_json(&aside, v);
    size_t cut = text.len;
    if (cut > SHOWN_BYTES_MAX)
        for (cut = SHOWN_BYTES_MAX; cut && (text.ptr[cut] & 0xc0) == 0x80;) cut--;
    return str_format(run->arena, "%s %.*s%s", expr_type_name(v->type), (int)cut, (const char *)text.ptr,
                      cut < text.len ? "..." : "");
}

/* ---- equality ---- */

static bool equal_at(ExprRun *run, const ExprValue *a, const ExprValue *b, int depth);

static bool arrays_equal(ExprRun *run, const ExprValue *a, const ExprValue *b, int depth) {
    ExprEach x = expr_each(a, run->whole_is_int), y = expr_each(b, run->whole_is_int);
    while (expr_next(&x) && expr_next(&y))
        if (!equal_at(run, &x.value, &y.value, depth)) return false;
    return true;
}

static bool objects_equal(ExprRun *run, const ExprValue *a, const ExprValue *b, int depth) {
    for (ExprEach x = expr_each(a, run->whole_is_int); expr_next(&x);) {
        if (!expr_steps(run, 1 + expr_count(b) / 16)) return false;
        ExprValue other;
        expr_member(b, x.key, run->whole_is_int, &other);
        if (!equal_at(run, &x.value, &other, depth)) return false;
    }
    return true;
}

static bool equal_at(ExprRun *run, const ExprValue *a, const ExprValue *b, int depth) {
    if (depth > EXPR_DEPTH_MAX) expr_fail(run, ERR_LIMIT, "a value is nested deeper than %d", EXPR_DEPTH_MAX);
    if (!expr_steps(run, 1)) return false;
    if (expr_is_number(a) && expr_is_number(b))
        return a->type == EXPR_INT && b->type == EXPR_INT ? a->i == b->i
                                                          : decimal_cmp(expr_as_decimal(a), expr_as_decimal(b)) == 0;
    if (a->type != b->type) return false;
    switch (a->type) {
    case EXPR_BOOLEAN: return a->boolean == b->boolean;
    case EXPR_STRING: return str_eq(a->s, b->s);
    case EXPR_ARRAY: return expr_count(a) == expr_count(b) && arrays_equal(run, a, b, depth + 1);
    case EXPR_OBJECT: return expr_count(a) == expr_count(b) && objects_equal(run, a, b, depth + 1);
    default: return true; /* Null; Undefined members of both */
    }
}

bool expr_equal(ExprRun *run, const ExprValue *a, const ExprValue *b) {
    return equal_at(run, a, b, 0);
}
