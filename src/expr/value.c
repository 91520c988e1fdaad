#include "expr/value.h"

ExprValue expr_int_rounded(ExprInt i) {
    Decimal d;
    if (!decimal_from_parts((DecimalParts){ .negative = i < 0, .digits = i < 0 ? -(ExprUInt)i : (ExprUInt)i }, &d))
        return expr_undefined();
    return (ExprValue){ .type = EXPR_DECIMAL, .d = d };
}

ExprValue expr_decimal(Decimal d, bool whole_is_int) {
    ExprInt i;
    if (whole_is_int && decimal_to_int(d, &i)) return (ExprValue){ .type = EXPR_INT, .i = i };
    return (ExprValue){ .type = EXPR_DECIMAL, .d = d };
}

void expr_number(Str t, bool whole_is_int, ExprValue *out) {
    size_t start = t.len && t.ptr[0] == '-', i = start;
    uint64_t v = 0;
    for (; i < t.len && t.ptr[i] >= '0' && t.ptr[i] <= '9' && i < start + 18; i++) v = v * 10 + (t.ptr[i] - '0');
    if (i == t.len && i > start) {
        out->type = EXPR_INT;
        out->i = start ? -(ExprInt)v : (ExprInt)v;
        return;
    }
    if (!decimal_parse(t, &out->d)) {
        out->type = EXPR_UNDEFINED;
        return;
    }
    while (i < t.len && t.ptr[i] >= '0' && t.ptr[i] <= '9') i++;
    ExprInt whole; /* written as a whole number, it is one where it fits */
    bool is_whole = (whole_is_int || i == t.len) && decimal_to_int(out->d, &whole);
    out->type = is_whole ? EXPR_INT : EXPR_DECIMAL;
    if (is_whole) out->i = whole;
}

void expr_from_json(yyjson_val *v, bool whole_is_int, ExprValue *out) {
    switch (yyjson_get_type(v)) {
    case YYJSON_TYPE_RAW: expr_number(json_str(v), whole_is_int, out); return;
    case YYJSON_TYPE_STR:
        out->type = EXPR_STRING;
        out->s = json_str(v);
        return;
    case YYJSON_TYPE_BOOL:
        out->type = EXPR_BOOLEAN;
        out->boolean = yyjson_get_bool(v);
        return;
    case YYJSON_TYPE_NULL: out->type = EXPR_NULL; return;
    case YYJSON_TYPE_ARR:
    case YYJSON_TYPE_OBJ:
        out->type = yyjson_is_arr(v) ? EXPR_ARRAY : EXPR_OBJECT;
        out->built = false;
        out->json = v;
        return;
    default: out->type = EXPR_UNDEFINED;
    }
}

void expr_item(const ExprValue *v, size_t i, bool whole_is_int, ExprValue *out) {
    if (v->type != EXPR_ARRAY || i >= expr_count(v))
        out->type = EXPR_UNDEFINED;
    else if (v->built)
        *out = v->items[i];
    else
        expr_from_json(yyjson_arr_get(v->json, i), whole_is_int, out);
}

yyjson_val *expr_find(yyjson_val *object, Str key) {
    yyjson_val *found = NULL, *at = unsafe_yyjson_get_first(object);
    for (size_t n = unsafe_yyjson_get_len(object); n > 0; n--, at = unsafe_yyjson_get_next(at + 1))
        if (unsafe_yyjson_get_len(at) == key.len && memcmp(unsafe_yyjson_get_str(at), key.ptr, key.len) == 0)
            found = at + 1;
    return found;
}

void expr_member(const ExprValue *v, Str key, bool whole_is_int, ExprValue *out) {
    if (v->type == EXPR_OBJECT && v->built) {
        for (size_t i = v->n; i-- > 0;) {
            if (!str_eq(v->members[i].key, key)) continue;
            *out = v->members[i].value;
            return;
        }
    } else if (v->type == EXPR_OBJECT) {
        yyjson_val *found = expr_find(v->json, key);
        if (found) {
            expr_from_json(found, whole_is_int, out);
            return;
        }
    }
    out->type = EXPR_UNDEFINED;
}

size_t expr_count(const ExprValue *v) {
    if (v->type != EXPR_ARRAY && v->type != EXPR_OBJECT) return 0;
    return v->built ? v->n : unsafe_yyjson_get_len(v->json);
}

ExprEach expr_each(const ExprValue *v, bool whole_is_int) {
    ExprEach each = { .of = v, .n = expr_count(v), .whole_is_int = whole_is_int };
    if (each.n && !v->built) each.at = unsafe_yyjson_get_first(v->json);
    return each;
}

bool expr_next(ExprEach *e) {
    if (e->i == e->n) return false;
    bool object = e->of->type == EXPR_OBJECT;
    if (e->of->built) {
        e->key = object ? e->of->members[e->i].key : STR_NONE;
        e->value = object ? e->of->members[e->i].value : e->of->items[e->i];
    } else {
        yyjson_val *value = e->at + object;
        e->key = object ? json_str(e->at) : STR_NONE;
        expr_from_json(value, e->whole_is_int, &e->value);
        e->at = unsafe_yyjson_get_next(value);
    }
    e->i++;
    return true;
}

const char *expr_type_name(ExprType t) {
    static const char *const names[EXPR_TYPES] = { "Undefined", "Null",  "Boolean", "Int",   "Decimal",
                                                   "String",    "Array", "Object",  "binary" };
    return names[t];
}
