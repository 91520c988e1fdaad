/* Conversions between types, by table: the standard ones, that operators and functions apply to what they are given,
 * and those that cast asks for.
 * Source: AWS IoT developer guide, SQL data types (conversions), and cast */
#pragma once

#include "expr/run.h"

typedef enum { EXPR_TO_DECIMAL, EXPR_TO_INT, EXPR_TO_BOOLEAN, EXPR_TO_STRING, EXPR_TARGETS } ExprTarget;

/* Undefined where the table says so; Null stays Null on its way to a number. */
ExprValue expr_convert(ExprRun *run, const ExprValue *v, ExprTarget to);
ExprValue expr_cast(ExprRun *run, const ExprValue *v, ExprTarget to);

/* The text of a standard conversion to String; STR_NONE for Undefined. */
Str expr_text(ExprRun *run, const ExprValue *v);

/* Shape: ^-?\d+(\.\d+)?([eE]-?\d+)?$ -- what a String must be to be taken for a number */
bool expr_text_is_number(Str s);

/* A double's value as the languages have it; Undefined for NaN and infinities. */
ExprValue expr_double(ExprRun *run, double v);
