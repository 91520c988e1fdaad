#include "services/iot/registry.h"

#include "api/tag.h"
#include "identity/directory.h"
#include "services/env.h"

enum { ATTRIBUTES_BYTES_MAX = 47 * 1024 }; /* Source: AWS IoT Core quotas */

static Err found(Call *c, Err e, const char *kind, Str name) {
    if (e != ERR_NOT_FOUND) return e;
    return api_fail(c, IOT_RESOURCE_NOT_FOUND, "%s %.*s cannot be found.", kind, PS(name));
}

Err thing_need(Call *c, Str name, ThingRecord *out) {
    return found(c, thing_record_get(c->txn, call_tenant(c), name, c->arena, out), "Thing", name);
}

Err thing_type_may_join(Call *c, Str name) {
    ThingTypeRecord type;
    Err e = iot_thing_type_need(c, name, &type);
    if (e != OK) return e;
    if (type.deprecated)
        return api_fail(c, IOT_INVALID_REQUEST, "Can not create new thing with deprecated thing type:%.*s", PS(name));
    return thing_type_record_lock(c->txn, call_tenant(c), name);
}

Err billing_group_may_join(Call *c, Str name) {
    BillingGroupRecord group;
    Err e = billing_group_record_get(c->txn, call_tenant(c), name, c->arena, &group);
    if (e != OK) return found(c, e, "Billing group", name);
    return billing_group_record_lock(c->txn, call_tenant(c), name);
}

Err registry_name(Call *c, const char *kind, Str name, Str arn, Str *out) {
    if (!arn.ptr && !name.ptr)
        return api_fail(c, IOT_INVALID_REQUEST, "The name or the ARN of the %s is missing", kind);
    if (arn.ptr) {
        Str prefix = call_arn(c, "iot", "%s/", kind), named = str_from(arn, prefix.len);
        if (!str_starts(arn, prefix) || named.len == 0)
            return api_fail(c, IOT_INVALID_REQUEST, "Invalid ARN %.*s: must begin with %.*s", PS(arn), PS(prefix));
        if (name.ptr && !str_eq(name, named))
            return api_fail(c, IOT_INVALID_REQUEST, "The name %.*s and the ARN %.*s are not the same %s", PS(name),
                            PS(arn), kind);
        name = named;
    }
    *out = name;
    return OK;
}

Err registry_expect_version(Call *c, OptInt expected, const char *kind, Str name, int64_t version) {
    if (!expected.set || expected.v == version) return OK;
    return api_fail(c, IOT_VERSION_CONFLICT, "The expected version %lld of %s %.*s does not match its version %lld",
                    (long long)expected.v, kind, PS(name), (long long)version);
}

StrMap attributes_after(Call *c, StrMap have, const IotAttributePayload *payload) {
    if (!payload || !(payload->attributes.set || payload->merge.v)) return have;
    size_t kept = payload->merge.v ? have.n : 0;
    StrMap out = { arena_array(c->arena, StrPair, kept + payload->attributes.n), kept, true };
    if (kept) memcpy(out.items, have.items, kept * sizeof *out.items);
    for (size_t i = 0; i < payload->attributes.n; i++) {
        StrPair given = payload->attributes.items[i], *there = str_map_find(&out, given.key);
        if (there && given.value.len)
            there->value = given.value;
        else if (there)
            *there = out.items[--out.n];
        else if (given.value.len)
            out.items[out.n++] = given;
    }
    return out;
}

Err attributes_check(Call *c, StrMap attributes, size_t count_max) {
    if (attributes.n > count_max)
        return api_fail(c, IOT_INVALID_REQUEST, "%zu attributes are more than the maximum of %zu", attributes.n,
                        count_max);
    size_t bytes = 0;
    for (size_t i = 0; i < attributes.n; i++) bytes += attributes.items[i].key.len + attributes.items[i].value.len;
    if (bytes > ATTRIBUTES_BYTES_MAX)
        return api_fail(c, IOT_INVALID_REQUEST, "Attributes of %zu bytes are more than the maximum of %d", bytes,
                        ATTRIBUTES_BYTES_MAX);
    return OK;
}

_Static_assert(sizeof(IotTag) == sizeof(StrPair), "a tag is a key and a value");

Err tags_from(Call *c, const IotTagList *tags, StrMap *out) {
    return tag_check(c, (StrMap){ (StrPair *)(void *)tags->items, tags->n, tags->set }, out);
}

typedef struct {
    Str account, name;
} Changed;

static void thing_changed_now(Env *env, void *arg) {
    const Changed *x = arg;
    directory_thing_changed(env->directory, x->account, x->name);
}

static void group_changed_now(Env *env, void *arg) {
    const Changed *x = arg;
    directory_group_changed(env->directory, x->account, x->name);
}

static void type_changed_now(Env *env, void *arg) {
    const Changed *x = arg;
    directory_type_changed(env->directory, x->account, x->name);
}

static void changed(Call *c, Str name, void (*run)(Env *, void *)) {
    Changed *x = arena_new(c->arena, Changed);
    *x = (Changed){ c->account, str_dup(c->arena, name) };
    call_after(c, run, x);
}

void registry_thing_changed(Call *c, Str thing_name) {
    changed(c, thing_name, thing_changed_now);
}

void registry_group_changed(Call *c, Str group_name) {
    changed(c, group_name, group_changed_now);
}

void registry_type_changed(Call *c, Str type_name) {
    changed(c, type_name, type_changed_now);
}
