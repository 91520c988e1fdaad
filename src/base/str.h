/* Str: bytes that somebody else owns. Not terminated, may hold zeros, ptr NULL means absent.
 * A name that says dup makes a copy; nothing else here does. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"

typedef struct {
    const uint8_t *ptr;
    size_t len;
} Str;

#define STR_INIT(lit)                                                                                                  \
    { (const uint8_t *)("" lit), sizeof(lit) - 1 } /* for static tables */
#define S(lit) ((Str)STR_INIT(lit))
#define STR_NONE ((Str){ NULL, 0 })
#define PS(s) (int)(s).len, (const char *)(s).ptr /* for "%.*s" */

static inline Str str_c(const char *c) {
    return (Str){ (const uint8_t *)c, c ? strlen(c) : 0 };
}
static inline bool str_eq(Str a, Str b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}
/* from..to, both clamped to the length */
static inline Str str_sub(Str s, size_t from, size_t to) {
    if (to > s.len) to = s.len;
    if (from > to) from = to;
    return (Str){ s.ptr ? s.ptr + from : NULL, to - from };
}
static inline Str str_from(Str s, size_t from) {
    return str_sub(s, from, s.len);
}
static inline bool str_starts(Str s, Str prefix) {
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}
static inline bool str_ends(Str s, Str suffix) {
    return s.len >= suffix.len && (suffix.len == 0 || memcmp(s.ptr + s.len - suffix.len, suffix.ptr, suffix.len) == 0);
}

int str_cmp(Str a, Str b);        /* byte order, a shorter prefix first */
bool str_eq_nocase(Str a, Str b); /* ASCII */
/* Index of the first c, or SIZE_MAX. */
size_t str_find(Str s, char c);
/* Index of the first needle, or SIZE_MAX. */
size_t str_find_str(Str s, Str needle);
/* What is behind the last c; all of it where there is none. */
Str str_after_last(Str s, char c);
/* Cuts *rest at the first c: returns what is before, leaves what is after (STR_NONE when none is left). */
Str str_cut(Str *rest, char c);
/* Copies the bytes of each to `at`, one behind the other, and has it point there. Returns their end. */
uint8_t *str_pack(uint8_t *at, Str *const strings[], size_t n);
Str str_trim(Str s); /* ASCII white space at both ends */
uint64_t str_hash(Str s);
/* Shape:  decimal digits, an optional leading '-', nothing else
 * Errors: ERR_MALFORMED, ERR_LIMIT beyond 64 bits */
NODISCARD Err str_to_i64(Str s, int64_t *out);
/* True for well-formed UTF-8 without surrogates. Source: RFC 3629, MQTT 5 section 1.5.4 */
bool str_is_utf8(Str s);
/* Number of Unicode code points of valid UTF-8. */
size_t str_code_points(Str s);
