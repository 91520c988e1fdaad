/* Template: a resource or condition value as a policy writes it, with wildcards, escapes and variables. */
#pragma once

#include "identity/policy_glob.h"
#include "identity/policy_variable.h"

typedef struct {
    Str text;     /* a piece of a glob; or, where name.ptr is set: */
    Str name;     /* of a variable */
    Str fallback; /* its default value; ptr NULL: none */
} TemplatePart;

typedef struct {
    const TemplatePart *parts;
    size_t n;
    bool variable; /* has at least one */
    Glob glob;     /* when it has none */
} Template;

typedef struct {
    bool wildcards; /* * and ? are more than themselves */
    bool variables; /* ${…} is; not in documents of the version 2008-10-17 */
} TemplateRules;

/* Shape:  text, *, ?, ${*} ${?} ${$} (literal), ${name}, ${name, 'default'}
 * Errors: ERR_MALFORMED, *reason then says why
 * Owns:   *out lives in the arena and borrows nothing */
NODISCARD Err template_parse(Str text, TemplateRules rules, Arena *arena, Template *out, Str *reason);

/* The globs that the template stands for: one, or one a value where it names a .List. Substituted values are literal.
 * Errors: ERR_NOT_FOUND when a variable has no value */
NODISCARD Err template_expand(const Template *t, const PolicyScope *scope, Arena *arena, const Glob **out,
                              size_t *out_n);
/* The first variable that has neither value nor default, or STR_NONE. */
Str template_missing(const Template *t, const PolicyScope *scope);
/* Every variable has a value, so a wider scope cannot change what it expands to. */
bool template_is_settled(const Template *t, const PolicyScope *scope);
