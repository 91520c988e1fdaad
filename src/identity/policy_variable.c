#include "identity/policy_variable.h"

/* A principal has some sixty variables at most, and they are looked up when a connection is made, so a walk does. */

enum { INDEX_DIGITS_MAX = 4 };

/* Names of attributes of a thing, in brackets, keep their case. */
static bool name_eq(Str a, Str b) {
    if (a.len != b.len) return false;
    size_t bracket = str_find(a, '[');
    return str_eq_nocase(str_sub(a, 0, bracket), str_sub(b, 0, bracket)) &&
           str_eq(str_from(a, bracket), str_from(b, bracket));
}

static const PolicyVar *find_in(const PolicyVar *vars, size_t n, Str name) {
    for (size_t i = 0; i < n; i++)
        if (name_eq(vars[i].name, name)) return &vars[i];
    return NULL;
}

static const PolicyVar *find(const PolicyScope *s, Str name) {
    const PolicyVar *v = find_in(s->bound, s->bound_n, name);
    return v ? v : find_in(s->extra, s->extra_n, name);
}

PolicyValues policy_values(const PolicyScope *scope, Str name) {
    const PolicyVar *v = find(scope, name);
    if (v) return (PolicyValues){ v->values, v->n, false };

    /* A tag's key in aws:ResourceTag/KEY may hold dots: such names have no suffix. */
    size_t dot = str_eq_nocase(str_sub(name, 0, 4), S("aws:")) ? 0 : name.len;
    while (dot > 0 && name.ptr[dot - 1] != '.') dot--;
    if (dot == 0 || !(v = find(scope, str_sub(name, 0, dot - 1)))) return (PolicyValues){ 0 };
    Str suffix = str_from(name, dot);
    if (str_eq_nocase(suffix, S("List"))) return (PolicyValues){ v->values, v->n, true };
    int64_t index;
    if (suffix.len > INDEX_DIGITS_MAX || str_to_i64(suffix, &index) != OK || index < 0 || (size_t)index >= v->n)
        return (PolicyValues){ 0 };
    return (PolicyValues){ v->values + index, 1, false };
}

PolicyValues policy_key_values(const PolicyScope *scope, Str key) {
    Str certificate = S("iot:Certificate.");
    PolicyValues v = policy_values(scope, key);
    if (v.n > 1 && !v.list && str_eq_nocase(str_sub(key, 0, certificate.len), certificate)) v.n = 1;
    return v;
}

Str policy_clean_certificate_value(Str value, Arena *arena) {
    if (!value.ptr || value.len > POLICY_CERTIFICATE_VALUE_BYTES_MAX || !str_is_utf8(value)) return STR_NONE;
    uint8_t *out = arena_bytes(arena, value.len * 2 + 1);
    size_t n = 0;
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.ptr[i];
        if (c == 0 || memchr("*$+?#", c, 5)) return STR_NONE;
        if (memchr(",\"\\=<>;", c, 7)) out[n++] = '\\';
        out[n++] = c;
    }
    return (Str){ out, n };
}
