#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "expr/functions.h"
#include "expr/parse.h"

/* Patterns are compiled once, with the statement, where they are constant, else for each message; either way into an
 * arena, so that nothing has to be given back, and so without PCRE2's JIT, whose code lives elsewhere. A match may cost
 * so many steps and so much memory: a pattern that repeats repetitions is no way to stop the server.
 * Java's patterns, which the language is documented to take, and Perl's agree but for rarities. */

enum { MATCH_STEPS = 200000, MATCH_KB = 2048, PATTERN_BYTES_MAX = 8192, GROUPS_MAX = 64, BYTES_A_STEP = 8 };

/* PCRE2's own limit counts where it may come back to, and anew from each character that a match may begin at, not the
 * characters that it runs over: "[ab]*c|[ab]*d" on a long text costs its square within that limit. So it calls out
 * before each item of the pattern, and each call counts as a step of the run, and what was run over, or is compared
 * with by a back reference, as one more for every few bytes. What it does before the first item (a look for the first
 * or last character that a match must have) is one run over the text. */

typedef struct {
    pcre2_code *code; /* NULL: the pattern is wrong, and why */
    bool refers_back;
    Str why;
} Regexp;

static void *take(PCRE2_SIZE bytes, void *arena) {
    return arena_alloc(arena, bytes);
}
static void give(void *p, void *arena) {
    (void)p, (void)arena;
}

static const Regexp *compile(Str pattern, Arena *arena) {
    Regexp *r = arena_new(arena, Regexp);
    int error;
    PCRE2_SIZE at;
    pcre2_general_context *memory = pcre2_general_context_create(take, give, arena);
    pcre2_compile_context *context = pcre2_compile_context_create(memory);
    pcre2_set_max_pattern_length(context, PATTERN_BYTES_MAX);
    r->code = pcre2_compile(pattern.ptr, pattern.len, PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_AUTO_CALLOUT, &error,
                            &at, context);
    if (r->code) {
        uint32_t most = 0;
        pcre2_pattern_info(r->code, PCRE2_INFO_BACKREFMAX, &most);
        r->refers_back = most > 0;
        return r;
    }
    PCRE2_UCHAR text[120];
    pcre2_get_error_message(error, text, sizeof text);
    r->why = str_format(arena, "the pattern '%.*s' is no regular expression: %s at %zu", PS(pattern), (char *)text, at);
    return r;
}

static const void *prepare(const ExprNode *node, Arena *arena) {
    if (node->n < 2 || !expr_is_constant(node->kids[1]) || node->kids[1]->value.type != EXPR_STRING) return NULL;
    return compile(node->kids[1]->value.s, arena);
}

typedef struct {
    ExprRun *run;
    const Regexp *regexp;
    size_t last; /* where in the text it was called from */
    pcre2_match_data *data;
    pcre2_match_context *limits;
    PCRE2_SIZE *groups; /* begin and end of each */
    uint32_t n;         /* groups that the pattern has, the whole match among them */
} Matcher;

static int on_item(pcre2_callout_block *at, void *matcher) {
    Matcher *m = matcher;
    size_t now = at->current_position, over = now > m->last ? now - m->last : m->last - now;
    for (uint32_t i = 1; m->regexp->refers_back && i < at->capture_top; i++) {
        size_t from = at->offset_vector[2 * i], to = at->offset_vector[2 * i + 1];
        if (from != PCRE2_UNSET && to > from) over += to - from;
    }
    int64_t steps = 1 + (int64_t)(over / BYTES_A_STEP);
    if (m->run->steps_left < steps) return PCRE2_ERROR_CALLOUT;
    m->run->steps_left -= steps;
    m->last = now;
    return 0;
}

/* False, and *out says why, where there is no such pattern. */
static bool begin(ExprRun *run, const ExprNode *node, const ExprValue *args, Matcher *m, ExprValue *out) {
    m->regexp = node->prepared ? node->prepared : compile(args[1].s, run->arena);
    if (!m->regexp->code) {
        *out = expr_because(run, "%.*s", PS(m->regexp->why));
        return false;
    }
    pcre2_general_context *memory = pcre2_general_context_create(take, give, run->arena);
    m->data = pcre2_match_data_create_from_pattern(m->regexp->code, memory);
    m->limits = pcre2_match_context_create(memory);
    pcre2_set_heap_limit(m->limits, MATCH_KB);
    pcre2_set_match_limit(m->limits, MATCH_STEPS);
    pcre2_set_callout(m->limits, on_item, m);
    m->run = run;
    m->groups = pcre2_get_ovector_pointer(m->data);
    m->n = pcre2_get_ovector_count(m->data);
    return true;
}

/* 1: found, 0: not, -1: given up, and the run fails. */
static int match(ExprRun *run, Matcher *m, Str s, size_t from) {
    if (!expr_steps(run, 100)) return -1;
    m->last = from;
    int rc = pcre2_match(m->regexp->code, s.ptr, s.len, from, PCRE2_NO_UTF_CHECK, m->data, m->limits);
    if (rc == PCRE2_ERROR_NOMATCH) return 0;
    if (rc > 0) return 1;
    expr_fail(run, ERR_LIMIT, "a regular expression takes too many steps on its text");
    return -1;
}

static void call_matches(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)n;
    Matcher m;
    if (!begin(run, node, args, &m, out)) return;
    *out = expr_boolean(match(run, &m, args[0].s, 0) == 1);
}

static void call_substr(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)n;
    Matcher m;
    if (!begin(run, node, args, &m, out)) return;
    if (match(run, &m, args[0].s, 0) == 1)
        *out = expr_string(str_sub(args[0].s, m.groups[0], m.groups[1]));
    else
        *out = expr_because(run, "nothing in the text matches");
}

/* ---- replacement ---- */

static void put_group(Writer *w, const Matcher *m, Str s, uint32_t group) {
    if (m->groups[2 * group] != PCRE2_UNSET)
        writer_bytes(w, str_sub(s, m->groups[2 * group], m->groups[2 * group + 1]));
}

/* $n takes as many digits as there are groups for, ${name} a named one, a backslash makes the next character itself.
 * Source: Java SE 11, Matcher.appendReplacement. False for a `$` or a group that is none of these. */
static bool put_replacement(Writer *w, const Matcher *m, Str s, Str by) {
    for (size_t i = 0; i < by.len; i++) {
        if (by.ptr[i] == '\\') {
            if (++i == by.len) return false;
            writer_u8(w, by.ptr[i]);
        } else if (by.ptr[i] != '$') {
            writer_u8(w, by.ptr[i]);
        } else if (i + 1 < by.len && by.ptr[i + 1] >= '0' && by.ptr[i + 1] <= '9') {
            uint32_t group = by.ptr[++i] - '0';
            if (group >= m->n) return false;
            for (; i + 1 < by.len && by.ptr[i + 1] >= '0' && by.ptr[i + 1] <= '9'; i++) {
                uint32_t longer = group * 10 + (by.ptr[i + 1] - '0');
                if (longer >= m->n) break;
                group = longer;
            }
            put_group(w, m, s, group);
        } else {
            Str rest = str_from(by, i + 1);
            size_t end = str_find(rest, '}');
            char name[GROUPS_MAX];
            if (!str_starts(rest, S("{")) || end == SIZE_MAX || end > sizeof name) return false;
            memcpy(name, rest.ptr + 1, end - 1);
            name[end - 1] = 0;
            int group = pcre2_substring_number_from_name(m->regexp->code, (PCRE2_SPTR)name);
            if (group < 0) return false;
            put_group(w, m, s, (uint32_t)group);
            i += end + 1;
        }
    }
    return true;
}

static void call_replace(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)n;
    Matcher m;
    if (!begin(run, node, args, &m, out)) return;
    Str s = args[0].s;
    Writer w = writer_in(run->arena);
    size_t from = 0, copied = 0;
    while (from <= s.len && w.len <= run->value_bytes_max) {
        int found = match(run, &m, s, from);
        if (found < 0) return;
        if (found == 0) break;
        if (m.groups[1] < m.groups[0]) break; /* \K can say so */
        writer_bytes(&w, str_sub(s, copied, m.groups[0]));
        if (!put_replacement(&w, &m, s, args[2].s)) {
            *out = expr_because(run, "'%.*s' names a group that there is not", PS(args[2].s));
            return;
        }
        copied = from = m.groups[1];
        if (m.groups[0] == m.groups[1]) { /* an empty match: a character goes by */
            from++;
            while (from < s.len && (s.ptr[from] & 0xc0) == 0x80) from++;
        }
    }
    writer_bytes(&w, str_from(s, copied));
    if (expr_make(run, w.len)) *out = expr_string(writer_str(&w)); /* counts it */
}

#define FN(fn_name, args, fn_call)                                                                                     \
    { .name = STR_INIT(fn_name), .args_min = args, .args_max = args, .takes = "s", .call = fn_call, .prepare = prepare }

static const ExprFn ITEMS[] = { FN("regexp_matches", 2, call_matches), FN("regexp_replace", 3, call_replace),
                                FN("regexp_substr", 2, call_substr) };

const ExprFns expr_regexp_functions = { ITEMS, sizeof ITEMS / sizeof *ITEMS };
