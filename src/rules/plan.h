/* Plan: an action as it stands in a rule, with its substitution templates compiled. Generic over the kinds: it walks
 * the generated struct by the model's table. Immutable. */
#pragma once

#include "rules/action.h"
#include "rules/sql.h"

typedef struct {
    const ActionKind *kind;
    const ApiShape *shape;         /* of action */
    const void *action;            /* the kind's generated struct, as it was saved */
    const SqlTemplate **templates; /* one for each string that is none of the literal ones, in the walk's order */
    size_t templates_n;
    bool constant;    /* none of them has an expression: rendering gives `action` itself */
    uint32_t outside; /* SqlOutsideKind bits of all */
} Plan;

/* action: an IotAction, in which one member is set. Borrows it.
 * Errors: ERR_INVALID with check->why: none, two or a kind that is not there yet, parameters, templates */
NODISCARD Err plan_make(ActionCheck *check, const Sql *sql, const void *iot_action, Arena *arena, Plan *out);
/* Owns:   *out lives in the arena; it is plan->action when that is constant
 * Errors: as sql_template_render, with *why */
NODISCARD Err plan_render(const Plan *plan, SqlMessage *message, const SqlEnv *env, const SqlVariables *variables,
                          Arena *arena, const void **out, Str *why);
