#include "expr/eval.h"
#include "mqtt/topic.h"
#include "rules/sql_internal.h"

/* [SET @v = e, ...] SELECT items [FROM 'filter'] [WHERE e]. What SELECT's items are called is settled here. */

enum { VARIABLE_NAME_BYTES_MAX = 64 };

static bool parse_set(ExprParser *p, Sql *sql, SqlNames *names) {
    do {
        if (!expr_is_symbol(&p->token, '@')) return expr_expected(p, "@ and the name of a variable"), false;
        expr_advance(p);
        ExprToken name = p->token;
        if (name.type != EXPR_WORD) return expr_expected(p, "the name of a variable"), false;
        if (name.len > VARIABLE_NAME_BYTES_MAX)
            return expr_refuse(p, &name, ERR_LIMIT, "a name of 64 characters or fewer", "the name is %u long",
                               name.len),
                   false;
        for (size_t i = 0; i < sql->variables_n; i++)
            if (str_eq(sql->variables[i], name.text))
                return expr_refuse(p, &name, ERR_INVALID, "another name", "@%.*s is set already", PS(name.text)), false;
        if (sql->variables_n == SQL_VARIABLES_MAX)
            return expr_refuse(p, &name, ERR_LIMIT, "SELECT", "SET has more than %d variables", SQL_VARIABLES_MAX),
                   false;
        expr_advance(p);
        if (!expr_need_symbol(p, '=')) return false;
        const ExprNode *value = expr_parse(p);
        if (!value) return false;
        sql->variables[sql->variables_n] = name.text;
        sql->variable_nodes[sql->variables_n++] = value;
        sql->reach |= value->reach;
        names->variables_n = sql->variables_n; /* seen by those behind it */
    } while (expr_take_symbol(p, ','));
    return true;
}

/* ---- items ---- */

/* Is the word VALUE the keyword here, and not an attribute of that name? It is where an expression follows. */
static bool is_value_keyword(ExprParser *p) {
    if (!expr_is_word(&p->token, S("VALUE"))) return false;
    ExprToken next = expr_peek(p);
    if (expr_is_symbol(&next, '*')) { /* VALUE * FROM, but value * 2 */
        ExprToken after = expr_lex(p->text, next.at + next.len);
        return after.type == EXPR_END || expr_is_word(&after, S("FROM")) || expr_is_word(&after, S("WHERE")) ||
               expr_is_symbol(&after, ')');
    }
    if (next.type == EXPR_WORD)
        return !expr_is_word(&next, S("AS")) && !expr_is_word(&next, S("FROM")) && !expr_is_word(&next, S("WHERE")) &&
               !expr_is_word(&next, S("AND")) && !expr_is_word(&next, S("OR")) && !expr_is_word(&next, S("IN"));
    return next.type == EXPR_NUMBER || next.type == EXPR_QUOTED || expr_is_symbol(&next, '(') ||
           expr_is_symbol(&next, '{') || expr_is_symbol(&next, '[') || expr_is_symbol(&next, '@');
}

static bool parse_alias(ExprParser *p, SqlItem *item) {
    size_t cap = 0;
    do {
        /* A name in quotes can have any characters. */
        bool quoted = p->token.type == EXPR_QUOTED;
        if (p->token.type != EXPR_WORD && !quoted) return expr_expected(p, "a name"), false;
        if (item->path_n == cap) {
            cap = cap ? cap * 2 : 2;
            Str *grown = arena_array(p->arena, Str, cap);
            if (item->path_n) memcpy(grown, item->path, item->path_n * sizeof *grown);
            item->path = grown;
        }
        item->path[item->path_n++] = quoted ? expr_unquote(&p->token, p->arena) : p->token.text;
        expr_advance(p);
    } while (expr_take_symbol(p, '.'));
    return true;
}

/* Without AS: the last part of a path, the name of a function, else the expression as it is written. */
static void name_item(ExprParser *p, SqlItem *item) {
    const ExprNode *node = item->node;
    item->path = arena_new(p->arena, Str);
    item->path_n = 1;
    if (node->eval == expr_eval_object) {
        item->kind = SQL_SPREAD;
    } else if (node->eval == sql_eval_name) {
        *item->path = node->name;
    } else if (node->eval == expr_eval_path && expr_is_constant(node->kids[node->n - 1]) &&
               node->kids[node->n - 1]->value.type == EXPR_STRING) {
        *item->path = node->kids[node->n - 1]->value.s;
    } else if (node->eval == expr_eval_call) {
        *item->path = node->fn->name;
    } else {
        *item->path = node->text;
    }
}

static bool parse_item(ExprParser *p, SqlItem *item) {
    ExprToken next = expr_peek(p);
    if (expr_is_symbol(&p->token, '*') &&
        (next.type != EXPR_SYMBOL || expr_is_symbol(&next, ',') || expr_is_symbol(&next, ')'))) {
        item->kind = SQL_STAR;
        expr_advance(p);
        return true;
    }
    if (!(item->node = expr_parse(p))) return false;
    next = expr_peek(p);
    if (expr_is_symbol(&p->token, '.') && expr_is_symbol(&next, '*')) {
        item->kind = SQL_SPREAD;
        expr_advance(p);
        expr_advance(p);
        return true;
    }
    if (expr_take_word(p, S("AS"))) return parse_alias(p, item);
    name_item(p, item);
    return true;
}

bool sql_parse_select(ExprParser *p, SqlSelect *out) {
    size_t cap = 0;
    if (is_value_keyword(p)) {
        out->value = true;
        expr_advance(p);
    }
    do {
        if (out->n == cap) {
            cap = cap ? cap * 2 : 4;
            SqlItem *grown = arena_array(p->arena, SqlItem, cap);
            if (out->n) memcpy(grown, out->items, out->n * sizeof *grown);
            out->items = grown;
        }
        if (out->value && out->n == 1) return expr_expected(p, "FROM: SELECT VALUE has one item"), false;
        if (!parse_item(p, &out->items[out->n])) return false;
        out->n++;
    } while (expr_take_symbol(p, ','));
    return true;
}

/* ---- the statement ---- */

static bool parse_filter(ExprParser *p, Sql *sql) {
    if (p->token.type != EXPR_QUOTED) return expr_expected(p, "a topic filter in quotes"), false;
    ExprToken t = p->token;
    MqttFilter filter;
    Str text = expr_unquote(&t, p->arena);
    Err e = mqtt_filter_parse(text, MQTT_TOPIC_LIMITS_AWS, &filter);
    if (e != OK || filter.group.ptr)
        return expr_refuse(p, &t, e == ERR_LIMIT ? e : ERR_INVALID, "a topic filter of at most 256 bytes and 8 levels",
                           "%.*s is no topic filter", PS(t.text)),
               false;
    sql->filter = text;
    expr_advance(p);
    return true;
}

static bool parse_statement(ExprParser *p, Sql *sql, SqlNames *names) {
    ExprToken next = expr_peek(p);
    if (expr_is_word(&p->token, S("SET")) && expr_is_symbol(&next, '@')) {
        expr_advance(p);
        if (!parse_set(p, sql, names)) return false;
        if (!expr_is_word(&p->token, S("SELECT"))) return expr_expected(p, "',' or SELECT"), false;
    }
    if (!expr_take_word(p, S("SELECT"))) return expr_expected(p, "SELECT"), false;
    if (!sql_parse_select(p, &sql->select)) return false;
    bool from = expr_take_word(p, S("FROM"));
    if (from && !parse_filter(p, sql)) return false;
    bool where = expr_take_word(p, S("WHERE"));
    if (where && !(sql->where = expr_parse(p))) return false;
    if (p->token.type == EXPR_END) return true;
    return expr_expected(p, where  ? "an operator, or the end"
                            : from ? "WHERE, or the end"
                                   : "',', AS, FROM, WHERE or an operator"),
           false;
}

Err sql_compile(Str text, SqlVersion version, Arena *arena, const Sql **out, SqlFault *fault) {
    if (text.len > SQL_TEXT_BYTES_MAX || !str_is_utf8(text)) {
        bool large = text.len > SQL_TEXT_BYTES_MAX;
        *fault = (SqlFault){ .line = 1,
                             .column = 1,
                             .found = large ? S("more") : S("other bytes"),
                             .expected = large ? S("at most 131072 bytes") : S("UTF-8"),
                             .text = large ? S("the statement is longer than 131072 bytes")
                                           : S("the statement is not valid UTF-8") };
        return large ? ERR_LIMIT : ERR_INVALID;
    }
    Sql *sql = arena_new(arena, Sql);
    sql->text = str_dup(arena, text.ptr ? text : S(""));
    sql->version = version;
    SqlNames names = { .variables = sql->variables };
    ExprParser p;
    sql_parser_begin(&p, version, &names, sql->text, 0, arena, fault);
    if (!parse_statement(&p, sql, &names)) return p.err;
    for (size_t i = 0; i < sql->select.n; i++)
        if (sql->select.items[i].node) sql->reach |= sql->select.items[i].node->reach;
    if (sql->where) sql->reach |= sql->where->reach;
    *out = sql;
    return OK;
}

Str sql_topic_filter(const Sql *sql) {
    return sql->filter;
}

SqlVersion sql_version(const Sql *sql) {
    return sql->version;
}

uint32_t sql_reaches_outside(const Sql *sql) {
    return sql->reach;
}

Err sql_version_parse(Str text, SqlVersion *out) {
    for (int v = SQL_2015_10_08; v <= SQL_BETA; v++) {
        if (!str_eq(text, SQL_VERSION_NAMES[v]) && !(text.len == 0 && v == SQL_2015_10_08)) continue;
        *out = (SqlVersion)v;
        return OK;
    }
    return ERR_INVALID;
}

Str sql_version_name(SqlVersion v) {
    return SQL_VERSION_NAMES[v];
}
