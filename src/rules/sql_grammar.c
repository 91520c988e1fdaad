#include "expr/eval.h"
#include "expr/operators.h"
#include "rules/sql_internal.h"

/* The grammar, over the parser of expressions: operators and functions are its tables; `*`, @variables, cast, EXISTS
 * and nested queries are its own primaries.
 * Source: AWS IoT developer guide, AWS IoT SQL reference */

/* OR, AND, NOT, comparisons, sums, products, sign: each binds tighter. */
static const ExprOperator OPERATORS[] = {
    { .spelled = STR_INIT("OR"), .level = 1, .apply = expr_apply_or },
    { .spelled = STR_INIT("AND"), .level = 2, .apply = expr_apply_and, .lazy_on_false = true },
    { .spelled = STR_INIT("NOT"), .level = 4, .apply = expr_apply_not, .prefix = true },
    { .spelled = STR_INIT("="), .level = 4, .apply = expr_apply_equal },
    { .spelled = STR_INIT("<>"), .level = 4, .apply = expr_apply_unequal },
    { .spelled = STR_INIT("!="), .level = 4, .apply = expr_apply_unequal },
    { .spelled = STR_INIT("<"), .level = 4, .apply = expr_apply_less },
    { .spelled = STR_INIT("<="), .level = 4, .apply = expr_apply_less_equal },
    { .spelled = STR_INIT(">"), .level = 4, .apply = expr_apply_greater },
    { .spelled = STR_INIT(">="), .level = 4, .apply = expr_apply_greater_equal },
    { .spelled = STR_INIT("IN"), .level = 4, .apply = expr_apply_in },
    { .spelled = STR_INIT("+"), .level = 5, .apply = expr_apply_add },
    { .spelled = STR_INIT("-"), .level = 5, .apply = expr_apply_sub },
    { .spelled = STR_INIT("*"), .level = 6, .apply = expr_apply_mul },
    { .spelled = STR_INIT("/"), .level = 6, .apply = expr_apply_div },
    { .spelled = STR_INIT("%"), .level = 6, .apply = expr_apply_rem },
    { .spelled = STR_INIT("-"), .level = 7, .apply = expr_apply_negate, .prefix = true },
};

static const ExprFns *const FUNCTIONS[] = { &expr_math_functions,   &expr_text_functions, &expr_regexp_functions,
                                            &expr_hash_functions,   &expr_time_functions, &expr_collection_functions,
                                            &sql_message_functions, &sql_codec_functions, &sql_outside_functions };

static const Str RESERVED[] = { STR_INIT("SELECT"), STR_INIT("FROM"), STR_INIT("WHERE"), STR_INIT("AS"),
                                STR_INIT("AND"),    STR_INIT("OR"),   STR_INIT("NOT"),   STR_INIT("IN"),
                                STR_INIT("CASE"),   STR_INIT("WHEN"), STR_INIT("THEN"),  STR_INIT("ELSE") };

static const struct {
    Str word;
    ExprTarget to;
    uint8_t since;
} CASTS[] = {
    { STR_INIT("String"), EXPR_TO_STRING, SQL_2015_10_08 },   { STR_INIT("Nvarchar"), EXPR_TO_STRING, SQL_2015_10_08 },
    { STR_INIT("Text"), EXPR_TO_STRING, SQL_2015_10_08 },     { STR_INIT("Ntext"), EXPR_TO_STRING, SQL_2015_10_08 },
    { STR_INIT("Varchar"), EXPR_TO_STRING, SQL_2015_10_08 },  { STR_INIT("Int"), EXPR_TO_INT, SQL_2015_10_08 },
    { STR_INIT("Integer"), EXPR_TO_INT, SQL_2015_10_08 },     { STR_INIT("Double"), EXPR_TO_DECIMAL, SQL_2015_10_08 },
    { STR_INIT("Decimal"), EXPR_TO_DECIMAL, SQL_2016_03_23 }, { STR_INIT("Bool"), EXPR_TO_BOOLEAN, SQL_2016_03_23 },
    { STR_INIT("Boolean"), EXPR_TO_BOOLEAN, SQL_2016_03_23 },
};
enum { CASTS_N = sizeof CASTS / sizeof *CASTS };

typedef struct {
    ExprTarget to;
    bool to_double;
} Cast;

void sql_eval_cast(ExprRun *run, const ExprNode *node, ExprValue *out) {
    const Cast *cast = node->data;
    ExprValue v;
    expr_eval(run, node->kids[0], &v);
    *out = expr_cast(run, &v, cast->to);
    if (out->type == EXPR_DECIMAL && cast->to_double && v.type != EXPR_INT)
        *out = expr_double(run, decimal_to_double(out->d));
    if (out->type == EXPR_UNDEFINED && v.type != EXPR_UNDEFINED)
        *out = expr_because(run, "%.*s cannot be cast to this type", PS(expr_shown(run, &v)));
}

/* cast(value AS type) */
static const ExprNode *parse_cast(ExprParser *p) {
    uint32_t at = p->token.at;
    expr_advance(p);
    expr_advance(p); /* the parenthesis */
    const ExprNode *value = expr_parse(p);
    if (!value) return NULL;
    if (!expr_take_word(p, S("AS"))) return expr_expected(p, "AS and a type");
    size_t i = 0;
    while (i < CASTS_N && !expr_is_word(&p->token, CASTS[i].word)) i++;
    if (i == CASTS_N)
        return expr_expected(p, "a type: String, Int or Double%s",
                             p->version >= SQL_2016_03_23 ? ", Decimal or Boolean" : "");
    if (CASTS[i].since > p->version)
        return expr_refuse(p, &p->token, ERR_INVALID, "String, Int or Double",
                           "a cast to %.*s needs SQL version 2016-03-23 or later", PS(CASTS[i].word));
    Cast *cast = arena_new(p->arena, Cast);
    *cast = (Cast){ CASTS[i].to, str_eq(CASTS[i].word, S("Double")) };
    expr_advance(p);
    if (!expr_need_symbol(p, ')')) return NULL;
    ExprNode *node = expr_node(p, sql_eval_cast, at, &value, 1);
    node->data = cast;
    return node;
}

static bool needs_2016(ExprParser *p, const char *what) {
    if (p->version >= SQL_2016_03_23) return true;
    expr_refuse(p, &p->token, ERR_INVALID, "SQL version 2016-03-23", "%s needs SQL version 2016-03-23 or later", what);
    return false;
}

/* SELECT ... FROM path [AS name] [WHERE ...], at SELECT, up to what follows it */
static const ExprNode *parse_nested(ExprParser *p, uint32_t at, bool exists) {
    if (!needs_2016(p, "a nested query")) return NULL;
    if (!expr_is_word(&p->token, S("SELECT"))) return expr_expected(p, "SELECT");
    SqlNested *q = arena_new(p->arena, SqlNested);
    q->exists = exists;
    expr_advance(p);
    if (!sql_parse_select(p, &q->select)) return NULL;
    if (!expr_take_word(p, S("FROM"))) return expr_expected(p, "',' or FROM");
    if (p->token.type == EXPR_QUOTED)
        return expr_expected(p, "an attribute: only the outermost FROM names a topic, and in quotes");
    if (!(q->from = expr_parse(p))) return NULL;
    if (expr_take_word(p, S("AS"))) {
        if (p->token.type != EXPR_WORD) return expr_expected(p, "a name");
        q->name = p->token.text;
        expr_advance(p);
    }
    if (expr_take_word(p, S("WHERE")) && !(q->where = expr_parse(p))) return NULL;
    ExprNode *node = expr_node(p, sql_eval_nested, at, NULL, 0);
    node->data = q;
    for (size_t i = 0; i < q->select.n; i++)
        if (q->select.items[i].node) node->reach |= q->select.items[i].node->reach;
    node->reach |= q->from->reach | (q->where ? q->where->reach : 0);
    return node;
}

static const ExprNode *parse_variable(ExprParser *p) {
    const SqlNames *names = p->host;
    uint32_t at = p->token.at;
    ExprToken name = expr_peek(p);
    if (name.type != EXPR_WORD || name.at != at + 1) {
        expr_advance(p);
        return expr_expected(p, "the name of a variable");
    }
    for (size_t i = 0; i < names->variables_n; i++) {
        if (!str_eq(names->variables[i], name.text)) continue;
        expr_advance(p);
        expr_advance(p);
        ExprNode *node = expr_node(p, sql_eval_variable, at, NULL, 0);
        node->data = (const void *)(uintptr_t)i;
        return node;
    }
    return expr_refuse(p, &name, ERR_INVALID, "a variable that SET has assigned before", "@%.*s is not set before",
                       PS(name.text));
}

static bool primary(ExprParser *p, const ExprNode **out) {
    const ExprToken *t = &p->token;
    ExprToken next = expr_peek(p);
    uint32_t at = t->at;
    if (expr_is_symbol(t, '(') && expr_is_word(&next, S("SELECT"))) {
        expr_advance(p);
        *out = parse_nested(p, at, false);
        if (*out && !expr_need_symbol(p, ')')) *out = NULL;
    } else if (expr_is_word(t, S("EXISTS")) && expr_is_symbol(&next, '(')) {
        expr_advance(p);
        expr_advance(p);
        *out = parse_nested(p, at, true);
        if (*out && !expr_need_symbol(p, ')')) *out = NULL;
    } else if (expr_is_word(t, S("cast")) && expr_is_symbol(&next, '(')) {
        *out = parse_cast(p);
    } else if (expr_is_symbol(t, '*')) {
        expr_advance(p);
        *out = expr_node(p, sql_eval_star, at, NULL, 0);
    } else if (expr_is_symbol(t, '@')) {
        *out = parse_variable(p);
    } else if (expr_is_symbol(t, '[') || expr_is_symbol(t, '{')) {
        if (needs_2016(p, "a literal array or object")) return false;
        *out = NULL;
    } else {
        return false;
    }
    return true;
}

static const ExprNode *name(ExprParser *p, const ExprToken *word) {
    ExprNode *node = expr_node(p, sql_eval_name, word->at, NULL, 0);
    node->name = word->text;
    return node;
}

const Str SQL_VERSION_NAMES[] = { STR_INIT("2015-10-08"), STR_INIT("2016-03-23"), STR_INIT("beta") };

#define GRAMMAR(with_literals)                                                                                         \
    {                                                                                                                  \
        .operators = OPERATORS, .operators_n = sizeof OPERATORS / sizeof *OPERATORS, .functions = FUNCTIONS,           \
        .functions_n = sizeof FUNCTIONS / sizeof *FUNCTIONS, .primary = primary, .name = name, .reserved = RESERVED,   \
        .reserved_n = sizeof RESERVED / sizeof *RESERVED, .literals = with_literals, .cases = true,                    \
        .version_named = "SQL version", .versions = SQL_VERSION_NAMES, .depth_max = SQL_NESTING_MAX                    \
    }
static const ExprGrammar GRAMMAR_2015 = GRAMMAR(false), GRAMMAR_2016 = GRAMMAR(true);

void sql_parser_begin(ExprParser *p, SqlVersion version, const SqlNames *names, Str text, size_t at, Arena *arena,
                      ExprFault *fault) {
    *p = (ExprParser){ .version = (uint8_t)version,
                       .whole_is_int = version >= SQL_2016_03_23,
                       .host = (void *)(uintptr_t)names };
    expr_parser_begin(p, version >= SQL_2016_03_23 ? &GRAMMAR_2016 : &GRAMMAR_2015, text, at, arena, fault);
}
