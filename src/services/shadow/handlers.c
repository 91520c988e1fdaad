/* Device Shadow over HTTPS. */
#include "base/encode.h"
#include "generated/iot_data.h"
#include "services/shadow/kept.h"

enum { PAGE_MAX = 100, PAGE_DEFAULT = 25 };

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

/* A thing that is not there has no shadows, which is no failure. */
Err iot_data_list_named_shadows_for_thing(Call *c, const IotDataListNamedShadowsForThingIn *in,
                                          IotDataListNamedShadowsForThingOut *out) {
    size_t page = in->page_size.set ? (size_t)in->page_size.v : PAGE_DEFAULT, n = 0;
    Str after = STR_NONE;
    if (in->next_token.len && base64_decode(c->arena, in->next_token, &after) != OK)
        return api_fail(c, IOT_DATA_INVALID_REQUEST, "Invalid nextToken");
    Str *names = arena_array(c->arena, Str, PAGE_MAX + 1);
    Err e = shadow_kept_names(c, in->thing_name, after, page + 1, names, &n);
    if (e != OK) return e;
    if (n > page) {
        n = page;
        out->next_token = base64_encode(c->arena, names[n - 1]);
    }
    out->results = (StrList){ .items = names, .n = n, .set = true };
    out->timestamp = (OptInt){ true, c->now_ms / 1000 };
    return OK;
}
