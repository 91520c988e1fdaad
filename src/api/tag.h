/* Tags: what all services agree on about them.
 * Source: AWS General Reference, "Tagging AWS resources": 50 a resource, keys of 1 to 128 characters, values of up to
 * 256, aws: is reserved */
#pragma once

#include "api/call.h"
#include "api/op.h"

enum { TAGS_MAX = 50 };

/* From a member's slot.
 * Errors: ERR_API: a key twice, a reserved one, too many
 * Owns:   texts are borrowed */
NODISCARD Err tag_take(Call *c, const ApiShape *shape, const void *slot, StrMap *out);
/* The same of tags in pairs. */
NODISCARD Err tag_check(Call *c, StrMap given, StrMap *out);
/* What a member's slot gives, unchecked: a list of structs, a map, or a text (CreateTopicRule's x-amz-tagging header:
 * "key1=value1&key2=value2", percent-encoded; STR_NONE where it cannot be decoded). */
StrMap tag_pairs(Arena *a, const ApiShape *shape, const void *slot);
/* To a member's slot, in the call's arena. */
void tag_give(Call *c, const ApiShape *shape, StrMap tags, void *slot);
/* have with those of `more` added or replaced. Errors: ERR_API: more than TAGS_MAX */
NODISCARD Err tag_merge(Call *c, StrMap have, StrMap more, StrMap *out);
StrMap tag_without(Call *c, StrMap have, StrList keys);
