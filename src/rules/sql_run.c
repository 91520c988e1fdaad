#include "expr/eval.h"
#include "rules/sql_internal.h"

/* A run is bounded three ways: steps (every node, every element that is looked at, every few bytes written), the size
 * of a single value and the size of all that is made. Depth is the statement's, which the parser bounded, and the
 * payload's, which whoever walks a value bounds. */

SqlMessage *sql_message_open(const SqlMessageIn *in, Arena *arena) {
    SqlMessage *m = arena_new(arena, SqlMessage);
    m->in = *in;
    if (!m->in.payload.ptr) m->in.payload = S("");
    m->arena = arena;
    m->topic = in->topic.ptr ? in->topic : S("");
    Str rest = m->topic;
    if (str_starts(rest, S("$aws/rules/"))) { /* basic ingest: `$aws/rules/NAME/` goes */
        rest = str_from(rest, 11);
        size_t slash = str_find(rest, '/');
        m->topic = slash == SIZE_MAX ? S("") : str_from(rest, slash + 1);
    }
    return m;
}

yyjson_val *sql_message_json(SqlMessage *m) {
    if (!m->parsed) {
        m->parsed = true;
        if (json_read(m->arena, m->in.payload, true, &m->json, NULL) != OK) m->json = NULL;
    }
    return m->json;
}

void sql_message_root(SqlMessage *m, bool whole_is_int, ExprValue *out) {
    yyjson_val *json = sql_message_json(m);
    if (json)
        expr_from_json(json, whole_is_int, out);
    else
        *out = (ExprValue){ .type = EXPR_BYTES, .s = m->in.payload };
}

void sql_run_begin(SqlRun *r, SqlVersion version, SqlMessage *message, const SqlEnv *env) {
    r->run = (ExprRun){ .arena = message->arena,
                        .whole_is_int = version >= SQL_2016_03_23,
                        .steps_left = env->steps ? *env->steps : SQL_STEPS_MAX,
                        .value_bytes_max = SQL_VALUE_BYTES_MAX,
                        .made_bytes_left = SQL_MADE_BYTES_MAX,
                        .host = r };
    if (env->explain) {
        r->notes = (ExprNotes){ .items = r->note_items, .n_max = SQL_UNDEFINED_MAX };
        r->run.notes = &r->notes;
    }
    r->message = message;
    r->env = env;
    r->version = version;
    r->variables = NULL;
    r->scope = NULL;
    memset(r->once, 0, sizeof r->once);
    r->outside_failed = false;
}

void sql_run_end(SqlRun *r) {
    if (r->env->steps) *r->env->steps = r->run.steps_left;
}

static void explain(SqlRun *r, Str text, SqlResult *out) {
    if (!r->run.notes) return;
    SqlUndefined *list = arena_array(r->run.arena, SqlUndefined, r->notes.n + 1);
    for (size_t i = 0; i < r->notes.n; i++) {
        const ExprNode *node = r->notes.items[i].node;
        list[i] = (SqlUndefined){ .expression = node->text, .why = r->notes.items[i].why };
        expr_place(text, node->at, &list[i].line, &list[i].column);
    }
    out->undefined = list;
    out->undefined_n = r->notes.n;
}

/* SET's values, in order; each sees those before it. All together they may be as large as one. */
static const SqlVariables *set_variables(SqlRun *r, const Sql *sql) {
    if (sql->variables_n == 0) return NULL;
    SqlVariables *v = arena_new(r->run.arena, SqlVariables);
    size_t bytes = 0;
    r->variables = v;
    for (size_t i = 0; i < sql->variables_n && r->run.err == OK; i++) {
        expr_eval(&r->run, sql->variable_nodes[i], &v->values[i]);
        v->n = i + 1;
        if (v->values[i].type == EXPR_BYTES)
            v->values[i] =
                expr_because(&r->run, "a payload that is no JSON goes into a variable by encode or decode only");
        bytes += expr_to_json(&r->run, &v->values[i]).len;
        if (bytes > SQL_VALUE_BYTES_MAX)
            expr_fail(&r->run, ERR_LIMIT, "the variables of SET are larger than %d bytes", SQL_VALUE_BYTES_MAX);
    }
    return v;
}

enum { OUTPUT_BYTES_FIRST = 256 };

static void write_output(SqlRun *r, const Sql *sql, SqlResult *out) {
    ExprValue v;
    sql_select(&r->run, &sql->select, &v);
    if (v.type == EXPR_BYTES) {
        out->binary = true;
        out->output = v.s;
        return;
    }
    if (r->version < SQL_2016_03_23 && sql->select.value && v.type == EXPR_ARRAY) {
        v = expr_because(&r->run, "SQL version 2015-10-08 has no Array as a result");
        expr_note(&r->run, sql->select.items[0].node);
    }
    Writer w = writer_in(r->run.arena);
    writer_extend(&w, OUTPUT_BYTES_FIRST);
    w.len = 0;
    expr_write(&r->run, &w, &v);
    out->output = writer_str(&w);
}

Err sql_run(const Sql *sql, SqlMessage *message, const SqlEnv *env, SqlResult *out) {
    SqlRun r;
    SqlResult result = { 0 };
    sql_run_begin(&r, sql->version, message, env);
    result.variables = set_variables(&r, sql);
    if (sql_holds(&r.run, sql->where) && r.run.err == OK) {
        result.matched = true;
        write_output(&r, sql, &result);
    }
    if (r.run.err != OK) {
        result.matched = result.binary = false;
        result.output = STR_NONE;
        result.why = r.run.why;
    }
    sql_run_end(&r);
    explain(&r, sql->text, &result);
    *out = result;
    return r.run.err;
}
