/* Validation of a typed struct against its table: required members, lengths, ranges, enums, patterns.
 * Inputs before a handler sees them; in tests every output, too. */
#pragma once

#include "api/pattern.h"

/* Shape:  *why = "2 validation errors detected: Value 'x' at 'thingName' failed to satisfy constraint: …; Value …"
 *         (at most API_FAULTS_MAX of them), as AWS says it; the values of secret shapes are not shown
 * Errors: ERR_INVALID
 * Source: aws/aws-sdk-java issue 666; awsdocs/aws-cloudformation-user-guide pulls 457 and 458 */
enum { API_FAULTS_MAX = 16 };
/* patterns NULL: values are not held against patterns. */
NODISCARD Err api_validate(Arena *a, const ApiService *service, const ApiPatterns *patterns, const ApiShape *shape,
                           const void *in, Str *why);
