/* STS: the one operation that clients begin with, in AWS's query protocol: a form in, XML out.
 * Source: AWS STS API reference, GetCallerIdentity; botocore's model of sts (2011-06-15). */
#pragma once

#include "api/dispatch.h"

/* Carries out a signed request of scope sts (c->principal is set), without the store.
 * What is not there is answered with an XML error that says so (501, NotImplemented). */
void sts_handle(Call *c, const ApiRequest *rq, ApiResponse *rs);
/* An authentication failure in the query protocol's shape. */
void sts_refuse(Call *c, int status, const char *code, Str message, ApiResponse *rs);
