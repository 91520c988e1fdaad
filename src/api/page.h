/* Pages of lists: the token is the last key that was given out, opaque and checked, so it survives restarts, and
 * what is inserted or deleted between two pages moves nothing. Pure. */
#pragma once

#include "api/call.h"
#include "api/op.h"

/* scope: what the key means (an operation's name and its filters), so that one list's token opens no other. */
Str page_token(Arena *a, Str scope, Str last_key);
/* Shape:  *last_key = STR_NONE for an absent or empty token: the first page
 * Errors: ERR_INVALID: not made by page_token for this scope */
NODISCARD Err page_token_read(Arena *a, Str scope, Str token, Str *last_key);
/* The same for a handler, with the call's operation and account in the scope.
 * Errors: ERR_API: the service's error for an invalid value, "Invalid next token" */
NODISCARD Err page_begin(Call *c, Str filters, Str token, Str *last_key);
Str page_next(Call *c, Str filters, Str last_key);
/* asked, or `otherwise` where nothing is asked, within 1 and most. */
size_t page_size(OptInt asked, size_t otherwise, size_t most);
