/* Device Shadow over HTTPS. */
#include "api/page.h"
#include "generated/iot_data.h"
#include "generated/iot_records.h"
#include "services/shadow/shadow.h"

static const PageSize PAGE = { .otherwise = 25, .most = 100 };

/* Gives a refusal the form of the API. */
static Err fail(Call *c, Err e, const ShadowFault *fault) {
    if (e != ERR_INVALID) return e;
    const ApiError *error = fault->code == 404   ? IOT_DATA_RESOURCE_NOT_FOUND
                            : fault->code == 409 ? IOT_DATA_CONFLICT
                            : fault->code == 413 ? IOT_DATA_REQUEST_ENTITY_TOO_LARGE
                            : fault->code == 415 ? IOT_DATA_UNSUPPORTED_DOCUMENT_ENCODING
                                                 : IOT_DATA_INVALID_REQUEST;
    return api_fail(c, error, "%.*s", PS(fault->message));
}

Err iot_data_get_thing_shadow(Call *c, const IotDataGetThingShadowIn *in, IotDataGetThingShadowOut *out) {
    ShadowFault fault;
    return fail(c, shadow_call_get(c, (ShadowKey){ in->thing_name, in->shadow_name }, STR_NONE, &out->payload, &fault),
                &fault);
}

Err iot_data_update_thing_shadow(Call *c, const IotDataUpdateThingShadowIn *in, IotDataUpdateThingShadowOut *out) {
    ShadowFault fault;
    ShadowKey key = { in->thing_name, in->shadow_name };
    return fail(c, shadow_call_update(c, key, in->payload, &out->payload, &fault), &fault);
}

Err iot_data_delete_thing_shadow(Call *c, const IotDataDeleteThingShadowIn *in, IotDataDeleteThingShadowOut *out) {
    ShadowFault fault;
    ShadowKey key = { in->thing_name, in->shadow_name };
    return fail(c, shadow_call_delete(c, key, STR_NONE, &out->payload, &fault), &fault);
}

/* A thing that is not there has no shadows, which is no failure. The classic shadow, whose name is empty, is not
 * listed. */
Err iot_data_list_named_shadows_for_thing(Call *c, const IotDataListNamedShadowsForThingIn *in,
                                          IotDataListNamedShadowsForThingOut *out) {
    Str thing = in->thing_name;
    RecordScan *scan;
    ShadowRecord r;
    Page page;
    Err e = page_open(c, thing, in->next_token, in->page_size, PAGE, &page);
    if (e == OK) e = shadow_record_scan_of_thing_name(c->txn, call_tenant(c), thing, page.after, false, &scan);
    if (e != OK) return e;
    Str *names = arena_array(c->arena, Str, page.most);
    while (shadow_record_next(scan, c->arena, &r)) {
        if (r.deleted || r.shadow_name.len == 0) continue;
        if (!page_take(&page, scan)) break;
        names[page.n - 1] = r.shadow_name;
    }
    *out = (IotDataListNamedShadowsForThingOut){ .results = { names, page.n, true },
                                                 .next_token = page.next,
                                                 .timestamp = { true, c->now_ms / 1000 } };
    return record_scan_end(scan);
}
