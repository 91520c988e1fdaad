#include "base/str.h"

int str_cmp(Str a, Str b) {
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n ? memcmp(a.ptr, b.ptr, n) : 0;
    if (c) return c;
    return a.len < b.len ? -1 : a.len > b.len;
}

static uint8_t lower(uint8_t c) {
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

bool str_eq_nocase(Str a, Str b) {
    if (a.len != b.len) return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.ptr[i]) != lower(b.ptr[i])) return false;
    return true;
}

size_t str_find(Str s, char c) {
    const uint8_t *at = s.len ? memchr(s.ptr, c, s.len) : NULL;
    return at ? (size_t)(at - s.ptr) : SIZE_MAX;
}

Str str_after_last(Str s, char c) {
    size_t at = s.len;
    while (at > 0 && s.ptr[at - 1] != (uint8_t)c) at--;
    return str_from(s, at);
}

size_t str_find_str(Str s, Str needle) {
    if (needle.len == 0) return 0;
    for (size_t i = 0; i + needle.len <= s.len; i++)
        if (memcmp(s.ptr + i, needle.ptr, needle.len) == 0) return i;
    return SIZE_MAX;
}

Str str_cut(Str *rest, char c) {
    size_t at = str_find(*rest, c);
    Str whole = *rest;
    if (at == SIZE_MAX) {
        *rest = STR_NONE;
        return whole;
    }
    *rest = str_from(whole, at + 1);
    return str_sub(whole, 0, at);
}

static bool is_space(uint8_t c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

uint8_t *str_pack(uint8_t *at, Str *const strings[], size_t n) {
    for (size_t i = 0; i < n; i++) {
        Str *s = strings[i];
        if (!s->ptr) continue;
        memcpy(at, s->ptr, s->len);
        s->ptr = at;
        at += s->len;
    }
    return at;
}

Str str_trim(Str s) {
    while (s.len && is_space(s.ptr[0])) s = str_from(s, 1);
    while (s.len && is_space(s.ptr[s.len - 1])) s.len--;
    return s;
}

/* wyhash's mixing step over eight bytes at a time: short keys (topics, client ids) in a few multiplications. */
static uint64_t mix(uint64_t a, uint64_t b) {
    __extension__ typedef unsigned __int128 u128;
    u128 r = (u128)a * b;
    return (uint64_t)r ^ (uint64_t)(r >> 64);
}

uint64_t str_hash(Str s) {
    uint64_t h = 0x9e3779b97f4a7c15u ^ s.len, w;
    size_t i = 0;
    for (; i + 8 <= s.len; i += 8) {
        memcpy(&w, s.ptr + i, 8);
        h = mix(h ^ w, 0xe7037ed1a0b428dbu);
    }
    w = 0;
    if (i < s.len) memcpy(&w, s.ptr + i, s.len - i);
    return mix(h ^ w, 0x8ebc6af09c88c6e3u);
}

Err str_to_i64(Str s, int64_t *out) {
    bool negative = s.len && s.ptr[0] == '-';
    if (negative) s = str_from(s, 1);
    if (s.len == 0) return ERR_MALFORMED;
    uint64_t v = 0, max = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9') return ERR_MALFORMED;
        uint64_t d = s.ptr[i] - '0';
        if (v > (max - d) / 10) return ERR_LIMIT;
        v = v * 10 + d;
    }
    *out = negative ? (int64_t)(0 - v) : (int64_t)v;
    return OK;
}

/* The length of the sequence that starts at p, 0 when it is not well formed. */
static size_t utf8_step(const uint8_t *p, size_t left) {
    uint8_t c = p[0];
    if (c < 0x80) return 1;
    size_t n = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
    if (c < 0xC2 || c > 0xF4 || left < n) return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xC0) != 0x80) return 0;
    if (c == 0xE0 && p[1] < 0xA0) return 0; /* overlong */
    if (c == 0xED && p[1] > 0x9F) return 0; /* surrogate */
    if (c == 0xF0 && p[1] < 0x90) return 0; /* overlong */
    if (c == 0xF4 && p[1] > 0x8F) return 0; /* above U+10FFFF */
    return n;
}

bool str_is_utf8(Str s) {
    for (size_t i = 0; i < s.len;) {
        size_t n = utf8_step(s.ptr + i, s.len - i);
        if (n == 0) return false;
        i += n;
    }
    return true;
}

size_t str_code_points(Str s) {
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) n += (s.ptr[i] & 0xC0) != 0x80;
    return n;
}
