#include "expr/eval.h"
#include "rules/sql_internal.h"

/* A template is pieces: text as it is, and expressions. The parser of expressions is let loose behind each `${` and
 * must end at a `}`, so that braces and quotes inside an expression are its own affair. */

typedef struct {
    Str literal;          /* before the expression */
    const ExprNode *node; /* NULL: none behind it, the last piece */
} Piece;

struct SqlTemplate {
    Str text;
    SqlVersion version;
    Piece *pieces;
    size_t n;
    uint32_t reach;
};

static void add(Arena *arena, SqlTemplate *t, size_t *cap, Piece piece) {
    if (t->n == *cap) {
        *cap = *cap ? *cap * 2 : 4;
        Piece *grown = arena_array(arena, Piece, *cap);
        if (t->n) memcpy(grown, t->pieces, t->n * sizeof *grown);
        t->pieces = grown;
    }
    t->pieces[t->n++] = piece;
    if (piece.node) t->reach |= piece.node->reach;
}

static Err compile(SqlTemplate *t, const SqlNames *names, Arena *arena, SqlFault *fault) {
    size_t at = 0, cap = 0;
    for (;;) {
        size_t open = str_find_str(str_from(t->text, at), S("${"));
        if (open == SIZE_MAX) break;
        Piece piece = { .literal = str_sub(t->text, at, at + open) };
        ExprParser p;
        sql_parser_begin(&p, t->version, names, t->text, at + open + 2, arena, fault);
        if (!(piece.node = expr_parse(&p))) return p.err;
        if (!expr_is_symbol(&p.token, '}')) {
            expr_expected(&p, "an operator or '}'");
            return p.err;
        }
        add(arena, t, &cap, piece);
        at = p.token.at + 1;
    }
    add(arena, t, &cap, (Piece){ .literal = str_from(t->text, at) });
    return OK;
}

Err sql_template_compile(const Sql *sql, Str text, Arena *arena, const SqlTemplate **out, SqlFault *fault) {
    if (text.len > SQL_TEXT_BYTES_MAX || !str_is_utf8(text)) {
        *fault = (SqlFault){ .line = 1,
                             .column = 1,
                             .found = S("other bytes"),
                             .expected = S("at most 131072 bytes of UTF-8"),
                             .text = S("the template is longer than 131072 bytes, or not valid UTF-8") };
        return text.len > SQL_TEXT_BYTES_MAX ? ERR_LIMIT : ERR_INVALID;
    }
    SqlTemplate *t = arena_new(arena, SqlTemplate);
    t->text = str_dup(arena, text.ptr ? text : S(""));
    t->version = sql->version;
    SqlNames names = { sql->variables, sql->variables_n };
    Err e = compile(t, &names, arena, fault);
    if (e == OK) *out = t;
    return e;
}

bool sql_template_is_constant(const SqlTemplate *t) {
    return t->n == 1;
}

uint32_t sql_template_reaches_outside(const SqlTemplate *t) {
    return t->reach;
}

Err sql_template_render(const SqlTemplate *t, SqlMessage *message, const SqlEnv *env, const SqlVariables *variables,
                        Str *out, Str *why) {
    if (t->n == 1) {
        *out = t->text;
        return OK;
    }
    SqlRun r;
    sql_run_begin(&r, t->version, message, env);
    r.variables = variables;
    Writer w = writer_in(message->arena);
    for (size_t i = 0; i < t->n && r.run.err == OK; i++) {
        writer_bytes(&w, t->pieces[i].literal);
        if (!t->pieces[i].node) break;
        ExprValue v;
        expr_eval(&r.run, t->pieces[i].node, &v);
        Str text = expr_text(&r.run, &v);
        writer_bytes(&w, text);
        expr_steps(&r.run, text.len / 16);
    }
    sql_run_end(&r);
    if (r.run.err != OK) {
        *why = r.run.why;
        return r.run.err;
    }
    *out = writer_str(&w);
    return OK;
}
