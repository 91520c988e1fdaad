/* Things: create, describe, update, delete. A handler that relies on what other records say of a thing (nobody is
 * attached, its type is not deleted) locks the key that the others lock, too.
 * Source: botocore's iot model; AWS IoT developer guide, "Managing devices with AWS IoT" */
#include "services/iot/event.h"
#include "services/iot/group.h"
#include "services/iot/registry.h"
#include "services/iot/thing_attribute.h"

enum { ATTRIBUTES_MAX = 50, ATTRIBUTES_WITHOUT_TYPE_MAX = 3 }; /* Source: AWS IoT Core quotas */

static Err check_attributes(Call *c, const ThingRecord *t) {
    return attributes_check(c, t->attributes, t->thing_type_name.ptr ? ATTRIBUTES_MAX : ATTRIBUTES_WITHOUT_TYPE_MAX);
}

static bool same_settings(const ThingRecord *a, const ThingRecord *b) {
    return str_eq(a->thing_type_name, b->thing_type_name) && str_eq(a->billing_group_name, b->billing_group_name) &&
           str_map_same(a->attributes, b->attributes);
}

static IotCreateThingOut created(Call *c, const ThingRecord *t) {
    return (IotCreateThingOut){ .thing_name = t->thing_name,
                                .thing_arn = thing_arn(c, t->thing_name),
                                .thing_id = t->thing_id };
}

static Err type_events(Call *c, const ThingRecord *t, Str before, Str now) {
    Err e = OK;
    if (str_eq(before, now)) return OK;
    if (before.ptr) e = event_type_association(c, t, before, false);
    return e == OK && now.ptr ? event_type_association(c, t, now, true) : e;
}

/* Idempotent: the same name with the same settings succeeds. */
Err iot_create_thing(Call *c, const IotCreateThingIn *in, IotCreateThingOut *out) {
    ThingRecord want = { .thing_name = in->thing_name,
                         .thing_type_name = in->thing_type_name,
                         .billing_group_name = in->billing_group_name,
                         .attributes = attributes_after(c, (StrMap){ 0 }, in->attribute_payload),
                         .version = 1,
                         .created_ms = c->now_ms };
    Err e = check_attributes(c, &want);
    if (e == OK && want.billing_group_name.ptr) e = billing_group_may_join(c, want.billing_group_name);
    if (e != OK) return e;
    ThingRecord have;
    e = thing_record_get(c->txn, call_tenant(c), in->thing_name, c->arena, &have);
    if (e == OK) {
        if (same_settings(&have, &want)) {
            *out = created(c, &have);
            return OK;
        }
        c->failure.resource_id = have.thing_id;
        c->failure.resource_arn = thing_arn(c, have.thing_name);
        return api_fail(c, IOT_RESOURCE_ALREADY_EXISTS,
                        "Thing %.*s already exists in account with different attributes", PS(have.thing_name));
    }
    if (e != ERR_NOT_FOUND) return e;
    if (want.thing_type_name.ptr) {
        e = thing_type_may_join(c, want.thing_type_name);
        if (e != OK) return e;
    }
    want.thing_id = rng_uuid(c->rng, c->arena);
    e = thing_record_put(c->txn, call_tenant(c), &want);
    if (e == OK) e = thing_attributes_moved(c, NULL, &want);
    if (e == OK) e = event_thing(c, EVENT_CREATED, &want);
    if (e == OK) e = type_events(c, &want, STR_NONE, want.thing_type_name);
    if (e != OK) return e;
    *out = created(c, &want);
    return OK;
}

Err iot_describe_thing(Call *c, const IotDescribeThingIn *in, IotDescribeThingOut *out) {
    ThingRecord t;
    Err e = thing_need(c, in->thing_name, &t);
    if (e != OK) return e;
    *out = (IotDescribeThingOut){ .default_client_id = t.thing_name,
                                  .thing_name = t.thing_name,
                                  .thing_id = t.thing_id,
                                  .thing_arn = thing_arn(c, t.thing_name),
                                  .thing_type_name = t.thing_type_name,
                                  .attributes = t.attributes,
                                  .version = { true, t.version },
                                  .billing_group_name = t.billing_group_name };
    out->attributes.set = true;
    return OK;
}

Err iot_update_thing(Call *c, const IotUpdateThingIn *in, IotUpdateThingOut *out) {
    (void)out;
    ThingRecord t;
    Err e = thing_need(c, in->thing_name, &t);
    if (e == OK) e = registry_expect_version(c, in->expected_version, "thing", t.thing_name, t.version);
    if (e != OK) return e;
    if (in->remove_thing_type.v && in->thing_type_name.ptr)
        return api_fail(c, IOT_INVALID_REQUEST, "A thing type %.*s cannot be given and removed in one update",
                        PS(in->thing_type_name));
    const ThingRecord before = t;
    if (in->thing_type_name.ptr && !str_eq(in->thing_type_name, t.thing_type_name)) {
        e = thing_type_may_join(c, in->thing_type_name);
        if (e != OK) return e;
        t.thing_type_name = in->thing_type_name;
    }
    if (in->remove_thing_type.v) t.thing_type_name = STR_NONE;
    t.attributes = attributes_after(c, t.attributes, in->attribute_payload);
    e = check_attributes(c, &t);
    if (e != OK) return e;
    t.version++;
    e = thing_record_put(c->txn, call_tenant(c), &t);
    if (e == OK) e = thing_attributes_moved(c, &before, &t);
    if (e == OK) e = event_thing(c, EVENT_UPDATED, &t);
    if (e == OK) e = type_events(c, &t, before.thing_type_name, t.thing_type_name);
    if (e == OK) registry_thing_changed(c, t.thing_name);
    return e;
}

static Err has_principals(Call *c, Str thing, bool *out) {
    RecordScan *scan;
    ThingPrincipalRecord p;
    Err e = thing_principal_record_scan_of_thing_name(c->txn, call_tenant(c), thing, STR_NONE, false, &scan);
    if (e != OK) return e;
    bool any = thing_principal_record_next(scan, c->arena, &p);
    e = record_scan_end(scan);
    if (e == OK) *out = any;
    return e;
}

/* A thing that is not there is deleted already. */
Err iot_delete_thing(Call *c, const IotDeleteThingIn *in, IotDeleteThingOut *out) {
    (void)out;
    ThingRecord t;
    Err e = thing_record_get(c->txn, call_tenant(c), in->thing_name, c->arena, &t);
    if (e == ERR_NOT_FOUND) return OK;
    if (e == OK) e = registry_expect_version(c, in->expected_version, "thing", t.thing_name, t.version);
    if (e == OK) e = thing_record_lock(c->txn, call_tenant(c), t.thing_name);
    bool attached = false;
    if (e == OK) e = has_principals(c, t.thing_name, &attached);
    if (e != OK) return e;
    if (attached)
        return api_fail(c, IOT_INVALID_REQUEST, "Cannot delete. Thing %.*s is still attached to one or more principals",
                        PS(t.thing_name));
    e = members_drop_thing(c, t.thing_name);
    if (e == OK) e = type_events(c, &t, t.thing_type_name, STR_NONE);
    if (e == OK) e = event_thing(c, EVENT_DELETED, &t);
    if (e == OK) e = thing_attributes_moved(c, &t, NULL);
    if (e == OK) e = thing_record_delete(c->txn, call_tenant(c), t.thing_name);
    if (e == OK) registry_thing_changed(c, t.thing_name);
    return e;
}
