/* Thing types: what is particular (models/iot.resource has the plain operations). A type is deleted in two steps, so
 * that nothing is created with it in between.
 * Source: botocore's iot model; AWS IoT developer guide, "Thing types"; Terraform's provider (the 5 minutes' text) */
#include "services/iot/event.h"
#include "services/iot/propagating.h"

enum { SEARCHABLE_MAX = 3, WAIT_MS = 5 * 60 * 1000 };

Err iot_thing_type_creating(Call *c, const IotCreateThingTypeIn *in, ThingTypeRecord *type) {
    if (type->searchable_attributes.n > SEARCHABLE_MAX)
        return api_fail(c, IOT_INVALID_REQUEST, "%zu searchable attributes are more than the maximum of %d",
                        type->searchable_attributes.n, SEARCHABLE_MAX);
    return propagating_check(c, in->thing_type_properties, type);
}

Err iot_deprecate_thing_type(Call *c, const IotDeprecateThingTypeIn *in, IotDeprecateThingTypeOut *out) {
    (void)out;
    ThingTypeRecord t;
    Err e = iot_thing_type_need(c, in->thing_type_name, &t);
    if (e != OK || t.deprecated == !in->undo_deprecate.v) return e; /* a deprecated one keeps its date */
    t.deprecated = !in->undo_deprecate.v;
    t.deprecated_ms = t.deprecated ? c->now_ms : 0;
    e = thing_type_record_lock(c->txn, call_tenant(c), t.thing_type_name);
    if (e == OK) e = thing_type_record_put(c->txn, call_tenant(c), &t);
    return e == OK ? event_thing_type(c, EVENT_UPDATED, &t) : e;
}

/* All but the attributes that publishes get stay as they were created. */
Err iot_thing_type_updating(Call *c, const IotUpdateThingTypeIn *in, const ThingTypeRecord *old,
                            ThingTypeRecord *type) {
    if (!str_eq(old->description, type->description) ||
        !str_list_same(old->searchable_attributes, type->searchable_attributes))
        return api_fail(c, IOT_INVALID_REQUEST,
                        "Description and searchable attributes of thing type %.*s cannot be changed, only its "
                        "mqtt5Configuration",
                        PS(old->thing_type_name));
    return propagating_check(c, in->thing_type_properties, type);
}

Err iot_thing_type_changed(Call *c, const ThingTypeRecord *old, const ThingTypeRecord *type) {
    if (!type) return event_thing_type(c, EVENT_DELETED, old);
    if (!old) return event_thing_type(c, EVENT_CREATED, type);
    if (str_eq(old->mqtt5_configuration, type->mqtt5_configuration)) return OK;
    registry_type_changed(c, type->thing_type_name);
    return event_thing_type(c, EVENT_UPDATED, type);
}

static Err has_things(Call *c, Str type, bool *out) {
    RecordScan *scan;
    ThingRecord t;
    Err e = thing_record_scan_by_type(c->txn, call_tenant(c), type, STR_NONE, false, &scan);
    if (e != OK) return e;
    bool any = thing_record_next(scan, c->arena, &t);
    e = record_scan_end(scan);
    if (e == OK) *out = any;
    return e;
}

Err iot_thing_type_deleting(Call *c, const IotDeleteThingTypeIn *in, const ThingTypeRecord *type) {
    (void)in;
    bool used = false;
    Err e = has_things(c, type->thing_type_name, &used);
    if (e != OK) return e;
    if (!type->deprecated)
        return api_fail(c, IOT_INVALID_REQUEST, "Cannot delete thing type : %.*s. It must be deprecated first",
                        PS(type->thing_type_name));
    if (c->now_ms - type->deprecated_ms < WAIT_MS)
        return api_fail(c, IOT_INVALID_REQUEST,
                        "Cannot delete thing type : %.*s. Please wait for 5 minutes after deprecation and then retry",
                        PS(type->thing_type_name));
    if (used)
        return api_fail(c, IOT_INVALID_REQUEST, "Cannot delete thing type : %.*s. Things are associated with it",
                        PS(type->thing_type_name));
    return OK;
}
