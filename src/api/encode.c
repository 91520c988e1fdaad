#include "api/codec.h"

#include <math.h>

#include "api/timestamp.h"
#include "base/encode.h"

static yyjson_mut_val *encode(yyjson_mut_doc *d, Arena *a, const ApiShape *s, uint8_t time, const void *slot);

bool api_present(const ApiShape *shape, const void *slot) {
    switch ((ApiKind)shape->kind) {
    case API_STR:
    case API_ENUM:
    case API_BLOB:
    case API_DOC: return ((const Str *)slot)->ptr != NULL;
    case API_INT:
    case API_TIME: return ((const OptInt *)slot)->set;
    case API_BOOL: return ((const OptBool *)slot)->set;
    case API_DOUBLE: return ((const OptDouble *)slot)->set;
    case API_LIST:
    case API_MAP: return ((const ApiItems *)slot)->set || ((const ApiItems *)slot)->n > 0;
    case API_STRUCT: return *(void *const *)slot != NULL;
    }
    return false;
}

/* Where an element's value stands; absent ones are a sparse list's nulls. A struct in a list is always there. */
static bool element_present(const ApiShape *s, const void *slot) {
    return s->kind == API_STRUCT || s->kind == API_LIST || s->kind == API_MAP || api_present(s, slot);
}

static yyjson_mut_val *encode_double(yyjson_mut_doc *d, double v) {
    if (isnan(v)) return yyjson_mut_str(d, "NaN");
    if (isinf(v)) return yyjson_mut_str(d, v > 0 ? "Infinity" : "-Infinity");
    return yyjson_mut_real(d, v);
}

static yyjson_mut_val *encode_time(yyjson_mut_doc *d, Arena *a, const ApiShape *s, uint8_t time, int64_t ms) {
    switch (time ? time : s->time) {
    case API_TIME_ISO8601: return json_mut_str(d, timestamp_iso8601(a, ms));
    case API_TIME_RFC822: return json_mut_str(d, timestamp_rfc822(a, ms));
    default: return yyjson_mut_real(d, (double)ms / 1000);
    }
}

static yyjson_mut_val *encode_list(yyjson_mut_doc *d, Arena *a, const ApiShape *s, const ApiItems *list) {
    yyjson_mut_val *out = yyjson_mut_arr(d);
    for (size_t i = 0; i < list->n; i++) {
        const char *item = (const char *)list->items + i * s->element_size;
        yyjson_mut_arr_append(out,
                              element_present(s->member, item) ? encode(d, a, s->member, 0, item) : yyjson_mut_null(d));
    }
    return out;
}

static yyjson_mut_val *encode_map(yyjson_mut_doc *d, Arena *a, const ApiShape *s, const ApiItems *map) {
    yyjson_mut_val *out = yyjson_mut_obj(d);
    for (size_t i = 0; i < map->n; i++) {
        const char *entry = (const char *)map->items + i * s->element_size, *value = entry + s->member_offset;
        yyjson_mut_obj_add(out, json_mut_str(d, *(const Str *)(const void *)entry),
                           element_present(s->member, value) ? encode(d, a, s->member, 0, value) : yyjson_mut_null(d));
    }
    return out;
}

static yyjson_mut_val *encode(yyjson_mut_doc *d, Arena *a, const ApiShape *s, uint8_t time, const void *slot) {
    Str text = s->kind <= API_DOC ? *(const Str *)slot : STR_NONE;
    switch ((ApiKind)s->kind) {
    case API_STR:
    case API_ENUM: return json_mut_str(d, text);
    case API_BLOB: return json_mut_str(d, base64_encode(a, text));
    case API_DOC: return yyjson_mut_rawn(d, (const char *)text.ptr, text.len);
    case API_INT: return yyjson_mut_sint(d, ((const OptInt *)slot)->v);
    case API_TIME: return encode_time(d, a, s, time, ((const OptInt *)slot)->v);
    case API_BOOL: return yyjson_mut_bool(d, ((const OptBool *)slot)->v);
    case API_DOUBLE: return encode_double(d, ((const OptDouble *)slot)->v);
    case API_LIST: return encode_list(d, a, s, slot);
    case API_MAP: return encode_map(d, a, s, slot);
    case API_STRUCT: return api_encode_struct(d, a, s, slot);
    }
    return yyjson_mut_null(d);
}

yyjson_mut_val *api_encode_struct(yyjson_mut_doc *d, Arena *a, const ApiShape *shape, const void *in) {
    yyjson_mut_val *out = yyjson_mut_obj(d);
    for (size_t i = 0; i < shape->members_n; i++) {
        const ApiMember *m = &shape->members[i];
        const void *slot = (const char *)in + m->offset;
        if (m->where != API_IN_BODY || !api_present(m->shape, slot)) continue;
        const void *inner = m->shape->kind == API_STRUCT ? *(void *const *)slot : slot;
        yyjson_mut_obj_add(out, json_mut_str(d, m->wire), encode(d, a, m->shape, m->time, inner));
    }
    return out;
}

Str api_encode_value(Arena *a, const ApiShape *shape, const void *slot) {
    yyjson_mut_doc *d = json_doc(a);
    return json_write_mut(a, encode(d, a, shape, 0, shape->kind == API_STRUCT ? *(void *const *)slot : slot));
}

static Str encode_text_time(Arena *a, const ApiShape *s, ApiTimeFormat time, int64_t ms) {
    switch (time ? time : s->time) {
    case API_TIME_ISO8601: return timestamp_iso8601(a, ms);
    case API_TIME_UNIX: return str_format(a, "%.3f", (double)ms / 1000);
    default: return timestamp_rfc822(a, ms);
    }
}

Str api_encode_text(Arena *a, const ApiShape *shape, ApiTimeFormat time, const void *slot) {
    if (!api_present(shape, slot)) return STR_NONE;
    switch ((ApiKind)shape->kind) {
    case API_STR:
    case API_ENUM:
    case API_DOC: return *(const Str *)slot;
    case API_BLOB: return base64_encode(a, *(const Str *)slot);
    case API_INT: return str_format(a, "%lld", (long long)((const OptInt *)slot)->v);
    case API_TIME: return encode_text_time(a, shape, time, ((const OptInt *)slot)->v);
    case API_BOOL: return ((const OptBool *)slot)->v ? S("true") : S("false");
    case API_DOUBLE: return str_format(a, "%.17g", ((const OptDouble *)slot)->v);
    case API_LIST:
    case API_MAP:
    case API_STRUCT: break; /* no model puts them into a header of an output */
    }
    return STR_NONE;
}
