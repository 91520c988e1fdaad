/* TagResource, UntagResource and ListTagsForResource of any service, on whatever its declared resources are. */
#pragma once

#include "api/resource.h"

/* The taggable resource of a service (NULL: of any) that an ARN names, and its record.
 * Errors: ERR_NOT_FOUND: no resource has ARNs of that form, or there is none of that name; *out_resource then says
 *         which (NULL: no form), and the record is NULL */
NODISCARD Err resource_by_arn(Call *c, const Resource *const *all, size_t n, const ApiService *service, Str arn,
                              const Resource **out_resource, void **out_record);

/* The tags that it has; none where there is no such resource. Errors: the store's */
NODISCARD Err resource_tags_by_arn(Call *c, const Resource *const *all, size_t n, Str arn, StrMap *out);

/* in and out: structs of the operation of that name, which has the members resourceArn (or Resource), tags,
 *         tagKeys in any case.
 * Errors: ERR_API, and the store's */
NODISCARD Err resource_tag(Call *c, const Resource *const *all, size_t n, const ApiService *service, Str op,
                           const void *in, void *out);
NODISCARD Err resource_untag(Call *c, const Resource *const *all, size_t n, const ApiService *service, Str op,
                             const void *in, void *out);
NODISCARD Err resource_tags_of(Call *c, const Resource *const *all, size_t n, const ApiService *service, Str op,
                               const void *in, void *out);
