/* Billing groups: a thing is in one at most, which its own record names.
 * Source: botocore's iot model; AWS IoT developer guide, "Tagging with billing groups" */
#include "api/page.h"
#include "services/iot/registry.h"

enum { PAGE_MAX = 250, PAGE_DEFAULT = 100 };

static Err need(Call *c, Str name, BillingGroupRecord *out) {
    Err e = billing_group_record_get(c->txn, call_tenant(c), name, c->arena, out);
    return e == ERR_NOT_FOUND ? api_fail(c, IOT_RESOURCE_NOT_FOUND, "Billing group %.*s cannot be found.", PS(name))
                              : e;
}

/* Idempotent: the same name with the same description succeeds. */
Err iot_create_billing_group(Call *c, const IotCreateBillingGroupIn *in, IotCreateBillingGroupOut *out) {
    const IotBillingGroupProperties *p = in->billing_group_properties;
    BillingGroupRecord have, want = { .billing_group_name = in->billing_group_name,
                                      .description = p ? p->billing_group_description : STR_NONE,
                                      .version = 1,
                                      .created_ms = c->now_ms };
    Err e = tags_from(c, &in->tags, &want.tags);
    if (e == OK) e = billing_group_record_get(c->txn, call_tenant(c), in->billing_group_name, c->arena, &have);
    if (e == OK && !str_eq(have.description, want.description)) {
        c->failure.resource_id = have.billing_group_id;
        c->failure.resource_arn = billing_group_arn(c, have.billing_group_name);
        return api_fail(c, IOT_RESOURCE_ALREADY_EXISTS,
                        "Billing group %.*s already exists in account with different settings",
                        PS(have.billing_group_name));
    }
    if (e == OK) {
        want = have;
    } else if (e == ERR_NOT_FOUND) {
        want.billing_group_id = rng_uuid(c->rng, c->arena);
        e = billing_group_record_put(c->txn, call_tenant(c), &want);
    }
    if (e != OK) return e;
    *out = (IotCreateBillingGroupOut){ .billing_group_name = want.billing_group_name,
                                       .billing_group_arn = billing_group_arn(c, want.billing_group_name),
                                       .billing_group_id = want.billing_group_id };
    return OK;
}

Err iot_describe_billing_group(Call *c, const IotDescribeBillingGroupIn *in, IotDescribeBillingGroupOut *out) {
    BillingGroupRecord g;
    Err e = need(c, in->billing_group_name, &g);
    if (e != OK) return e;
    *out = (IotDescribeBillingGroupOut){ .billing_group_name = g.billing_group_name,
                                         .billing_group_id = g.billing_group_id,
                                         .billing_group_arn = billing_group_arn(c, g.billing_group_name),
                                         .version = { true, g.version },
                                         .billing_group_properties = arena_new(c->arena, IotBillingGroupProperties),
                                         .billing_group_metadata = arena_new(c->arena, IotBillingGroupMetadata) };
    out->billing_group_properties->billing_group_description = g.description;
    out->billing_group_metadata->creation_date = (OptInt){ true, g.created_ms };
    return OK;
}

Err iot_update_billing_group(Call *c, const IotUpdateBillingGroupIn *in, IotUpdateBillingGroupOut *out) {
    BillingGroupRecord g;
    Err e = need(c, in->billing_group_name, &g);
    if (e == OK) e = registry_expect_version(c, in->expected_version, "billing group", g.billing_group_name, g.version);
    if (e != OK) return e;
    if (in->billing_group_properties && in->billing_group_properties->billing_group_description.ptr)
        g.description = in->billing_group_properties->billing_group_description;
    g.version++;
    e = billing_group_record_put(c->txn, call_tenant(c), &g);
    if (e == OK) out->version = (OptInt){ true, g.version };
    return e;
}

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

/* A group that is not there is deleted already. */
Err iot_delete_billing_group(Call *c, const IotDeleteBillingGroupIn *in, IotDeleteBillingGroupOut *out) {
    (void)out;
    BillingGroupRecord g;
    Err e = billing_group_record_get(c->txn, call_tenant(c), in->billing_group_name, c->arena, &g);
    if (e == ERR_NOT_FOUND) return OK;
    if (e == OK) e = registry_expect_version(c, in->expected_version, "billing group", g.billing_group_name, g.version);
    if (e == OK) e = billing_group_record_lock(c->txn, call_tenant(c), g.billing_group_name);
    if (e == OK) e = drop_things(c, g.billing_group_name);
    return e == OK ? billing_group_record_delete(c->txn, call_tenant(c), g.billing_group_name) : e;
}

Err iot_list_billing_groups(Call *c, const IotListBillingGroupsIn *in, IotListBillingGroupsOut *out) {
    size_t most = page_size(in->max_results, PAGE_DEFAULT, PAGE_MAX), n = 0;
    IotGroupNameAndArn *items = arena_array(c->arena, IotGroupNameAndArn, most);
    Str after, last = STR_NONE;
    RecordScan *scan;
    BillingGroupRecord g;
    Err e = page_begin(c, in->name_prefix_filter, in->next_token, &after);
    if (e == OK) e = billing_group_record_scan(c->txn, call_tenant(c), after, false, &scan);
    if (e != OK) return e;
    while (billing_group_record_next(scan, c->arena, &g)) {
        if (!str_starts(g.billing_group_name, in->name_prefix_filter)) continue;
        if (n == most) {
            out->next_token = page_next(c, in->name_prefix_filter, last);
            break;
        }
        items[n++] = (IotGroupNameAndArn){ g.billing_group_name, billing_group_arn(c, g.billing_group_name) };
        if (n == most) last = record_scan_position(scan, c->arena);
    }
    out->billing_groups = (IotBillingGroupNameAndArnList){ .items = items, .n = n, .set = true };
    return record_scan_end(scan);
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
    if (e == OK) e = need(c, group, &g);
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
    Err e = need(c, in->billing_group_name, &g);
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
