#include "base/json.h"

static void *alc_malloc(void *ctx, size_t n) {
    return arena_alloc(ctx, n);
}
static void *alc_realloc(void *ctx, void *p, size_t old, size_t n) {
    if (n <= old) return p;
    void *q = arena_alloc(ctx, n);
    memcpy(q, p, old);
    return q;
}
static void alc_free(void *ctx, void *p) {
    (void)ctx, (void)p;
}

yyjson_alc json_alc(Arena *a) {
    return (yyjson_alc){ alc_malloc, alc_realloc, alc_free, a };
}

Err json_read(Arena *a, Str text, bool raw_numbers, yyjson_val **out, Str *why) {
    yyjson_alc alc = json_alc(a);
    yyjson_read_err err;
    yyjson_read_flag flags = raw_numbers ? YYJSON_READ_NUMBER_AS_RAW : YYJSON_READ_NOFLAG;
    /* Without YYJSON_READ_INSITU the text is only read. */
    yyjson_doc *doc =
        yyjson_read_opts((char *)(uintptr_t)(text.ptr ? (const char *)text.ptr : ""), text.len, flags, &alc, &err);
    if (!doc) {
        if (why) *why = str_format(a, "%s at byte %zu", err.msg, err.pos);
        return ERR_MALFORMED;
    }
    *out = yyjson_doc_get_root(doc);
    return OK;
}

Str json_write(Arena *a, const yyjson_val *v) {
    yyjson_alc alc = json_alc(a);
    size_t n = 0;
    char *p = yyjson_val_write_opts(v, YYJSON_WRITE_NOFLAG, &alc, &n, NULL);
    return (Str){ (const uint8_t *)p, p ? n : 0 };
}

Str json_write_mut(Arena *a, const yyjson_mut_val *v) {
    yyjson_alc alc = json_alc(a);
    size_t n = 0;
    char *p = yyjson_mut_val_write_opts(v, YYJSON_WRITE_NOFLAG, &alc, &n, NULL);
    return (Str){ (const uint8_t *)p, p ? n : 0 };
}

yyjson_mut_doc *json_doc(Arena *a) {
    yyjson_alc *alc = arena_new(a, yyjson_alc);
    *alc = json_alc(a);
    return yyjson_mut_doc_new(alc);
}
