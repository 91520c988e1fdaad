/* Formatting for the hot path: what printf writes, for the few directives that most texts are made of. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* Writes at most cap bytes to out, unterminated, and the text's whole length to *len.
 * Directives: %s %.*s %c %d %u %ld %lld %llu %zu %x (and their zero-padded widths) and %%. false: the format has
 * another one, and nothing can be said; args are used up in every case. */
bool format_simple(char *out, size_t cap, size_t *len, const char *format, va_list args);
