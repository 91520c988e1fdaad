/* Work: one message that one rule took, until all its actions are over, the error action with them. */
#pragma once

#include "rules/engine.h"

/* A message as work keeps it. */
typedef struct {
    SqlMessageIn in;
    uint32_t depth;
} WorkMessage;

typedef struct Work Work;

/* Runs the rule's statement on the message, here and now, and what it gives goes its way. Gives the steps that it took.
 * hold: of a QoS 1 message (broker_rule_hold), asked for only when there is work that is not over at once; NULL: QoS 0,
 * nothing is stored */
int64_t work_evaluate(Rules *r, Rule *rule, SqlMessage *message, const WorkMessage *m, Bench *bench,
                      const RuleMessage *hold);
/* The same on a thread of the pool: the statement, or a template, reaches outside. */
void work_evaluate_later(Rules *r, Rule *rule, const WorkMessage *m, const RuleMessage *hold);
/* From the store, after a restart: evaluated again by work_resume, each by the rule that took it, whatever has become
 * of that since. Errors: ERR_IO, ERR_CORRUPT */
NODISCARD Err work_load(Rules *r, Str account);
/* Those that were brought back begin. */
void work_resume(Rules *r);
