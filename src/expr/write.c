#include "base/encode.h"
#include "expr/run.h"

/* Most of what is written is what was read, so numbers go out as the text that they came as wherever that is how they
 * would be written anyway, and strings in pieces that need no escape. */

/* The byte needs no escape in a JSON string. Source: RFC 8259 section 7 */
static inline bool plain(uint8_t c) {
    return c >= 0x20 && c != '"' && c != '\\';
}

static void write_escape(Writer *w, uint8_t c) {
    static const char hex[] = "0123456789abcdef";
    char short_form = c == '"'    ? '"'
                      : c == '\\' ? '\\'
                      : c == '\n' ? 'n'
                      : c == '\r' ? 'r'
                      : c == '\t' ? 't'
                      : c == '\b' ? 'b'
                      : c == '\f' ? 'f'
                                  : 0;
    if (short_form) {
        uint8_t *p = writer_extend(w, 2);
        p[0] = '\\';
        p[1] = (uint8_t)short_form;
    } else {
        uint8_t *p = writer_extend(w, 6);
        memcpy(p, "\\u00", 4);
        p[4] = (uint8_t)hex[c >> 4];
        p[5] = (uint8_t)hex[c & 15];
    }
}

void expr_write_string(Writer *w, Str s) {
    size_t from = 0, i = 0;
    while (i < s.len && plain(s.ptr[i])) i++;
    uint8_t *p = writer_extend(w, i + 1 + (i == s.len));
    p[0] = '"';
    if (i) memcpy(p + 1, s.ptr, i);
    if (i == s.len) {
        p[i + 1] = '"';
        return;
    }
    for (from = i; i < s.len; from = i) {
        write_escape(w, s.ptr[i++]);
        for (from = i; i < s.len && plain(s.ptr[i]);) i++;
        writer_bytes(w, str_sub(s, from, i));
    }
    writer_u8(w, '"');
}

/* Is a number's text as it would be written? True for plain digits, and for digits with a point unless the number is
 * whole, has too many digits, or would be written with an exponent. */
static bool as_written(Str t, bool whole_is_int) {
    size_t i = t.ptr[0] == '-', start = i;
    if (t.len - start > DECIMAL_DIGITS) return false;
    while (i < t.len && t.ptr[i] >= '0' && t.ptr[i] <= '9') i++;
    if (i == t.len) return start == 0 || t.ptr[1] != '0'; /* -0 is 0 */
    if (t.ptr[i] != '.' || (t.ptr[start] == '0' && str_starts(str_from(t, i + 1), S("000000")))) return false;
    bool whole = true;
    for (i++; i < t.len; i++) {
        if (t.ptr[i] < '0' || t.ptr[i] > '9') return false;
        whole &= t.ptr[i] == '0';
    }
    return !whole || (!whole_is_int && start == 0);
}

static void write_number(Writer *w, const ExprValue *v) {
    char text[DECIMAL_TEXT_BYTES_MAX];
    size_t n = v->type == EXPR_INT ? expr_int_text(v->i, text) : decimal_text(v->d, text);
    writer_bytes(w, (Str){ (const uint8_t *)text, n });
}

static void write_raw_number(ExprRun *run, Writer *w, Str text) {
    if (!as_written(text, run->whole_is_int)) {
        ExprValue v;
        expr_number(text, run->whole_is_int, &v);
        if (v.type != EXPR_UNDEFINED) {
            write_number(w, &v);
            return;
        }
    }
    writer_bytes(w, text); /* also what is out of range: nobody computed with it */
}

static bool enter(ExprRun *run, size_t items, int depth) {
    if (depth > EXPR_DEPTH_MAX) expr_fail(run, ERR_LIMIT, "a value is nested deeper than %d", EXPR_DEPTH_MAX);
    return expr_steps(run, 1 + items);
}

static void write_text(ExprRun *run, Writer *w, Str s) {
    if (expr_steps(run, 1 + s.len / 16)) expr_write_string(w, s);
}

/* A borrowed value, straight from the document. */
static void write_json(ExprRun *run, Writer *w, yyjson_val *v, int depth) {
    switch (yyjson_get_type(v)) {
    case YYJSON_TYPE_RAW: write_raw_number(run, w, json_str(v)); return;
    case YYJSON_TYPE_STR: write_text(run, w, json_str(v)); return;
    case YYJSON_TYPE_BOOL: writer_bytes(w, yyjson_get_bool(v) ? S("true") : S("false")); return;
    case YYJSON_TYPE_ARR:
    case YYJSON_TYPE_OBJ: break;
    default: writer_bytes(w, S("null")); return;
    }
    bool object = yyjson_is_obj(v);
    size_t n = unsafe_yyjson_get_len(v);
    if (!enter(run, n, depth)) return;
    writer_u8(w, object ? '{' : '[');
    yyjson_val *at = unsafe_yyjson_get_first(v);
    for (size_t i = 0; i < n; i++) {
        if (i) writer_u8(w, ',');
        if (object) {
            write_text(run, w, json_str(at++));
            writer_u8(w, ':');
        }
        write_json(run, w, at, depth + 1);
        at = unsafe_yyjson_get_next(at);
    }
    writer_u8(w, object ? '}' : ']');
}

static void write_at(ExprRun *run, Writer *w, const ExprValue *v, int depth);

static void write_built(ExprRun *run, Writer *w, const ExprValue *v, int depth) {
    if (!enter(run, v->n, depth)) return;
    bool object = v->type == EXPR_OBJECT, some = false;
    writer_u8(w, object ? '{' : '[');
    for (uint32_t i = 0; i < v->n; i++) {
        const ExprValue *value = object ? &v->members[i].value : &v->items[i];
        if (value->type == EXPR_UNDEFINED) continue;
        if (some) writer_u8(w, ',');
        some = true;
        if (object) {
            write_text(run, w, v->members[i].key);
            writer_u8(w, ':');
        }
        write_at(run, w, value, depth + 1);
    }
    writer_u8(w, object ? '}' : ']');
}

static void write_at(ExprRun *run, Writer *w, const ExprValue *v, int depth) {
    switch (v->type) {
    case EXPR_NULL: writer_bytes(w, S("null")); return;
    case EXPR_BOOLEAN: writer_bytes(w, v->boolean ? S("true") : S("false")); return;
    case EXPR_INT:
    case EXPR_DECIMAL: write_number(w, v); return;
    case EXPR_STRING: write_text(run, w, v->s); return;
    case EXPR_BYTES: write_text(run, w, base64_encode(run->arena, v->s)); return;
    case EXPR_ARRAY:
    case EXPR_OBJECT:
        if (v->built)
            write_built(run, w, v, depth);
        else
            write_json(run, w, v->json, depth);
        return;
    default: return;
    }
}

void expr_write(ExprRun *run, Writer *w, const ExprValue *v) {
    write_at(run, w, v, 0);
}

Str expr_to_json(ExprRun *run, const ExprValue *v) {
    Writer w = writer_in(run->arena);
    write_at(run, &w, v, 0);
    return run->err == OK ? writer_str(&w) : STR_NONE;
}
