/* An update is one read and one write of the shadow's record in the call's transaction; two at once conflict and one
 * runs again on what the other left. A deleted shadow stays as a record without text, because for 48 hours a new
 * one goes on from its version.
 * Source: AWS IoT developer guide, "Simulating Device Shadow service communications", "Using shadows in services" */
#include "services/shadow/shadow.h"

#include "generated/iot_records.h"
#include "services/publish.h"
#include "services/shadow/request.h"

enum { VERSION_KEPT_S = 48 * 3600 };

Str shadow_topic(Call *c, ShadowKey key, const char *end) {
    if (key.name.len == 0) return str_format(c->arena, "$aws/things/%.*s/shadow/%s", PS(key.thing), end);
    return str_format(c->arena, "$aws/things/%.*s/shadow/name/%.*s/%s", PS(key.thing), PS(key.name), end);
}

static int64_t now_s(const Call *c) {
    return c->now_ms / 1000;
}

static Str name_of(ShadowKey key) {
    return key.name.ptr ? key.name : S("");
}

/* A shadow that never was, or whose version is forgotten, is all zeros but for its key. */
static Err read_shadow(Call *c, ShadowKey key, ShadowRecord *out, ShadowStored *stored) {
    ShadowRecord none = { .thing_name = key.thing, .shadow_name = name_of(key) }, r = none;
    Err e = shadow_record_get(c->txn, call_tenant(c), key.thing, none.shadow_name, c->arena, &r);
    if (e != OK && e != ERR_NOT_FOUND) return e;
    if (r.deleted && now_s(c) - r.deleted_ms / 1000 > VERSION_KEPT_S) r = none;
    *out = r;
    *stored = (ShadowStored){ r.deleted || !r.version ? STR_NONE : r.document, r.version };
    return OK;
}

static Err refuse_absent(Call *c, ShadowKey key, ShadowFault *fault) {
    const char *between = key.name.len ? "~" : "";
    return shadow_refuse(
        fault, 404,
        str_format(c->arena, "No shadow exists with name: '%.*s%s%.*s'", PS(key.thing), between, PS(key.name)));
}

Err shadow_call_get(Call *c, ShadowKey key, Str client_token, Str *out, ShadowFault *fault) {
    *fault = (ShadowFault){ .client_token = client_token };
    ShadowRecord r;
    ShadowStored stored;
    Err e = read_shadow(c, key, &r, &stored);
    if (e != OK) return e;
    if (!stored.text.ptr) return refuse_absent(c, key, fault);
    return shadow_get(&stored, client_token, now_s(c), c->arena, out);
}

Err shadow_call_update(Call *c, ShadowKey key, Str request, Str *accepted, ShadowFault *fault) {
    ShadowRecord r;
    ShadowStored stored;
    ShadowUpdate u;
    Err e = read_shadow(c, key, &r, &stored);
    if (e == OK) e = shadow_update(&stored, request, now_s(c), &SHADOW_LIMITS, c->arena, &u, fault);
    if (e != OK) return e;
    if (!stored.text.ptr) r.created_ms = c->now_ms;
    r.document = u.stored;
    r.version = u.version;
    r.updated_ms = c->now_ms;
    r.deleted = false;
    r.deleted_ms = 0;
    e = shadow_record_put(c->txn, call_tenant(c), &r);
    if (e != OK) return e;
    publish_after(c, shadow_topic(c, key, "update/accepted"), u.accepted);
    if (u.delta.ptr) publish_after(c, shadow_topic(c, key, "update/delta"), u.delta);
    publish_after(c, shadow_topic(c, key, "update/documents"), u.documents);
    *accepted = u.accepted;
    return OK;
}

Err shadow_call_delete(Call *c, ShadowKey key, Str client_token, Str *accepted, ShadowFault *fault) {
    *fault = (ShadowFault){ .client_token = client_token };
    ShadowRecord r;
    ShadowStored stored;
    Err e = read_shadow(c, key, &r, &stored);
    if (e != OK) return e;
    if (!stored.text.ptr) return refuse_absent(c, key, fault);
    r.document = STR_NONE;
    r.deleted = true;
    r.deleted_ms = c->now_ms;
    e = shadow_record_put(c->txn, call_tenant(c), &r);
    if (e != OK) return e;
    *accepted = shadow_deleted(r.version, client_token, now_s(c), c->arena);
    publish_after(c, shadow_topic(c, key, "delete/accepted"), *accepted);
    return OK;
}
