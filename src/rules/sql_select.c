#include "expr/eval.h"
#include "rules/sql_internal.h"

/* Names mean members of the payload; in a nested query, members of the element that it looks at, and the element itself
 * by the name behind AS, its own or that of a query around it. What an inner query does not name it does not see: a
 * member that only the payload has is Undefined there. */

void sql_eval_star(ExprRun *run, const ExprNode *node, ExprValue *out) {
    (void)node;
    SqlRun *r = sql_host(run);
    if (r->scope)
        *out = r->scope->element;
    else
        sql_message_root(r->message, run->whole_is_int, out);
}

static void in_element(ExprRun *run, const SqlScope *scope, Str name, ExprValue *out) {
    for (const SqlScope *s = scope; s; s = s->outer) {
        if (!s->name.ptr || !str_eq(s->name, name)) continue;
        *out = s->element;
        return;
    }
    expr_steps(run, expr_count(&scope->element) / 16);
    expr_member(&scope->element, name, run->whole_is_int, out);
    if (out->type == EXPR_UNDEFINED)
        *out =
            expr_because(run, "the element has no member '%.*s' (names in a nested query are its element's)", PS(name));
}

void sql_eval_name(ExprRun *run, const ExprNode *node, ExprValue *out) {
    SqlRun *r = sql_host(run);
    if (r->scope) {
        in_element(run, r->scope, node->name, out);
        return;
    }
    yyjson_val *json = sql_message_json(r->message), *found = NULL;
    bool object = yyjson_is_obj(json);
    if (object && expr_steps(run, unsafe_yyjson_get_len(json) / 16)) found = expr_find(json, node->name);
    if (found) {
        expr_from_json(found, run->whole_is_int, out);
        if (out->type == EXPR_UNDEFINED) *out = expr_because(run, "%.*s is out of range", PS(json_str(found)));
    } else {
        *out = object ? expr_because(run, "the payload has no member '%.*s'", PS(node->name))
                      : expr_because(run, json ? "the payload is no JSON object" : "the payload is no JSON");
    }
}

void sql_eval_variable(ExprRun *run, const ExprNode *node, ExprValue *out) {
    const SqlVariables *variables = sql_host(run)->variables;
    size_t i = (size_t)(uintptr_t)node->data;
    *out = variables && i < variables->n ? variables->values[i] : expr_undefined();
}

bool sql_holds(ExprRun *run, const ExprNode *where) {
    if (!where) return true;
    ExprValue v;
    expr_eval(run, where, &v);
    if (v.type == EXPR_STRING) v = expr_convert(run, &v, EXPR_TO_BOOLEAN);
    return v.type == EXPR_BOOLEAN && v.boolean;
}

/* ---- results ---- */

typedef struct {
    ExprMember *items;
    size_t n, cap;
} Members;

static bool reserve(ExprRun *run, Members *m, size_t more) {
    if (m->n + more <= m->cap) return true;
    size_t cap = m->cap * 2 > m->n + more ? m->cap * 2 : m->n + more;
    ExprMember *grown = expr_make_members(run, cap);
    if (!grown) return false;
    if (m->n) memcpy(grown, m->items, m->n * sizeof *grown);
    m->items = grown;
    m->cap = cap;
    return true;
}

/* Adds the member or replaces the one of that key. */
static void put(ExprRun *run, Members *m, Str key, const ExprValue *v) {
    if (!expr_steps(run, 1 + m->n / 16)) return;
    for (size_t i = 0; i < m->n; i++) {
        if (!str_eq(m->items[i].key, key)) continue;
        m->items[i].value = *v;
        return;
    }
    if (reserve(run, m, 1)) m->items[m->n++] = (ExprMember){ key, *v };
}

static void put_all(ExprRun *run, Members *m, const ExprValue *object) {
    bool first = m->n == 0; /* nothing to replace: an object's keys are its own affair */
    if (!expr_steps(run, expr_count(object)) || !reserve(run, m, expr_count(object))) return;
    for (ExprEach each = expr_each(object, run->whole_is_int); expr_next(&each);) {
        if (first)
            m->items[m->n++] = (ExprMember){ each.key, each.value };
        else
            put(run, m, each.key, &each.value);
    }
}

/* AS a.b.c: puts v into the object under the first part, which is copied with it. */
static void put_at(ExprRun *run, Members *m, const Str *path, size_t n, const ExprValue *v) {
    if (n == 1) {
        put(run, m, path[0], v);
        return;
    }
    ExprValue around = expr_members(m->items, m->n), inner;
    expr_member(&around, path[0], run->whole_is_int, &inner);
    Members copy = { 0 };
    if (inner.type == EXPR_OBJECT) put_all(run, &copy, &inner);
    if (!expr_steps(run, 1 + m->n / 16)) return;
    put_at(run, &copy, path + 1, n - 1, v);
    ExprValue made = expr_members(copy.items, copy.n);
    put(run, m, path[0], &made);
}

/* The common item, whose value is written where it is to be. */
static bool add_plain(ExprRun *run, Members *m, const SqlItem *item) {
    if (item->kind != SQL_ITEM || item->path_n != 1 || !expr_steps(run, 1 + m->n / 16)) return false;
    for (size_t i = 0; i < m->n; i++)
        if (str_eq(m->items[i].key, *item->path)) return false;
    if (!reserve(run, m, 1)) return false;
    ExprMember *member = &m->items[m->n];
    member->key = *item->path;
    expr_eval(run, item->node, &member->value);
    m->n += member->value.type != EXPR_UNDEFINED;
    return true;
}

/* The member that `*` becomes beside other items where there are no members: the bytes, which go out as base64. */
#define PAYLOAD_KEY S("payload")

static void add_item(ExprRun *run, Members *m, const SqlItem *item) {
    ExprValue v;
    if (add_plain(run, m, item)) return;
    if (item->kind == SQL_STAR)
        sql_eval_star(run, NULL, &v);
    else
        expr_eval(run, item->node, &v);
    if (v.type == EXPR_UNDEFINED) return;
    if (item->kind == SQL_ITEM)
        put_at(run, m, item->path, item->path_n, &v);
    else if (v.type == EXPR_OBJECT)
        put_all(run, m, &v);
    else if (item->kind == SQL_STAR)
        put(run, m, PAYLOAD_KEY, &v);
}

void sql_select(ExprRun *run, const SqlSelect *select, ExprValue *out) {
    const SqlItem *first = &select->items[0];
    if (select->n == 1 && first->kind == SQL_STAR) {
        sql_eval_star(run, NULL, out);
        return;
    }
    if (select->value) {
        expr_eval(run, first->node, out);
        return;
    }
    Members m = { 0 };
    *out = expr_undefined();
    if (!reserve(run, &m, select->n)) return;
    for (size_t i = 0; i < select->n && run->err == OK; i++) add_item(run, &m, &select->items[i]);
    *out = expr_members(m.items, m.n);
}

/* ---- nested queries ---- */

typedef struct {
    ExprValue *items;
    size_t n, cap;
} Items;

static bool add(ExprRun *run, Items *list, const ExprValue *v) {
    if (list->n == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 8;
        ExprValue *grown = expr_make_items(run, cap);
        if (!grown) return false;
        if (list->n) memcpy(grown, list->items, list->n * sizeof *grown);
        list->items = grown;
        list->cap = cap;
    }
    list->items[list->n++] = *v;
    return true;
}

/* One element: false where WHERE does not hold, or it has nothing of what is selected. */
static bool look(ExprRun *run, const SqlNested *q, const ExprValue *element, ExprValue *out) {
    SqlRun *r = sql_host(run);
    SqlScope scope = { .outer = r->scope, .name = q->name, .element = *element };
    r->scope = &scope;
    bool holds = expr_steps(run, 1) && sql_holds(run, q->where);
    *out = expr_undefined();
    if (holds) sql_select(run, &q->select, out);
    r->scope = scope.outer;
    if (!holds || run->err != OK || out->type == EXPR_UNDEFINED) return false;
    return !(out->type == EXPR_OBJECT && out->built && out->n == 0);
}

/* From an array comes an array, from an object one result. */
void sql_eval_nested(ExprRun *run, const ExprNode *node, ExprValue *out) {
    const SqlNested *q = node->data;
    ExprValue from, one;
    Items found = { 0 };
    expr_eval(run, q->from, &from);
    *out = expr_undefined();
    if (from.type == EXPR_OBJECT) {
        bool some = look(run, q, &from, &one);
        if (q->exists)
            *out = expr_boolean(some);
        else if (some)
            *out = one;
        else
            *out = expr_because(run, "the object has nothing of what is selected");
        return;
    }
    if (from.type != EXPR_ARRAY) {
        if (from.type != EXPR_UNDEFINED)
            *out =
                expr_because(run, "a nested query reads an Array or an Object, got %.*s", PS(expr_shown(run, &from)));
        if (q->exists && from.type == EXPR_UNDEFINED) *out = expr_boolean(false);
        return;
    }
    for (ExprEach each = expr_each(&from, run->whole_is_int); expr_next(&each) && run->err == OK;) {
        if (!look(run, q, &each.value, &one)) continue;
        if (q->exists) {
            *out = expr_boolean(true);
            return;
        }
        if (!add(run, &found, &one)) return;
    }
    *out = q->exists ? expr_boolean(false) : expr_items(found.items, found.n);
}
