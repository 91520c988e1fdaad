#include "identity/policy_compiled.h"
#include "base/writer.h"

/* Runs only when somebody asks why (explain, TestAuthorization, a log of a refusal), so it looks at every statement
 * again and at its leisure. */

typedef struct {
    Arena *arena;
    const PolicyScope *scope;
    Str *missing;
    size_t missing_n, missing_cap;
} Gather;

static void add_missing(Gather *g, Str name) {
    for (size_t i = 0; i < g->missing_n; i++)
        if (str_eq(g->missing[i], name)) return;
    if (g->missing_n == g->missing_cap) {
        size_t cap = g->missing_cap ? g->missing_cap * 2 : 4;
        Str *grown = arena_array(g->arena, Str, cap);
        if (g->missing_n) memcpy(grown, g->missing, g->missing_n * sizeof *grown);
        g->missing = grown;
        g->missing_cap = cap;
    }
    g->missing[g->missing_n++] = name;
}

/* The resources' variables and the conditions' that have no value; STR_NONE: none. */
static Str gather_missing(Gather *g, const Statement *s, bool *in_condition) {
    Str first = STR_NONE;
    for (size_t i = 0; i < s->resources_n + s->conditions_n; i++) {
        Str name = i < s->resources_n ? template_missing(&s->resources[i], g->scope)
                                      : condition_missing(&s->conditions[i - s->resources_n], g->scope);
        if (!name.ptr) continue;
        add_missing(g, name);
        if (!first.ptr) {
            first = name;
            *in_condition = i >= s->resources_n;
        }
    }
    return first;
}

/* The wildcards as a person writes them. */
static void write_glob(Writer *w, const Glob *g) {
    for (size_t i = 0; i < g->pattern.len; i++) {
        uint8_t c = g->pattern.ptr[i];
        writer_u8(w, c == GLOB_ANY ? '*' : c == GLOB_ONE ? '?' : c);
    }
}

static Str resources_text(const BoundStatement *b, Arena *arena) {
    Writer w = writer_in(arena);
    if (b->statement->not_resource) writer_bytes(&w, S("all but "));
    for (size_t i = 0; i < b->resources_n; i++) {
        if (i) writer_bytes(&w, S(", "));
        write_glob(&w, &b->resources[i]);
    }
    return writer_str(&w);
}

static const Condition *failing(const Statement *s, const PolicyScope *scope, Arena *arena) {
    for (size_t i = 0; i < s->conditions_n; i++)
        if (!condition_holds(&s->conditions[i], scope, arena)) return &s->conditions[i];
    return NULL;
}

static PolicyNear near_miss(Gather *g, const BoundStatement *b, bool covered, Str missing, bool in_condition) {
    const Statement *s = b->statement;
    PolicyNear near = { .policy = b->policy, .statement = s->index, .statement_id = s->id, .deny = s->deny };
    const Condition *c = covered ? failing(s, g->scope, g->arena) : NULL;
    if (missing.ptr && covered == in_condition) {
        near.kind = POLICY_NEAR_VARIABLE;
        near.detail = missing;
    } else if (c) {
        near.kind = POLICY_NEAR_CONDITION;
        near.detail = c->label;
    } else {
        near.kind = POLICY_NEAR_RESOURCE;
        near.detail = resources_text(b, g->arena);
    }
    return near;
}

static void add_matched(const Policy **matched, size_t *n, const Policy *p) {
    for (size_t i = 0; i < *n; i++)
        if (matched[i] == p) return;
    matched[(*n)++] = p;
}

void policy_why(const PolicyBound *bound, PolicyDecision decision, Str action, Str resource, const PolicyScope *scope,
                Arena *arena, PolicyWhy *why) {
    Gather g = { .arena = arena, .scope = scope };
    const Policy **matched = arena_array(arena, const Policy *, bound->n ? bound->n : 1);
    PolicyNear *near = arena_array(arena, PolicyNear, bound->n ? bound->n : 1);
    for (size_t i = 0; i < bound->n; i++) {
        const BoundStatement *b = &bound->statements[i];
        if (!statement_names_action(b->statement, action)) continue;
        bool in_condition = false;
        Str missing = gather_missing(&g, b->statement, &in_condition);
        bool covered = bound_covers_resource(b, resource, scope, arena);
        if (!covered || !bound_conditions_hold(b, scope, arena)) {
            near[why->near_n++] = near_miss(&g, b, covered, missing, in_condition);
        } else if (b->statement->deny == (decision == POLICY_EXPLICIT_DENY)) {
            add_matched(matched, &why->matched_n, b->policy);
            if (why->policy) continue;
            why->policy = b->policy;
            why->statement = b->statement->index;
            why->statement_id = b->statement->id;
        }
    }
    why->missing = g.missing;
    why->missing_n = g.missing_n;
    why->matched = matched;
    why->near = near;
}
