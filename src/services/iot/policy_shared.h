/* What the handlers of policies have in common. */
#pragma once

#include "api/page.h"
#include "generated/iot.h"
#include "generated/iot_records.h"

/* Source: AWS IoT Core quotas */
enum { POLICY_VERSIONS_MAX = 5, POLICIES_PER_PRINCIPAL_MAX = 10, POLICIES_PER_GROUP_MAX = 2 };
#define POLICY_PAGE ((PageSize){ .otherwise = 250, .most = 250 })

static inline Tenant policy_tenant(const Call *c) {
    return (Tenant){ c->account, c->region };
}
Str policy_arn(Call *c, Str name);
Str policy_version_text(Call *c, int64_t version_id);

/* Errors: ERR_API, MalformedPolicyException with the fault's reason and line */
NODISCARD Err policy_check_document(Call *c, Str name, Str document);
/* The record, for a handler that changes something about it. Errors: ERR_API, ResourceNotFoundException */
NODISCARD Err policy_find(Call *c, Str name, PolicyRecord *out);
/* The same for one that only reads. */
NODISCARD Err policy_look(Call *c, Str name, PolicyRecord *out);
/* Shape: version_id as the API has it, decimal. Errors: ERR_API, ResourceNotFoundException */
NODISCARD Err policy_find_version(Call *c, Str name, Str version_id, PolicyVersionRecord *out);
/* After the commit: connections under this policy are decided by its present default version. */
void policy_tell(Call *c, Str name);
