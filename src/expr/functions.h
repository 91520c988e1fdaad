/* The functions that the expression languages share, in lists for their grammars. What they do with which arguments is
 * stated in each list, what they give in the AWS IoT developer guide, SQL functions. */
#pragma once

#include "expr/node.h"

extern const ExprFns expr_math_functions;       /* abs ... trunc, bits */
extern const ExprFns expr_text_functions;       /* chr ... upper, concat */
extern const ExprFns expr_regexp_functions;     /* regexp_... */
extern const ExprFns expr_hash_functions;       /* md2 ... sha512 */
extern const ExprFns expr_time_functions;       /* parse_time, time_to_epoch */
extern const ExprFns expr_collection_functions; /* get, isNull, isUndefined, nanvl, transform */

/* Letters in the other case, of all scripts. */
Str expr_lower(ExprRun *run, Str s);
Str expr_upper(ExprRun *run, Str s);
