/* The credentials provider: a device with a certificate gets temporary keys of a role, by a role alias.
 *   GET /role-aliases/ALIAS/credentials, with x-amzn-iot-thingname where it acts for a thing
 * Source: AWS IoT developer guide, "Authorizing direct calls to AWS services using AWS IoT Core credential provider" */
#pragma once

#include "api/dispatch.h"

bool credentials_asked(const ApiRequest *rq);
/* c->principal is the certificate's. In the call's transaction, which may run twice.
 * Errors: ERR_API: refused, and *rs says so */
NODISCARD Err credentials_handle(Call *c, const ApiRequest *rq, ApiResponse *rs);
