/* Right: whether an action's role may do what the action is about to do, as AWS asks IAM. A role that was never made
 * here is the operator's elsewhere: nothing of it is known and nothing is refused. */
#pragma once

#include "identity/role_book.h"
#include "rules/action.h"

/* On whose behalf, and by which role. */
typedef struct {
    RoleBook *book;
    RoleSeat *seat; /* NULL: the action has no role */
    Str account, region, rule_name, rule_arn;
} RightAsker;

/* The ARN of the action's role; STR_NONE: this kind has none, or signs by it alone (http). */
Str right_role(const ActionKind *kind, const void *action);
/* action: rendered. Errors: ERR_DENIED with *why */
NODISCARD Err right_check(const RightAsker *who, const ActionKind *kind, const void *action, Arena *arena, Str *why);
/* The same for any action on a resource. */
NODISCARD Err right_ask(const RightAsker *who, Str action, Str resource, Arena *arena, Str *why);
