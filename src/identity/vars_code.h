/* Policy variables as bytes: a certificate's are stored with it, so that its first connection need not decode X.509. */
#pragma once

#include "identity/policy.h"

Str vars_encode(const PolicyVar *vars, size_t n, Arena *arena);
/* False where there is nothing to go by: empty, written by another version, or damaged; then the certificate is.
 * Owns: *out lives in the arena and borrows from the bytes */
bool vars_decode(Str bytes, Arena *arena, const PolicyVar **out, size_t *out_n);
