/* PEM: DER as text between BEGIN and END lines. Pure. Encrypted blocks and header lines are not taken.
 * Source: RFC 7468. */
#pragma once

#include "base/arena.h"

/* The next block with this label ("CERTIFICATE"); blocks of others and text between are passed over.
 * *rest is moved behind it.
 * Errors: ERR_NOT_FOUND (no block left), ERR_MALFORMED (no END line, or not base64) */
NODISCARD Err pem_next(Str *rest, Str label, Arena *arena, Str *out_der);
/* Lines of 64, a newline at the end. */
Str pem_encode(Arena *arena, Str label, Str der);
