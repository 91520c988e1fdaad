#include "rules/work.h"

#include <stdlib.h>

#include "base/encode.h"
#include "generated/rules_records.h"

/* Work begins on the publisher's reactor (or on the pool, where its statement may wait) and ends on whichever thread
 * tells of its last part. What lasts is the message, not its results: after a restart the statement runs again on what
 * is stored, so that the store holds one small record whatever the actions are, and none when all is over before the
 * write has run. Two flags say how far both sides are; who sets the second of them takes the record away. */

enum { STORED = 1, OVER = 2 }; /* of `state`: the write is through, all parts are over */

struct Work {
    Rules *rules;
    Rule *rule;
    Arena arena;
    _Atomic int refs; /* the parts together one, the write one */
    WorkMessage message;
    /* on the pool */
    PoolJob pool;
    bool error_stage;
    Work *next; /* of those that were brought back */
    /* parts */
    Part *parts;
    size_t parts_n;
    _Atomic int left;
    Part error;
    bool dropped;
    /* in the store */
    Job put, remove;
    int64_t id;
    void *hold;
    bool written; /* by the write that was committed */
    _Atomic int state;
};

static void evaluate(Work *w, Rng *rng);

/* ------------------------------------------------------------------------------------------------ asking outside */

static Err ask_outside(void *ctx, const SqlOutsideCall *call, Arena *arena, Str *out, Str *why) {
    const Work *w = ctx;
    const RuleOutside *o = w->rules->o.outside;
    const RuleAsker who = { w->rule->account, w->rule->region, w->rule->arn };
    return o->call(o->ctx, &who, call, arena, out, why);
}

static SqlEnv env_of(Work *w, Rng *rng, SqlOutside *outside) {
    *outside = (SqlOutside){ w, ask_outside };
    return (SqlEnv){ .account = w->rule->account, .rng = rng, .outside = w->rules->o.outside ? outside : NULL };
}

/* ------------------------------------------------------------------------------------------------ telling */

static RuleEvent event_of(const Rule *rule, const WorkMessage *m, LogLevel level, const char *name, bool success) {
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
    RuleEvent e = event_of(rule, m, LOG_ERROR, "RuleExecution", false);
    e.details = details;
    atomic_fetch_add_explicit(&rule->figures->parse_errors, 1, memory_order_relaxed);
    rules_event(r, &e);
}

static void tell_match(Rules *r, const Rule *rule, const WorkMessage *m) {
    if (!rules_explain(r)) return;
    RuleEvent e = event_of(rule, m, LOG_DEBUG, "RuleMatch", true);
    rules_event(r, &e);
    e.event = "StartingRuleExecution";
    rules_event(r, &e);
}

/* What the statement did, as `starling sql` says it. */
static void tell_result(Rules *r, const Rule *rule, const WorkMessage *m, const SqlResult *res) {
    if (!rules_explain(r)) return;
    Arena arena = { 0 };
    RuleEvent e = event_of(rule, m, LOG_DEBUG, "FunctionExecution", true);
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

static void tell_part(Rules *r, const Work *w, const Part *p) {
    if (p->dropped || (!p->failed && !rules_explain(r))) return;
    RuleEvent e = event_of(w->rule, &w->message, p->failed ? LOG_ERROR : LOG_DEBUG, "RuleExecution", !p->failed);
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

static Work *work_new(Rules *r, Rule *rule, const WorkMessage *m) {
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

static void work_release(Work *w) {
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

/* ------------------------------------------------------------------------------------------------ the store */

static Tenant tenant_of(const Work *w) {
    return (Tenant){ w->rule->account, w->rule->region };
}

static uint64_t order_of(const Work *w) {
    return (uint64_t)w->id * UINT64_C(0x9e3779b97f4a7c15);
}

static Err remove_run(Job *job, Txn *txn) {
    Work *w = (Work *)((char *)job - offsetof(Work, remove));
    Err e = rule_work_record_delete(txn, tenant_of(w), w->id);
    return e == ERR_NOT_FOUND ? OK : e;
}

static void remove_done(Job *job, Err e) {
    (void)e; /* the store refused: it runs again after a restart, as at-least-once allows */
    work_release((Work *)((char *)job - offsetof(Work, remove)));
}

/* Both are so: nobody needs the record any more. */
static void take_away(Work *w) {
    if (!w->written || w->dropped || atomic_load(&w->rules->stopping)) {
        work_release(w);
        return;
    }
    w->remove = (Job){ .key = order_of(w), .run = remove_run, .done = remove_done };
    workers_submit(w->rules->o.workers, &w->remove);
}

static Err put_run(Job *job, Txn *txn) {
    Work *w = (Work *)((char *)job - offsetof(Work, put));
    const SqlMessageIn *in = &w->message.in;
    w->written = !(atomic_load(&w->state) & OVER);
    if (!w->written) return OK;
    RuleWorkRecord row = { .work_id = w->id,
                           .rule_name = w->rule->name,
                           .topic = in->topic,
                           .payload = in->payload,
                           .props = in->properties,
                           .client_id = in->client_id,
                           .principal = in->principal,
                           .trace_id = in->trace_id,
                           .source_ip = in->source_ip,
                           .time_ms = in->time_ms,
                           .depth = w->message.depth };
    return rule_work_record_put(txn, tenant_of(w), &row);
}

static void put_done(Job *job, Err e) {
    Work *w = (Work *)((char *)job - offsetof(Work, put));
    if (e != OK) w->written = false;
    broker_rule_release(w->hold, e == OK);
    if (atomic_fetch_or(&w->state, STORED) & OVER)
        take_away(w);
    else
        work_release(w);
}

/* Its publisher waits until it is stored, or over. */
static void store(Work *w, const RuleMessage *hold) {
    if ((atomic_load(&w->state) & OVER) || atomic_load(&w->rules->stopping)) return;
    w->hold = broker_rule_hold(hold);
    w->id = (int64_t)atomic_fetch_add(&w->rules->next_work_id, 1);
    atomic_fetch_add(&w->refs, 1);
    w->put = (Job){ .key = order_of(w), .run = put_run, .done = put_done };
    workers_submit(w->rules->o.workers, &w->put);
}

static void work_over(Work *w) {
    if (atomic_fetch_or(&w->state, OVER) & STORED)
        take_away(w);
    else
        work_release(w);
}

/* ------------------------------------------------------------------------------------------------ the error action */

static bool was_batched(const Part *p) {
    const ActionKind *k = p->plan->kind;
    return p->failed && p->item.action && k->batch && k->batch(p->item.action).n_max > 1;
}

/* What identifies the message: of the document itself, or of an entry for the ids that its failures name. */
static void put_message(yyjson_mut_doc *d, yyjson_mut_val *o, const SqlMessageIn *in, Arena *arena) {
    json_add_str(d, o, S("cloudwatchTraceId"), in->trace_id);
    json_add_str(d, o, S("clientId"), in->client_id.ptr ? in->client_id : S("N/A"));
    if (in->source_ip.ptr) json_add_str(d, o, S("sourceIp"), in->source_ip);
    json_add_str(d, o, S("base64OriginalPayload"), base64_encode(arena, in->payload));
}

/* Source: developer guide, "Error handling (error action)" and "HTTP action batching": the two formats. A batch's
 * messages are told of one by one, each under the id 1. */
static Str error_document(const Work *w, Arena *arena) {
    const SqlMessageIn *in = &w->message.in;
    yyjson_mut_doc *d = json_doc(arena);
    yyjson_mut_val *o = yyjson_mut_obj(d), *list = yyjson_mut_arr(d);
    bool batched = false;
    for (size_t i = 0; i < w->parts_n; i++) batched |= was_batched(&w->parts[i]);
    json_add_str(d, o, S("ruleName"), w->rule->name);
    json_add_str(d, o, S("topic"), in->topic);
    if (batched) {
        yyjson_mut_val *entry = yyjson_mut_arr_add_obj(d, yyjson_mut_obj_add_arr(d, o, "payloadsWithMetadata"));
        yyjson_mut_obj_add_int(d, entry, "id", 1);
        put_message(d, entry, in, arena);
    } else {
        put_message(d, o, in, arena);
    }
    for (size_t i = 0; i < w->parts_n; i++) {
        const Part *p = &w->parts[i];
        if (!p->failed) continue;
        yyjson_mut_val *f = yyjson_mut_arr_add_obj(d, list);
        if (batched) yyjson_mut_arr_add_int(d, yyjson_mut_obj_add_arr(d, f, "affectedIds"), 1);
        json_add_str(d, f, S("failedAction"), p->plan->kind->failed);
        json_add_str(d, f, S("failedResource"), str_c(p->resource));
        json_add_str(d, f, S("errorMessage"), str_c(p->why));
    }
    yyjson_mut_obj_add(o, json_mut_str(d, S("failures")), list);
    return json_write_mut(arena, o);
}

static void error_over(Part *p) {
    Work *w = p->owner;
    w->dropped |= p->dropped;
    tell_part(w->rules, w, p);
    work_over(w);
}

static void item_fill(Work *w, Part *p, const void *action, Str payload, bool json) {
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
static void part_fails(Part *p, const char *what, Str why, Str resource) {
    p->failed = true;
    p->why = mem_new(why.len + strlen(what) + 1);
    memcpy(p->why, what, strlen(what));
    if (why.len) memcpy(p->why + strlen(what), why.ptr, why.len);
    p->resource = mem_new(resource.len + 1);
    if (resource.len) memcpy(p->resource, resource.ptr, resource.len);
    atomic_fetch_add_explicit(&p->figures->failed, 1, memory_order_relaxed);
}

/* Whether its role lets it; else it has failed. */
static bool part_may(Work *w, Part *p, size_t i, const void *action) {
    const Rule *r = w->rule;
    const ActionKind *k = p->plan->kind;
    if (!r->seats || !r->seats[i]) return true;
    Str why;
    const RightAsker who = { r->roles, r->seats[i], r->account, r->region, r->name, r->arn };
    if (right_check(&who, k, action, &w->arena, &why) == OK) return true;
    why = str_format(&w->arena, "%.*s failed. The error received was AccessDeniedException: %.*s", PS(k->failed),
                     PS(why));
    part_fails(p, "", why, k->resource ? k->resource(&w->arena, action) : S(""));
    return false;
}

static void run_error(Work *w, SqlMessage *message, const SqlEnv *env, const SqlVariables *variables) {
    const void *action;
    Str why = STR_NONE;
    Part *p = &w->error;
    *p = (Part){ .owner = w,
                 .rule = w->rule,
                 .plan = w->rule->error,
                 .figures = &w->rule->figures->actions[RULE_ACTIONS_MAX],
                 .over = error_over };
    if (plan_render(p->plan, message, env, variables, &w->arena, &action, &why) != OK) {
        part_fails(p, "Its parameters cannot be evaluated: ", why, S(""));
        error_over(p);
        return;
    }
    if (!part_may(w, p, w->rule->plans_n, action)) {
        error_over(p);
        return;
    }
    item_fill(w, p, action, error_document(w, &w->arena), true);
    delivery_submit(w->rules->delivery, p);
}

/* With templates the statement runs once more, for its variables and on what is kept of the message. */
static void run_error_again(Work *w, Rng *rng) {
    SqlOutside outside;
    SqlEnv env = env_of(w, rng, &outside);
    SqlMessage *message = sql_message_open(&w->message.in, &w->arena);
    SqlResult res = { 0 };
    Err e = sql_run(w->rule->sql, message, &env, &res);
    run_error(w, message, &env, e == OK ? res.variables : NULL);
}

static void pool_run(PoolJob *job, Rng *rng) {
    Work *w = (Work *)((char *)job - offsetof(Work, pool));
    if (w->error_stage)
        run_error_again(w, rng);
    else
        evaluate(w, rng);
}

/* ------------------------------------------------------------------------------------------------ the actions */

static void all_over(Work *w) {
    bool failed = false;
    for (size_t i = 0; i < w->parts_n; i++) {
        failed |= w->parts[i].failed;
        w->dropped |= w->parts[i].dropped;
    }
    if (!failed || !w->rule->error || w->dropped) {
        work_over(w);
        return;
    }
    if (w->rule->error->constant) {
        run_error(w, NULL, NULL, NULL);
        return;
    }
    w->error_stage = true;
    w->pool = (PoolJob){ .rule = w->rule, .run = pool_run };
    if (pool_submit(w->rules->pool, &w->pool, true)) return; /* bounded by the actions that fail */
    w->dropped = atomic_load(&w->rules->stopping);
    work_over(w);
}

static void part_is_over(Work *w) {
    if (atomic_fetch_sub(&w->left, 1) == 1) all_over(w);
}

static void over(Part *p) {
    Work *w = p->owner;
    tell_part(w->rules, w, p);
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
        part_fails(p, "Its parameters cannot be evaluated: ", why, S(""));
    else
        (void)part_may(w, p, i, action);
    item_fill(w, p, action, res->output, !res->binary);
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

void work_evaluate(Rules *r, Rule *rule, SqlMessage *message, const WorkMessage *m, Bench *bench,
                   const RuleMessage *hold) {
    SqlEnv env = { .account = rule->account, .rng = &bench->rng };
    SqlResult res = { 0 };
    if (!run_statement(r, rule, message, m, &env, &res)) return;
    Work *w = work_new(r, rule, m);
    res.output = res.binary ? w->message.in.payload : str_dup(&w->arena, res.output);
    atomic_fetch_add(&w->refs, 1);
    dispatch(w, &res, message, &env);
    if (hold) store(w, hold);
    work_release(w);
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
    SqlEnv env = env_of(w, rng, &outside);
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
    RuleEvent e = event_of(w->rule, &w->message, LOG_ERROR, "RuleMessageThrottled", false);
    e.details = S("too many messages wait for statements that reach outside");
    atomic_fetch_add_explicit(&w->rule->figures->throttled, 1, memory_order_relaxed);
    rules_event(w->rules, &e);
    work_over(w);
}

static void to_pool(Work *w, bool must) {
    w->pool = (PoolJob){ .rule = w->rule, .run = pool_run };
    if (!pool_submit(w->rules->pool, &w->pool, must)) throttled(w);
}

void work_evaluate_later(Rules *r, Rule *rule, const WorkMessage *m, const RuleMessage *hold) {
    Work *w = work_new(r, rule, m);
    atomic_fetch_add(&w->refs, 1);
    to_pool(w, false);
    if (hold) store(w, hold);
    work_release(w);
}

/* ------------------------------------------------------------------------------------------------ after a restart */

void work_bring_back(Rules *r, Rule *rule, const WorkMessage *m, int64_t id) {
    Work *w = work_new(r, rule, m);
    w->id = id;
    w->written = true;
    atomic_store(&w->state, STORED);
    w->next = r->brought_back;
    r->brought_back = w;
}

void work_resume(Rules *r) {
    Work *list = r->brought_back;
    r->brought_back = NULL;
    for (Work *next; list; list = next) {
        next = list->next;
        to_pool(list, true);
    }
}
