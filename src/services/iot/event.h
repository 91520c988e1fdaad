/* Registry events: what happened in the registry, told on $aws/events/… after the commit, where the account has turned
 * that kind of event on.
 * Source: AWS IoT developer guide, "Registry events" */
#pragma once

#include "services/iot/group.h"

typedef enum { EVENT_CREATED, EVENT_UPDATED, EVENT_DELETED } EventChange;

NODISCARD Err event_thing(Call *c, EventChange change, const ThingRecord *t);
NODISCARD Err event_thing_type(Call *c, EventChange change, const ThingTypeRecord *t);
NODISCARD Err event_thing_group(Call *c, EventChange change, const ThingGroupRecord *g);
/* A thing got or lost its type. */
NODISCARD Err event_type_association(Call *c, const ThingRecord *t, Str type, bool added);
NODISCARD Err event_membership(Call *c, const GroupMemberRecord *m, bool added);
/* A group that has a parent was made or deleted. */
NODISCARD Err event_hierarchy(Call *c, const ThingGroupRecord *child, bool added);
