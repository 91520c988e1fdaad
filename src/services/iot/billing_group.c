/* Billing groups: a thing is in one at most, which its own record names. (models/iot.resource has the plain
 * operations.) Source: botocore's iot model; AWS IoT developer guide, "Tagging with billing groups" */
#include "api/page.h"
#include "services/iot/registry.h"

enum { PAGE_MAX = 250, PAGE_DEFAULT = 100 };

static Err leave(Call *c, ThingRecord *t) {
    t->billing_group_name = STR_NONE;
    t->version++;
    return thing_record_put(c->txn, call_tenant(c), t);
}

static Err drop_things(Call *c, Str group) {
    for (bool any = true; any;) {
        RecordScan *scan;
        ThingRecord t;
        Err e = thing_record_scan_by_billing_group(c->txn, call_tenant(c), group, STR_NONE, false, &scan);
        if (e != OK) return e;
        any = thing_record_next(scan, c->arena, &t);
        e = record_scan_end(scan);
        if (e == OK && any) e = leave(c, &t);
        if (e != OK) return e;
    }
    return OK;
}

/* Its things are in none then. */
Err iot_billing_group_deleting(Call *c, const IotDeleteBillingGroupIn *in, const BillingGroupRecord *group) {
    (void)in;
    return drop_things(c, group->billing_group_name);
}

Err iot_add_thing_to_billing_group(Call *c, const IotAddThingToBillingGroupIn *in, IotAddThingToBillingGroupOut *out) {
    (void)out;
    Str thing, group;
    ThingRecord t;
    Err e = registry_name(c, "thing", in->thing_name, in->thing_arn, &thing);
    if (e == OK) e = registry_name(c, "billinggroup", in->billing_group_name, in->billing_group_arn, &group);
    if (e == OK) e = thing_need(c, thing, &t);
    if (e == OK) e = billing_group_may_join(c, group);
    if (e != OK || str_eq(t.billing_group_name, group)) return e;
    if (t.billing_group_name.ptr)
        return api_fail(c, IOT_INVALID_REQUEST, "Thing %.*s is in billing group %.*s already: it can be in one only",
                        PS(thing), PS(t.billing_group_name));
    t.billing_group_name = group;
    t.version++;
    return thing_record_put(c->txn, call_tenant(c), &t);
}

Err iot_remove_thing_from_billing_group(Call *c, const IotRemoveThingFromBillingGroupIn *in,
                                        IotRemoveThingFromBillingGroupOut *out) {
    (void)out;
    Str thing, group;
    ThingRecord t;
    BillingGroupRecord g;
    Err e = registry_name(c, "thing", in->thing_name, in->thing_arn, &thing);
    if (e == OK) e = registry_name(c, "billinggroup", in->billing_group_name, in->billing_group_arn, &group);
    if (e == OK) e = thing_need(c, thing, &t);
    if (e == OK) e = iot_billing_group_need(c, group, &g);
    if (e != OK || !str_eq(t.billing_group_name, group)) return e;
    return leave(c, &t);
}

Err iot_list_things_in_billing_group(Call *c, const IotListThingsInBillingGroupIn *in,
                                     IotListThingsInBillingGroupOut *out) {
    size_t most = page_size(in->max_results, PAGE_DEFAULT, PAGE_MAX);
    StrList things = { arena_array(c->arena, Str, most), 0, true };
    Str after, last = STR_NONE;
    RecordScan *scan;
    BillingGroupRecord g;
    ThingRecord t;
    Err e = iot_billing_group_need(c, in->billing_group_name, &g);
    if (e == OK) e = page_begin(c, in->billing_group_name, in->next_token, &after);
    if (e == OK)
        e = thing_record_scan_by_billing_group(c->txn, call_tenant(c), in->billing_group_name, after, false, &scan);
    if (e != OK) return e;
    while (thing_record_next(scan, c->arena, &t)) {
        if (things.n == most) {
            out->next_token = page_next(c, in->billing_group_name, last);
            break;
        }
        things.items[things.n++] = t.thing_name;
        if (things.n == most) last = record_scan_position(scan, c->arena);
    }
    out->things = things;
    return record_scan_end(scan);
}
