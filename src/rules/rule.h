/* Rule: a rule as it runs: statement, actions, error action, all compiled. Immutable and counted; its figures outlive
 * its replacement. */
#pragma once

#include <stdatomic.h>

#include "generated/iot.h"
#include "rules/plan.h"
#include "rules/right.h"

enum { RULE_ACTIONS_MAX = 10, RULE_TEXT_BYTES_MAX = 128 * 1024 }; /* Source: AWS IoT Core quotas */

typedef struct {
    _Atomic uint64_t succeeded, failed, throttled, retried;
    _Atomic int64_t queued; /* now */
} ActionFigures;

/* Source: developer guide, "AWS IoT metrics and dimensions": TopicMatch, ParseError, RuleMessageThrottled … */
typedef struct {
    _Atomic int refs;
    _Atomic uint64_t matched, executed, parse_errors, throttled;
    ActionFigures actions[RULE_ACTIONS_MAX + 1]; /* the last: the error action */
} RuleFigures;

RuleFigures *rule_figures_new(void);
void rule_figures_release(RuleFigures *f);

typedef struct Rule {
    _Atomic int refs;
    Arena arena;
    Str account, region, name, arn;
    const Sql *sql;
    Str filter;       /* STR_NONE: for basic ingest only */
    uint32_t outside; /* SqlOutsideKind bits: of the statement and the actions' templates */
    bool disabled;
    Plan *plans;
    size_t plans_n;
    Plan *error;               /* NULL: none */
    Str payload, version;      /* TopicRulePayload as JSON; a hash of it and the name */
    _Atomic bool version_kept; /* its RuleVersion is in the store */
    RoleBook *roles;
    RoleSeat **seats;   /* of the plans, then of the error action; NULL: it has no role */
    size_t republishes; /* of one message, at most */
    RuleFigures *figures;
    _Atomic int running; /* on the pool */
} Rule;

typedef struct {
    Str account, region, name;
    bool disabled, plain_http;
    RoleBook *roles; /* whose policies are asked; NULL: none, as when a rule is only checked */
} RuleSpec;

/* Why a rule cannot be saved. */
typedef struct {
    bool sql; /* SqlParseException, else InvalidRequestException */
    Str text;
} RuleFault;

/* Errors: ERR_INVALID with *fault, which lives in the arena */
NODISCARD Err rule_check(const RuleSpec *spec, const IotTopicRulePayload *payload, Arena *arena, RuleFault *fault);
/* The filter behind FROM of a statement that compiles; STR_NONE otherwise. */
Str rule_topic_pattern(const IotTopicRulePayload *payload, Arena *arena);
/* From what is stored: the payload as JSON. figures: retained.
 * Errors: ERR_INVALID, ERR_MALFORMED with *fault, in the arena `scratch` */
NODISCARD Err rule_new(const RuleSpec *spec, Str payload_json, RuleFigures *figures, Arena *scratch, Rule **out,
                       RuleFault *fault);
Rule *rule_retain(Rule *r);
void rule_release(Rule *r); /* accepts NULL */

/* TopicRulePayload as JSON and back. Errors: ERR_MALFORMED */
Str rule_payload_write(const IotTopicRulePayload *payload, Arena *arena);
NODISCARD Err rule_payload_read(Str json, Arena *arena, IotTopicRulePayload *out);
