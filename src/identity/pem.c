#include "identity/pem.h"

#include "base/encode.h"
#include "base/writer.h"

/* OpenSSL's own PEM reader may ask a terminal for a passphrase and takes several old forms; bytes from outside
 * get this narrow one. */

enum { LINE_CHARS = 64 };

static bool is_space(uint8_t c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static Str without_space(Arena *arena, Str text) {
    uint8_t *out = arena_bytes(arena, text.len + 1);
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++)
        if (!is_space(text.ptr[i])) out[n++] = text.ptr[i];
    return (Str){ out, n };
}

/* After the marker's word: its label, up to the closing dashes. STR_NONE when they are missing in this line. */
static Str label_at(Str text) {
    Str line = str_sub(text, 0, str_find(text, '\n'));
    size_t dashes = str_find_str(line, S("-----"));
    return dashes == SIZE_MAX ? STR_NONE : str_sub(line, 0, dashes);
}

Err pem_next(Str *rest, Str label, Arena *arena, Str *out_der) {
    const Str begin = S("-----BEGIN "), end = S("-----END ");
    Str text = *rest;
    for (;;) {
        size_t at = str_find_str(text, begin);
        if (at == SIZE_MAX) return ERR_NOT_FOUND;
        text = str_from(text, at + begin.len);
        Str found = label_at(text);
        if (!found.ptr) continue;
        if (!str_eq(found, label)) continue;

        Str body = str_from(text, found.len + 5);
        size_t stop = str_find_str(body, end);
        if (stop == SIZE_MAX) return ERR_MALFORMED;
        Str after = str_from(body, stop + end.len);
        if (!str_eq(label_at(after), label)) return ERR_MALFORMED;

        Str der;
        Err e = base64_decode(arena, without_space(arena, str_sub(body, 0, stop)), &der);
        if (e != OK || der.len == 0) return ERR_MALFORMED;
        *out_der = der;
        *rest = str_from(after, label.len + 5);
        return OK;
    }
}

Str pem_encode(Arena *arena, Str label, Str der) {
    Str text = base64_encode(arena, der);
    Writer w = writer_in(arena);
    writer_format(&w, "-----BEGIN %.*s-----\n", PS(label));
    for (size_t i = 0; i < text.len; i += LINE_CHARS) {
        writer_bytes(&w, str_sub(text, i, i + LINE_CHARS));
        writer_u8(&w, '\n');
    }
    writer_format(&w, "-----END %.*s-----\n", PS(label));
    return writer_str(&w);
}
