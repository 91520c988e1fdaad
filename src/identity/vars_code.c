#include "identity/vars_code.h"

#include "base/reader.h"
#include "base/writer.h"

/* Shape: VERSION, number of variables, each: name, number of values, each: text. A text has its length before it,
 * NONE for a value that may not be put in. The version grows whenever a certificate would give other variables than
 * before (x509_vars.c), not only when the shape changes. */

enum { VERSION = 1, NONE = 0xFFFF, VARS_MAX = 255 };

static void put_text(Writer *w, Str s) {
    writer_u16(w, s.ptr ? (uint16_t)s.len : NONE);
    if (s.ptr) writer_bytes(w, s);
}

static bool fits(const PolicyVar *vars, size_t n) {
    if (n > VARS_MAX) return false;
    for (size_t i = 0; i < n; i++) {
        if (vars[i].name.len >= NONE || vars[i].n > VARS_MAX) return false;
        for (size_t k = 0; k < vars[i].n; k++)
            if (vars[i].values[k].len >= NONE) return false;
    }
    return true;
}

Str vars_encode(const PolicyVar *vars, size_t n, Arena *arena) {
    Writer w = writer_in(arena);
    if (!fits(vars, n)) return S("");
    writer_u8(&w, VERSION);
    writer_u8(&w, (uint8_t)n);
    for (size_t i = 0; i < n; i++) {
        put_text(&w, vars[i].name);
        writer_u8(&w, (uint8_t)vars[i].n);
        for (size_t k = 0; k < vars[i].n; k++) put_text(&w, vars[i].values[k]);
    }
    return writer_str(&w);
}

static Str take_text(Reader *r) {
    uint16_t len = reader_u16(r);
    return len == NONE ? STR_NONE : reader_take(r, len);
}

bool vars_decode(Str bytes, Arena *arena, const PolicyVar **out, size_t *out_n) {
    Reader r = reader_from(bytes);
    if (reader_u8(&r) != VERSION) return false;
    size_t n = reader_u8(&r);
    PolicyVar *vars = arena_array(arena, PolicyVar, n);
    for (size_t i = 0; i < n && !r.bad; i++) {
        vars[i].name = take_text(&r);
        vars[i].n = reader_u8(&r);
        Str *values = arena_array(arena, Str, vars[i].n);
        for (size_t k = 0; k < vars[i].n; k++) values[k] = take_text(&r);
        vars[i].values = values;
        if (!vars[i].name.ptr) r.bad = true;
    }
    if (r.bad || reader_left(&r)) return false;
    *out = vars;
    *out_n = n;
    return true;
}
