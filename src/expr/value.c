#include "expr/value.h"

ExprValue expr_int(ExprInt i) {
    if (expr_int_fits(i)) return (ExprValue){ .type = EXPR_INT, .i = i };
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

ExprValue expr_number(Str t, bool whole_is_int) {
    size_t start = t.len && t.ptr[0] == '-', i = start;
    ExprInt v = 0;
    if (t.len <= DECIMAL_DIGITS)
        for (; i < t.len && t.ptr[i] >= '0' && t.ptr[i] <= '9'; i++) v = v * 10 + (t.ptr[i] - '0');
    if (i == t.len && i > start) return (ExprValue){ .type = EXPR_INT, .i = start ? -v : v };
    Decimal d;
    if (!decimal_parse(t, &d)) return expr_undefined();
    bool whole = true; /* as it is written: a whole number of too many digits, where no whole_is_int makes it one */
    for (i = start; i < t.len && whole; i++) whole = t.ptr[i] >= '0' && t.ptr[i] <= '9';
    return expr_decimal(d, whole_is_int || whole);
}

ExprValue expr_from_json(yyjson_val *v, bool whole_is_int) {
    switch (yyjson_get_type(v)) {
    case YYJSON_TYPE_RAW: return expr_number(json_str(v), whole_is_int);
    case YYJSON_TYPE_STR: return expr_string(json_str(v));
    case YYJSON_TYPE_BOOL: return expr_boolean(yyjson_get_bool(v));
    case YYJSON_TYPE_NULL: return expr_null();
    case YYJSON_TYPE_ARR: return (ExprValue){ .type = EXPR_ARRAY, .json = v };
    case YYJSON_TYPE_OBJ: return (ExprValue){ .type = EXPR_OBJECT, .json = v };
    default: return expr_undefined();
    }
}

ExprValue expr_item(const ExprValue *v, size_t i, bool whole_is_int) {
    if (v->type != EXPR_ARRAY || i >= expr_count(v)) return expr_undefined();
    return v->built ? v->items[i] : expr_from_json(yyjson_arr_get(v->json, i), whole_is_int);
}

ExprValue expr_member(const ExprValue *v, Str key, bool whole_is_int) {
    if (v->type != EXPR_OBJECT) return expr_undefined();
    if (v->built) {
        for (size_t i = v->n; i-- > 0;)
            if (str_eq(v->members[i].key, key)) return v->members[i].value;
        return expr_undefined();
    }
    yyjson_val *found = NULL, *at = unsafe_yyjson_get_first(v->json);
    for (size_t n = unsafe_yyjson_get_len(v->json); n > 0; n--, at = unsafe_yyjson_get_next(at + 1))
        if (unsafe_yyjson_get_len(at) == key.len && memcmp(unsafe_yyjson_get_str(at), key.ptr, key.len) == 0)
            found = at + 1;
    return found ? expr_from_json(found, whole_is_int) : expr_undefined();
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
        e->value = expr_from_json(value, e->whole_is_int);
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
