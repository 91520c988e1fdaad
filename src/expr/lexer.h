/* The words of an expression language: one lexer for all of them, as they differ in grammar and not in words. Pure:
 * what follows a place is a function of that place, so a parser looks ahead by lexing from further on. */
#pragma once

#include "base/arena.h"
#include "expr/fault.h"

typedef enum {
    EXPR_END,    /* of the text */
    EXPR_WORD,   /* a name or a keyword: [A-Za-z_][A-Za-z0-9_]*, or any byte beyond ASCII among them */
    EXPR_NUMBER, /* 1, 1.5, 1.5e-3 */
    EXPR_QUOTED, /* 'text' or "text" */
    EXPR_SYMBOL, /* one of `symbols` below, the longest that fits */
    EXPR_BAD,    /* nothing of these */
} ExprTokenType;

typedef struct {
    ExprTokenType type;
    uint32_t at, len; /* bytes of the whole text */
    Str text;         /* of EXPR_QUOTED still with its quotes */
    const char *bad;  /* EXPR_BAD: what is wrong with it */
} ExprToken;

/* The token that begins at or behind `at`. */
ExprToken expr_lex(Str text, size_t at);

/* What a quoted token says: without quotes; \' \" \\ and a doubled quote are one character, any other
 * backslash stays, so that a regular expression need not double its own.
 * Owns: borrowed where nothing changes, else in the arena */
Str expr_unquote(const ExprToken *t, Arena *arena);

static inline bool expr_is_word(const ExprToken *t, Str word) { /* in any case */
    return t->type == EXPR_WORD && str_eq_nocase(t->text, word);
}
static inline bool expr_is_symbol(const ExprToken *t, char c) {
    return t->type == EXPR_SYMBOL && t->len == 1 && t->text.ptr[0] == c;
}

void expr_place(Str text, size_t at, int32_t *line, int32_t *column);
