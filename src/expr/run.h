/* A run: one evaluation of one or more expressions, with its bounds, and the notes of why something became Undefined.
 * The first error sticks: evaluation goes on with Undefined, and whoever began the run looks at `err` at its end. */
#pragma once

#include "base/writer.h"
#include "expr/value.h"

typedef struct ExprNode ExprNode;

/* One place where a value became Undefined that had been none before. */
typedef struct {
    const ExprNode *node;
    Str why;
} ExprNote;

typedef struct {
    ExprNote *items;
    size_t n, n_max;
    size_t made;   /* counts on where n stops */
    Str pending;   /* said by whoever is about to return Undefined */
    size_t hidden; /* > 0: what becomes Undefined now is meant to be looked at, not explained */
} ExprNotes;

typedef struct {
    Arena *arena;
    bool whole_is_int; /* 10.0 is the Int 10 */
    int64_t steps_left;
    size_t value_bytes_max; /* of one string or array that a function makes */
    size_t made_bytes_left; /* of all of them */
    ExprNotes *notes;       /* NULL: nobody asks */
    Err err;
    Str why;    /* of err */
    void *host; /* the language's own */
} ExprRun;

enum { EXPR_DEPTH_MAX = 512 }; /* of the values that a run walks: deeper ones end it */

void expr_fail(ExprRun *run, Err e, const char *format, ...) PRINTF_LIKE(3, 4);
void expr_exhausted(ExprRun *run); /* ERR_LIMIT: too many steps */
/* Takes n steps; false when the run has failed, as it does when there are not as many left. */
static inline bool expr_steps(ExprRun *run, size_t n) {
    if ((uint64_t)run->steps_left < n) expr_exhausted(run);
    if (run->err != OK) return false;
    run->steps_left -= (int64_t)n;
    return true;
}
/* Room for a string or array that is made; NULL, and the run fails, when it is too large. */
void *expr_make(ExprRun *run, size_t bytes);
ExprValue *expr_make_items(ExprRun *run, size_t n);
ExprMember *expr_make_members(ExprRun *run, size_t n);

/* Undefined, because of what the text says; formatted only when somebody asks. */
ExprValue expr_because(ExprRun *run, const char *format, ...) PRINTF_LIKE(2, 3);
/* A value as an explanation shows it: its type, and the beginning of its JSON. */
Str expr_shown(ExprRun *run, const ExprValue *v);

/* Minified JSON. An Undefined member or item is left out; an Undefined value writes nothing. Bytes are base64. */
void expr_write(ExprRun *run, Writer *w, const ExprValue *v);
/* STR_NONE when the run failed. */
Str expr_to_json(ExprRun *run, const ExprValue *v);
void expr_write_string(Writer *w, Str s); /* quoted and escaped */

/* As `=` of the languages has it: numbers by value, arrays in order, objects in any order; different types differ.
 * Neither is Undefined. */
bool expr_equal(ExprRun *run, const ExprValue *a, const ExprValue *b);
