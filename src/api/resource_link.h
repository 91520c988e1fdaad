/* From members to fields and back; inside of resources. Pure but for the call's arena. */
#pragma once

#include "api/resource.h"

const RecordField *resource_field(const RecordType *type, int16_t field);
static inline void *resource_slot(const RecordType *type, int16_t field, const void *record) {
    return (char *)(uintptr_t)record + resource_field(type, field)->offset;
}

/* The members that are there become fields. Errors: ERR_API */
NODISCARD Err resource_take(Call *c, const Resource *r, const ApiShape *shape, ResourceLinks links, const void *in,
                            void *record);
/* Fields become members; structures on the way to one are made. Errors: ERR_CORRUPT */
NODISCARD Err resource_give(Call *c, const Resource *r, const ApiShape *shape, ResourceLinks links, const void *record,
                            void *out);
/* The member of a link, and its slot: NULL where a structure on the way is absent. */
const ApiMember *resource_member(const ApiShape *shape, const ResourceLink *link, const void *in, const void **slot);
bool resource_field_same(const RecordField *f, const void *a, const void *b); /* of two records */
/* Nothing was given to it: no text, zero, false. */
bool resource_field_empty(const RecordField *f, const void *record);
