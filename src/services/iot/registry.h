/* What the registry's operations share: names, ARNs, attributes, tags, and who is told of a change. */
#pragma once

#include "api/page.h"
#include "generated/iot.h"
#include "generated/iot_records.h"
#include "generated/iot_resources.h"

/* Source: RegistryMaxResults of iot's model */
#define REGISTRY_PAGE ((PageSize){ .otherwise = 100, .most = 250 })

static inline Str thing_arn(Call *c, Str name) {
    return call_arn(c, "iot", "thing/%.*s", PS(name));
}

/* The record, or the call's ResourceNotFoundException.
 * Errors: ERR_API, and the store's */
NODISCARD Err thing_need(Call *c, Str name, ThingRecord *out);
/* The type may be given to a thing: it is there and not deprecated. Locks it against its deletion. */
NODISCARD Err thing_type_may_join(Call *c, Str name);
/* The billing group is there. Locks it against its deletion. */
NODISCARD Err billing_group_may_join(Call *c, Str name);

/* The name that a request gives as a name, as an ARN, or both alike.
 * Shape:  kind "thing", "thinggroup", "billinggroup"
 * Errors: ERR_API: neither is given, they differ, or the ARN is no such thing's */
NODISCARD Err registry_name(Call *c, const char *kind, Str name, Str arn, Str *out);

/* Errors: ERR_API: VersionConflictException when a version is expected and it is another */
NODISCARD Err registry_expect_version(Call *c, OptInt expected, const char *kind, Str name, int64_t version);

/* What attributes become by a payload (NULL: they stay). Merged where it says so, else replaced; an empty value
 * removes. Lives in the call's arena. */
StrMap attributes_after(Call *c, StrMap have, const IotAttributePayload *payload);
/* Errors: ERR_API: more than count_max, or names and values of more than 47 KB */
NODISCARD Err attributes_check(Call *c, StrMap attributes, size_t count_max);

/* Errors: ERR_API: a key twice, reserved, or more than 50 */
NODISCARD Err tags_from(Call *c, const IotTagList *tags, StrMap *out);

/* After the commit the directory renews the principals of this thing, of this group's things, this
 * type's things. */
void registry_thing_changed(Call *c, Str thing_name);
void registry_group_changed(Call *c, Str group_name);
void registry_type_changed(Call *c, Str type_name);
