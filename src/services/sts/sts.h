/* STS: who am I, with which clients begin, and acting as a role.
 * Source: AWS STS API reference, GetCallerIdentity and AssumeRole; botocore's model of sts (2011-06-15). */
#pragma once

#include "services/query.h"

extern const QueryService STS_SERVICE;
