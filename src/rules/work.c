#include "rules/work_internal.h"

#include <stdlib.h>

/* Work begins on the publisher's reactor (or on the pool, where its statement may wait) and ends on whichever thread
 * tells of its last part. What lasts is the message, not its results: after a restart the statement runs again on what
 * is stored, so that the store holds one small record whatever the actions are, and none when all is over before the
 * write has run. Two flags say how far both sides are; who sets the second of them takes the record away. */

/* ------------------------------------------------------------------------------------------------ asking outside */

static Err ask_outside(void *ctx, const SqlOutsideCall *call, Arena *arena, Str *out, Str *why) {
    const Work *w = ctx;
    const RuleOutside *o = w->rules->o.outside;
    const RuleAsker who = { w->rule->account, w->rule->region, w->rule->arn };
    return o->call(o->ctx, &who, call, arena, out, why);
}

SqlEnv work_env(Work *w, Rng *rng, SqlOutside *outside) {
    *outside = (SqlOutside){ w, ask_outside };
    return (SqlEnv){ .account = w->rule->account, .rng = rng, .outside = w->rules->o.outside ? outside : NULL };
}

/* ------------------------------------------------------------------------------------------------ telling */

RuleEvent work_event(const Rule *rule, const WorkMessage *m, LogLevel level, const char *name, bool success) {
    return (RuleEvent){ .level = level,
                        .event = name,
                        .success = success,
                        .account = rule->account,
                        .rule = rule->name,
                        .client_id = m->in.client_id,
                        .principal = m->in.principal,
                        .topic = m->in.topic,
                        .trace_id = m->in.trace_id,
                        .source_ip = m->in.source_ip };
}

static void tell_failure(Rules *r, const Rule *rule, const WorkMessage *m, Str details) {
    RuleEvent e = work_event(rule, m, LOG_ERROR, "RuleExecution", false);
    e.details = details;
    atomic_fetch_add_explicit(&rule->figures->parse_errors, 1, memory_order_relaxed);
    rules_event(r, &e);
}

static void tell_match(Rules *r, const Rule *rule, const WorkMessage *m) {
    if (!rules_explain(r)) return;
    RuleEvent e = work_event(rule, m, LOG_DEBUG, "RuleMatch", true);
    rules_event(r, &e);
    e.event = "StartingRuleExecution";
    rules_event(r, &e);
}

/* What the statement did, as `starling sql` says it. */
static void tell_result(Rules *r, const Rule *rule, const WorkMessage *m, const SqlResult *res) {
    if (!rules_explain(r)) return;
    Arena arena = { 0 };
    RuleEvent e = work_event(rule, m, LOG_DEBUG, "FunctionExecution", true);
    for (size_t i = 0; i < res->undefined_n; i++) {
        const SqlUndefined *u = &res->undefined[i];
        e.details = str_format(&arena, "line %d column %d: %.*s is Undefined: %.*s", u->line, u->column,
                               PS(u->expression), PS(u->why));
        rules_event(r, &e);
    }
    e.event = "RuleExecution";
    enum { SHOWN = 1000 };
    e.details = !res->matched ? S("WHERE does not hold")
                : res->binary ? S("the payload as it came")
                              : str_format(&arena, "result %.*s", PS(str_sub(res->output, 0, SHOWN)));
    rules_event(r, &e);
    arena_free(&arena);
}

void work_tell_part(Rules *r, const Work *w, const Part *p) {
    if (p->dropped || (!p->failed && !rules_explain(r))) return;
    RuleEvent e = work_event(w->rule, &w->message, p->failed ? LOG_ERROR : LOG_DEBUG, "RuleExecution", !p->failed);
    e.action = p->plan->kind->failed;
    Arena arena = { 0 };
    e.resource = p->failed                 ? str_c(p->resource)
                 : p->plan->kind->resource ? p->plan->kind->resource(&arena, p->item.action)
                                           : STR_NONE;
    e.details = p->failed ? str_c(p->why) : STR_NONE;
    rules_event(r, &e);
    arena_free(&arena);
}

/* ------------------------------------------------------------------------------------------------ life */

Work *work_new(Rules *r, Rule *rule, const WorkMessage *m) {
    Work *w = mem_new(sizeof *w);
    Arena *a = &w->arena;
    w->rules = r;
    w->rule = rule_retain(rule);
    w->refs = 1;
    w->message = *m;
    Str *texts[] = { &w->message.in.topic,     &w->message.in.payload,  &w->message.in.client_id,
                     &w->message.in.principal, &w->message.in.trace_id, &w->message.in.source_ip,
                     &w->message.in.properties };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i]->ptr) *texts[i] = str_dup(a, *texts[i]);
    return w;
}

void work_release(Work *w) {
    if (atomic_fetch_sub(&w->refs, 1) > 1) return;
    for (size_t i = 0; i < w->parts_n; i++) {
        free(w->parts[i].why);
        free(w->parts[i].resource);
    }
    free(w->error.why);
    free(w->error.resource);
    rule_release(w->rule);
    arena_free(&w->arena);
    free(w);
}

/* ------------------------------------------------------------------------------------------------ parts */

void work_fill_item(Work *w, Part *p, const void *action, Str payload, bool json) {
    const SqlMessageIn *in = &w->message.in;
    p->item = (ActionItem){ .action = action,
                            .payload = payload,
                            .json = json,
                            .topic = in->topic,
                            .client_id = in->client_id,
                            .trace_id = in->trace_id,
                            .source_ip = in->source_ip,
                            .time_ms = in->time_ms,
                            .depth = w->message.depth };
}

/* It never came so far as to be delivered, and counts and is told like any failure. */
void work_part_fails(Part *p, const char *what, Str why, Str resource) {
    p->failed = true;
    p->why = mem_new(why.len + strlen(what) + 1);
    memcpy(p->why, what, strlen(what));
    if (why.len) memcpy(p->why + strlen(what), why.ptr, why.len);
    p->resource = mem_new(resource.len + 1);
    if (resource.len) memcpy(p->resource, resource.ptr, resource.len);
    atomic_fetch_add_explicit(&p->figures->failed, 1, memory_order_relaxed);
}

/* Whether its role lets it; else it has failed. */
bool work_part_may(Work *w, Part *p, size_t i, const void *action) {
    const Rule *r = w->rule;
    const ActionKind *k = p->plan->kind;
    if (!r->seats || !r->seats[i]) return true;
    Str why;
    const RightAsker who = { r->roles, r->seats[i], r->account, r->region, r->name, r->arn };
    if (right_check(&who, k, action, &w->arena, &why) == OK) return true;
    why = str_format(&w->arena, "%.*s failed. The error received was AccessDeniedException: %.*s", PS(k->failed),
                     PS(why));
    work_part_fails(p, "", why, k->resource ? k->resource(&w->arena, action) : S(""));
    return false;
}

/* ------------------------------------------------------------------------------------------------ the actions */

static void part_is_over(Work *w) {
    if (atomic_fetch_sub(&w->left, 1) == 1) work_actions_over(w);
}

static void over(Part *p) {
    Work *w = p->owner;
    work_tell_part(w->rules, w, p);
    part_is_over(w);
}

static void part_set(Work *w, size_t i, const SqlResult *res, SqlMessage *message, const SqlEnv *env) {
    Part *p = &w->parts[i];
    const void *action = NULL;
    Str why = STR_NONE;
    *p = (Part){
        .owner = w, .rule = w->rule, .plan = &w->rule->plans[i], .figures = &w->rule->figures->actions[i], .over = over
    };
    if (plan_render(p->plan, message, env, res->variables, &w->arena, &action, &why) != OK)
        work_part_fails(p, "Its parameters cannot be evaluated: ", why, S(""));
    else
        (void)work_part_may(w, p, i, action);
    work_fill_item(w, p, action, res->output, !res->binary);
}

/* The caller has a reference of its own. */
static void dispatch(Work *w, const SqlResult *res, SqlMessage *message, const SqlEnv *env) {
    size_t n = w->rule->plans_n;
    w->parts = arena_array(&w->arena, Part, n);
    w->parts_n = n;
    atomic_store(&w->left, (int)n + 1);
    for (size_t i = 0; i < n; i++) part_set(w, i, res, message, env);
    for (size_t i = 0; i < n; i++) {
        if (w->parts[i].failed)
            over(&w->parts[i]);
        else
            delivery_submit(w->rules->delivery, &w->parts[i]);
    }
    part_is_over(w);
}

/* ------------------------------------------------------------------------------------------------ the statement */

/* False: nothing comes of it, and that was told. */
static bool run_statement(Rules *r, const Rule *rule, SqlMessage *message, const WorkMessage *m, SqlEnv *env,
                          SqlResult *res) {
    env->explain = rules_explain(r);
    atomic_fetch_add_explicit(&rule->figures->matched, 1, memory_order_relaxed);
    tell_match(r, rule, m);
    if (sql_run(rule->sql, message, env, res) != OK) {
        tell_failure(r, rule, m, res->why);
        return false;
    }
    tell_result(r, rule, m, res);
    if (res->matched) atomic_fetch_add_explicit(&rule->figures->executed, 1, memory_order_relaxed);
    return res->matched && rule->plans_n > 0;
}

int64_t work_evaluate(Rules *r, Rule *rule, SqlMessage *message, const WorkMessage *m, Bench *bench,
                      const RuleMessage *hold) {
    int64_t steps = SQL_STEPS_MAX;
    SqlEnv env = { .account = rule->account, .rng = &bench->rng, .steps = &steps };
    SqlResult res = { 0 };
    if (!run_statement(r, rule, message, m, &env, &res)) return SQL_STEPS_MAX - steps;
    Work *w = work_new(r, rule, m);
    res.output = res.binary ? w->message.in.payload : str_dup(&w->arena, res.output);
    atomic_fetch_add(&w->refs, 1);
    dispatch(w, &res, message, &env);
    if (hold) work_store(w, hold);
    work_release(w);
    return SQL_STEPS_MAX - steps;
}

/* On the pool. */
static void evaluate(Work *w, Rng *rng) {
    Rules *r = w->rules;
    if (atomic_load(&r->stopping)) {
        w->dropped = true;
        work_over(w);
        return;
    }
    SqlOutside outside;
    SqlEnv env = work_env(w, rng, &outside);
    int64_t steps = SQL_STEPS_MAX;
    env.steps = &steps;
    SqlMessage *message = sql_message_open(&w->message.in, &w->arena);
    SqlResult res = { 0 };
    if (!run_statement(r, w->rule, message, &w->message, &env, &res)) {
        work_over(w);
        return;
    }
    atomic_fetch_add(&w->refs, 1);
    dispatch(w, &res, message, &env);
    work_release(w);
}

/* Source: developer guide: RuleMessageThrottled, and its log entry */
static void throttled(Work *w) {
    RuleEvent e = work_event(w->rule, &w->message, LOG_ERROR, "RuleMessageThrottled", false);
    e.details = S("too many messages wait for statements that reach outside");
    atomic_fetch_add_explicit(&w->rule->figures->throttled, 1, memory_order_relaxed);
    rules_event(w->rules, &e);
    work_over(w);
}

static void pool_run(PoolJob *job, Rng *rng) {
    Work *w = (Work *)((char *)job - offsetof(Work, pool));
    if (w->error_stage)
        work_error_again(w, rng);
    else
        evaluate(w, rng);
}

bool work_to_pool(Work *w, bool must) {
    w->pool = (PoolJob){ .rule = w->rule, .run = pool_run };
    return pool_submit(w->rules->pool, &w->pool, must);
}

void work_evaluate_later(Rules *r, Rule *rule, const WorkMessage *m, const RuleMessage *hold) {
    Work *w = work_new(r, rule, m);
    atomic_fetch_add(&w->refs, 1);
    if (!work_to_pool(w, false)) throttled(w);
    if (hold) work_store(w, hold);
    work_release(w);
}

/* ------------------------------------------------------------------------------------------------ after a restart */

void work_resume(Rules *r) {
    Work *list = NULL;
    for (Work *w = r->brought_back, *next; w; w = next) { /* the newest is first */
        next = w->next;
        w->next = list;
        list = w;
    }
    r->brought_back = NULL;
    for (Work *next; list; list = next) {
        next = list->next;
        if (!work_to_pool(list, true)) throttled(list);
    }
}
