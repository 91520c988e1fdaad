/* Each kind of event is off until UpdateEventConfigurations turns it on; who writes to the registry only peeks at that
 * record, so that a change of it makes nobody run again. An event that is off costs one read and nothing else.
 * Source: AWS IoT developer guide, "Registry events", for topics and payloads */
#include "services/iot/event.h"

#include "base/json.h"
#include "generated/registry_records.h"
#include "services/iot/event_configuration.h"
#include "services/publish.h"

static const struct {
    const char *topic, *operation;
} CHANGES[] = { { "created", "CREATED" }, { "updated", "UPDATED" }, { "deleted", "DELETED" } };

typedef struct {
    Call *c;
    yyjson_mut_doc *doc;
    yyjson_mut_val *o;
} Event;

/* *on: the event is to be told, and begun. kind: as the configuration names it. */
static Err begin(Event *e, Call *c, const char *kind, const char *operation, bool *on) {
    Err err = event_is_on(c, str_c(kind), on);
    if (err != OK || !*on) return err;
    *e = (Event){ .c = c, .doc = json_doc(c->arena) };
    e->o = yyjson_mut_obj(e->doc);
    json_add_str(e->doc, e->o, S("eventType"), str_format(c->arena, "%s_EVENT", kind));
    json_add_str(e->doc, e->o, S("eventId"), rng_uuid(c->rng, c->arena));
    yyjson_mut_obj_add_int(e->doc, e->o, "timestamp", c->now_ms);
    json_add_str(e->doc, e->o, S("operation"), str_c(operation));
    json_add_str(e->doc, e->o, S("accountId"), c->account);
    return OK;
}

static void text(Event *e, const char *name, Str value) {
    yyjson_mut_val *v = value.ptr ? json_mut_str(e->doc, value) : yyjson_mut_null(e->doc);
    yyjson_mut_obj_add(e->o, json_mut_str(e->doc, str_c(name)), v);
}

static void attributes(Event *e, StrMap map) {
    yyjson_mut_val *o = yyjson_mut_obj(e->doc);
    for (size_t i = 0; i < map.n; i++) json_add_str(e->doc, o, map.items[i].key, map.items[i].value);
    yyjson_mut_obj_add_val(e->doc, e->o, "attributes", o);
}

static Err end(Event *e, const char *format, ...) PRINTF_LIKE(2, 3);
static Err end(Event *e, const char *format, ...) {
    va_list args;
    va_start(args, format);
    Str topic = str_format_v(e->c->arena, format, args);
    va_end(args);
    publish_after(e->c, topic, json_write_mut(e->c->arena, e->o));
    return OK;
}

Err event_thing(Call *c, EventChange change, const ThingRecord *t) {
    Event e;
    bool on = false;
    Err err = begin(&e, c, "THING", CHANGES[change].operation, &on);
    if (err != OK || !on) return err;
    text(&e, "thingId", t->thing_id);
    text(&e, "thingName", t->thing_name);
    yyjson_mut_obj_add_int(e.doc, e.o, "versionNumber", t->version);
    text(&e, "thingTypeName", t->thing_type_name);
    if (t->billing_group_name.ptr) text(&e, "billingGroupName", t->billing_group_name);
    attributes(&e, t->attributes);
    return end(&e, "$aws/events/thing/%.*s/%s", PS(t->thing_name), CHANGES[change].topic);
}

Err event_thing_type(Call *c, EventChange change, const ThingTypeRecord *t) {
    Event e;
    bool on = false;
    Err err = begin(&e, c, "THING_TYPE", CHANGES[change].operation, &on);
    if (err != OK || !on) return err;
    text(&e, "thingTypeId", t->thing_type_id);
    text(&e, "thingTypeName", t->thing_type_name);
    yyjson_mut_obj_add_bool(e.doc, e.o, "isDeprecated", t->deprecated);
    if (t->deprecated)
        yyjson_mut_obj_add_int(e.doc, e.o, "deprecationDate", t->deprecated_ms);
    else
        yyjson_mut_obj_add_null(e.doc, e.o, "deprecationDate");
    yyjson_mut_val *searchable = yyjson_mut_arr(e.doc);
    for (size_t i = 0; i < t->searchable_attributes.n; i++)
        yyjson_mut_arr_append(searchable, json_mut_str(e.doc, t->searchable_attributes.items[i]));
    yyjson_mut_obj_add_val(e.doc, e.o, "searchableAttributes", searchable);
    yyjson_val *mqtt5 = NULL;
    if (t->mqtt5_configuration.len && json_read(c->arena, t->mqtt5_configuration, false, &mqtt5, NULL) != OK)
        return ERR_CORRUPT;
    yyjson_val *propagating = json_get(mqtt5, S("propagatingAttributes"));
    yyjson_mut_obj_add_val(e.doc, e.o, "propagatingAttributes",
                           propagating ? yyjson_val_mut_copy(e.doc, propagating) : yyjson_mut_arr(e.doc));
    text(&e, "description", t->description);
    return end(&e, "$aws/events/thingType/%.*s/%s", PS(t->thing_type_name), CHANGES[change].topic);
}

/* accountId is not in the guide's sample of this one; it is in all others. */
Err event_type_association(Call *c, const ThingRecord *t, Str type, bool added) {
    Event e;
    bool on = false;
    Err err = begin(&e, c, "THING_TYPE_ASSOCIATION", added ? "ADDED" : "REMOVED", &on);
    if (err != OK || !on) return err;
    text(&e, "thingId", t->thing_id);
    text(&e, "thingName", t->thing_name);
    text(&e, "thingTypeName", type);
    return end(&e, "$aws/events/thingTypeAssociation/thing/%.*s/thingType/%.*s/%s", PS(t->thing_name), PS(type),
               added ? "added" : "removed");
}

static Err group_id(Call *c, Str name, Str *out) {
    ThingGroupRecord g;
    Err e = thing_group_record_peek(c->txn, call_tenant(c), name, c->arena, &g);
    if (e == OK) *out = g.thing_group_id;
    return e;
}

static Err add_ancestors(Event *e, const ThingGroupRecord *g) {
    GroupPath path;
    Str parent_id = STR_NONE;
    Err err = group_path(e->c, g, &path);
    yyjson_mut_val *list = yyjson_mut_arr(e->doc);
    for (size_t i = 0; err == OK && i < path.n; i++) {
        err = group_id(e->c, path.names[i], &parent_id);
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(e->doc, list);
        json_add_str(e->doc, o, S("groupArn"), iot_thing_group_arn(e->c, path.names[i]));
        json_add_str(e->doc, o, S("groupId"), parent_id);
    }
    if (err != OK) return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
    text(e, "parentGroupName", g->parent_group_name);
    text(e, "parentGroupId", parent_id);
    text(e, "description", g->description);
    yyjson_mut_obj_add_val(e->doc, e->o, "rootToParentThingGroups", path.n ? list : yyjson_mut_null(e->doc));
    return OK;
}

Err event_thing_group(Call *c, EventChange change, const ThingGroupRecord *g) {
    Event e;
    bool on = false;
    Err err = begin(&e, c, "THING_GROUP", CHANGES[change].operation, &on);
    if (err != OK || !on) return err;
    text(&e, "thingGroupId", g->thing_group_id);
    text(&e, "thingGroupName", g->thing_group_name);
    yyjson_mut_obj_add_int(e.doc, e.o, "versionNumber", g->version);
    err = add_ancestors(&e, g);
    if (err != OK) return err;
    attributes(&e, g->attributes);
    text(&e, "dynamicGroupMappingId", STR_NONE);
    return end(&e, "$aws/events/thingGroup/%.*s/%s", PS(g->thing_group_name), CHANGES[change].topic);
}

Err event_membership(Call *c, const GroupMemberRecord *m, bool added) {
    Event e;
    bool on = false;
    Str id = STR_NONE;
    ThingRecord t;
    Err err = begin(&e, c, "THING_GROUP_MEMBERSHIP", added ? "ADDED" : "REMOVED", &on);
    if (err != OK || !on) return err;
    err = group_id(c, m->thing_group_name, &id);
    if (err == OK) err = thing_record_peek(c->txn, call_tenant(c), m->thing_name, c->arena, &t);
    if (err != OK) return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
    text(&e, "groupArn", iot_thing_group_arn(c, m->thing_group_name));
    text(&e, "groupId", id);
    text(&e, "thingArn", thing_arn(c, m->thing_name));
    text(&e, "thingId", t.thing_id);
    text(&e, "membershipId", m->membership_id);
    return end(&e, "$aws/events/thingGroupMembership/thingGroup/%.*s/thing/%.*s/%s", PS(m->thing_group_name),
               PS(m->thing_name), added ? "added" : "removed");
}

Err event_hierarchy(Call *c, const ThingGroupRecord *child, bool added) {
    Event e;
    bool on = false;
    Str id = STR_NONE;
    if (!child->parent_group_name.ptr) return OK;
    Err err = begin(&e, c, "THING_GROUP_HIERARCHY", added ? "ADDED" : "REMOVED", &on);
    if (err != OK || !on) return err;
    err = group_id(c, child->parent_group_name, &id);
    if (err != OK) return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
    text(&e, "thingGroupId", id);
    text(&e, "thingGroupName", child->parent_group_name);
    text(&e, "childGroupId", child->thing_group_id);
    text(&e, "childGroupName", child->thing_group_name);
    return end(&e, "$aws/events/thingGroupHierarchy/thingGroup/%.*s/childThingGroup/%.*s/%s",
               PS(child->parent_group_name), PS(child->thing_group_name), added ? "added" : "removed");
}
