/* Things into groups and out of them.
 * Source: botocore's iot model; AWS IoT developer guide, "Static thing groups" */
#include "services/iot/group.h"

static Err names(Call *c, Str thing, Str thing_arn_given, Str group, Str group_arn_given, Str *thing_out,
                 Str *group_out) {
    Err e = registry_name(c, "thing", thing, thing_arn_given, thing_out);
    return e == OK ? registry_name(c, "thinggroup", group, group_arn_given, group_out) : e;
}

static Err add(Call *c, Str thing, Str group) {
    ThingGroupRecord g;
    Err e = iot_thing_group_need(c, group, &g);
    return e == OK ? member_add(c, thing, &g) : e;
}

static Err remove_from(Call *c, Str thing, Str group) {
    ThingGroupRecord g;
    Err e = iot_thing_group_need(c, group, &g);
    if (e == OK && g.query_string.ptr)
        return api_fail(c, IOT_INVALID_REQUEST, "Things cannot be removed from the dynamic thing group %.*s",
                        PS(group));
    return e == OK ? member_remove(c, thing, group) : e;
}

Err iot_add_thing_to_thing_group(Call *c, const IotAddThingToThingGroupIn *in, IotAddThingToThingGroupOut *out) {
    (void)out;
    Str thing, group;
    ThingRecord t;
    Err e = names(c, in->thing_name, in->thing_arn, in->thing_group_name, in->thing_group_arn, &thing, &group);
    if (e == OK) e = thing_need(c, thing, &t);
    return e == OK ? add(c, thing, group) : e;
}

Err iot_remove_thing_from_thing_group(Call *c, const IotRemoveThingFromThingGroupIn *in,
                                      IotRemoveThingFromThingGroupOut *out) {
    (void)out;
    Str thing, group;
    ThingRecord t;
    Err e = names(c, in->thing_name, in->thing_arn, in->thing_group_name, in->thing_group_arn, &thing, &group);
    if (e == OK) e = thing_need(c, thing, &t);
    return e == OK ? remove_from(c, thing, group) : e;
}

/* Removes first, so that a thing can change its place within a tree. */
Err iot_update_thing_groups_for_thing(Call *c, const IotUpdateThingGroupsForThingIn *in,
                                      IotUpdateThingGroupsForThingOut *out) {
    (void)out;
    ThingRecord t;
    if (!in->thing_name.ptr) return api_fail(c, IOT_INVALID_REQUEST, "The thingName is missing");
    Err e = thing_need(c, in->thing_name, &t);
    for (size_t i = 0; e == OK && i < in->thing_groups_to_remove.n; i++)
        e = remove_from(c, in->thing_name, in->thing_groups_to_remove.items[i]);
    for (size_t i = 0; e == OK && i < in->thing_groups_to_add.n; i++)
        e = add(c, in->thing_name, in->thing_groups_to_add.items[i]);
    return e;
}
