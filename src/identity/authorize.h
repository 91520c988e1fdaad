/* Authorisation of API operations: which IAM action each needs, on which resource, and the decision.
 * (Over MQTT the broker decides on topics instead.) */
#pragma once

#include "api/call.h"
#include "api/op.h"
#include "identity/authorize_tags.h"
#include "identity/principal.h"

/* What an operation asks for. */
typedef struct {
    Str action;
    const Str *resources; /* ARNs, or "*": each must be allowed */
    size_t resources_n;
    Str second_action; /* STR_NONE, or one that is needed on the same resources: iot:RetainPublish */
    PolicyVar vars[2]; /* condition keys of this operation alone: iot:Topic … */
    size_t vars_n;
    TagVars tags; /* that the request gives */
} AuthorizeNeed;

/* in: the operation's decoded input, as api_prepare gives it. Owns: lives in the call's arena. */
AuthorizeNeed authorize_need(Call *c, const ApiOp *op, const void *in);

/* The tags of the resource that an ARN names, in a transaction; none where there is no such resource, or it has none.
 * Errors: the store's */
typedef Err AuthorizeTags(Call *c, Str arn, StrMap *out);

/* Whether c->principal may carry out c->op (or op) with this input.
 * tags: NULL: without a transaction
 * Errors: ERR_API with 403 in c->failure: AccessDeniedException, on the data plane ForbiddenException; ERR_AGAIN: its
 *         policies ask for the resource's tags, so ask again in a transaction, with tags */
NODISCARD Err api_authorize(Call *c, const ApiOp *op, const void *in, AuthorizeTags *tags);

/* The same for an action that no model has: sts:…, starling:KeyCreate.
 * Errors: ERR_API, AccessDeniedException */
NODISCARD Err authorize_action(Call *c, Str action, Str resource);
