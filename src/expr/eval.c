#include "expr/eval.h"

#include "expr/convert.h"

/* The tree walk. Every node is entered through expr_eval, which counts a step; depth is the tree's, which the parser
 * bounded. */

void expr_note(ExprRun *run, const ExprNode *node) {
    ExprNotes *notes = run->notes;
    if (!notes) return;
    Str why = notes->pending;
    notes->made++;
    notes->pending = STR_NONE;
    if (notes->hidden || run->err != OK) return;
    for (size_t i = 0; i < notes->n; i++)
        if (notes->items[i].node == node) return;
    if (notes->n < notes->n_max) notes->items[notes->n++] = (ExprNote){ node, why.len ? why : S("it is Undefined") };
}

void expr_eval_constant(ExprRun *run, const ExprNode *node, ExprValue *out) {
    (void)run;
    *out = node->value;
}

static Str code_point(Str s, size_t index) {
    size_t i = 0;
    for (size_t n = 0; i < s.len; i++) {
        if ((s.ptr[i] & 0xc0) == 0x80) continue;
        if (n++ == index) break;
    }
    if (i == s.len) return STR_NONE;
    size_t end = i + 1;
    while (end < s.len && (s.ptr[end] & 0xc0) == 0x80) end++;
    return str_sub(s, i, end);
}

static void get_by_index(ExprRun *run, const ExprValue *collection, const ExprValue *key, ExprValue *out) {
    ExprValue index = expr_convert(run, key, EXPR_TO_INT);
    if (index.type != EXPR_INT) {
        *out = expr_because(run, "%.*s is no index", PS(expr_shown(run, key)));
        return;
    }
    out->type = EXPR_UNDEFINED;
    if (index.i >= 0 && index.i <= UINT32_MAX) {
        if (collection->type == EXPR_ARRAY) {
            expr_steps(run, collection->built ? 0 : (size_t)index.i / 16);
            expr_item(collection, (size_t)index.i, run->whole_is_int, out);
        } else {
            Str c = code_point(collection->s, (size_t)index.i);
            if (c.ptr) *out = expr_string(c);
        }
    }
    if (out->type == EXPR_UNDEFINED) *out = expr_because(run, "there is no item at %lld", (long long)index.i);
}

void expr_get(ExprRun *run, const ExprValue *collection, const ExprValue *key, ExprValue *out) {
    if (collection->type == EXPR_OBJECT && key->type == EXPR_STRING) {
        expr_steps(run, expr_count(collection) / 16);
        expr_member(collection, key->s, run->whole_is_int, out);
        if (out->type == EXPR_UNDEFINED) *out = expr_because(run, "there is no member '%.*s'", PS(key->s));
    } else if (collection->type == EXPR_OBJECT) {
        *out = expr_because(run, "the key of an object is a String, got %.*s", PS(expr_shown(run, key)));
    } else if (collection->type == EXPR_ARRAY || collection->type == EXPR_STRING) {
        get_by_index(run, collection, key, out);
    } else {
        *out = expr_because(run, "%.*s has no members", PS(expr_shown(run, collection)));
    }
}

void expr_eval_path(ExprRun *run, const ExprNode *node, ExprValue *out) {
    ExprValue values[2], key;
    ExprValue *at = &values[0], *next = &values[1];
    expr_eval(run, node->kids[0], at);
    for (uint32_t i = 1; i < node->n && at->type != EXPR_UNDEFINED; i++) {
        const ExprNode *step = node->kids[i];
        const ExprValue *name = &step->value;
        if (i + 1 == node->n) next = out;
        if (step->eval != expr_eval_constant) {
            expr_eval(run, step, &key);
            name = &key;
        }
        if (name->type == EXPR_UNDEFINED)
            next->type = EXPR_UNDEFINED;
        else if (name == &step->value && name->type == EXPR_STRING && at->type != EXPR_OBJECT)
            *next = expr_because(run, "%.*s has no member '%.*s'", PS(expr_shown(run, at)), PS(name->s));
        else
            expr_get(run, at, name, next);
        ExprValue *before = at;
        at = next;
        next = before;
    }
    if (at != out) *out = *at;
}

void expr_eval_array(ExprRun *run, const ExprNode *node, ExprValue *out) {
    ExprValue *items = expr_make_items(run, node->n);
    *out = expr_undefined();
    if (!items) return;
    for (uint32_t i = 0; i < node->n; i++) expr_eval(run, node->kids[i], &items[i]);
    *out = expr_items(items, node->n);
}

void expr_eval_object(ExprRun *run, const ExprNode *node, ExprValue *out) {
    ExprMember *members = expr_make_members(run, node->n);
    *out = expr_undefined();
    if (!members) return;
    for (uint32_t i = 0; i < node->n; i++) {
        members[i].key = node->names[i];
        expr_eval(run, node->kids[i], &members[i].value);
    }
    *out = expr_members(members, node->n);
}

void expr_eval_case(ExprRun *run, const ExprNode *node, ExprValue *out) {
    ExprValue v, test;
    expr_eval(run, node->kids[0], &v);
    *out = expr_undefined();
    if (v.type == EXPR_UNDEFINED) return;
    uint32_t i = 1;
    for (; i + 1 < node->n; i += 2) {
        expr_eval(run, node->kids[i], &test);
        if (test.type == EXPR_UNDEFINED || !expr_equal(run, &v, &test)) continue;
        expr_eval(run, node->kids[i + 1], out);
        return;
    }
    if (i < node->n)
        expr_eval(run, node->kids[i], out);
    else
        *out = expr_because(run, "no WHEN is equal to %.*s, and there is no ELSE", PS(expr_shown(run, &v)));
}

/* ---- calls ---- */

static ExprValue whole(ExprRun *run, const ExprValue *v, DecimalRounding how, bool clamp) {
    ExprValue n = expr_convert(run, v, EXPR_TO_DECIMAL);
    if (n.type != EXPR_DECIMAL) return n;
    ExprInt i = 0;
    if (!decimal_round(n.d, how, &i) && !clamp) return expr_undefined();
    return (ExprValue){ .type = EXPR_INT, .i = i };
}

/* Makes of the argument what the letter asks for; false, and it is as it was, when that cannot be. */
static bool take(ExprRun *run, char letter, ExprValue *v) {
    ExprValue out;
    ExprType type = EXPR_INT;
    switch (letter) {
    case 's':
        if (v->type == EXPR_STRING) return true;
        out = expr_convert(run, v, EXPR_TO_STRING);
        type = EXPR_STRING;
        break;
    case 'n':
        if (expr_is_number(v)) return true;
        out = expr_convert(run, v, EXPR_TO_DECIMAL);
        if (!expr_is_number(&out)) return false;
        *v = out;
        return true;
    case 'v': return v->type != EXPR_BYTES;
    case 'b': return true;
    default:
        if (v->type == EXPR_INT) return true;
        out = letter == 'r'   ? expr_convert(run, v, EXPR_TO_INT)
              : letter == 't' ? whole(run, v, ROUND_TRUNCATE, true)
                              : whole(run, v, ROUND_DOWN, false);
    }
    if (out.type != type) return false;
    *v = out;
    return true;
}

static const char *letter_name(char letter) {
    return letter == 's'   ? "a String"
           : letter == 'n' ? "a number"
           : letter == 'v' ? "a value (a binary payload can only be encoded)"
                           : "an Int";
}

enum { ARGS_ON_STACK = 8 };

/* Most functions look at every byte of a text. */
static size_t text_bytes(const ExprValue *args, uint32_t n) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < n; i++)
        if (args[i].type == EXPR_STRING || args[i].type == EXPR_BYTES) bytes += args[i].s.len;
    return bytes;
}

void expr_eval_call(ExprRun *run, const ExprNode *node, ExprValue *out) {
    const ExprFn *fn = node->fn;
    ExprValue on_stack[ARGS_ON_STACK], *args = on_stack;
    *out = expr_undefined();
    if (node->n > ARGS_ON_STACK && !(args = expr_make_items(run, node->n))) return;
    if (node->n < fn->args_min || (node->n > fn->args_max && fn->args_max != EXPR_ARGS_ANY)) {
        *out = expr_because(run, "%.*s takes %d%s%.0d arguments, got %u", PS(fn->name), fn->args_min,
                            fn->args_max == EXPR_ARGS_ANY ? " or more"
                            : fn->args_max > fn->args_min ? " to "
                                                          : "",
                            fn->args_max == EXPR_ARGS_ANY || fn->args_max == fn->args_min ? 0 : fn->args_max, node->n);
        return;
    }
    const char *letter = fn->takes;
    for (uint32_t i = 0; i < node->n; i++) {
        if (fn->quiet && run->notes) run->notes->hidden++;
        expr_eval(run, node->kids[i], &args[i]);
        if (fn->quiet && run->notes) run->notes->hidden--;
        if (*letter && !take(run, *letter, &args[i])) {
            if (args[i].type != EXPR_UNDEFINED)
                *out = expr_because(run, "argument %u of %.*s must be %s, got %.*s", i + 1, PS(fn->name),
                                    letter_name(*letter), PS(expr_shown(run, &args[i])));
            return;
        }
        if (*letter && letter[1]) letter++;
    }
    if (run->err == OK && expr_steps(run, text_bytes(args, node->n) / 16)) fn->call(run, node, args, node->n, out);
}

/* ---- operators ---- */

void expr_eval_prefix(ExprRun *run, const ExprNode *node, ExprValue *out) {
    ExprValue v;
    expr_eval(run, node->kids[0], &v);
    *out = expr_undefined();
    node->prefix->apply(run, node->prefix, &v, NULL, out);
}

void expr_eval_chain(ExprRun *run, const ExprNode *node, ExprValue *out) {
    ExprValue values[2], right;
    ExprValue *left = &values[0], *result = &values[1];
    expr_eval(run, node->kids[0], left);
    for (uint32_t i = 1; i < node->n; i++) {
        const ExprOperator *op = node->chain[i - 1];
        if (op->lazy_on_false && node->kids[i]->reach && left->type == EXPR_BOOLEAN && !left->boolean) continue;
        expr_eval(run, node->kids[i], &right);
        if (i + 1 == node->n) result = out;
        result->type = EXPR_UNDEFINED;
        op->apply(run, op, left, &right, result);
        ExprValue *before = left;
        left = result;
        result = before;
    }
    if (left != out) *out = *left;
}
