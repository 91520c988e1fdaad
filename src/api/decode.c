#include "api/codec.h"

#include <math.h>

#include "api/timestamp.h"
#include "api/trail.h"
#include "base/encode.h"

/* A descent over value and table together. It ends with the value, which is finite; shapes may recur, so the
 * depth is bounded. Wrong types are refused with what was expected; limits and patterns are validate.c's. */

typedef struct {
    Arena *arena;
    Str *why;
    int depth;
} Decoder;

static Err decode(Decoder *d, const ApiShape *s, yyjson_val *v, void *slot, const ApiTrail *trail);

static Err refuse(Decoder *d, const ApiTrail *trail, const char *expected, yyjson_val *v) {
    *d->why = str_format(d->arena, "Value at '%.*s' must be %s, not %s", PS(api_trail(d->arena, trail)), expected,
                         yyjson_is_int(v) || yyjson_is_real(v) ? "that number"
                         : yyjson_is_obj(v)                    ? "an object"
                         : yyjson_is_arr(v)                    ? "an array"
                         : yyjson_is_str(v)                    ? "that string"
                         : yyjson_is_bool(v)                   ? "a boolean"
                                                               : "null");
    return ERR_MALFORMED;
}

/* A string's bytes; an empty one is present, too. */
static Str present(Str s) {
    return s.ptr ? s : S("");
}

static bool integer_of(yyjson_val *v, int bits, int64_t *out) {
    int64_t i;
    if (yyjson_is_sint(v)) {
        i = yyjson_get_sint(v);
    } else if (yyjson_is_uint(v)) {
        if (yyjson_get_uint(v) > INT64_MAX) return false;
        i = (int64_t)yyjson_get_uint(v);
    } else if (yyjson_is_real(v)) { /* 5.0 and 5e3 are integers, too */
        double r = yyjson_get_real(v);
        if (!(r >= -9007199254740992.0 && r <= 9007199254740992.0) || r != floor(r)) return false;
        i = (int64_t)r;
    } else {
        return false;
    }
    if (bits == 32 && (i < INT32_MIN || i > INT32_MAX)) return false;
    *out = i;
    return true;
}

static bool double_of(yyjson_val *v, double *out) {
    Str text = json_str(v);
    if (yyjson_is_num(v))
        *out = yyjson_get_num(v);
    else if (str_eq(text, S("NaN")))
        *out = NAN; /* Source: Smithy, AWS restJson1: non-numeric floats are strings */
    else if (str_eq(text, S("Infinity")))
        *out = INFINITY;
    else if (str_eq(text, S("-Infinity")))
        *out = -INFINITY;
    else
        return false;
    return true;
}

static bool time_of(yyjson_val *v, int64_t *out) {
    if (yyjson_is_str(v)) return timestamp_parse(json_str(v), out) == OK;
    double seconds;
    if (!yyjson_is_num(v)) return false;
    seconds = yyjson_get_num(v);
    if (!(fabs(seconds) <= 253402300799.0)) return false; /* year 9999 */
    *out = (int64_t)llround(seconds * 1000);
    return true;
}

static Err decode_blob(Decoder *d, yyjson_val *v, Str *out, const ApiTrail *trail) {
    Str bytes;
    if (!yyjson_is_str(v) || base64_decode(d->arena, json_str(v), &bytes) != OK)
        return refuse(d, trail, "a base64 string", v);
    *out = present(bytes);
    return OK;
}

static size_t counted(const ApiShape *s, size_t n) {
    return s->has_max && n > (uint64_t)s->max + 1 ? (size_t)s->max + 1 : n;
}

static Err decode_list(Decoder *d, const ApiShape *s, yyjson_val *v, ApiItems *out, const ApiTrail *trail) {
    if (!yyjson_is_arr(v)) return refuse(d, trail, "an array", v);
    ApiItems list = { .n = counted(s, yyjson_arr_size(v)), .set = true };
    list.items = arena_alloc_array(d->arena, s->element_size, list.n);
    yyjson_arr_iter iter = yyjson_arr_iter_with(v);
    for (size_t i = 0; i < list.n; i++) {
        yyjson_val *element = yyjson_arr_iter_next(&iter);
        ApiTrail here = { .up = trail, .index = i };
        if (yyjson_is_null(element)) {
            if (s->sparse) continue;
            return refuse(d, &here, "there", element);
        }
        Err e = decode(d, s->member, element, (char *)list.items + i * s->element_size, &here);
        if (e != OK) return e;
    }
    *out = list;
    return OK;
}

static Err decode_map(Decoder *d, const ApiShape *s, yyjson_val *v, ApiItems *out, const ApiTrail *trail) {
    if (!yyjson_is_obj(v)) return refuse(d, trail, "an object", v);
    ApiItems map = { .n = counted(s, yyjson_obj_size(v)), .set = true };
    map.items = arena_alloc_array(d->arena, s->element_size, map.n);
    yyjson_obj_iter iter = yyjson_obj_iter_with(v);
    for (size_t i = 0; i < map.n; i++) {
        yyjson_val *key = yyjson_obj_iter_next(&iter), *value = yyjson_obj_iter_get_val(key);
        char *entry = (char *)map.items + i * s->element_size;
        *(Str *)(void *)entry = present(json_str(key));
        ApiTrail here = { .up = trail, .name = *(Str *)(void *)entry, .key = true };
        if (yyjson_is_null(value)) {
            if (s->sparse) continue;
            return refuse(d, &here, "there", value);
        }
        Err e = decode(d, s->member, value, entry + s->member_offset, &here);
        if (e != OK) return e;
    }
    *out = map;
    return OK;
}

static Err decode_members(Decoder *d, const ApiShape *s, yyjson_val *v, void *out, const ApiTrail *trail) {
    for (size_t i = 0; i < s->members_n; i++) {
        const ApiMember *m = &s->members[i];
        yyjson_val *value = m->where == API_IN_BODY ? json_get(v, m->wire) : NULL;
        if (!value || yyjson_is_null(value)) continue;
        ApiTrail here = { .up = trail, .name = m->name };
        void *slot = (char *)out + m->offset, *inner = slot;
        if (m->shape->kind == API_STRUCT) inner = arena_alloc(d->arena, m->shape->element_size);
        Err e = decode(d, m->shape, value, inner, &here);
        if (e != OK) return e;
        if (inner != slot) *(void **)slot = inner;
    }
    return OK;
}

static Err decode_struct(Decoder *d, const ApiShape *s, yyjson_val *v, void *out, const ApiTrail *trail) {
    if (!yyjson_is_obj(v)) return refuse(d, trail, "an object", v);
    if (d->depth >= API_DEPTH_MAX) {
        *d->why = str_format(d->arena, "Value at '%.*s' is nested deeper than %d", PS(api_trail(d->arena, trail)),
                             API_DEPTH_MAX);
        return ERR_LIMIT;
    }
    d->depth++;
    Err e = decode_members(d, s, v, out, trail);
    d->depth--;
    return e;
}

static Err decode(Decoder *d, const ApiShape *s, yyjson_val *v, void *slot, const ApiTrail *trail) {
    OptInt i = { .set = true };
    OptDouble r = { .set = true };
    switch ((ApiKind)s->kind) {
    case API_STR:
    case API_ENUM:
        if (!yyjson_is_str(v)) return refuse(d, trail, "a string", v);
        *(Str *)slot = present(json_str(v));
        return OK;
    case API_BLOB: return decode_blob(d, v, slot, trail);
    case API_DOC: *(Str *)slot = json_write(d->arena, v); return OK;
    case API_INT:
        if (!integer_of(v, s->bits, &i.v))
            return refuse(d, trail, s->bits == 32 ? "a 32-bit integer" : "an integer", v);
        *(OptInt *)slot = i;
        return OK;
    case API_TIME:
        if (!time_of(v, &i.v)) return refuse(d, trail, "a timestamp (seconds since 1970, or ISO 8601)", v);
        *(OptInt *)slot = i;
        return OK;
    case API_BOOL:
        if (!yyjson_is_bool(v)) return refuse(d, trail, "a boolean", v);
        *(OptBool *)slot = (OptBool){ true, yyjson_get_bool(v) };
        return OK;
    case API_DOUBLE:
        if (!double_of(v, &r.v)) return refuse(d, trail, "a number", v);
        *(OptDouble *)slot = r;
        return OK;
    case API_LIST: return decode_list(d, s, v, slot, trail);
    case API_MAP: return decode_map(d, s, v, slot, trail);
    case API_STRUCT: return decode_struct(d, s, v, slot, trail);
    }
    return ERR_INVALID;
}

Err api_decode_struct(Arena *a, const ApiShape *shape, yyjson_val *v, void *out, Str *why) {
    Decoder d = { .arena = a, .why = why };
    return decode_struct(&d, shape, v, out, NULL);
}

Err api_decode_value(Arena *a, const ApiShape *shape, Str json, void *slot, Str *why) {
    Decoder d = { .arena = a, .why = why };
    yyjson_val *v;
    void *inner = shape->kind == API_STRUCT ? arena_alloc(a, shape->element_size) : slot;
    Err e = json_read(a, json, false, &v, why);
    if (e == OK) e = decode(&d, shape, v, inner, NULL);
    if (e == OK && inner != slot) *(void **)slot = inner;
    return e;
}

/* A double's text: what strtod takes without its hex and locale forms. */
static bool double_from(Arena *a, Str text, double *out) {
    yyjson_val *v;
    if (!text.len || json_read(a, text, false, &v, NULL) != OK) return false;
    return yyjson_is_num(v) && double_of(v, out);
}

Err api_decode_text(Arena *a, const ApiShape *shape, Str text, void *slot, Str *why) {
    const char *expected = NULL;
    OptInt i = { .set = true };
    OptDouble r = { .set = true };
    Str blob;
    switch ((ApiKind)shape->kind) {
    case API_STR:
    case API_ENUM:
    case API_DOC:
        if (str_is_utf8(text))
            *(Str *)slot = present(text);
        else
            expected = "UTF-8";
        break;
    case API_BLOB:
        if (base64_decode(a, text, &blob) == OK)
            *(Str *)slot = present(blob);
        else
            expected = "base64";
        break;
    case API_INT:
        if (str_to_i64(text, &i.v) == OK && (shape->bits == 64 || (i.v >= INT32_MIN && i.v <= INT32_MAX)))
            *(OptInt *)slot = i;
        else
            expected = shape->bits == 32 ? "a 32-bit integer" : "an integer";
        break;
    case API_TIME:
        if (timestamp_parse(text, &i.v) == OK)
            *(OptInt *)slot = i;
        else
            expected = "a timestamp (ISO 8601, an HTTP date, or seconds since 1970)";
        break;
    case API_BOOL:
        if (str_eq_nocase(text, S("true")))
            *(OptBool *)slot = (OptBool){ true, true };
        else if (str_eq_nocase(text, S("false")))
            *(OptBool *)slot = (OptBool){ true, false };
        else
            expected = "true or false";
        break;
    case API_DOUBLE:
        if (double_from(a, text, &r.v))
            *(OptDouble *)slot = r;
        else
            expected = "a number";
        break;
    case API_LIST:
    case API_MAP:
    case API_STRUCT: expected = "in the body"; break;
    }
    if (!expected) return OK;
    *why = str_format(a, "must be %s", expected);
    return ERR_MALFORMED;
}
