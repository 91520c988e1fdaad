/* Texts for bytes: hex, base64, percent-encoding. Pure; results live in the arena. */
#pragma once

#include "base/arena.h"

Str hex_encode(Arena *a, Str bytes); /* lower case */
NODISCARD Err hex_decode(Arena *a, Str text, Str *out);
Str base64_encode(Arena *a, Str bytes); /* padded. Source: RFC 4648 section 4 */
/* Accepts the standard and the URL-safe alphabet, padded or not. */
NODISCARD Err base64_decode(Arena *a, Str text, Str *out);
/* Everything but A-Za-z0-9-._~ (and '/' when keep_slash) becomes %XX, upper case. Source: SigV4's UriEncode */
Str percent_encode(Arena *a, Str bytes, bool keep_slash);
/* plus_is_space: as in a query string. Errors: ERR_MALFORMED for a '%' without two hex digits */
NODISCARD Err percent_decode(Arena *a, Str text, bool plus_is_space, Str *out);
