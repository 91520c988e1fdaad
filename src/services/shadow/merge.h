/* What an update does to a shadow's tree, and what desired asks of reported. */
#pragma once

#include "services/shadow/tree.h"

/* Merges a section of a request into the section of the shadow, both objects. Takes the patch's nodes over.
 * Source: AWS IoT developer guide, "Device Shadow service documents"; empty objects and changes of type as
 * AWS's own edge implementation (shadow manager) treats them. */
void shadow_merge(Arena *arena, Node *section, Node *patch);

/* Writes what of desired is not so in reported (NULL: there is none), as two objects.
 * Returns false, the writers as they were, when nothing differs. */
bool shadow_write_delta(Arena *arena, Node *desired, Node *reported, Writer *state, Writer *metadata);
