#include "identity/policy_glob.h"

/* Only the newest star is ever widened: whatever an earlier one could take, the newest can take as well. So a
 * match costs at most pattern bytes times text bytes, and most are decided by one memcmp of the literal prefix. */

bool glob_is_literal(Str text) {
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] >= GLOB_ONE) return false;
    return true;
}

Glob glob_from(Str pattern) {
    size_t n = 0;
    while (n < pattern.len && pattern.ptr[n] < GLOB_ONE) n++;
    return (Glob){ pattern, n };
}

/* After one character of UTF-8; stray bytes count as one each. */
static const uint8_t *next_char(const uint8_t *t, const uint8_t *end) {
    if (*t++ < 0xC0) return t;
    while (t < end && (*t & 0xC0) == 0x80) t++;
    return t;
}

static bool match_rest(const uint8_t *p, const uint8_t *p_end, const uint8_t *t, const uint8_t *t_end) {
    const uint8_t *star = NULL, *star_text = NULL; /* after the newest star; where its run ends */
    while (t < t_end || p < p_end) {
        if (p < p_end && *p == GLOB_ANY) {
            star = ++p;
            star_text = t;
            if (p == p_end) return true;
        } else if (p < p_end && t < t_end && (*p == GLOB_ONE || *p == *t)) {
            t = *p == GLOB_ONE ? next_char(t, t_end) : t + 1;
            p++;
        } else if (star && star_text < t_end) {
            star_text = next_char(star_text, t_end);
            p = star;
            t = star_text;
        } else {
            return false;
        }
    }
    return true;
}

bool glob_match(const Glob *g, Str text) {
    if (text.len < g->prefix || memcmp(text.ptr ? text.ptr : (const uint8_t *)"", g->pattern.ptr, g->prefix) != 0)
        return false;
    if (g->prefix == g->pattern.len) return text.len == g->prefix;
    const uint8_t *t = text.ptr ? text.ptr : (const uint8_t *)"";
    return match_rest(g->pattern.ptr + g->prefix, g->pattern.ptr + g->pattern.len, t + g->prefix, t + text.len);
}
