/* The operators that the expression languages share, for their tables: what each makes of the types it is given.
 * Source: AWS IoT developer guide, SQL operators */
#pragma once

#include "expr/node.h"

typedef void ExprApply(ExprRun *run, const ExprOperator *op, const ExprValue *a, const ExprValue *b, ExprValue *out);

ExprApply expr_apply_and, expr_apply_or, expr_apply_not;
ExprApply expr_apply_equal, expr_apply_unequal;
ExprApply expr_apply_less, expr_apply_less_equal, expr_apply_greater, expr_apply_greater_equal;
ExprApply expr_apply_in;
ExprApply expr_apply_add, expr_apply_sub, expr_apply_mul, expr_apply_div, expr_apply_rem, expr_apply_negate;
