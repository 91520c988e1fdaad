/* Values of the expression languages. One borrows from the JSON document that it was read from, or is made in a run's
 * arena; it is never changed once it is there. Functions of the hot path write it where it is to be: to copy one that
 * has just been written in parts stalls the processor. */
#pragma once

#include "base/json.h"
#include "expr/decimal.h"

typedef enum {
    EXPR_UNDEFINED, /* not there; what a function makes of what it cannot use */
    EXPR_NULL,
    EXPR_BOOLEAN,
    EXPR_INT,
    EXPR_DECIMAL,
    EXPR_STRING, /* UTF-8 */
    EXPR_ARRAY,
    EXPR_OBJECT,
    EXPR_BYTES, /* a payload that is no JSON; only few functions take it */
    EXPR_TYPES
} ExprType;

typedef struct ExprValue ExprValue;
typedef struct ExprMember ExprMember;

struct ExprValue {
    ExprType type;
    bool built; /* an array or object in `items` or `members`; else in `json` */
    uint32_t n; /* built: how many */
    union {
        bool boolean;
        ExprInt i;
        Decimal d;
        Str s;
        yyjson_val *json; /* read with numbers as text */
        ExprValue *items;
        ExprMember *members;
    };
};

struct ExprMember {
    Str key;
    ExprValue value;
};

static inline ExprValue expr_undefined(void) {
    return (ExprValue){ .type = EXPR_UNDEFINED };
}
static inline ExprValue expr_null(void) {
    return (ExprValue){ .type = EXPR_NULL };
}
static inline ExprValue expr_boolean(bool b) {
    return (ExprValue){ .type = EXPR_BOOLEAN, .boolean = b };
}
static inline ExprValue expr_string(Str s) {
    return (ExprValue){ .type = EXPR_STRING, .s = s };
}
static inline ExprValue expr_items(ExprValue *items, size_t n) {
    return (ExprValue){ .type = EXPR_ARRAY, .built = true, .n = (uint32_t)n, .items = items };
}
static inline ExprValue expr_members(ExprMember *members, size_t n) {
    return (ExprValue){ .type = EXPR_OBJECT, .built = true, .n = (uint32_t)n, .members = members };
}
/* Beyond 34 digits a whole number becomes a rounded decimal. */
ExprValue expr_int_rounded(ExprInt i);
static inline ExprValue expr_int(ExprInt i) {
    return expr_int_fits(i) ? (ExprValue){ .type = EXPR_INT, .i = i } : expr_int_rounded(i);
}
/* whole_is_int: 10.0 becomes the Int 10, as the SQL has it since 2016. */
ExprValue expr_decimal(Decimal d, bool whole_is_int);
/* A number as JSON and the languages write it; Undefined where it is out of range. */
void expr_number(Str text, bool whole_is_int, ExprValue *out);
void expr_from_json(yyjson_val *v, bool whole_is_int, ExprValue *out);

static inline bool expr_is_number(const ExprValue *v) {
    return v->type == EXPR_INT || v->type == EXPR_DECIMAL;
}
/* Of a number. */
static inline Decimal expr_as_decimal(const ExprValue *v) {
    return v->type == EXPR_INT ? decimal_from_int(v->i) : v->d;
}

/* Undefined where v is no array, or has no such item. */
void expr_item(const ExprValue *v, size_t i, bool whole_is_int, ExprValue *out);
/* Undefined where v is no object, or has no such member. The last of several with the same key counts. */
void expr_member(const ExprValue *v, Str key, bool whole_is_int, ExprValue *out);
yyjson_val *expr_find(yyjson_val *object, Str key); /* the same of a borrowed object; NULL: none */
/* Items or members; 0 for anything else. */
size_t expr_count(const ExprValue *v);

/* Walks an array or an object:
 *     for (ExprEach each = expr_each(v, whole); expr_next(&each);) ... each.key, each.value */
typedef struct {
    const ExprValue *of;
    size_t i, n;
    yyjson_val *at;
    bool whole_is_int;
    Str key; /* of an object's member */
    ExprValue value;
} ExprEach;
ExprEach expr_each(const ExprValue *v, bool whole_is_int);
bool expr_next(ExprEach *each);

const char *expr_type_name(ExprType t); /* "Int", "Undefined" */
