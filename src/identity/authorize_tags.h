/* Tags as condition keys of API operations.
 * Source: IAM user guide, "Controlling access to AWS resources using tags"; service authorization reference, AWS IoT */
#pragma once

#include "api/call.h"
#include "api/op.h"
#include "identity/policy.h"

typedef struct {
    const PolicyVar *vars;
    size_t n;
} TagVars;

/* aws:RequestTag/KEY and aws:TagKeys: of the tags that an input gives, or whose keys it names. In the call's arena. */
TagVars authorize_request_tags(Call *c, const ApiOp *op, const void *in);
/* aws:ResourceTag/KEY of the tags that a resource has. */
TagVars authorize_resource_tags(Call *c, StrMap tags);
