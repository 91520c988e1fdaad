#include <stdlib.h>

#include "rules/error_document.h"
#include "rules/work_internal.h"

/* One document a message, but one for all messages of a batch that failed together: the works of that batch wait until
 * each has all its actions behind it, then the first carries the error action and the others end with it. A message
 * that failed in two batches is told of with the first. */

static void end_all(Work *w, bool dropped) {
    for (Work *next; w; w = next) {
        next = w->followers;
        w->followers = NULL;
        w->dropped |= dropped;
        work_over(w);
    }
}

static void error_over(Part *p) {
    Work *w = p->owner;
    work_tell_part(w->rules, w, p);
    end_all(w, p->dropped);
}

static Str document(Work *w) {
    size_t n = 0, i = 0;
    for (const Work *at = w; at; at = at->followers) n++;
    ErrorOf *of = arena_array(&w->arena, ErrorOf, n);
    for (const Work *at = w; at; at = at->followers) of[i++] = (ErrorOf){ &at->message.in, at->parts, at->parts_n };
    return error_document(w->rule->name, of, n, &w->arena);
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
        work_part_fails(p, "Its parameters cannot be evaluated: ", why, S(""));
        error_over(p);
        return;
    }
    if (!work_part_may(w, p, w->rule->plans_n, action)) {
        error_over(p);
        return;
    }
    work_fill_item(w, p, action, document(w), true);
    delivery_submit(w->rules->delivery, p);
}

/* With templates the statement runs once more, for its variables and on what is kept of the (first) message. */
void work_error_again(Work *w, Rng *rng) {
    SqlOutside outside;
    SqlEnv env = work_env(w, rng, &outside);
    SqlMessage *message = sql_message_open(&w->message.in, &w->arena);
    SqlResult res = { 0 };
    Err e = sql_run(w->rule->sql, message, &env, &res);
    run_error(w, message, &env, e == OK ? res.variables : NULL);
}

static void begin_error(Work *w) {
    if (w->rule->error->constant) {
        run_error(w, NULL, NULL, NULL);
        return;
    }
    w->error_stage = true;
    if (work_to_pool(w, true)) return; /* bounded by the actions that fail */
    end_all(w, atomic_load(&w->rules->stopping));
}

/* The works that have come together once nobody is missing. */
static Work *arrive(PartBatch *b, Work *w) {
    Work *all = NULL;
    pthread_mutex_lock(&b->lock);
    if (w && b->last)
        ((Work *)b->last)->followers = w;
    else if (w)
        b->first = w;
    if (w) b->last = w;
    bool last = --b->left == 0;
    if (last) all = b->first;
    pthread_mutex_unlock(&b->lock);
    if (last) part_batch_free(b);
    return all;
}

void work_actions_over(Work *w) {
    bool failed = false;
    PartBatch *with = NULL;
    for (size_t i = 0; i < w->parts_n; i++) {
        failed |= w->parts[i].failed;
        w->dropped |= w->parts[i].dropped;
    }
    bool due = failed && w->rule->error && !w->dropped;
    for (size_t i = 0; i < w->parts_n; i++) {
        PartBatch *b = w->parts[i].batch;
        w->parts[i].batch = NULL;
        if (!b) continue;
        if (due && !with) {
            with = b;
            continue;
        }
        Work *others = arrive(b, NULL);
        if (others) begin_error(others);
    }
    Work *all = with ? arrive(with, w) : w;
    if (!due)
        work_over(w);
    else if (all)
        begin_error(all);
}
