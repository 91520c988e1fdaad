/* Answer: the bytes that an output or a failure becomes. Pure. */
#pragma once

#include "api/dispatch.h"

/* Errors: ERR_INVALID: the output breaks its model or holds what JSON cannot say (bytes that are no UTF-8);
 *         *why says what. With `check` the whole output is validated first. */
NODISCARD Err answer_output(Call *c, const void *out, bool check, ApiResponse *rs, Str *why);
/* The failure of the Call. */
void answer_failure(Call *c, ApiResponse *rs);
