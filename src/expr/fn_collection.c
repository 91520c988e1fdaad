#include "expr/eval.h"
#include "expr/functions.h"

static void call_get(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)node, (void)n;
    if (args[0].type != EXPR_UNDEFINED && args[1].type != EXPR_UNDEFINED) expr_get(run, &args[0], &args[1], out);
}

static void call_is_null(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)run, (void)node, (void)n;
    *out = expr_boolean(args[0].type == EXPR_NULL);
}

static void call_is_undefined(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)run, (void)node, (void)n;
    *out = expr_boolean(args[0].type == EXPR_UNDEFINED);
}

/* No Decimal here is NaN: what would be one is Undefined. */
static void call_nanvl(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)run, (void)node, (void)n;
    *out = args[args[0].type == EXPR_UNDEFINED || args[0].type == EXPR_NULL];
}

/* An object of the members of `element`, then those of `extra`; a key of both is extra's. */
static bool enrich(ExprRun *run, const ExprValue *element, const ExprValue *extra, ExprValue *out) {
    size_t own = expr_count(element), more = expr_count(extra), n = 0;
    if (!expr_steps(run, own + more * (1 + own / 16))) return false;
    ExprMember *members = expr_make_members(run, own + more);
    if (!members) return false;
    for (ExprEach each = expr_each(element, run->whole_is_int); expr_next(&each);)
        members[n++] = (ExprMember){ each.key, each.value };
    for (ExprEach each = expr_each(extra, run->whole_is_int); expr_next(&each);) {
        size_t i = 0;
        while (i < own && !str_eq(members[i].key, each.key)) i++;
        members[i < own ? i : n++] = (ExprMember){ each.key, each.value };
    }
    *out = expr_members(members, n);
    return true;
}

static void call_transform(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)node, (void)n;
    if (!str_eq(args[0].s, S("enrichArray"))) {
        *out = expr_because(run, "the only mode of transform is 'enrichArray'");
        return;
    }
    if (args[1].type != EXPR_OBJECT || args[2].type != EXPR_ARRAY) {
        *out = expr_because(run, "transform takes a mode, an Object and an Array, got %.*s and %.*s",
                            PS(expr_shown(run, &args[1])), PS(expr_shown(run, &args[2])));
        return;
    }
    size_t i = 0;
    ExprValue *items = expr_make_items(run, expr_count(&args[2]));
    if (!items) return;
    for (ExprEach each = expr_each(&args[2], run->whole_is_int); expr_next(&each); i++) {
        if (each.value.type != EXPR_OBJECT) {
            *out = expr_because(run, "item %zu of the array is no Object", i);
            return;
        }
        if (!enrich(run, &each.value, &args[1], &items[i])) return;
    }
    ExprValue made = expr_items(items, i);
    Str text = expr_to_json(run, &made);
    if (text.ptr && expr_make(run, text.len)) *out = made; /* counts its bytes */
}

#define FN(fn_name, args, letters, from, about_undefined, fn_call)                                                     \
    {                                                                                                                  \
        .name = STR_INIT(fn_name), .args_min = args, .args_max = args, .takes = letters, .since = from,                \
        .call = fn_call, .quiet = about_undefined                                                                      \
    }

static const ExprFn ITEMS[] = {
    FN("get", 2, "v", 0, false, call_get),
    FN("isNull", 1, "b", 0, true, call_is_null),
    FN("isUndefined", 1, "b", 1, true, call_is_undefined),
    FN("nanvl", 2, "v", 0, true, call_nanvl),
    FN("transform", 3, "sv", 1, false, call_transform),
};

const ExprFns expr_collection_functions = { ITEMS, sizeof ITEMS / sizeof *ITEMS };
