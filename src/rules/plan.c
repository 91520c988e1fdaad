#include "rules/plan.h"

#include "identity/role.h"

/* One walk serves compiling and rendering: it goes through the struct in the order of its table, makes a copy
 * of what has members, and asks a function what each string becomes. Compiling appends a template for each string that
 * may be one, rendering takes them in the same order. */

typedef struct Walk Walk;
struct Walk {
    Arena *arena;
    Err (*text)(Walk *w, Str in, bool literal, Str *out);
    const ActionKind *kind;
    const Plan *plan;
    size_t at; /* the next template */
    /* compiling */
    ActionCheck *check;
    const Sql *sql;
    Plan *made;
    size_t cap;
    Str member; /* in which text stands, for messages */
    /* rendering */
    SqlMessage *message;
    const SqlEnv *env;
    const SqlVariables *variables;
    Str *why;
};

static Err walk_struct(Walk *w, const ApiShape *shape, const void *in, void *out);

/* A string, list, map or structure in its slot, already copied flat. */
static Err walk_value(Walk *w, const ApiShape *shape, bool literal, void *slot);

static Err walk_items(Walk *w, const ApiShape *shape, bool literal, ApiItems *list) {
    if (list->n == 0) return OK;
    uint8_t *copy = arena_alloc_array(w->arena, shape->element_size, list->n);
    memcpy(copy, list->items, list->n * shape->element_size);
    list->items = copy;
    const ApiShape *member = shape->member;
    for (size_t i = 0; i < list->n; i++) {
        void *at = copy + i * shape->element_size + (shape->kind == API_MAP ? shape->member_offset : 0);
        Err e = member->kind == API_STRUCT && shape->kind == API_LIST ? walk_struct(w, member, at, at)
                                                                      : walk_value(w, member, literal, at);
        if (e != OK) return e;
    }
    return OK;
}

static Err walk_value(Walk *w, const ApiShape *shape, bool literal, void *slot) {
    if (shape->kind == API_STR) {
        Str *s = slot;
        return s->ptr ? w->text(w, *s, literal, s) : OK;
    }
    if (shape->kind == API_ENUM || shape->kind == API_BLOB || shape->kind == API_DOC) {
        Str *s = slot;
        return s->ptr ? w->text(w, *s, true, s) : OK;
    }
    if (shape->kind == API_LIST || shape->kind == API_MAP) return walk_items(w, shape, literal, slot);
    if (shape->kind != API_STRUCT) return OK;
    void **p = slot;
    if (!*p) return OK;
    void *copy = arena_alloc(w->arena, shape->element_size);
    Err e = walk_struct(w, shape, *p, copy);
    *p = copy;
    return e;
}

static Err walk_struct(Walk *w, const ApiShape *shape, const void *in, void *out) {
    if (in != out) memcpy(out, in, shape->element_size);
    for (size_t i = 0; i < shape->members_n; i++) {
        const ApiMember *m = &shape->members[i];
        w->member = m->name;
        Err e = walk_value(w, m->shape, action_is_literal(w->kind, m->name), (char *)out + m->offset);
        if (e != OK) return e;
    }
    return OK;
}

/* ------------------------------------------------------------------------------------------------ compiling */

static Err compile_text(Walk *w, Str in, bool literal, Str *out) {
    Str account;
    (void)out;
    if (str_eq(w->member, S("roleArn")) && !role_arn_account(in, &account))
        return action_refuse(w->check,
                             "The roleArn '%.*s' of the %.*s action is no role's ARN: arn:aws:iam::ACCOUNT:role/NAME "
                             "is expected",
                             PS(str_sub(in, 0, 200)), PS(w->kind->member));
    if (literal) return OK;
    Plan *p = w->made;
    if (p->templates_n == w->cap) {
        w->cap = w->cap ? w->cap * 2 : 8;
        const SqlTemplate **more = arena_array(w->arena, const SqlTemplate *, w->cap);
        if (p->templates_n) memcpy(more, p->templates, p->templates_n * sizeof *more);
        p->templates = more;
    }
    SqlFault fault = { 0 };
    const SqlTemplate *t = NULL;
    Err e = sql_template_compile(w->sql, in, w->arena, &t, &fault);
    if (e != OK)
        return action_refuse(w->check, "The template of %.*s in the %.*s action does not compile: %.*s", PS(w->member),
                             PS(w->kind->member), PS(fault.text));
    p->templates[p->templates_n++] = t;
    p->constant &= sql_template_is_constant(t);
    p->outside |= sql_template_reaches_outside(t);
    return OK;
}

static Err the_one(ActionCheck *check, const void *iot_action, const ActionKind **kind, const void **action) {
    const ApiShape *all = action_union();
    const ApiMember *found = NULL;
    for (size_t i = 0; i < all->members_n; i++) {
        const void *p = *(void *const *)((const char *)iot_action + all->members[i].offset);
        if (!p) continue;
        if (found)
            return action_refuse(check, "An action is one of its kinds: this one has both %.*s and %.*s",
                                 PS(found->name), PS(all->members[i].name));
        found = &all->members[i];
        *action = p;
    }
    if (!found) return action_refuse(check, "An action names one kind, like {\"republish\": {…}}: this one has none");
    *kind = action_kind(found->name);
    if (!*kind)
        return action_refuse(check, "The %.*s action is not there yet: a rule that has it would not do what it says",
                             PS(found->name));
    return OK;
}

Err plan_make(ActionCheck *check, const Sql *sql, const void *iot_action, Arena *arena, Plan *out) {
    Plan p = { .constant = true };
    Err e = the_one(check, iot_action, &p.kind, &p.action);
    if (e != OK) return e;
    p.shape = action_member(p.kind)->shape;
    Walk w = { .arena = arena, .text = compile_text, .kind = p.kind, .check = check, .sql = sql, .made = &p };
    e = walk_struct(&w, p.shape, p.action, arena_alloc(arena, p.shape->element_size));
    if (e == OK && p.kind->check) e = p.kind->check(check, p.action);
    if (e == OK) *out = p;
    return e;
}

/* ------------------------------------------------------------------------------------------------ rendering */

static Err render_text(Walk *w, Str in, bool literal, Str *out) {
    (void)in;
    Str text;
    if (literal) return OK;
    Err e = sql_template_render(w->plan->templates[w->at++], w->message, w->env, w->variables, &text, w->why);
    if (e == OK) *out = str_dup(w->arena, text);
    return e;
}

Err plan_render(const Plan *plan, SqlMessage *message, const SqlEnv *env, const SqlVariables *variables, Arena *arena,
                const void **out, Str *why) {
    if (plan->constant) {
        *out = plan->action;
        return OK;
    }
    Walk w = { .arena = arena,
               .text = render_text,
               .kind = plan->kind,
               .plan = plan,
               .message = message,
               .env = env,
               .variables = variables,
               .why = why };
    void *copy = arena_alloc(arena, plan->shape->element_size);
    Err e = walk_struct(&w, plan->shape, plan->action, copy);
    if (e == OK) *out = copy;
    return e;
}
