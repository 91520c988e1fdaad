/* How the common nodes evaluate themselves; the parser puts these into them. */
#pragma once

#include "expr/node.h"

void expr_eval_constant(ExprRun *run, const ExprNode *node, ExprValue *out);
void expr_eval_path(ExprRun *run, const ExprNode *node,
                    ExprValue *out); /* kids: a base, then constant keys or indexes */
void expr_eval_array(ExprRun *run, const ExprNode *node, ExprValue *out);
void expr_eval_object(ExprRun *run, const ExprNode *node, ExprValue *out);
void expr_eval_case(ExprRun *run, const ExprNode *node, ExprValue *out);
void expr_eval_call(ExprRun *run, const ExprNode *node, ExprValue *out);
void expr_eval_prefix(ExprRun *run, const ExprNode *node, ExprValue *out);
void expr_eval_chain(ExprRun *run, const ExprNode *node, ExprValue *out);

/* What get(collection, key) gives, and so does a path. */
void expr_get(ExprRun *run, const ExprValue *collection, const ExprValue *key, ExprValue *out);
