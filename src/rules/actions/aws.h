/* What kinds of actions that call an AWS service have in common. */
#pragma once

#include "aws/client.h"
#include "base/json.h"
#include "base/writer.h"
#include "rules/action.h"

/* One call whose answer decides the try. */
void action_aws(ActionRun *run, const AwsRequest *request);
/* The same of a JSON service; answered NULL: any 2xx is success. */
typedef void ActionAnswered(ActionRun *run, const AwsAnswer *answer);
void action_aws_json(ActionRun *run, const char *service, const char *operation, yyjson_mut_doc *doc,
                     yyjson_mut_val *body, ActionAnswered *answered);
/* The same for the run's account and what is left of its time; `done` tells of the try. */
void action_aws_call(ActionRun *run, const AwsRequest *request, AwsDone *done, void *ctx);
ActionOutcome action_aws_outcome(AwsRetry retry);
/* What an answer that is not OK means for the try. */
void action_aws_failed(ActionRun *run, const AwsAnswer *answer);
/* Records of a batch that the service refused one by one: for good, or throttled. */
void action_parts_failed(ActionRun *run, const char *service, size_t refused, size_t n, Str code, Str message);

/* A form of AWS's query protocol, begun with its action and version. */
Writer action_form(ActionRun *run, const char *service, const char *action);
void action_form_add(Writer *w, const char *name, Str value);

/* The elements of an array result in batch mode, or the result alone.
 * Errors: ERR_INVALID: batch mode wants an array, and not more than n_max */
typedef struct {
    Str *items; /* an element's JSON; a text's own characters */
    size_t n;
} ActionParts;
NODISCARD Err action_parts(ActionRun *run, bool batch_mode, size_t n_max, ActionParts *out, Str *why);
