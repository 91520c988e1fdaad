/* Bind: fills an operation's typed input from the places of a request: path, query, headers, body. Pure and total. */
#pragma once

#include "api/dispatch.h"

/* Shape:  in = the zeroed input struct of m->op
 * Errors: ERR_MALFORMED or ERR_LIMIT; *why says where and what would be right
 * Owns:   strings live in the arena or the request */
NODISCARD Err api_bind(Arena *a, const ApiMatch *m, const ApiRequest *rq, void *in, Str *why);
