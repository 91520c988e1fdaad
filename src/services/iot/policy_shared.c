#include "services/iot/policy_shared.h"

#include "identity/directory.h"
#include "services/env.h"

Str policy_arn(Call *c, Str name) {
    return call_arn(c, "iot", "policy/%.*s", PS(name));
}

Str policy_version_text(Call *c, int64_t version_id) {
    return str_format(c->arena, "%lld", (long long)version_id);
}

/* Source of the words before the reason: aws-samples/simplerobotservice issue 1 */
Err policy_check_document(Call *c, Str name, Str document) {
    Policy *policy;
    PolicyFault fault;
    if (policy_compile(name, document, POLICY_IOT, c->arena, &policy, &fault) == OK) {
        Str vain = policy_vain_deny(policy);
        Err e = vain.ptr
                    ? api_fail(c, IOT_MALFORMED_POLICY,
                               "Policy document is Malformed: a device has no %.*s, so a Deny under a condition on it "
                               "would never deny",
                               PS(vain))
                    : OK;
        policy_release(policy);
        return e;
    }
    if (fault.line == 0)
        return api_fail(c, IOT_MALFORMED_POLICY, "Policy document is Malformed: %.*s", PS(fault.reason));
    return api_fail(c, IOT_MALFORMED_POLICY, "Policy document is Malformed: %.*s (line %d)", PS(fault.reason),
                    fault.line);
}

/* Source of the text: awslabs/aws-sdk-ios-samples issue 91 */
static Err found(Call *c, Str name, Err e) {
    if (e == ERR_NOT_FOUND) return api_fail(c, IOT_RESOURCE_NOT_FOUND, "Policy not found (name=%.*s)", PS(name));
    return e;
}

Err policy_find(Call *c, Str name, PolicyRecord *out) {
    return found(c, name, policy_record_get(c->txn, policy_tenant(c), name, c->arena, out));
}

Err policy_look(Call *c, Str name, PolicyRecord *out) {
    return found(c, name, policy_record_peek(c->txn, policy_tenant(c), name, c->arena, out));
}

Err policy_find_version(Call *c, Str name, Str version_id, PolicyVersionRecord *out) {
    int64_t id;
    Err e = str_to_i64(version_id, &id) == OK
                ? policy_version_record_get(c->txn, policy_tenant(c), name, id, c->arena, out)
                : ERR_NOT_FOUND;
    if (e == ERR_NOT_FOUND)
        return api_fail(c, IOT_RESOURCE_NOT_FOUND, "Policy version not found (name=%.*s, version=%.*s)", PS(name),
                        PS(version_id));
    return e;
}

typedef struct {
    Str account, name;
} Told;

static void tell(Env *env, void *arg) {
    const Told *t = arg;
    if (env->directory) directory_policy_changed(env->directory, t->account, t->name);
}

void policy_tell(Call *c, Str name) {
    Told *t = arena_new(c->arena, Told);
    *t = (Told){ c->account, name };
    call_after(c, tell, t);
}
