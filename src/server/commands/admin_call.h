/* What the commands without an AWS API share: one request to /_starling/, its answer or an error message. */
#pragma once

#include "server/commands/client.h"

typedef int AdminPrint(Client *client, const ClientAnswer *answer, void *ctx); /* returns the exit status */

/* Opens a client, asks, prints. path below /_starling/. Returns the exit status. */
int admin_call(const char *data_dir, Arena *arena, const char *method, Str path, Str query, Str body, AdminPrint *print,
               void *ctx);
