/* Billing groups: a thing is in one at most, which its own record names. (models/iot.resource has the plain
 * operations.) Source: botocore's iot model; AWS IoT developer guide, "Tagging with billing groups" */
#include "services/iot/registry.h"

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
    Str group = in->billing_group_name;
    RecordScan *scan;
    BillingGroupRecord g;
    ThingRecord t;
    Page page;
    Err e = iot_billing_group_need(c, group, &g);
    if (e == OK) e = page_open(c, group, in->next_token, in->max_results, REGISTRY_PAGE, &page);
    if (e == OK) e = thing_record_scan_by_billing_group(c->txn, call_tenant(c), group, page.after, false, &scan);
    if (e != OK) return e;
    Str *names = arena_array(c->arena, Str, page.most);
    while (thing_record_next(scan, c->arena, &t) && page_take(&page, scan)) names[page.n - 1] = t.thing_name;
    out->things = (StrList){ names, page.n, true };
    out->next_token = page.next;
    return record_scan_end(scan);
}
