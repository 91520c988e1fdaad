/* Thing groups: create, describe, update, delete. The tree is fixed when a group is made, so a group that is there
 * has its ancestors there; a group with children is not deleted.
 * Source: botocore's iot model; AWS IoT developer guide, "Static thing groups"; AWS IoT Core quotas */
#include "services/iot/event.h"

enum { ATTRIBUTES_MAX = 50 };

static const IotThingGroupProperties no_properties = { 0 };

static Err count_children(Call *c, Str parent, size_t *out) {
    RecordScan *scan;
    ThingGroupRecord g;
    size_t n = 0;
    Err e = thing_group_record_scan_by_parent(c->txn, call_tenant(c), parent, STR_NONE, false, &scan);
    if (e != OK) return e;
    while (n <= GROUP_CHILDREN_MAX && thing_group_record_next(scan, c->arena, &g)) n++;
    e = record_scan_end(scan);
    if (e == OK) *out = n;
    return e;
}

static Err check_parent(Call *c, Str name) {
    ThingGroupRecord parent;
    GroupPath path;
    size_t n = 0;
    Err e = iot_thing_group_need(c, name, &parent);
    if (e == OK) e = thing_group_record_lock(c->txn, call_tenant(c), name);
    if (e == OK) e = group_path(c, &parent, &path);
    if (e == OK) e = count_children(c, name, &n);
    if (e != OK) return e;
    if (parent.query_string.ptr)
        return api_fail(c, IOT_INVALID_REQUEST, "The dynamic thing group %.*s cannot be a parent", PS(name));
    if (path.n + 2 > GROUP_LEVELS_MAX)
        return api_fail(c, IOT_INVALID_REQUEST, "A thing group below %.*s would be at level %zu, the maximum is %d",
                        PS(name), path.n + 2, GROUP_LEVELS_MAX);
    if (n >= GROUP_CHILDREN_MAX)
        return api_fail(c, IOT_INVALID_REQUEST, "Thing group %.*s has %zu child groups, the maximum is %d", PS(name), n,
                        GROUP_CHILDREN_MAX);
    return OK;
}

static bool same_settings(const ThingGroupRecord *a, const ThingGroupRecord *b) {
    return str_eq(a->parent_group_name, b->parent_group_name) && str_eq(a->description, b->description) &&
           str_map_same(a->attributes, b->attributes) && !a->query_string.ptr && !b->query_string.ptr;
}

/* Idempotent: the same name with the same settings succeeds. */
Err iot_create_thing_group(Call *c, const IotCreateThingGroupIn *in, IotCreateThingGroupOut *out) {
    const IotThingGroupProperties *p = in->thing_group_properties ? in->thing_group_properties : &no_properties;
    ThingGroupRecord have, want = { .thing_group_name = in->thing_group_name,
                                    .parent_group_name = in->parent_group_name,
                                    .description = p->thing_group_description,
                                    .attributes = attributes_after(c, (StrMap){ 0 }, p->attribute_payload),
                                    .version = 1,
                                    .created_ms = c->now_ms };
    Err e = attributes_check(c, want.attributes, ATTRIBUTES_MAX);
    if (e == OK) e = tags_from(c, &in->tags, &want.tags);
    if (e != OK) return e;
    e = thing_group_record_get(c->txn, call_tenant(c), in->thing_group_name, c->arena, &have);
    if (e == OK && !same_settings(&have, &want)) {
        c->failure.resource_id = have.thing_group_id;
        c->failure.resource_arn = iot_thing_group_arn(c, have.thing_group_name);
        return api_fail(c, IOT_RESOURCE_ALREADY_EXISTS,
                        "Thing group %.*s already exists in account with different settings",
                        PS(have.thing_group_name));
    }
    if (e == OK) {
        want = have;
    } else if (e == ERR_NOT_FOUND) {
        e = in->parent_group_name.ptr ? check_parent(c, in->parent_group_name) : OK;
        want.thing_group_id = rng_uuid(c->rng, c->arena);
        if (e == OK) e = thing_group_record_put(c->txn, call_tenant(c), &want);
        if (e == OK) e = event_thing_group(c, EVENT_CREATED, &want);
        if (e == OK) e = event_hierarchy(c, &want, true);
    }
    if (e != OK) return e;
    *out = (IotCreateThingGroupOut){ .thing_group_name = want.thing_group_name,
                                     .thing_group_arn = iot_thing_group_arn(c, want.thing_group_name),
                                     .thing_group_id = want.thing_group_id };
    return OK;
}

static IotThingGroupMetadata *metadata(Call *c, const ThingGroupRecord *g, const GroupPath *path) {
    IotThingGroupMetadata *m = arena_new(c->arena, IotThingGroupMetadata);
    *m = (IotThingGroupMetadata){ .parent_group_name = g->parent_group_name, .creation_date = { true, g->created_ms } };
    IotThingGroupNameAndArnList *list = &m->root_to_parent_thing_groups;
    list->items = arena_array(c->arena, IotGroupNameAndArn, path->n);
    list->set = path->n > 0;
    for (; list->n < path->n; list->n++)
        list->items[list->n] =
            (IotGroupNameAndArn){ path->names[list->n], iot_thing_group_arn(c, path->names[list->n]) };
    return m;
}

static IotThingGroupProperties *properties(Call *c, const ThingGroupRecord *g) {
    IotThingGroupProperties *p = arena_new(c->arena, IotThingGroupProperties);
    p->thing_group_description = g->description;
    p->attribute_payload = arena_new(c->arena, IotAttributePayload);
    p->attribute_payload->attributes = g->attributes;
    p->attribute_payload->attributes.set = true;
    return p;
}

Err iot_describe_thing_group(Call *c, const IotDescribeThingGroupIn *in, IotDescribeThingGroupOut *out) {
    ThingGroupRecord g;
    GroupPath path;
    Err e = iot_thing_group_need(c, in->thing_group_name, &g);
    if (e == OK) e = group_path(c, &g, &path);
    if (e != OK) return e;
    *out = (IotDescribeThingGroupOut){ .thing_group_name = g.thing_group_name,
                                       .thing_group_id = g.thing_group_id,
                                       .thing_group_arn = iot_thing_group_arn(c, g.thing_group_name),
                                       .version = { true, g.version },
                                       .thing_group_properties = properties(c, &g),
                                       .thing_group_metadata = metadata(c, &g, &path),
                                       .index_name = g.index_name,
                                       .query_string = g.query_string,
                                       .query_version = g.query_version,
                                       .status = g.status };
    return OK;
}

Err iot_update_thing_group(Call *c, const IotUpdateThingGroupIn *in, IotUpdateThingGroupOut *out) {
    ThingGroupRecord g;
    Err e = iot_thing_group_need(c, in->thing_group_name, &g);
    if (e == OK) e = registry_expect_version(c, in->expected_version, "thing group", g.thing_group_name, g.version);
    if (e != OK) return e;
    const IotThingGroupProperties *p = in->thing_group_properties ? in->thing_group_properties : &no_properties;
    if (p->thing_group_description.ptr) g.description = p->thing_group_description;
    g.attributes = attributes_after(c, g.attributes, p->attribute_payload);
    e = attributes_check(c, g.attributes, ATTRIBUTES_MAX);
    if (e != OK) return e;
    g.version++;
    e = thing_group_record_put(c->txn, call_tenant(c), &g);
    if (e == OK) e = event_thing_group(c, EVENT_UPDATED, &g);
    if (e == OK) out->version = (OptInt){ true, g.version };
    return e;
}

static Err drop_policies(Call *c, Str group) {
    Str arn = iot_thing_group_arn(c, group), names[64];
    for (size_t n = 64; n == 64;) {
        RecordScan *scan;
        PolicyAttachmentRecord a;
        Err e = policy_attachment_record_scan_of_target(c->txn, call_tenant(c), arn, STR_NONE, false, &scan);
        if (e != OK) return e;
        for (n = 0; n < 64 && policy_attachment_record_next(scan, c->arena, &a);) names[n++] = a.policy_name;
        e = record_scan_end(scan);
        for (size_t i = 0; e == OK && i < n; i++)
            e = policy_attachment_record_delete(c->txn, call_tenant(c), arn, names[i]);
        if (e != OK) return e;
    }
    return OK;
}

/* A group that is not there is deleted already. Its things lose its policies. */
Err iot_delete_thing_group(Call *c, const IotDeleteThingGroupIn *in, IotDeleteThingGroupOut *out) {
    (void)out;
    ThingGroupRecord g;
    size_t n = 0;
    Err e = thing_group_record_get(c->txn, call_tenant(c), in->thing_group_name, c->arena, &g);
    if (e == ERR_NOT_FOUND) return OK;
    if (e == OK) e = registry_expect_version(c, in->expected_version, "thing group", g.thing_group_name, g.version);
    if (e == OK) e = thing_group_record_lock(c->txn, call_tenant(c), g.thing_group_name);
    if (e == OK) e = count_children(c, g.thing_group_name, &n);
    if (e != OK) return e;
    if (n)
        return api_fail(c, IOT_INVALID_REQUEST,
                        "Cannot delete thing group : %.*s when there are still child groups attached to it.",
                        PS(g.thing_group_name));
    e = members_drop_group(c, g.thing_group_name);
    if (e == OK) e = drop_policies(c, g.thing_group_name);
    if (e == OK) e = event_hierarchy(c, &g, false);
    if (e == OK) e = event_thing_group(c, EVENT_DELETED, &g);
    if (e == OK) e = thing_group_record_delete(c->txn, call_tenant(c), g.thing_group_name);
    if (e == OK) registry_group_changed(c, g.thing_group_name);
    return e;
}
