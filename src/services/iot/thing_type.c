/* Thing types. A type is deleted in two steps, so that nothing is created with it in between.
 * Source: botocore's iot model; AWS IoT developer guide, "Thing types"; Terraform's provider (the 5 minutes' text) */
#include "api/error.h"
#include "api/page.h"
#include "services/iot/event.h"

enum { SEARCHABLE_MAX = 3, WAIT_MS = 5 * 60 * 1000, PAGE_MAX = 250, PAGE_DEFAULT = 100 };

/* Attributes that publishes would get as MQTT 5 user properties: the broker does not add them yet. */
static Err mqtt5_check(Call *c, const IotMqtt5Configuration *in) {
    if (!in || in->propagating_attributes.n == 0) return OK;
    return api_fail(c, API_NOT_IMPLEMENTED,
                    "mqtt5Configuration with propagatingAttributes is not implemented yet: publishes would not carry "
                    "them");
}

static IotThingTypeProperties *properties(Call *c, const ThingTypeRecord *t) {
    IotThingTypeProperties *p = arena_new(c->arena, IotThingTypeProperties);
    *p = (IotThingTypeProperties){ .thing_type_description = t->description,
                                   .searchable_attributes = t->searchable_attributes };
    p->searchable_attributes.set = true;
    return p;
}

static IotThingTypeMetadata *metadata(Call *c, const ThingTypeRecord *t) {
    IotThingTypeMetadata *m = arena_new(c->arena, IotThingTypeMetadata);
    *m = (IotThingTypeMetadata){ .deprecated = { true, t->deprecated },
                                 .creation_date = { true, t->created_ms },
                                 .deprecation_date = { t->deprecated, t->deprecated_ms } };
    return m;
}

static Err wanted(Call *c, const IotCreateThingTypeIn *in, ThingTypeRecord *out) {
    static const IotThingTypeProperties none = { 0 };
    const IotThingTypeProperties *p = in->thing_type_properties ? in->thing_type_properties : &none;
    ThingTypeRecord want = { .thing_type_name = in->thing_type_name,
                             .description = p->thing_type_description,
                             .searchable_attributes = p->searchable_attributes,
                             .created_ms = c->now_ms };
    if (p->searchable_attributes.n > SEARCHABLE_MAX)
        return api_fail(c, IOT_INVALID_REQUEST, "%zu searchable attributes are more than the maximum of %d",
                        p->searchable_attributes.n, SEARCHABLE_MAX);
    Err e = mqtt5_check(c, p->mqtt5_configuration);
    if (e == OK) e = tags_from(c, &in->tags, &want.tags);
    if (e == OK) *out = want;
    return e;
}

/* Idempotent: the same name with the same properties succeeds. */
Err iot_create_thing_type(Call *c, const IotCreateThingTypeIn *in, IotCreateThingTypeOut *out) {
    ThingTypeRecord want, have;
    Err e = wanted(c, in, &want);
    if (e != OK) return e;
    e = thing_type_record_get(c->txn, call_tenant(c), in->thing_type_name, c->arena, &have);
    if (e == OK) {
        if (!str_eq(have.description, want.description) ||
            !str_list_same(have.searchable_attributes, want.searchable_attributes)) {
            c->failure.resource_id = have.thing_type_id;
            c->failure.resource_arn = thing_type_arn(c, have.thing_type_name);
            return api_fail(c, IOT_RESOURCE_ALREADY_EXISTS,
                            "Thing type %.*s already exists in account with different properties",
                            PS(have.thing_type_name));
        }
        want = have;
    } else if (e == ERR_NOT_FOUND) {
        want.thing_type_id = rng_uuid(c->rng, c->arena);
        e = thing_type_record_put(c->txn, call_tenant(c), &want);
        if (e == OK) e = event_thing_type(c, EVENT_CREATED, &want);
    }
    if (e != OK) return e;
    *out = (IotCreateThingTypeOut){ .thing_type_name = want.thing_type_name,
                                    .thing_type_arn = thing_type_arn(c, want.thing_type_name),
                                    .thing_type_id = want.thing_type_id };
    return OK;
}

Err iot_describe_thing_type(Call *c, const IotDescribeThingTypeIn *in, IotDescribeThingTypeOut *out) {
    ThingTypeRecord t;
    Err e = thing_type_need(c, in->thing_type_name, &t);
    if (e != OK) return e;
    *out = (IotDescribeThingTypeOut){ .thing_type_name = t.thing_type_name,
                                      .thing_type_id = t.thing_type_id,
                                      .thing_type_arn = thing_type_arn(c, t.thing_type_name),
                                      .thing_type_properties = properties(c, &t),
                                      .thing_type_metadata = metadata(c, &t) };
    return OK;
}

/* thingTypeName: that one alone. */
Err iot_list_thing_types(Call *c, const IotListThingTypesIn *in, IotListThingTypesOut *out) {
    size_t most = page_size(in->max_results, PAGE_DEFAULT, PAGE_MAX), n = 0;
    IotThingTypeDefinition *items = arena_array(c->arena, IotThingTypeDefinition, most);
    Str after, last = STR_NONE;
    RecordScan *scan;
    Err e = page_begin(c, in->thing_type_name, in->next_token, &after);
    if (e == OK) e = thing_type_record_scan(c->txn, call_tenant(c), after, false, &scan);
    if (e != OK) return e;
    ThingTypeRecord t;
    while (thing_type_record_next(scan, c->arena, &t)) {
        if (in->thing_type_name.ptr && !str_eq(t.thing_type_name, in->thing_type_name)) continue;
        if (n == most) {
            out->next_token = page_next(c, in->thing_type_name, last);
            break;
        }
        items[n++] = (IotThingTypeDefinition){ .thing_type_name = t.thing_type_name,
                                               .thing_type_arn = thing_type_arn(c, t.thing_type_name),
                                               .thing_type_properties = properties(c, &t),
                                               .thing_type_metadata = metadata(c, &t) };
        if (n == most) last = record_scan_position(scan, c->arena);
    }
    out->thing_types = (IotThingTypeList){ .items = items, .n = n, .set = true };
    return record_scan_end(scan);
}

Err iot_deprecate_thing_type(Call *c, const IotDeprecateThingTypeIn *in, IotDeprecateThingTypeOut *out) {
    (void)out;
    ThingTypeRecord t;
    Err e = thing_type_need(c, in->thing_type_name, &t);
    if (e != OK || t.deprecated == !in->undo_deprecate.v) return e; /* a deprecated one keeps its date */
    t.deprecated = !in->undo_deprecate.v;
    t.deprecated_ms = t.deprecated ? c->now_ms : 0;
    e = thing_type_record_lock(c->txn, call_tenant(c), t.thing_type_name);
    if (e == OK) e = thing_type_record_put(c->txn, call_tenant(c), &t);
    return e == OK ? event_thing_type(c, EVENT_UPDATED, &t) : e;
}

/* All but the attributes that publishes get stay as they were created. */
Err iot_update_thing_type(Call *c, const IotUpdateThingTypeIn *in, IotUpdateThingTypeOut *out) {
    (void)out;
    ThingTypeRecord t;
    Err e = thing_type_need(c, in->thing_type_name, &t);
    const IotThingTypeProperties *p = in->thing_type_properties;
    if (e != OK || !p) return e;
    bool other = (p->thing_type_description.ptr && !str_eq(p->thing_type_description, t.description)) ||
                 (p->searchable_attributes.set && !str_list_same(p->searchable_attributes, t.searchable_attributes));
    if (other)
        return api_fail(c, IOT_INVALID_REQUEST,
                        "Description and searchable attributes of thing type %.*s cannot be changed, only its "
                        "mqtt5Configuration",
                        PS(t.thing_type_name));
    return mqtt5_check(c, p->mqtt5_configuration);
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

Err iot_delete_thing_type(Call *c, const IotDeleteThingTypeIn *in, IotDeleteThingTypeOut *out) {
    (void)out;
    ThingTypeRecord t;
    bool used = false;
    Err e = thing_type_need(c, in->thing_type_name, &t);
    if (e == OK) e = thing_type_record_lock(c->txn, call_tenant(c), t.thing_type_name);
    if (e == OK) e = has_things(c, t.thing_type_name, &used);
    if (e != OK) return e;
    if (!t.deprecated)
        return api_fail(c, IOT_INVALID_REQUEST, "Cannot delete thing type : %.*s. It must be deprecated first",
                        PS(t.thing_type_name));
    if (c->now_ms - t.deprecated_ms < WAIT_MS)
        return api_fail(c, IOT_INVALID_REQUEST,
                        "Cannot delete thing type : %.*s. Please wait for 5 minutes after deprecation and then retry",
                        PS(t.thing_type_name));
    if (used)
        return api_fail(c, IOT_INVALID_REQUEST, "Cannot delete thing type : %.*s. Things are associated with it",
                        PS(t.thing_type_name));
    e = event_thing_type(c, EVENT_DELETED, &t);
    return e == OK ? thing_type_record_delete(c->txn, call_tenant(c), t.thing_type_name) : e;
}
