/* A compiled expression: a tree whose nodes each know how to evaluate themselves, so that a language adds its own kinds
 * beside those of this folder. Made in one arena, then only read, by any number of threads. */
#pragma once

#include "expr/run.h"

typedef struct ExprFn ExprFn;
typedef struct ExprOperator ExprOperator;
typedef void ExprEval(ExprRun *run, const ExprNode *node, ExprValue *out);

struct ExprNode {
    ExprEval *eval;
    const ExprNode **kids;
    uint32_t n;       /* kids */
    uint32_t at, len; /* where it stands in the text */
    uint32_t reach;   /* bits of the language's: what it or anything below it reaches */
    Str text;         /* itself as written, for explanations */
    union {
        ExprValue value;                  /* a constant */
        Str name;                         /* a member's name */
        Str *names;                       /* keys of an object */
        const ExprFn *fn;                 /* a call */
        const ExprOperator *const *chain; /* n - 1 operators between n kids */
        const ExprOperator *prefix;
        const void *data; /* the language's own */
    };
    const void *prepared; /* what a function made of its constant arguments */
};

void expr_note(ExprRun *run, const ExprNode *node);

static inline void expr_eval(ExprRun *run, const ExprNode *node, ExprValue *out) {
    if (!expr_steps(run, 1)) {
        *out = expr_undefined();
        return;
    }
    if (!run->notes) {
        node->eval(run, node, out);
        return;
    }
    size_t before = run->notes->made;
    run->notes->pending = STR_NONE;
    node->eval(run, node, out);
    if (out->type == EXPR_UNDEFINED && run->notes->made == before) expr_note(run, node);
}

/* An operator: two operands (or one, as a prefix) of a level; a higher level binds tighter. */
struct ExprOperator {
    Str spelled; /* a symbol, or a word in any case */
    uint8_t level;
    bool prefix;
    /* May be false: then `false AND x` is settled without x. */
    bool lazy_on_false;
    void (*apply)(ExprRun *run, const ExprOperator *op, const ExprValue *a, const ExprValue *b, ExprValue *out);
};

/* A function. Its arguments are converted by `takes` before it is called, one letter each, the last for all further
 * ones; an argument that cannot be makes the result Undefined, as does a wrong number of them:
 *   v anything but a binary payload   b that, too   s String
 *   n number (a String by the standard conversion)   i Int, a fraction rounded down
 *   t Int, a fraction cut       r Int by the standard conversion
 * A number beyond the Ints is the largest one for t. */
struct ExprFn {
    Str name; /* in any case */
    uint8_t args_min, args_max;
    uint8_t since; /* the language's version that has it first */
    const char *takes;
    /* NULL: `eval` sees to all of it, arguments included */
    void (*call)(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out);
    ExprEval *eval;
    double (*real)(double); /* for functions of one double, which share a `call` */
    bool quiet;             /* an Undefined argument is what it is about, and needs no explanation */
    /* Looks at constant arguments once, when the text is compiled; NULL: nothing to prepare.
     * What it returns is node->prepared. */
    const void *(*prepare)(const ExprNode *node, Arena *arena);
    uint32_t reach;
};

enum { EXPR_ARGS_ANY = 255 };

typedef struct {
    const ExprFn *items;
    size_t n;
} ExprFns;
