/* The parser of expressions: operators by a language's table, functions by its lists, and what else it has through its
 * hook. Bounded: it nests no deeper than depth_max, and chains of operators do not nest at all. */
#pragma once

#include "expr/lexer.h"
#include "expr/node.h"

typedef struct ExprParser ExprParser;

typedef struct {
    const ExprOperator *operators;
    size_t operators_n;
    const ExprFns *const *functions;
    size_t functions_n;
    /* A primary expression of the language's own at the current token: false when there is none, so that the common
     * ones (constants, parentheses, calls, literals, CASE) are tried; true with *out, or with NULL after a fault. */
    bool (*primary)(ExprParser *p, const ExprNode **out);
    /* A bare name that is no call. */
    const ExprNode *(*name)(ExprParser *p, const ExprToken *word);
    const Str *reserved; /* words that are never names */
    size_t reserved_n;
    bool literals;             /* [..] and {..} */
    bool cases;                /* CASE v WHEN t THEN r ELSE e END */
    const char *version_named; /* "SQL version", for faults; NULL: the language has none */
    const Str *versions;       /* names, for faults */
    int depth_max;
} ExprGrammar;

struct ExprParser {
    const ExprGrammar *grammar;
    Str text;
    Arena *arena;
    ExprToken token; /* the current one */
    size_t end;      /* of the last one taken */
    uint8_t version;
    bool whole_is_int; /* see value.h */
    int depth;
    void *host; /* the language's own */
    Err err;
    ExprFault *fault;
};

/* Begin at byte `at`. The text must outlive what is parsed of it: keep it in the arena. */
void expr_parser_begin(ExprParser *p, const ExprGrammar *g, Str text, size_t at, Arena *arena, ExprFault *fault);

/* NULL after a fault. */
const ExprNode *expr_parse(ExprParser *p);

void expr_advance(ExprParser *p);
bool expr_take_symbol(ExprParser *p, char c); /* goes on behind it, if it is there */
bool expr_take_word(ExprParser *p, Str word);
bool expr_need_symbol(ExprParser *p, char c); /* a fault if it is not there */
ExprToken expr_peek(const ExprParser *p);     /* the token behind the current one */
bool expr_deeper(ExprParser *p);              /* a fault at depth_max; pair with p->depth-- */

/* Records the first fault, at the current token; returns NULL. */
const ExprNode *expr_expected(ExprParser *p, const char *format, ...) PRINTF_LIKE(2, 3);
/* A sentence about the token, where "expected" does not say it. */
const ExprNode *expr_refuse(ExprParser *p, const ExprToken *at, Err e, const char *expected, const char *format, ...)
    PRINTF_LIKE(5, 6);

/* A node over the text from `at` to the end of the last token taken. */
ExprNode *expr_node(ExprParser *p, ExprEval *eval, uint32_t at, const ExprNode *const *kids, size_t n);
const ExprNode *expr_constant(ExprParser *p, uint32_t at, ExprValue v);
/* A call of a function of the grammar's lists, with arguments that are parsed already. */
const ExprNode *expr_call(ExprParser *p, const ExprToken *name, const ExprNode *const *args, size_t n);

/* `.name` and `[index]` behind a primary. */
const ExprNode *expr_parse_postfix(ExprParser *p, const ExprNode *base, uint32_t at);

/* A list of nodes that grows. */
typedef struct {
    const ExprNode **items;
    size_t n, cap;
} ExprNodes;
void expr_nodes_add(Arena *arena, ExprNodes *list, const ExprNode *node);

bool expr_is_constant(const ExprNode *n); /* then n->value */
