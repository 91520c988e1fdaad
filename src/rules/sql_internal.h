/* What the files of the SQL share: the compiled statement, and a run of it. */
#pragma once

#include "expr/convert.h"
#include "expr/functions.h"
#include "expr/parse.h"
#include "rules/sql.h"

typedef enum {
    SQL_ITEM,   /* an expression, under its name */
    SQL_STAR,   /* `*`: all members of the payload, or of a nested query's element */
    SQL_SPREAD, /* `path.*`, or an object literal without a name: all its members */
} SqlItemKind;

typedef struct {
    SqlItemKind kind;
    const ExprNode *node;
    Str *path; /* SQL_ITEM: the name, `AS a.b` has two parts */
    size_t path_n;
} SqlItem;

typedef struct {
    bool value; /* SELECT VALUE: the one item is the result */
    SqlItem *items;
    size_t n;
} SqlSelect;

struct Sql {
    Str text;
    SqlVersion version;
    Str filter;
    SqlSelect select;
    const ExprNode *where; /* NULL: none */
    Str variables[SQL_VARIABLES_MAX];
    const ExprNode *variable_nodes[SQL_VARIABLES_MAX];
    size_t variables_n;
    uint32_t reach;
};

typedef struct {
    SqlSelect select;
    const ExprNode *from;
    Str name; /* FROM ... AS name; STR_NONE: none */
    const ExprNode *where;
    bool exists; /* only whether there is one */
} SqlNested;

struct SqlMessage {
    SqlMessageIn in;
    Arena *arena;
    Str topic; /* as topic() shows it */
    bool parsed;
    yyjson_val *json; /* NULL: the payload is none */
};

yyjson_val *sql_message_json(SqlMessage *m); /* parsed once */
/* The payload: its JSON value, or EXPR_BYTES. */
void sql_message_root(SqlMessage *m, bool whole_is_int, ExprValue *out);

struct SqlVariables {
    size_t n;
    ExprValue values[SQL_VARIABLES_MAX];
};

typedef struct SqlScope SqlScope;
struct SqlScope { /* of a nested query, while it looks at one element */
    const SqlScope *outer;
    Str name;
    ExprValue element;
};

typedef struct {
    ExprRun run; /* run.host is this */
    ExprNotes notes;
    ExprNote note_items[SQL_UNDEFINED_MAX];
    SqlMessage *message;
    const SqlEnv *env;
    SqlVersion version;
    const SqlVariables *variables;
    const SqlScope *scope;           /* NULL: the payload's */
    uint8_t once[SQL_OUTSIDE_KINDS]; /* how often each was called */
    bool outside_failed;             /* run.err is an outside call's */
} SqlRun;

static inline SqlRun *sql_host(ExprRun *run) {
    return run->host;
}
void sql_run_begin(SqlRun *r, SqlVersion version, SqlMessage *message, const SqlEnv *env);
void sql_run_end(SqlRun *r); /* gives the steps that are left back */

/* ---- the grammar ---- */

extern const Str SQL_VERSION_NAMES[];

/* What the parser of a statement or template carries: p->host. */
typedef struct {
    const Str *variables;
    size_t variables_n;
} SqlNames;

void sql_parser_begin(ExprParser *p, SqlVersion version, const SqlNames *names, Str text, size_t at, Arena *arena,
                      ExprFault *fault);
bool sql_parse_select(ExprParser *p, SqlSelect *out); /* behind SELECT, up to FROM */

void sql_eval_star(ExprRun *run, const ExprNode *node, ExprValue *out);
void sql_eval_name(ExprRun *run, const ExprNode *node, ExprValue *out);
void sql_eval_variable(ExprRun *run, const ExprNode *node, ExprValue *out);
void sql_eval_cast(ExprRun *run, const ExprNode *node, ExprValue *out);
void sql_eval_nested(ExprRun *run, const ExprNode *node, ExprValue *out);

/* The result of a SELECT in the current scope. */
void sql_select(ExprRun *run, const SqlSelect *select, ExprValue *out);
bool sql_holds(ExprRun *run, const ExprNode *where); /* NULL: yes */

/* ---- functions ---- */

extern const ExprFns sql_message_functions; /* topic, clientid, timestamp, ... */
extern const ExprFns sql_codec_functions;   /* encode, decode, get_or_default */
extern const ExprFns sql_outside_functions; /* get_thing_shadow, aws_lambda, ... */

/* Asks outside; false, and the run has failed, when there is no answer. */
bool sql_outside(ExprRun *run, const SqlOutsideCall *call, Str *out);
/* The bytes of an argument that is `*`, else STR_NONE: what is encoded or sent is what came. */
Str sql_whole_payload(ExprRun *run, const ExprNode *arg);
/* Bytes as text: what is no UTF-8 becomes U+FFFD, as Java has it. */
Str sql_as_text(ExprRun *run, Str bytes);
