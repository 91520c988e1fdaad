#include "rules/attributes.h"

enum { DEPTH_MAX = 64 }; /* AWS: 32 */

static size_t digits(Str s, size_t at) {
    while (at < s.len && s.ptr[at] >= '0' && s.ptr[at] <= '9') at++;
    return at;
}

/* As JSON has them: the text goes into the answer as it is. */
static bool is_number(Str s) {
    size_t from = s.len && s.ptr[0] == '-', at = digits(s, from);
    if (at == from || (s.ptr[from] == '0' && at > from + 1)) return false;
    if (at < s.len && s.ptr[at] == '.') {
        from = at + 1;
        if ((at = digits(s, from)) == from) return false;
    }
    if (at < s.len && (s.ptr[at] == 'e' || s.ptr[at] == 'E')) {
        from = at + 1;
        if (from < s.len && (s.ptr[from] == '-' || s.ptr[from] == '+')) from++;
        if ((at = digits(s, from)) == from) return false;
    }
    return at == s.len;
}

static Err plain(yyjson_mut_doc *d, yyjson_val *attribute, int depth, yyjson_mut_val **out);

static Err plain_map(yyjson_mut_doc *d, yyjson_val *map, int depth, yyjson_mut_val **out) {
    yyjson_mut_val *o = yyjson_mut_obj(d), *one;
    yyjson_val *key, *v;
    size_t i, n;
    if (!yyjson_is_obj(map)) return ERR_MALFORMED;
    yyjson_obj_foreach(map, i, n, key, v) {
        Err e = plain(d, v, depth + 1, &one);
        if (e != OK) return e;
        yyjson_mut_obj_add(o, json_mut_str(d, json_str(key)), one);
    }
    *out = o;
    return OK;
}

static Err plain_list(yyjson_mut_doc *d, yyjson_val *list, int depth, yyjson_mut_val **out) {
    yyjson_mut_val *a = yyjson_mut_arr(d), *one;
    yyjson_val *v;
    size_t i, n;
    if (!yyjson_is_arr(list)) return ERR_MALFORMED;
    yyjson_arr_foreach(list, i, n, v) {
        Err e = plain(d, v, depth + 1, &one);
        if (e != OK) return e;
        yyjson_mut_arr_append(a, one);
    }
    *out = a;
    return OK;
}

/* The elements of a set are of one kind, and texts on the wire. */
static Err plain_set(yyjson_mut_doc *d, yyjson_val *list, bool numbers, yyjson_mut_val **out) {
    yyjson_mut_val *a = yyjson_mut_arr(d);
    yyjson_val *v;
    size_t i, n;
    if (!yyjson_is_arr(list)) return ERR_MALFORMED;
    yyjson_arr_foreach(list, i, n, v) {
        if (!yyjson_is_str(v) || (numbers && !is_number(json_str(v)))) return ERR_MALFORMED;
        yyjson_mut_arr_append(a, numbers ? yyjson_mut_rawn(d, yyjson_get_str(v), yyjson_get_len(v))
                                         : json_mut_str(d, json_str(v)));
    }
    *out = a;
    return OK;
}

static Err plain(yyjson_mut_doc *d, yyjson_val *attribute, int depth, yyjson_mut_val **out) {
    if (depth > DEPTH_MAX) return ERR_MALFORMED;
    if (!yyjson_is_obj(attribute) || yyjson_obj_size(attribute) != 1) return ERR_MALFORMED;
    yyjson_obj_iter it = yyjson_obj_iter_with(attribute);
    yyjson_val *key = yyjson_obj_iter_next(&it), *v = yyjson_obj_iter_get_val(key);
    Str type = json_str(key);
    if (str_eq(type, S("M"))) return plain_map(d, v, depth, out);
    if (str_eq(type, S("L"))) return plain_list(d, v, depth, out);
    if (str_eq(type, S("SS")) || str_eq(type, S("BS"))) return plain_set(d, v, false, out);
    if (str_eq(type, S("NS"))) return plain_set(d, v, true, out);
    yyjson_mut_val *made = NULL;
    if ((str_eq(type, S("S")) || str_eq(type, S("B"))) && yyjson_is_str(v)) made = json_mut_str(d, json_str(v));
    if (str_eq(type, S("N")) && yyjson_is_str(v) && is_number(json_str(v)))
        made = yyjson_mut_rawn(d, yyjson_get_str(v), yyjson_get_len(v));
    if (str_eq(type, S("BOOL")) && yyjson_is_bool(v)) made = yyjson_mut_bool(d, yyjson_get_bool(v));
    if (str_eq(type, S("NULL"))) made = yyjson_mut_null(d);
    if (!made) return ERR_MALFORMED;
    *out = made;
    return OK;
}

Err attributes_plain(yyjson_mut_doc *d, yyjson_val *attributes, yyjson_mut_val **out) {
    return plain_map(d, attributes, 0, out);
}
