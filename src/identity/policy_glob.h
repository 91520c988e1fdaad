/* Glob: a pattern of literal text, `*` (any run, also of '/') and `?` (one character). MQTT's + and # are literal.
 * The wildcards are held as two bytes that UTF-8 never has, so a literal star needs no escape. */
#pragma once

#include "base/str.h"

enum { GLOB_ANY = 0xFF, GLOB_ONE = 0xFE };

typedef struct {
    Str pattern;   /* borrowed */
    size_t prefix; /* literal bytes at its start */
} Glob;

Glob glob_from(Str pattern);
bool glob_match(const Glob *g, Str text);
/* False when the text has a byte that a pattern would take for a wildcard. */
bool glob_is_literal(Str text);
