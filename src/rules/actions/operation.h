/* What actions that call a service of this server have in common. */
#pragma once

#include "rules/action.h"

/* Calls the operation; false: there is no answer, and the try is done. name: of the action, for messages.
 * Shape: *out = the operation's generated output */
bool action_operation(ActionRun *run, const ApiService *service, const char *operation, const void *in, void **out);
/* One part of the answer is an error: the try is done with it. */
void action_operation_refused(ActionRun *run, Str code, Str message);
/* A UUID for what names each message. */
Str action_uuid(ActionRun *run);
