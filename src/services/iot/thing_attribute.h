/* Which things have an attribute: an index beside the things, for ListThings. */
#pragma once

#include "services/iot/registry.h"

/* Writes what changed from old to new; old NULL: a new thing, new NULL: one that goes. */
NODISCARD Err thing_attributes_moved(Call *c, const ThingRecord *old, const ThingRecord *now);

/* Walks the things that have attribute `name`; value STR_NONE: with any value, prefix: one that begins so.
 * after: a position of this walk, or STR_NONE. The scan's records are ThingAttributeRecords. */
NODISCARD Err thing_attributes_walk(Call *c, Str name, Str value, bool prefix, Str after, RecordScan **out);
