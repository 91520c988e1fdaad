/* Custom authorizers: how a client asks for one. There is none yet: such a request is refused by name, never taken
 * for one without credentials. Pure. Source: AWS IoT developer guide, "Custom authentication". */
#pragma once

#include "api/request.h"
#include "api/sigv4.h"

/* An authorizer is named in a header or in the query. */
bool custom_auth_asked(const ApiRequest *rq);
/* 501, NotImplementedException. */
SigV4Fault custom_auth_missing(void);
