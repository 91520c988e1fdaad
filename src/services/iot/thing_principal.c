/* Which principal is which thing's. A certificate may be that of many things, unless it is exclusive to one.
 * Source: AWS IoT developer guide, "Exclusive thing"; botocore's iot model. */
#include "api/page.h"
#include "generated/iot.h"
#include "services/iot/certificate.h"
#include "services/iot/registry.h"

#define PRINCIPAL_PAGE ((PageSize){ .otherwise = 250, .most = 250 })
static const Str EXCLUSIVE = STR_INIT("EXCLUSIVE_THING"), SHARED = STR_INIT("NON_EXCLUSIVE_THING");

/* The principal as it is stored: a certificate's ARN in its one form. *id: STR_NONE for a Cognito identity. */
static Err principal_of(Call *c, Str given, Str *stored, Str *id) {
    Err e = iot_principal_certificate(c, given, id);
    if (e == OK) *stored = id->ptr ? iot_certificate_arn(c, *id) : given;
    return e;
}

/* DeleteThing and DeleteCertificate rely on there being no attachment: they lock the same. */
static Err lock_both(Call *c, Str thing_name, Str certificate_id) {
    Err e = thing_record_lock(c->txn, call_tenant(c), thing_name);
    if (e == OK && certificate_id.ptr) e = certificate_record_lock(c->txn, call_tenant(c), certificate_id);
    return e;
}

/* Against what is attached already. *same: this very attachment is there. */
static Err check_attached(Call *c, Str thing_name, Str principal, Str type, bool *same) {
    RecordScan *scan;
    Err e = thing_principal_record_scan_by_principal(c->txn, call_tenant(c), principal, STR_NONE, false, &scan),
        bad = OK;
    if (e != OK) return e;
    ThingPrincipalRecord r;
    while (bad == OK && thing_principal_record_next(scan, c->arena, &r)) {
        bool this_thing = str_eq(r.thing_name, thing_name), alike = str_eq(r.thing_principal_type, type);
        if (this_thing && alike)
            *same = true;
        else if (this_thing)
            bad = api_fail(c, IOT_INVALID_REQUEST,
                           "The principal is attached to thing %.*s as %.*s already; detach it first", PS(thing_name),
                           PS(r.thing_principal_type));
        else if (str_eq(r.thing_principal_type, EXCLUSIVE))
            bad = api_fail(c, IOT_INVALID_REQUEST, "The principal is exclusively attached to thing %.*s",
                           PS(r.thing_name));
        else if (str_eq(type, EXCLUSIVE))
            bad = api_fail(c, IOT_INVALID_REQUEST,
                           "The principal is attached to thing %.*s, so it cannot be exclusive to thing %.*s",
                           PS(r.thing_name), PS(thing_name));
    }
    e = record_scan_end(scan);
    return bad != OK ? bad : e;
}

Err iot_attach_thing_principal(Call *c, const IotAttachThingPrincipalIn *in, IotAttachThingPrincipalOut *out) {
    (void)out;
    Str type = in->thing_principal_type.len ? in->thing_principal_type : SHARED, principal, id;
    bool same = false;
    ThingRecord thing;
    Err e = thing_need(c, in->thing_name, &thing);
    if (e == OK) e = principal_of(c, in->principal, &principal, &id);
    if (e == OK) e = lock_both(c, in->thing_name, id);
    if (e == OK) e = check_attached(c, in->thing_name, principal, type, &same);
    if (e != OK || same) return e;
    e = thing_principal_record_put(c->txn, call_tenant(c),
                                   &(ThingPrincipalRecord){ .thing_name = in->thing_name,
                                                            .principal = principal,
                                                            .thing_principal_type = type,
                                                            .created_ms = c->now_ms });
    if (e == OK && id.ptr) iot_certificate_changed(c, id);
    return e;
}

Err iot_detach_thing_principal(Call *c, const IotDetachThingPrincipalIn *in, IotDetachThingPrincipalOut *out) {
    (void)out;
    Str principal, id;
    ThingRecord thing;
    Err e = thing_need(c, in->thing_name, &thing);
    if (e == OK) e = principal_of(c, in->principal, &principal, &id);
    if (e == OK) e = lock_both(c, in->thing_name, id);
    if (e == OK) e = thing_principal_record_delete(c->txn, call_tenant(c), in->thing_name, principal);
    if (e == ERR_NOT_FOUND)
        return api_fail(c, IOT_RESOURCE_NOT_FOUND, "The principal is not attached to thing %.*s", PS(in->thing_name));
    if (e == OK && id.ptr) iot_certificate_changed(c, id);
    return e;
}

/* Lists: of a thing's principals or a principal's things; one walk for both versions of the operation. */
typedef struct {
    Page page;
    ThingPrincipalRecord *items;
} Principals;

/* The scan is ended. */
static Err fill(Call *c, Principals *p, RecordScan *scan, Str type) {
    p->items = arena_array(c->arena, ThingPrincipalRecord, p->page.most);
    ThingPrincipalRecord r;
    while (thing_principal_record_next(scan, c->arena, &r)) {
        if (type.len && !str_eq(type, r.thing_principal_type)) continue;
        if (!page_take(&p->page, scan)) break;
        p->items[p->page.n - 1] = r;
    }
    return record_scan_end(scan);
}

static Str filters_of(Call *c, Str of, Str type) {
    return str_format(c->arena, "%.*s/%.*s", PS(of), PS(type));
}

static Err principals_of(Call *c, Str thing_name, Str type, Str token, OptInt asked, Principals *out) {
    ThingRecord thing;
    Principals p;
    RecordScan *scan;
    Err e = thing_record_get(c->txn, call_tenant(c), thing_name, c->arena, &thing);
    if (e == ERR_NOT_FOUND) /* Source: observed with boto3 (moto's test of list_thing_principals) */
        return api_fail(c, IOT_RESOURCE_NOT_FOUND,
                        "Failed to list principals for thing %.*s because the thing does not exist in your account",
                        PS(thing_name));
    if (e == OK) e = page_open(c, filters_of(c, thing_name, type), token, asked, PRINCIPAL_PAGE, &p.page);
    if (e == OK)
        e = thing_principal_record_scan_of_thing_name(c->txn, call_tenant(c), thing_name, p.page.after, false, &scan);
    if (e == OK) e = fill(c, &p, scan, type);
    if (e == OK) *out = p;
    return e;
}

static Err things_of(Call *c, Str given, Str type, Str token, OptInt asked, Principals *out) {
    Str principal, id;
    Principals p;
    RecordScan *scan;
    Err e = principal_of(c, given, &principal, &id);
    if (e == OK) e = page_open(c, filters_of(c, principal, type), token, asked, PRINCIPAL_PAGE, &p.page);
    if (e == OK)
        e = thing_principal_record_scan_by_principal(c->txn, call_tenant(c), principal, p.page.after, false, &scan);
    if (e == OK) e = fill(c, &p, scan, type);
    if (e == OK) *out = p;
    return e;
}

Err iot_list_thing_principals(Call *c, const IotListThingPrincipalsIn *in, IotListThingPrincipalsOut *out) {
    Principals p;
    Err e = principals_of(c, in->thing_name, STR_NONE, in->next_token, in->max_results, &p);
    if (e != OK) return e;
    out->principals = (StrList){ arena_array(c->arena, Str, p.page.n), p.page.n, true };
    for (size_t i = 0; i < p.page.n; i++) out->principals.items[i] = p.items[i].principal;
    out->next_token = p.page.next;
    return OK;
}

Err iot_list_thing_principals_v2(Call *c, const IotListThingPrincipalsV2In *in, IotListThingPrincipalsV2Out *out) {
    Principals p;
    Err e = principals_of(c, in->thing_name, in->thing_principal_type, in->next_token, in->max_results, &p);
    if (e != OK) return e;
    IotThingPrincipalObject *items = arena_array(c->arena, IotThingPrincipalObject, p.page.n);
    for (size_t i = 0; i < p.page.n; i++)
        items[i] = (IotThingPrincipalObject){ p.items[i].principal, p.items[i].thing_principal_type };
    out->thing_principal_objects = (IotThingPrincipalObjects){ items, p.page.n, true };
    out->next_token = p.page.next;
    return OK;
}

Err iot_list_principal_things(Call *c, const IotListPrincipalThingsIn *in, IotListPrincipalThingsOut *out) {
    Principals p;
    Err e = things_of(c, in->principal, STR_NONE, in->next_token, in->max_results, &p);
    if (e != OK) return e;
    out->things = (StrList){ arena_array(c->arena, Str, p.page.n), p.page.n, true };
    for (size_t i = 0; i < p.page.n; i++) out->things.items[i] = p.items[i].thing_name;
    out->next_token = p.page.next;
    return OK;
}

Err iot_list_principal_things_v2(Call *c, const IotListPrincipalThingsV2In *in, IotListPrincipalThingsV2Out *out) {
    Principals p;
    Err e = things_of(c, in->principal, in->thing_principal_type, in->next_token, in->max_results, &p);
    if (e != OK) return e;
    IotPrincipalThingObject *items = arena_array(c->arena, IotPrincipalThingObject, p.page.n);
    for (size_t i = 0; i < p.page.n; i++)
        items[i] = (IotPrincipalThingObject){ p.items[i].thing_name, p.items[i].thing_principal_type };
    out->principal_thing_objects = (IotPrincipalThingObjects){ items, p.page.n, true };
    out->next_token = p.page.next;
    return OK;
}
