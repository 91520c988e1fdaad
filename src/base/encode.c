#include "base/encode.h"

static const char HEX[] = "0123456789abcdef";

static int hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

Str hex_encode(Arena *a, Str bytes) {
    uint8_t *p = arena_bytes(a, bytes.len * 2);
    for (size_t i = 0; i < bytes.len; i++) {
        p[2 * i] = (uint8_t)HEX[bytes.ptr[i] >> 4];
        p[2 * i + 1] = (uint8_t)HEX[bytes.ptr[i] & 15];
    }
    return (Str){ p, bytes.len * 2 };
}

Err hex_decode(Arena *a, Str text, Str *out) {
    if (text.len % 2) return ERR_MALFORMED;
    uint8_t *p = arena_bytes(a, text.len / 2);
    for (size_t i = 0; i < text.len; i += 2) {
        int high = hex_digit(text.ptr[i]), low = hex_digit(text.ptr[i + 1]);
        if (high < 0 || low < 0) return ERR_MALFORMED;
        p[i / 2] = (uint8_t)(high << 4 | low);
    }
    *out = (Str){ p, text.len / 2 };
    return OK;
}

static const char BASE64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

Str base64_encode(Arena *a, Str bytes) {
    size_t n = (bytes.len + 2) / 3 * 4;
    uint8_t *p = arena_bytes(a, n), *at = p;
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t v = (uint32_t)bytes.ptr[i] << 16;
        if (left > 1) v |= (uint32_t)bytes.ptr[i + 1] << 8;
        if (left > 2) v |= bytes.ptr[i + 2];
        *at++ = (uint8_t)BASE64[v >> 18];
        *at++ = (uint8_t)BASE64[v >> 12 & 63];
        *at++ = left > 1 ? (uint8_t)BASE64[v >> 6 & 63] : '=';
        *at++ = left > 2 ? (uint8_t)BASE64[v & 63] : '=';
    }
    return (Str){ p, n };
}

static int base64_digit(uint8_t c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+' || c == '-') return 62;
    if (c == '/' || c == '_') return 63;
    return -1;
}

Err base64_decode(Arena *a, Str text, Str *out) {
    for (int i = 0; i < 2 && text.len && text.ptr[text.len - 1] == '='; i++) text.len--;
    if (text.len % 4 == 1) return ERR_MALFORMED;
    uint8_t *p = arena_bytes(a, text.len * 3 / 4 + 3), *at = p;
    uint32_t v = 0;
    int bits = 0;
    for (size_t i = 0; i < text.len; i++) {
        int d = base64_digit(text.ptr[i]);
        if (d < 0) return ERR_MALFORMED;
        v = v << 6 | (uint32_t)d;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            *at++ = (uint8_t)(v >> bits);
        }
    }
    *out = (Str){ p, (size_t)(at - p) };
    return OK;
}

static bool unreserved(uint8_t c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

Str percent_encode(Arena *a, Str bytes, bool keep_slash) {
    static const char UPPER[] = "0123456789ABCDEF";
    uint8_t *p = arena_bytes(a, bytes.len * 3), *at = p;
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t c = bytes.ptr[i];
        if (unreserved(c) || (keep_slash && c == '/')) {
            *at++ = c;
        } else {
            *at++ = '%';
            *at++ = (uint8_t)UPPER[c >> 4];
            *at++ = (uint8_t)UPPER[c & 15];
        }
    }
    return (Str){ p, (size_t)(at - p) };
}

Err percent_decode(Arena *a, Str text, bool plus_is_space, Str *out) {
    uint8_t *p = arena_bytes(a, text.len), *at = p;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c == '%') {
            if (i + 2 >= text.len) return ERR_MALFORMED;
            int high = hex_digit(text.ptr[i + 1]), low = hex_digit(text.ptr[i + 2]);
            if (high < 0 || low < 0) return ERR_MALFORMED;
            c = (uint8_t)(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        *at++ = c;
    }
    *out = (Str){ p, (size_t)(at - p) };
    return OK;
}
