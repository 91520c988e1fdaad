/* Remote: functions that another Lambda endpoint runs: AWS's, or what speaks its API. */
#pragma once

#include "api/function.h"
#include "aws/client.h"

typedef struct Remote Remote;

Remote *remote_new(AwsClient *client); /* which outlives it */
void remote_free(Remote *r);           /* accepts NULL; after the client's fetch has stopped */
Functions *remote_functions(Remote *r);
