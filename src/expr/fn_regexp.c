#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <time.h>

#include "expr/functions.h"
#include "expr/parse.h"

/* Patterns are compiled once, with the statement, where they are constant, else for each message; either way into an
 * arena, so that nothing has to be given back, and so without PCRE2's JIT, whose code lives elsewhere. A match may cost
 * so many steps and so much memory: a pattern that repeats repetitions is no way to stop the server.
 * Java's patterns, which the language is documented to take, and Perl's agree but for rarities. */

enum { MATCH_STEPS = 200000, MATCH_KB = 2048, PATTERN_BYTES_MAX = 8192, GROUPS_MAX = 64 };

/* PCRE2 counts where it may come back to, and anew from each character that a match may begin at, not the characters
 * that it runs over: "[ab]*c|[ab]*d" on a long text costs its square within few steps. So a match gets few of them
 * first, and more while it has not taken long, is looked for in one stretch of the text after the other, and what all
 * that took counts as steps of the run. The first try is timed by a clock that other threads can hold up, so that one
 * counts so much at most. */
enum {
    FIRST_STEPS = 1000,
    MORE = 4,
    NS_A_STEP = 20,
    FIRST_RUN_STEPS_MAX = 100000,
    LONG_NS = 20000000,
    STRETCH = 1000000,
    SHORT_STEPS = 5000
};

typedef struct {
    pcre2_code *code; /* NULL: the pattern is wrong, and why */
    bool at_once;     /* where a match is looked for from matters */
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
    r->code = pcre2_compile(pattern.ptr, pattern.len, PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_USE_OFFSET_LIMIT,
                            &error, &at, context);
    if (r->code) {
        uint32_t options = 0;
        pcre2_pattern_info(r->code, PCRE2_INFO_ALLOPTIONS, &options);
        r->at_once = options & PCRE2_ANCHORED || str_find_str(pattern, S("\\G")) != SIZE_MAX;
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
    const Regexp *regexp;
    pcre2_match_data *data;
    pcre2_match_context *limits;
    PCRE2_SIZE *groups; /* begin and end of each */
    uint32_t n;         /* groups that the pattern has, the whole match among them */
} Matcher;

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
    m->groups = pcre2_get_ovector_pointer(m->data);
    m->n = pcre2_get_ovector_count(m->data);
    return true;
}

static int64_t ns_of(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int match_with(Matcher *m, Str s, size_t from, uint32_t options, uint32_t steps) {
    pcre2_set_match_limit(m->limits, steps);
    return pcre2_match(m->regexp->code, s.ptr, s.len, from, options | PCRE2_NO_UTF_CHECK, m->data, m->limits);
}

static int match_longer(ExprRun *run, Matcher *m, Str s, size_t from, uint32_t options, uint32_t steps) {
    int64_t begun = ns_of(CLOCK_THREAD_CPUTIME_ID), took = 0;
    int rc = PCRE2_ERROR_MATCHLIMIT;
    while (rc == PCRE2_ERROR_MATCHLIMIT && steps < MATCH_STEPS && took < LONG_NS) {
        steps = steps > MATCH_STEPS / MORE ? MATCH_STEPS : steps * MORE;
        rc = match_with(m, s, from, options, steps);
        took = ns_of(CLOCK_THREAD_CPUTIME_ID) - begun;
    }
    return rc == PCRE2_ERROR_MATCHLIMIT || expr_steps(run, (size_t)took / NS_A_STEP) ? rc : PCRE2_ERROR_MATCHLIMIT;
}

static int match_from(ExprRun *run, Matcher *m, Str s, size_t from, uint32_t options) {
    size_t fair = 100000 / (s.len - from + 1) + 16;
    uint32_t first = fair < FIRST_STEPS ? (uint32_t)fair : FIRST_STEPS;
    int64_t begun = ns_of(CLOCK_MONOTONIC);
    int rc = match_with(m, s, from, options, first);
    int64_t steps = (ns_of(CLOCK_MONOTONIC) - begun) / NS_A_STEP;
    if (!expr_steps(run, steps < FIRST_RUN_STEPS_MAX ? (size_t)steps : FIRST_RUN_STEPS_MAX))
        return PCRE2_ERROR_MATCHLIMIT;
    return rc == PCRE2_ERROR_MATCHLIMIT ? match_longer(run, m, s, from, options, first) : rc;
}

/* 1: found, 0: not, -1: given up, and the run fails. */
static int match(ExprRun *run, Matcher *m, Str s, size_t from, uint32_t options) {
    size_t stretch = m->regexp->at_once ? s.len : STRETCH / (s.len - from + 1) + 16;
    int rc = PCRE2_ERROR_NOMATCH;
    if (!expr_steps(run, 100)) return -1;
    while (rc == PCRE2_ERROR_NOMATCH && from <= s.len) {
        size_t to = stretch < s.len - from ? from + stretch : s.len;
        int64_t before = run->steps_left;
        pcre2_set_offset_limit(m->limits, to);
        rc = match_from(run, m, s, from, options);
        if (before - run->steps_left < SHORT_STEPS) stretch *= 2;
        from = to + 1;
        while (from < s.len && (s.ptr[from] & 0xc0) == 0x80) from++;
    }
    if (rc == PCRE2_ERROR_NOMATCH) return 0;
    if (rc > 0) return 1;
    expr_fail(run, ERR_LIMIT, "a regular expression takes too many steps on its text");
    return -1;
}

static void call_matches(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)n;
    Matcher m;
    if (!begin(run, node, args, &m, out)) return;
    *out = expr_boolean(match(run, &m, args[0].s, 0, 0) == 1);
}

static void call_substr(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)n;
    Matcher m;
    if (!begin(run, node, args, &m, out)) return;
    if (match(run, &m, args[0].s, 0, 0) == 1)
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
        int found = match(run, &m, s, from, 0);
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
