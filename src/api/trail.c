#include "api/trail.h"

#include "base/writer.h"

enum { TRAIL_SHOWN = 64 }; /* no value nests deeper: codec.h */

static void write_step(Writer *w, const ApiTrail *t, bool first) {
    if (!t->name.ptr) {
        writer_format(w, ".%zu.member", t->index + 1);
    } else if (t->key) {
        writer_format(w, ".%.*s.member", PS(str_sub(t->name, 0, 128)));
    } else {
        if (!first) writer_u8(w, '.');
        uint8_t c = t->name.len ? t->name.ptr[0] : '?';
        writer_u8(w, c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c);
        writer_bytes(w, str_from(t->name, 1));
    }
}

Str api_trail(Arena *a, const ApiTrail *t) {
    const ApiTrail *steps[2 * TRAIL_SHOWN];
    size_t n = 0;
    for (; t && n < 2 * TRAIL_SHOWN; t = t->up) steps[n++] = t;
    Writer w = writer_in(a);
    for (size_t i = n; i-- > 0;) write_step(&w, steps[i], i == n - 1);
    return n ? writer_str(&w) : S("body");
}
