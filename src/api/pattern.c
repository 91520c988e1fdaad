#include "api/pattern.h"

#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* The values come from outside and some patterns nest repetitions, so a match may cost at most MATCH_STEPS.
 * Compiled code and the match context are only read after start; a match's own data is taken and given back
 * around it, which is a malloc of some hundred bytes. */

enum { MATCH_STEPS = 1000000 };

typedef struct {
    const ApiService *service;
    pcre2_code **codes;
} Compiled;

struct ApiPatterns {
    Compiled *services;
    size_t services_n;
    pcre2_match_context *limits;
};

static Err compile(const ApiService *s, const ApiPattern *p, Arena *arena, pcre2_code **out, Str *why) {
    int code;
    PCRE2_SIZE at;
    *out =
        pcre2_compile((PCRE2_SPTR)p->regexp, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_DOLLAR_ENDONLY, &code, &at, NULL);
    if (*out) {
        pcre2_jit_compile(*out, PCRE2_JIT_COMPLETE); /* without it a match is interpreted */
        return OK;
    }
    PCRE2_UCHAR text[120];
    pcre2_get_error_message(code, text, sizeof text);
    *why = str_format(arena, "pattern %.*s of %.*s: %s at %zu of %s", PS(p->shown), PS(s->name), (char *)text, at,
                      p->regexp);
    return ERR_INVALID;
}

Err api_patterns_new(const ApiService *const *services, size_t n, Arena *arena, ApiPatterns **out, Str *why) {
    ApiPatterns *p = mem_new(sizeof *p);
    p->services = mem_new(n * sizeof *p->services + 1);
    p->services_n = n;
    p->limits = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(p->limits, MATCH_STEPS);
    Err e = OK;
    for (size_t i = 0; i < n; i++) {
        p->services[i] = (Compiled){ services[i], mem_new((services[i]->patterns_n + 1) * sizeof(pcre2_code *)) };
        for (size_t j = 0; j < services[i]->patterns_n && e == OK; j++)
            e = compile(services[i], &services[i]->patterns[j], arena, &p->services[i].codes[j], why);
    }
    if (e != OK) {
        api_patterns_free(p);
        return e;
    }
    *out = p;
    return OK;
}

void api_patterns_free(ApiPatterns *p) {
    if (!p) return;
    for (size_t i = 0; i < p->services_n; i++) {
        for (size_t j = 0; j < p->services[i].service->patterns_n; j++) pcre2_code_free(p->services[i].codes[j]);
        free(p->services[i].codes);
    }
    free(p->services);
    pcre2_match_context_free(p->limits);
    free(p);
}

static const pcre2_code *code_of(const ApiPatterns *p, const ApiService *s, int32_t pattern) {
    for (size_t i = 0; i < p->services_n; i++)
        if (p->services[i].service == s) return p->services[i].codes[pattern];
    return NULL;
}

bool api_pattern_matches(const ApiPatterns *p, const ApiService *s, int32_t pattern, Str value) {
    const pcre2_code *code = code_of(p, s, pattern);
    if (!code) return false;
    PCRE2_SPTR text = value.ptr ? value.ptr : (PCRE2_SPTR) "";
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    int rc = pcre2_match(code, text, value.len, 0, 0, data, p->limits);
    /* JIT has a small stack: the interpreter takes over where that ends. */
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT) rc = pcre2_match(code, text, value.len, 0, PCRE2_NO_JIT, data, p->limits);
    pcre2_match_data_free(data);
    return rc >= 0;
}
