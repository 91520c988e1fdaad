/* Rules: the rules engine. Finds the rules that a topic concerns, runs their SQL and hands the results to delivery.
 * What publishes is not held up: a statement that reaches outside runs on threads of the engine's own, and a QoS 1
 * message's work is in the store before its publisher is told that it is safe.
 * Source: AWS IoT developer guide, "Rules for AWS IoT" */
#pragma once

#include "base/log.h"
#include "broker/rule.h"
#include "rules/action.h"
#include "rules/outside.h"
#include "rules/sql.h"

typedef struct Store Store;
typedef struct Workers Workers;

/* An event for the service log, in AWS's words. Source: developer guide, "CloudWatch AWS IoT log entries" */
typedef struct {
    LogLevel level;
    const char *event; /* "RuleMatch", "RuleExecution", "RuleNotFound", "StartingRuleExecution" … */
    bool success;
    Str account, rule, client_id, principal, topic, trace_id, source_ip;
    Str action, resource; /* "RepublishAction", its resource; STR_NONE: no action's */
    Str details;          /* a sentence; STR_NONE: none */
} RuleEvent;

typedef struct {
    Store *store;
    Workers *workers;
    const Clock *clock;
    Str region;
    const RuleOutside *outside;          /* may block: asked on the engine's own threads only; NULL: nothing is there */
    size_t threads_max;                  /* of them; 0: as many as do */
    size_t queued_max, queued_bytes_max; /* parts that wait for one destination; 0: as they are by default */
    size_t rules_max;                    /* an account */
    uint32_t evaluations_per_s;          /* of an account; what comes beyond is dropped and counted; 0: no limit */
    RoleBook *roles;                     /* by which actions are let; NULL: all are */
    bool plain_http;
    void (*on_event)(void *ctx, const RuleEvent *e); /* NULL: nobody listens; any thread */
    void *on_event_ctx;
    bool (*explains)(void *ctx); /* somebody reads DEBUG lines; NULL: nobody */
} RulesOptions;

Rules *rules_new(const RulesOptions *options);
/* What the broker gets, before it exists. */
RuleHook rules_hook(Rules *r);
const RulesOptions *rules_options(const Rules *r);
/* What actions reach; before the first message. */
void rules_connect(Rules *r, const ActionEnv *env);
/* Brings an account's rules back, and its work that was not over. Before the first message of the account.
 * Errors: ERR_IO, ERR_CORRUPT */
NODISCARD Err rules_load_account(Rules *r, Str account);
/* The work that was brought back begins: all is there that it needs. */
void rules_resume(Rules *r);
/* A rule's record has changed, come or gone: it is read again. After the commit; it runs so when this returns. */
void rules_changed(Rules *r, Str account, Str rule_name);
size_t rules_count(Rules *r, Str account);
/* For tests between which a server is emptied: all rules go. */
void rules_reset(Rules *r);
void rules_stop(Rules *r); /* before the workers stop */
void rules_free(Rules *r); /* after the broker is gone; accepts NULL */

/* Sums, for /metrics. */
typedef struct {
    uint64_t rules, matched, executed, parse_errors, not_found, throttled;
    uint64_t succeeded, failed, retried, actions_throttled, error_succeeded, error_failed;
    int64_t queued;
} RulesFigures;
RulesFigures rules_figures(Rules *r);

/* One action's of one rule. */
typedef struct {
    Str account, rule, action; /* action: its kind's member */
    const char *stage;         /* "action", "errorAction" */
    size_t index;
    uint64_t succeeded, failed, throttled, retried;
    int64_t queued;
} RuleActionFigures;
typedef struct {
    Str account, rule;
    uint64_t matched, executed, parse_errors, throttled;
} RuleTotals;
typedef void RuleTotalsFn(void *ctx, const RuleTotals *t);
typedef void RuleActionFn(void *ctx, const RuleActionFigures *f);
/* Every rule's, then each of its actions'. Either may be NULL. */
void rules_each_figure(Rules *r, RuleTotalsFn *totals, RuleActionFn *actions, void *ctx);
