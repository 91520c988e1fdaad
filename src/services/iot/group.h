/* Thing groups: their trees and who is in them. */
#pragma once

#include "services/iot/registry.h"

enum { GROUP_LEVELS_MAX = 7, GROUP_CHILDREN_MAX = 100, GROUPS_OF_THING_MAX = 10 }; /* Source: AWS IoT Core quotas */

/* The groups above this one, from the root to its parent. */
typedef struct {
    Str names[GROUP_LEVELS_MAX];
    size_t n;
} GroupPath;
NODISCARD Err group_path(Call *c, const ThingGroupRecord *group, GroupPath *out);

/* The group and all below it, each before its children, children by name. */
NODISCARD Err group_descendants(Call *c, Str name, StrList *out);

/* Adds a thing that is there to a group that is there; in it already: nothing happens.
 * Errors: ERR_API: in ten groups, or in one of the same tree */
NODISCARD Err member_add(Call *c, Str thing, const ThingGroupRecord *group);
NODISCARD Err member_remove(Call *c, Str thing, Str group); /* not in it: nothing happens */
NODISCARD Err members_drop_thing(Call *c, Str thing);       /* out of all its groups */
NODISCARD Err members_drop_group(Call *c, Str group);       /* the group loses all */
