#include "expr/lexer.h"

static bool space(uint8_t c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}
static bool digit(uint8_t c) {
    return c >= '0' && c <= '9';
}
static bool starts_word(uint8_t c) {
    return ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '_' || c >= 0x80;
}

static size_t word_end(Str t, size_t i) {
    while (i < t.len && (starts_word(t.ptr[i]) || digit(t.ptr[i]))) i++;
    return i;
}

static size_t digits_end(Str t, size_t i) {
    while (i < t.len && digit(t.ptr[i])) i++;
    return i;
}

static size_t number_end(Str t, size_t i) {
    i = digits_end(t, i);
    if (i + 1 < t.len && t.ptr[i] == '.' && digit(t.ptr[i + 1])) i = digits_end(t, i + 1);
    if (i < t.len && (t.ptr[i] | 32) == 'e') {
        size_t from = i + 1;
        if (from < t.len && (t.ptr[from] == '-' || t.ptr[from] == '+')) from++;
        size_t to = digits_end(t, from);
        if (to > from) i = to;
    }
    return i;
}

/* The end of a quoted text that begins at i, or 0 where it has none. */
static size_t quoted_end(Str t, size_t i) {
    uint8_t quote = t.ptr[i++];
    for (; i < t.len; i++) {
        if (t.ptr[i] == '\\' && i + 1 < t.len &&
            (t.ptr[i + 1] == '\\' || t.ptr[i + 1] == '"' || t.ptr[i + 1] == '\'')) {
            i++;
        } else if (t.ptr[i] == quote) {
            if (i + 1 == t.len || t.ptr[i + 1] != quote) return i + 1;
            i++;
        }
    }
    return 0;
}

static size_t symbol_end(Str t, size_t i) {
    static const Str two[] = { STR_INIT("<>"), STR_INIT("<="), STR_INIT(">="), STR_INIT("!="),
                               STR_INIT("=="), STR_INIT("&&"), STR_INIT("||") };
    for (size_t k = 0; k < sizeof two / sizeof *two; k++)
        if (str_starts(str_from(t, i), two[k])) return i + 2;
    static const char one[] = "=<>+-*/%()[]{},:.@!^$?;";
    return memchr(one, t.ptr[i], sizeof one - 1) ? i + 1 : 0;
}

ExprToken expr_lex(Str t, size_t at) {
    while (at < t.len && space(t.ptr[at])) at++;
    ExprToken token = { .type = EXPR_END, .at = (uint32_t)at };
    size_t end = at;
    if (at < t.len) {
        uint8_t c = t.ptr[at];
        if (starts_word(c)) {
            token.type = EXPR_WORD;
            end = word_end(t, at);
        } else if (digit(c)) {
            token.type = EXPR_NUMBER;
            end = number_end(t, at);
            if (end < t.len && starts_word(t.ptr[end])) {
                token.type = EXPR_BAD;
                token.bad =
                    "a number with letters behind it; a key that begins with a digit is read by get(object, \"key\")";
                end = word_end(t, end);
            }
        } else if (c == '\'' || c == '"') {
            token.type = EXPR_QUOTED;
            end = quoted_end(t, at);
            if (!end) {
                token.bad = "a quote that is never closed";
                end = t.len;
            }
        } else {
            token.type = EXPR_SYMBOL;
            end = symbol_end(t, at);
            if (!end) token.bad = "a character that means nothing here";
        }
    }
    if (token.bad) token.type = EXPR_BAD;
    if (!end) end = at + 1;
    token.len = (uint32_t)(end - at);
    token.text = str_sub(t, at, end);
    return token;
}

Str expr_unquote(const ExprToken *t, Arena *arena) {
    Str s = str_sub(t->text, 1, t->text.len - 1);
    uint8_t quote = t->text.ptr[0];
    if (str_find(s, '\\') == SIZE_MAX && str_find(s, (char)quote) == SIZE_MAX) return s;
    uint8_t *p = arena_bytes(arena, s.len);
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        uint8_t next = i + 1 < s.len ? s.ptr[i + 1] : 0;
        if ((s.ptr[i] == '\\' && (next == '\\' || next == '"' || next == '\'')) || s.ptr[i] == quote) i++;
        p[n++] = s.ptr[i];
    }
    return (Str){ p, n };
}

void expr_place(Str text, size_t at, int32_t *line, int32_t *column) {
    size_t start = 0;
    *line = 1;
    for (size_t i = 0; i < at && i < text.len; i++) {
        if (text.ptr[i] != '\n') continue;
        ++*line;
        start = i + 1;
    }
    *column = 1 + (int32_t)str_code_points(str_sub(text, start, at));
}
