/* An update is one read and one write of the shadow's record in the call's transaction; two at once conflict and one
 * runs again on what the other left. A deleted shadow stays as a record without text, because for 48 hours a new
 * one goes on from its version.
 * Source: AWS IoT developer guide, "Simulating Device Shadow service communications", "Using shadows in services" */
#include "services/shadow/shadow.h"

#include "services/publish.h"
#include "services/shadow/kept.h"
#include "services/shadow/request.h"

enum { VERSION_KEPT_S = 48 * 3600 };

Str shadow_topic(Call *c, ShadowKey key, const char *end) {
    if (key.name.len == 0) return str_format(c->arena, "$aws/things/%.*s/shadow/%s", PS(key.thing), end);
    return str_format(c->arena, "$aws/things/%.*s/shadow/name/%.*s/%s", PS(key.thing), PS(key.name), end);
}

static int64_t now_s(const Call *c) {
    return c->now_ms / 1000;
}

static Err read_shadow(Call *c, ShadowKey key, ShadowKept *out) {
    Err e = shadow_kept_read(c, key, out);
    if (e == OK && !out->stored.text.ptr && now_s(c) - out->deleted_s > VERSION_KEPT_S) *out = (ShadowKept){ 0 };
    return e;
}

static Err refuse_absent(Call *c, ShadowKey key, ShadowFault *fault) {
    const char *between = key.name.len ? "~" : "";
    return shadow_refuse(
        fault, 404,
        str_format(c->arena, "No shadow exists with name: '%.*s%s%.*s'", PS(key.thing), between, PS(key.name)));
}

Err shadow_call_get(Call *c, ShadowKey key, Str client_token, Str *out, ShadowFault *fault) {
    *fault = (ShadowFault){ .client_token = client_token };
    ShadowKept kept;
    Err e = read_shadow(c, key, &kept);
    if (e != OK) return e;
    if (!kept.stored.text.ptr) return refuse_absent(c, key, fault);
    return shadow_get(&kept.stored, client_token, now_s(c), c->arena, out);
}

Err shadow_call_update(Call *c, ShadowKey key, Str request, Str *accepted, ShadowFault *fault) {
    ShadowKept kept;
    ShadowUpdate u;
    Err e = read_shadow(c, key, &kept);
    if (e == OK) e = shadow_update(&kept.stored, request, now_s(c), &SHADOW_LIMITS, c->arena, &u, fault);
    if (e != OK) return e;
    e = shadow_kept_write(c, key, &(ShadowKept){ .stored = { u.stored, u.version } });
    if (e != OK) return e;
    publish_after(c, shadow_topic(c, key, "update/accepted"), u.accepted);
    if (u.delta.ptr) publish_after(c, shadow_topic(c, key, "update/delta"), u.delta);
    publish_after(c, shadow_topic(c, key, "update/documents"), u.documents);
    *accepted = u.accepted;
    return OK;
}

Err shadow_call_delete(Call *c, ShadowKey key, Str client_token, Str *accepted, ShadowFault *fault) {
    *fault = (ShadowFault){ .client_token = client_token };
    ShadowKept kept;
    Err e = read_shadow(c, key, &kept);
    if (e != OK) return e;
    if (!kept.stored.text.ptr) return refuse_absent(c, key, fault);
    e = shadow_kept_write(c, key, &(ShadowKept){ .stored.version = kept.stored.version, .deleted_s = now_s(c) });
    if (e != OK) return e;
    *accepted = shadow_deleted(kept.stored.version, client_token, now_s(c), c->arena);
    publish_after(c, shadow_topic(c, key, "delete/accepted"), *accepted);
    return OK;
}
