/* Rates: AWS's limits of how often an account may call each API operation, with --aws-quotas. Safe from every thread.
 */
#pragma once

#include "api/op.h"

typedef struct Rates Rates;

Rates *rates_new(void);
void rates_free(Rates *r); /* accepts NULL */

/* One call of this operation; false: it is one too many at this time. Units: now_ms of any clock that goes forward */
bool rates_take(Rates *r, Str account, const ApiOp *op, int64_t now_ms);
/* Calls a second that the operation may get. */
uint32_t rates_limit(const ApiOp *op);
