/* ApiPatterns: the patterns of all models, compiled once at start and shared by every thread. */
#pragma once

#include "api/op.h"
#include "base/arena.h"

typedef struct ApiPatterns ApiPatterns;

/* Errors: ERR_INVALID; *why names the pattern that does not compile and where it goes wrong */
NODISCARD Err api_patterns_new(const ApiService *const *services, size_t n, Arena *arena, ApiPatterns **out, Str *why);
void api_patterns_free(ApiPatterns *p); /* accepts NULL */

/* Does the whole value match? A value that takes more than the match limit does not. */
bool api_pattern_matches(const ApiPatterns *p, const ApiService *s, int32_t pattern, Str value);
