#include "identity/policy_compiled.h"

/* The broker asks at every publish and every delivery, so all that a connection alone determines is done once, in
 * policy_bind: variables become literal bytes of globs, conditions over the connection's own keys become true (gone)
 * or false (the statement with them). Denying statements stand first: the first of them that applies decides, and
 * so does the first allowing one after them. A statement without variables shares its globs with the document. */

enum { ACTION_BYTES_MAX = 128 };

static void bind_resources(const Statement *s, const PolicyScope *scope, Arena *arena, BoundStatement *out) {
    if (s->fixed) {
        out->resources = s->fixed;
        out->resources_n = s->resources_n;
        return;
    }
    size_t cap = 0;
    Glob *all = NULL;
    out->later = arena_array(arena, const Template *, s->resources_n);
    for (size_t i = 0; i < s->resources_n; i++) {
        const Glob *globs;
        size_t n;
        if (!template_is_settled(&s->resources[i], scope) ||
            template_expand(&s->resources[i], scope, arena, &globs, &n) != OK) {
            out->later[out->later_n++] = &s->resources[i];
            continue;
        }
        if (out->resources_n + n > cap) {
            cap = out->resources_n + n + s->resources_n;
            Glob *grown = arena_array(arena, Glob, cap);
            if (all) memcpy(grown, all, out->resources_n * sizeof *grown);
            all = grown;
        }
        memcpy(all + out->resources_n, globs, n * sizeof *globs);
        out->resources_n += n;
    }
    out->resources = all;
}

static void bind_conditions(const Statement *s, const PolicyScope *scope, Arena *arena, BoundStatement *out) {
    if (!s->conditions_n) return;
    out->conditions = arena_array(arena, const Condition *, s->conditions_n);
    for (size_t i = 0; i < s->conditions_n; i++) {
        const Condition *c = &s->conditions[i];
        if (!condition_is_settled(c, scope))
            out->conditions[out->conditions_n++] = c;
        else if (!condition_holds(c, scope, arena))
            out->never = true;
    }
}

static BoundStatement bind_one(const Policy *p, const Statement *s, const PolicyScope *scope, Arena *arena) {
    BoundStatement b = { .policy = p, .statement = s };
    bind_resources(s, scope, arena, &b);
    bind_conditions(s, scope, arena, &b);
    return b;
}

void policy_bind(Policy *const *policies, size_t n, const PolicyVar *vars, size_t vars_n, Arena *arena,
                 PolicyBound **out) {
    PolicyScope scope = { .bound = vars, .bound_n = vars_n };
    size_t total = 0;
    for (size_t i = 0; i < n; i++) total += policies[i]->statements_n;
    BoundStatement *statements = arena_array(arena, BoundStatement, total ? total : 1);
    PolicyBound *bound = arena_new(arena, PolicyBound);
    *bound = (PolicyBound){ .vars = vars, .vars_n = vars_n, .statements = statements };
    for (size_t i = 0; i < n; i++) bound->narrowed |= policies[i]->narrows;
    for (int deny = 1; deny >= 0; deny--) {
        for (size_t i = 0; i < n; i++)
            for (size_t k = 0; k < policies[i]->statements_n; k++)
                if (policies[i]->statements[k].deny == deny)
                    statements[bound->n++] = bind_one(policies[i], &policies[i]->statements[k], &scope, arena);
        if (deny) bound->deny_n = bound->n;
    }
    *out = bound;
}

bool statement_names_action(const Statement *s, Str action) {
    for (size_t i = 0; i < s->actions_n; i++)
        if (glob_match(&s->actions[i], action)) return !s->not_action;
    return s->not_action;
}

/* A resource whose variable has no value is none. NotResource then could allow more than was meant: it does not. */
static bool covers_later(const BoundStatement *b, Str resource, const PolicyScope *scope, Arena *arena) {
    const Statement *s = b->statement;
    for (size_t i = 0; i < b->later_n; i++) {
        const Glob *globs;
        size_t n;
        if (template_expand(b->later[i], scope, arena, &globs, &n) != OK) {
            if (s->not_resource && !s->deny) return false;
            continue;
        }
        for (size_t g = 0; g < n; g++)
            if (glob_match(&globs[g], resource)) return !s->not_resource;
    }
    return s->not_resource;
}

bool bound_covers_resource(const BoundStatement *b, Str resource, const PolicyScope *scope, Arena *arena) {
    for (size_t i = 0; i < b->resources_n; i++)
        if (glob_match(&b->resources[i], resource)) return !b->statement->not_resource;
    return b->later_n ? covers_later(b, resource, scope, arena) : b->statement->not_resource;
}

bool bound_conditions_hold(const BoundStatement *b, const PolicyScope *scope, Arena *arena) {
    if (b->never) return false;
    for (size_t i = 0; i < b->conditions_n; i++)
        if (!condition_holds(b->conditions[i], scope, arena)) return false;
    return true;
}

static bool applies(const BoundStatement *b, Str action, Str resource, const PolicyScope *scope, Arena *arena) {
    return !b->never && statement_names_action(b->statement, action) &&
           bound_covers_resource(b, resource, scope, arena) && bound_conditions_hold(b, scope, arena);
}

void policy_narrow(Policy *p) {
    p->narrows = true;
}

/* Some policy must allow it, and one of those that narrow as well.
 * Source: IAM user guide, "Session policies": the intersection */
static PolicyDecision decide_narrowed(const PolicyBound *bound, Str action, Str resource, const PolicyScope *scope,
                                      Arena *arena) {
    bool allowed[2] = { false, false };
    for (size_t i = 0; i < bound->n; i++) {
        const BoundStatement *b = &bound->statements[i];
        bool *one = &allowed[b->policy->narrows];
        if (*one || !applies(b, action, resource, scope, arena)) continue;
        if (i < bound->deny_n) return POLICY_EXPLICIT_DENY;
        *one = true;
    }
    return allowed[0] && allowed[1] ? POLICY_ALLOWED : POLICY_IMPLICIT_DENY;
}

static PolicyDecision decide(const PolicyBound *bound, Str action, Str resource, const PolicyScope *scope,
                             Arena *arena) {
    if (bound->narrowed) return decide_narrowed(bound, action, resource, scope, arena);
    for (size_t i = 0; i < bound->n; i++)
        if (applies(&bound->statements[i], action, resource, scope, arena))
            return i < bound->deny_n ? POLICY_EXPLICIT_DENY : POLICY_ALLOWED;
    return POLICY_IMPLICIT_DENY;
}

PolicyDecision policy_decide(const PolicyBound *bound, Str action, Str resource, const PolicyVar *extra, size_t extra_n,
                             Arena *arena, PolicyWhy *why) {
    uint8_t lower[ACTION_BYTES_MAX];
    if (why) *why = (PolicyWhy){ 0 };
    if (action.len > sizeof lower) return POLICY_IMPLICIT_DENY;
    for (size_t i = 0; i < action.len; i++)
        lower[i] = action.ptr[i] >= 'A' && action.ptr[i] <= 'Z' ? action.ptr[i] | 0x20 : action.ptr[i];
    Str name = { lower, action.len };

    PolicyScope scope = { bound->vars, bound->vars_n, extra, extra_n };
    Arena scratch = { 0 }; /* touched only by what could not be bound */
    PolicyDecision decision = decide(bound, name, resource, &scope, &scratch);
    if (why) policy_why(bound, decision, name, resource, &scope, arena, why);
    arena_free(&scratch);
    return decision;
}
