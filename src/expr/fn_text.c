#include <locale.h>
#include <wctype.h>

#include "expr/convert.h"
#include "expr/functions.h"

/* Texts count in characters (code points), as their documentation says; never in the UTF-16 halves of Java. */

enum { PAD_MAX = 1000 };

static void set_copy(ExprRun *run, Str s, ExprValue *out) {
    uint8_t *p = expr_make(run, s.len);
    if (!p) return;
    if (s.len) memcpy(p, s.ptr, s.len);
    *out = expr_string((Str){ p, s.len });
}

static size_t encode_utf8(uint32_t c, uint8_t *out) {
    if (c < 0x80) return out[0] = (uint8_t)c, 1;
    if (c < 0x800) return out[0] = (uint8_t)(0xc0 | c >> 6), out[1] = (uint8_t)(0x80 | (c & 63)), 2;
    size_t n = c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6) out[i] = (uint8_t)(0x80 | (c & 63));
    out[0] = (uint8_t)((n == 3 ? 0xe0 : 0xf0) | c);
    return n;
}

/* Of valid UTF-8. */
static uint32_t decode_utf8(Str s, size_t *i) {
    uint8_t first = s.ptr[(*i)++];
    if (first < 0x80) return first;
    uint32_t c = first >= 0xf0 ? first & 7 : first >= 0xe0 ? first & 15 : first & 31;
    while (*i < s.len && (s.ptr[*i] & 0xc0) == 0x80) c = c << 6 | (s.ptr[(*i)++] & 63);
    return c;
}

static Str other_case(ExprRun *run, Str s, bool upper) {
    uint8_t *p = expr_make(run, s.len * 2); /* a letter's other case takes a byte more at most */
    if (!p) return STR_NONE;
    locale_t unicode = (locale_t)0;
    size_t n = 0;
    for (size_t i = 0; i < s.len;) {
        uint8_t c = s.ptr[i];
        if (c < 0x80) {
            uint8_t from = upper ? 'a' : 'A';
            p[n++] = c >= from && c < from + 26 ? c ^ 32 : c;
            i++;
            continue;
        }
        if (!unicode) unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
        wint_t wide = (wint_t)decode_utf8(s, &i);
        if (unicode) wide = upper ? towupper_l(wide, unicode) : towlower_l(wide, unicode);
        n += encode_utf8((uint32_t)wide, p + n);
    }
    if (unicode) freelocale(unicode);
    return (Str){ p, n };
}

Str expr_lower(ExprRun *run, Str s) {
    return other_case(run, s, false);
}

Str expr_upper(ExprRun *run, Str s) {
    return other_case(run, s, true);
}

static void set_text(Str s, ExprValue *out) {
    if (s.ptr) *out = expr_string(s);
}

static void call_lower(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)node, (void)n;
    set_text(expr_lower(run, args[0].s), out);
}

static void call_upper(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)node, (void)n;
    set_text(expr_upper(run, args[0].s), out);
}

static void call_chr(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)node, (void)n;
    uint8_t c = (uint8_t)args[0].i;
    if (args[0].i < 0 || args[0].i > 127)
        *out = expr_because(run, "ASCII ends at 127");
    else
        set_copy(run, (Str){ &c, 1 }, out);
}

/* ---- white space ---- */

static bool blank(uint8_t c) {
    return c == ' ' || c == '\t';
}

static Str trimmed(Str s, bool left, bool right) {
    size_t from = 0, to = s.len;
    while (left && from < to && blank(s.ptr[from])) from++;
    while (right && to > from && blank(s.ptr[to - 1])) to--;
    return str_sub(s, from, to);
}

static void call_ltrim(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)run, (void)node, (void)n;
    *out = expr_string(trimmed(args[0].s, true, false));
}

static void call_rtrim(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)run, (void)node, (void)n;
    *out = expr_string(trimmed(args[0].s, false, true));
}

static void call_trim(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)run, (void)node, (void)n;
    *out = expr_string(trimmed(args[0].s, true, true));
}

/* Adds so many spaces: it does not pad to a width. */
static void pad(ExprRun *run, Str s, ExprInt count, bool left, ExprValue *out) {
    size_t spaces = count < 0 ? 0 : count > PAD_MAX ? PAD_MAX : (size_t)count;
    uint8_t *p = expr_make(run, s.len + spaces);
    if (!p) return;
    memset(left ? p : p + s.len, ' ', spaces);
    if (s.len) memcpy(left ? p + spaces : p, s.ptr, s.len);
    *out = expr_string((Str){ p, s.len + spaces });
}

static void call_lpad(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)node, (void)n;
    pad(run, args[0].s, args[1].i, true, out);
}

static void call_rpad(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)node, (void)n;
    pad(run, args[0].s, args[1].i, false, out);
}

/* ---- parts ---- */

static void call_length(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)run, (void)node, (void)n;
    *out = expr_int((ExprInt)str_code_points(args[0].s));
}

static void call_numbytes(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)run, (void)node, (void)n;
    *out = expr_int((ExprInt)args[0].s.len);
}

static size_t find(Str s, size_t from, Str needle) {
    const uint8_t *at = memmem(s.ptr + from, s.len - from, needle.ptr, needle.len);
    return at ? (size_t)(at - s.ptr) : SIZE_MAX;
}

static void call_indexof(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)node, (void)n;
    if (!expr_steps(run, args[0].s.len)) return; /* some needles make it look at each byte several times */
    size_t at = find(args[0].s, 0, args[1].s);
    *out = expr_int(at == SIZE_MAX ? -1 : (ExprInt)str_code_points(str_sub(args[0].s, 0, at)));
}

static void call_startswith(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)run, (void)node, (void)n;
    *out = expr_boolean(str_starts(args[0].s, args[1].s));
}

static void call_endswith(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)run, (void)node, (void)n;
    *out = expr_boolean(str_ends(args[0].s, args[1].s));
}

/* The byte at which character `index` begins; the length for one behind the end. */
static size_t offset_of(Str s, ExprInt index) {
    size_t i = 0;
    for (; i < s.len && index > 0; index--) do
            i++;
        while (i < s.len && (s.ptr[i] & 0xc0) == 0x80);
    return i;
}

static void call_substring(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)run, (void)node;
    Str s = args[0].s;
    *out = expr_string(str_sub(s, offset_of(s, args[1].i), n == 3 ? offset_of(s, args[2].i) : s.len));
    if (n == 3 && args[1].i >= args[2].i) *out = expr_string(S(""));
}

/* An empty needle is found before every character and at the end, as Java's replace has it. */
static void call_replace(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)node, (void)n;
    Str s = args[0].s, needle = args[1].s, by = args[2].s;
    Writer w = writer_in(run->arena);
    if (!expr_steps(run, s.len)) return;
    for (size_t i = 0; i <= s.len && expr_steps(run, 1);) {
        size_t at = needle.len ? find(s, i, needle) : i;
        if (at == SIZE_MAX || w.len > run->value_bytes_max) {
            writer_bytes(&w, str_from(s, i));
            break;
        }
        writer_bytes(&w, str_sub(s, i, at));
        writer_bytes(&w, by);
        size_t next = needle.len ? at + needle.len : at + offset_of(str_from(s, at), 1);
        if (!needle.len) writer_bytes(&w, str_sub(s, at, next));
        if (next == i) break; /* an empty needle at the end */
        i = next;
    }
    if (expr_make(run, w.len)) *out = expr_string(writer_str(&w)); /* counts it */
}

/* ---- concat ---- */

static void concat_arrays(ExprRun *run, const ExprValue *args, size_t n, ExprValue *out) {
    size_t total = 0, at = 0;
    for (size_t i = 0; i < n; i++) total += args[i].type == EXPR_ARRAY ? expr_count(&args[i]) : 1;
    ExprValue *items = expr_steps(run, total) ? expr_make_items(run, total) : NULL;
    if (!items) return;
    for (size_t i = 0; i < n; i++) {
        if (args[i].type != EXPR_ARRAY) {
            items[at++] = args[i];
            continue;
        }
        for (ExprEach each = expr_each(&args[i], run->whole_is_int); expr_next(&each);) items[at++] = each.value;
    }
    *out = expr_items(items, total);
}

static void concat_texts(ExprRun *run, const ExprValue *args, size_t n, ExprValue *out) {
    Writer w = writer_in(run->arena);
    for (size_t i = 0; i < n; i++) {
        Str s = expr_text(run, &args[i]);
        if (!s.ptr) {
            if (args[i].type != EXPR_UNDEFINED)
                *out = expr_because(run, "%s has no text", expr_type_name(args[i].type));
            return;
        }
        writer_bytes(&w, s);
        if (w.len > run->value_bytes_max) break;
    }
    if (expr_make(run, w.len)) *out = expr_string(writer_str(&w));
}

static void call_concat(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)node;
    bool arrays = false, texts = false;
    for (size_t i = 0; i < n; i++) {
        arrays |= args[i].type == EXPR_ARRAY;
        texts |= args[i].type == EXPR_STRING;
    }
    if (n == 1)
        *out = args[0];
    else if (arrays)
        concat_arrays(run, args, n, out);
    else if (texts)
        concat_texts(run, args, n, out);
    else
        *out = expr_because(run, "concat needs a String or an Array among its arguments");
}

#define FN(fn_name, min, max, letters, from, fn_call)                                                                  \
    { .name = STR_INIT(fn_name), .args_min = min, .args_max = max, .takes = letters, .since = from, .call = fn_call }

static const ExprFn ITEMS[] = {
    FN("chr", 1, 1, "i", 0, call_chr),
    FN("concat", 1, EXPR_ARGS_ANY, "v", 0, call_concat),
    FN("endswith", 2, 2, "s", 0, call_endswith),
    FN("indexof", 2, 2, "s", 1, call_indexof),
    FN("length", 1, 1, "s", 1, call_length),
    FN("lower", 1, 1, "s", 0, call_lower),
    FN("lpad", 2, 2, "st", 0, call_lpad),
    FN("ltrim", 1, 1, "s", 0, call_ltrim),
    FN("numbytes", 1, 1, "s", 1, call_numbytes),
    FN("replace", 3, 3, "s", 0, call_replace),
    FN("rpad", 2, 2, "st", 0, call_rpad),
    FN("rtrim", 1, 1, "s", 0, call_rtrim),
    FN("startswith", 2, 2, "s", 0, call_startswith),
    FN("substring", 2, 3, "st", 0, call_substring),
    FN("trim", 1, 1, "s", 0, call_trim),
    FN("upper", 1, 1, "s", 0, call_upper),
};

const ExprFns expr_text_functions = { ITEMS, sizeof ITEMS / sizeof *ITEMS };
