#include "identity/policy_template.h"

#include "base/writer.h"

/* Parsed once a document, expanded once a connection: a decision sees only globs. A variable has five values at
 * most, so two lists make 25 globs. */

enum { LISTS_MAX = 2, EXPANDED_MAX = 64 };

typedef struct {
    Writer text;
    TemplatePart *parts;
    size_t n, cap;
    size_t lists;
    bool variable;
    Arena *arena;
} Builder;

static void push(Builder *b, TemplatePart part) {
    if (b->n == b->cap) {
        size_t cap = b->cap ? b->cap * 2 : 4;
        TemplatePart *grown = arena_array(b->arena, TemplatePart, cap);
        if (b->n) memcpy(grown, b->parts, b->n * sizeof *grown);
        b->parts = grown;
        b->cap = cap;
    }
    b->parts[b->n++] = part;
}

static void flush(Builder *b) {
    if (b->text.len) push(b, (TemplatePart){ .text = writer_str(&b->text) });
    b->text = writer_in(b->arena);
}

/* Cuts the default off: name, 'default'. An attribute's name in brackets may hold a comma. */
static Err split_default(Str *name, Str *fallback) {
    size_t bracket = str_find(*name, ']');
    Str tail = bracket == SIZE_MAX ? *name : str_from(*name, bracket);
    size_t comma = str_find(tail, ',');
    if (comma == SIZE_MAX) return OK;
    Str value = str_trim(str_from(tail, comma + 1));
    if (value.len < 2 || value.ptr[0] != '\'' || value.ptr[value.len - 1] != '\'') return ERR_MALFORMED;
    *fallback = str_sub(value, 1, value.len - 1);
    *name = str_trim(str_sub(*name, 0, name->len - (tail.len - comma)));
    return OK;
}

static Err variable(Builder *b, Str inner, Str *reason) {
    Str name = str_trim(inner), fallback = STR_NONE;
    if (split_default(&name, &fallback) != OK) {
        *reason = str_format(b->arena, "The default value of the policy variable ${%.*s} must be in single quotes",
                             PS(inner));
        return ERR_MALFORMED;
    }
    if (name.len == 0 || str_find(name, '$') != SIZE_MAX || str_find(name, '{') != SIZE_MAX) {
        *reason = str_format(b->arena, "The policy variable ${%.*s} has no valid name", PS(inner));
        return ERR_MALFORMED;
    }
    Str suffix = S(".List");
    bool list = name.len > suffix.len && str_eq_nocase(str_from(name, name.len - suffix.len), suffix);
    if (list && ++b->lists > LISTS_MAX) {
        *reason = str_format(b->arena, "More than %d variables ending in .List in one value", LISTS_MAX);
        return ERR_MALFORMED;
    }
    flush(b);
    b->variable = true;
    push(b, (TemplatePart){ .name = str_dup(b->arena, name),
                            .fallback = fallback.ptr ? str_dup(b->arena, fallback) : STR_NONE });
    return OK;
}

Err template_parse(Str text, TemplateRules rules, Arena *arena, Template *out, Str *reason) {
    Builder b = { .text = writer_in(arena), .arena = arena };
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (rules.wildcards && (c == '*' || c == '?')) {
            writer_u8(&b.text, c == '*' ? GLOB_ANY : GLOB_ONE);
        } else if (rules.variables && c == '$' && i + 1 < text.len && text.ptr[i + 1] == '{') {
            Str rest = str_from(text, i + 2);
            size_t close = str_find(rest, '}');
            if (close == SIZE_MAX) {
                *reason = str_format(arena, "A policy variable is not closed with '}' in %.*s", PS(text));
                return ERR_MALFORMED;
            }
            Str inner = str_sub(rest, 0, close);
            i += close + 2;
            if (inner.len == 1 && memchr("*?$", inner.ptr[0], 3)) {
                writer_u8(&b.text, inner.ptr[0]);
            } else {
                Err e = variable(&b, inner, reason);
                if (e != OK) return e;
            }
        } else {
            writer_u8(&b.text, c);
        }
    }
    if (!b.variable) {
        *out = (Template){ .glob = glob_from(writer_str(&b.text)) };
        return OK;
    }
    flush(&b);
    *out = (Template){ .parts = b.parts, .n = b.n, .variable = true };
    return OK;
}

/* What one part contributes, its pick-th choice. False when there is no value. */
static bool choice(const TemplatePart *part, const PolicyScope *scope, size_t pick, Str *out, size_t *choices) {
    *choices = 1;
    if (!part->name.ptr) {
        *out = part->text;
        return true;
    }
    PolicyValues v = policy_values(scope, part->name);
    if (v.list && v.n > 0) *choices = v.n;
    *out = v.n > 0 ? v.values[v.list ? pick : 0] : STR_NONE;
    if (!out->ptr || !glob_is_literal(*out)) *out = part->fallback;
    return out->ptr != NULL;
}

/* Which value each part takes is counted up like the digits of a number. */
Err template_expand(const Template *t, const PolicyScope *scope, Arena *arena, const Glob **out, size_t *out_n) {
    if (!t->variable) {
        *out = &t->glob;
        *out_n = 1;
        return OK;
    }
    size_t total = 1, n = 0, choices;
    Str piece;
    for (size_t i = 0; i < t->n; i++) {
        choice(&t->parts[i], scope, 0, &piece, &choices);
        total *= choices < EXPANDED_MAX ? choices : EXPANDED_MAX;
    }
    if (total > EXPANDED_MAX) total = EXPANDED_MAX;
    Glob *globs = arena_array(arena, Glob, total);
    for (size_t at = 0; at < total; at++) {
        Writer w = writer_in(arena);
        size_t digits = at, i = 0;
        for (; i < t->n; i++) {
            choice(&t->parts[i], scope, 0, &piece, &choices);
            if (!choice(&t->parts[i], scope, digits % choices, &piece, &choices)) break;
            digits /= choices;
            writer_bytes(&w, piece);
        }
        if (i == t->n) globs[n++] = glob_from(writer_str(&w));
    }
    if (n == 0) return ERR_NOT_FOUND;
    *out = globs;
    *out_n = n;
    return OK;
}

static bool has_value(const TemplatePart *part, const PolicyScope *scope) {
    PolicyValues v = policy_values(scope, part->name);
    for (size_t i = 0; i < v.n; i++) {
        if (v.values[i].ptr && glob_is_literal(v.values[i])) return true;
        if (!v.list) break;
    }
    return false;
}

Str template_missing(const Template *t, const PolicyScope *scope) {
    for (size_t i = 0; i < t->n; i++)
        if (t->parts[i].name.ptr && !t->parts[i].fallback.ptr && !has_value(&t->parts[i], scope))
            return t->parts[i].name;
    return STR_NONE;
}

bool template_is_settled(const Template *t, const PolicyScope *scope) {
    for (size_t i = 0; i < t->n; i++)
        if (t->parts[i].name.ptr && !has_value(&t->parts[i], scope)) return false;
    return true;
}
