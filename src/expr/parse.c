#include "expr/parse.h"

#include "expr/eval.h"

/* Precedence climbing. A chain of operators of one level (a + b - c + ...) is one node, so that a long statement is not
 * a deep tree: what bounds the depth of the tree, and with it the stack of parser and evaluator, is the depth of
 * parentheses, calls, literals and prefixes alone. */

void expr_parser_begin(ExprParser *p, const ExprGrammar *g, Str text, size_t at, Arena *arena, ExprFault *fault) {
    p->grammar = g;
    p->text = text;
    p->arena = arena;
    p->fault = fault;
    p->end = at;
    p->token = expr_lex(text, at);
}

void expr_advance(ExprParser *p) {
    p->end = p->token.at + p->token.len;
    p->token = expr_lex(p->text, p->end);
}

ExprToken expr_peek(const ExprParser *p) {
    return expr_lex(p->text, p->token.at + p->token.len);
}

bool expr_take_symbol(ExprParser *p, char c) {
    if (!expr_is_symbol(&p->token, c)) return false;
    expr_advance(p);
    return true;
}

bool expr_take_word(ExprParser *p, Str word) {
    if (!expr_is_word(&p->token, word)) return false;
    expr_advance(p);
    return true;
}

bool expr_need_symbol(ExprParser *p, char c) {
    if (expr_take_symbol(p, c)) return true;
    expr_expected(p, "'%c'", c);
    return false;
}

/* ---- faults ---- */

enum { FOUND_BYTES_MAX = 40 };

static Str found_text(ExprParser *p, const ExprToken *t) {
    if (t->type == EXPR_END) return S("the end");
    Str s = t->text;
    size_t cut = s.len;
    if (cut > FOUND_BYTES_MAX)
        for (cut = FOUND_BYTES_MAX; cut && (s.ptr[cut] & 0xc0) == 0x80;) cut--;
    return str_format(p->arena, "%.*s%s", (int)cut, (const char *)s.ptr, cut < s.len ? "..." : "");
}

static void fault_at(ExprParser *p, const ExprToken *t, Err e, Str expected, Str sentence) {
    if (p->err != OK) return;
    p->err = e;
    ExprFault *f = p->fault;
    expr_place(p->text, t->at, &f->line, &f->column);
    f->found = found_text(p, t);
    f->expected = expected;
    if (sentence.len == 0)
        sentence =
            str_format(p->arena, "found %s%.*s%s%s%s, expected %.*s", t->type == EXPR_END ? "" : "'", PS(f->found),
                       t->type == EXPR_END ? "" : "'", t->bad ? ": " : "", t->bad ? t->bad : "", PS(expected));
    f->text = str_format(p->arena, "line %d, column %d: %.*s", f->line, f->column, PS(sentence));
}

const ExprNode *expr_expected(ExprParser *p, const char *format, ...) {
    va_list args;
    va_start(args, format);
    if (p->err == OK) fault_at(p, &p->token, ERR_INVALID, str_format_v(p->arena, format, args), STR_NONE);
    va_end(args);
    return NULL;
}

const ExprNode *expr_refuse(ExprParser *p, const ExprToken *at, Err e, const char *expected, const char *format, ...) {
    va_list args;
    va_start(args, format);
    if (p->err == OK) fault_at(p, at, e, str_dup(p->arena, str_c(expected)), str_format_v(p->arena, format, args));
    va_end(args);
    return NULL;
}

bool expr_deeper(ExprParser *p) {
    if (p->depth < p->grammar->depth_max) {
        p->depth++;
        return true;
    }
    expr_refuse(p, &p->token, ERR_LIMIT, "less nesting", "nested deeper than %d", p->grammar->depth_max);
    return false;
}

/* ---- nodes ---- */

void expr_nodes_add(Arena *arena, ExprNodes *list, const ExprNode *node) {
    if (list->n == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 4;
        const ExprNode **grown = arena_array(arena, const ExprNode *, cap);
        if (list->n) memcpy(grown, list->items, list->n * sizeof *grown);
        list->items = grown;
        list->cap = cap;
    }
    list->items[list->n++] = node;
}

ExprNode *expr_node(ExprParser *p, ExprEval *eval, uint32_t at, const ExprNode *const *kids, size_t n) {
    ExprNode *node = arena_new(p->arena, ExprNode);
    node->eval = eval;
    node->at = at;
    node->len = (uint32_t)(p->end > at ? p->end - at : 0);
    node->text = str_sub(p->text, at, at + node->len);
    node->n = (uint32_t)n;
    node->kids = n ? arena_array(p->arena, const ExprNode *, n) : NULL;
    for (size_t i = 0; i < n; i++) {
        node->kids[i] = kids[i];
        if (kids[i]) node->reach |= kids[i]->reach;
    }
    return node;
}

const ExprNode *expr_constant(ExprParser *p, uint32_t at, ExprValue v) {
    ExprNode *node = expr_node(p, expr_eval_constant, at, NULL, 0);
    node->value = v;
    return node;
}

bool expr_is_constant(const ExprNode *n) {
    return n->eval == expr_eval_constant;
}

/* The function of this name, and of several the one that takes so many arguments. */
static const ExprFn *find_function(const ExprGrammar *g, Str name, size_t args) {
    const ExprFn *found = NULL;
    for (size_t i = 0; i < g->functions_n; i++) {
        for (size_t j = 0; j < g->functions[i]->n; j++) {
            const ExprFn *fn = &g->functions[i]->items[j];
            if (!str_eq_nocase(fn->name, name)) continue;
            if (args >= fn->args_min && args <= fn->args_max) return fn;
            if (!found) found = fn;
        }
    }
    return found;
}

const ExprNode *expr_call(ExprParser *p, const ExprToken *name, const ExprNode *const *args, size_t n) {
    const ExprFn *fn = find_function(p->grammar, name->text, n);
    if (!fn)
        return expr_refuse(p, name, ERR_INVALID, "the name of a function", "there is no function %.*s", PS(name->text));
    if (fn->since > p->version)
        return expr_refuse(p, name, ERR_INVALID, "a function of this version", "%.*s needs %s %.*s or later",
                           PS(fn->name), p->grammar->version_named, PS(p->grammar->versions[fn->since]));
    ExprNode *node = expr_node(p, fn->eval ? fn->eval : expr_eval_call, name->at, args, n);
    node->fn = fn;
    node->reach |= fn->reach;
    if (fn->prepare) node->prepared = fn->prepare(node, p->arena);
    return node;
}

/* ---- primaries ---- */

static bool reserved(const ExprGrammar *g, Str word) {
    for (size_t i = 0; i < g->reserved_n; i++)
        if (str_eq_nocase(g->reserved[i], word)) return true;
    return false;
}

/* Expressions up to the closing symbol, which is taken. */
static bool parse_list(ExprParser *p, char close, ExprNodes *out) {
    if (expr_take_symbol(p, close)) return true;
    for (;;) {
        const ExprNode *one = expr_parse(p);
        if (!one) return false;
        expr_nodes_add(p->arena, out, one);
        if (expr_take_symbol(p, close)) return true;
        if (!expr_take_symbol(p, ',')) {
            expr_expected(p, "',' or '%c'", close);
            return false;
        }
    }
}

static const ExprNode *parse_call(ExprParser *p) {
    ExprToken name = p->token;
    ExprNodes args = { 0 };
    expr_advance(p);
    expr_advance(p); /* the parenthesis */
    return parse_list(p, ')', &args) ? expr_call(p, &name, args.items, args.n) : NULL;
}

static const ExprNode *parse_array(ExprParser *p) {
    uint32_t at = p->token.at;
    ExprNodes items = { 0 };
    expr_advance(p);
    return parse_list(p, ']', &items) ? expr_node(p, expr_eval_array, at, items.items, items.n) : NULL;
}

static const ExprNode *parse_object(ExprParser *p) {
    uint32_t at = p->token.at;
    ExprNodes keys = { 0 }, values = { 0 };
    expr_advance(p);
    while (!expr_take_symbol(p, '}')) {
        if (keys.n && !expr_take_symbol(p, ',')) return expr_expected(p, "',' or '}'");
        if (p->token.type != EXPR_QUOTED) return expr_expected(p, "a key in quotes");
        Str key = expr_unquote(&p->token, p->arena);
        expr_advance(p);
        expr_nodes_add(p->arena, &keys, expr_constant(p, at, expr_string(key)));
        if (!expr_need_symbol(p, ':')) return NULL;
        const ExprNode *value = expr_parse(p);
        if (!value) return NULL;
        expr_nodes_add(p->arena, &values, value);
    }
    ExprNode *node = expr_node(p, expr_eval_object, at, values.items, values.n);
    node->names = arena_array(p->arena, Str, keys.n + 1);
    for (size_t i = 0; i < keys.n; i++) node->names[i] = keys.items[i]->value.s;
    return node;
}

/* Kids: the value, then a test and a result each, then what ELSE gives, if it is there. */
static const ExprNode *parse_case(ExprParser *p) {
    uint32_t at = p->token.at;
    ExprNodes kids = { 0 };
    expr_advance(p);
    const ExprNode *one = expr_parse(p);
    if (!one) return NULL;
    expr_nodes_add(p->arena, &kids, one);
    if (!expr_is_word(&p->token, S("WHEN"))) return expr_expected(p, "WHEN");
    while (expr_take_word(p, S("WHEN"))) {
        if (!(one = expr_parse(p))) return NULL;
        expr_nodes_add(p->arena, &kids, one);
        if (!expr_take_word(p, S("THEN"))) return expr_expected(p, "THEN");
        if (!(one = expr_parse(p))) return NULL;
        expr_nodes_add(p->arena, &kids, one);
    }
    if (expr_take_word(p, S("ELSE"))) {
        if (!(one = expr_parse(p))) return NULL;
        expr_nodes_add(p->arena, &kids, one);
    }
    if (!expr_take_word(p, S("END"))) return expr_expected(p, "WHEN, ELSE or END");
    return expr_node(p, expr_eval_case, at, kids.items, kids.n);
}

static const ExprNode *parse_number(ExprParser *p) {
    ExprToken t = p->token;
    expr_advance(p);
    ExprValue v = { .type = EXPR_UNDEFINED };
    expr_number(t.text, p->whole_is_int, &v);
    if (v.type == EXPR_UNDEFINED)
        return expr_refuse(p, &t, ERR_INVALID, "a number between 1E-999 and 9.99E999", "%.*s is out of range",
                           PS(t.text));
    return expr_constant(p, t.at, v);
}

static const ExprNode *parse_quoted(ExprParser *p) {
    ExprToken t = p->token;
    expr_advance(p);
    return expr_constant(p, t.at, expr_string(expr_unquote(&t, p->arena)));
}

static const ExprNode *parse_word(ExprParser *p) {
    static const struct {
        Str word;
        ExprType type;
        bool boolean;
    } constants[] = { { STR_INIT("true"), EXPR_BOOLEAN, true },
                      { STR_INIT("false"), EXPR_BOOLEAN, false },
                      { STR_INIT("null"), EXPR_NULL, false } };
    ExprToken t = p->token, next = expr_peek(p);
    if (p->grammar->cases && expr_is_word(&t, S("CASE"))) return parse_case(p);
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++) {
        if (!expr_is_word(&t, constants[i].word)) continue;
        expr_advance(p);
        return expr_constant(p, t.at, (ExprValue){ .type = constants[i].type, .boolean = constants[i].boolean });
    }
    if (reserved(p->grammar, t.text)) return expr_expected(p, "an expression");
    if (expr_is_symbol(&next, '(')) return parse_call(p);
    expr_advance(p);
    return p->grammar->name(p, &t);
}

static const ExprNode *parse_parenthesis(ExprParser *p) {
    expr_advance(p);
    const ExprNode *inner = expr_parse(p);
    return inner && expr_need_symbol(p, ')') ? inner : NULL;
}

static const ExprNode *parse_common(ExprParser *p) {
    switch (p->token.type) {
    case EXPR_NUMBER: return parse_number(p);
    case EXPR_QUOTED: return parse_quoted(p);
    case EXPR_WORD: return parse_word(p);
    case EXPR_SYMBOL:
        if (expr_is_symbol(&p->token, '(')) return parse_parenthesis(p);
        if (p->grammar->literals && expr_is_symbol(&p->token, '[')) return parse_array(p);
        if (p->grammar->literals && expr_is_symbol(&p->token, '{')) return parse_object(p);
        break;
    default: break;
    }
    return expr_expected(p, "an expression");
}

const ExprNode *expr_parse_postfix(ExprParser *p, const ExprNode *base, uint32_t at) {
    ExprNodes steps = { 0 };
    expr_nodes_add(p->arena, &steps, base);
    for (;;) {
        ExprToken next = expr_peek(p);
        uint32_t from = p->token.at;
        const ExprNode *step;
        if (expr_is_symbol(&p->token, '.') && next.type == EXPR_WORD) {
            expr_advance(p);
            expr_advance(p);
            step = expr_constant(p, from, expr_string(next.text));
        } else if (p->grammar->literals && expr_is_symbol(&p->token, '[')) {
            expr_advance(p);
            if (!(step = expr_parse(p)) || !expr_need_symbol(p, ']')) return NULL;
        } else if (expr_is_symbol(&p->token, '.') && !expr_is_symbol(&next, '*')) {
            expr_advance(p);
            return expr_expected(p, "a name");
        } else {
            break;
        }
        expr_nodes_add(p->arena, &steps, step);
    }
    return steps.n == 1 ? base : expr_node(p, expr_eval_path, at, steps.items, steps.n);
}

static const ExprNode *parse_primary(ExprParser *p) {
    if (!expr_deeper(p)) return NULL;
    uint32_t at = p->token.at;
    const ExprNode *base = NULL;
    if (!p->grammar->primary || !p->grammar->primary(p, &base)) base = parse_common(p);
    if (base) base = expr_parse_postfix(p, base, at);
    p->depth--;
    return base;
}

/* ---- operators ---- */

static const ExprOperator *operator_at(const ExprParser *p, bool prefix) {
    if (p->token.type != EXPR_SYMBOL && p->token.type != EXPR_WORD) return NULL;
    for (size_t i = 0; i < p->grammar->operators_n; i++) {
        const ExprOperator *op = &p->grammar->operators[i];
        if (op->prefix == prefix && str_eq_nocase(op->spelled, p->token.text)) return op;
    }
    return NULL;
}

static const ExprNode *parse_level(ExprParser *p, uint8_t least);

static const ExprNode *parse_operand(ExprParser *p) {
    const ExprOperator *op = operator_at(p, true);
    if (!op) return parse_primary(p);
    if (!expr_deeper(p)) return NULL;
    uint32_t at = p->token.at;
    expr_advance(p);
    const ExprNode *operand = parse_level(p, op->level);
    p->depth--;
    if (!operand) return NULL;
    ExprNode *node = expr_node(p, expr_eval_prefix, at, &operand, 1);
    node->prefix = op;
    return node;
}

static const ExprNode *parse_level(ExprParser *p, uint8_t least) {
    uint32_t at = p->token.at;
    const ExprNode *left = parse_operand(p);
    const ExprOperator *op;
    while (left && (op = operator_at(p, false)) && op->level >= least) {
        uint8_t level = op->level;
        ExprNodes kids = { 0 };
        expr_nodes_add(p->arena, &kids, left);
        const ExprOperator **chain = NULL;
        size_t n = 0, cap = 0;
        for (; op && op->level == level; op = operator_at(p, false)) {
            if (n == cap) {
                cap = cap ? cap * 2 : 4;
                const ExprOperator **grown = arena_array(p->arena, const ExprOperator *, cap);
                if (n) memcpy(grown, chain, n * sizeof *grown);
                chain = grown;
            }
            chain[n++] = op;
            expr_advance(p);
            const ExprNode *right = parse_level(p, (uint8_t)(level + 1));
            if (!right) return NULL;
            expr_nodes_add(p->arena, &kids, right);
        }
        ExprNode *node = expr_node(p, expr_eval_chain, at, kids.items, kids.n);
        node->chain = chain;
        left = node;
    }
    return left;
}

const ExprNode *expr_parse(ExprParser *p) {
    const ExprNode *node = parse_level(p, 0);
    return p->err == OK ? node : NULL;
}
