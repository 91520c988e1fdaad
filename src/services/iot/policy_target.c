#include "services/iot/policy_target.h"

#include "identity/directory.h"
#include "services/env.h"

enum { ANCESTORS_MAX = 32 }; /* AWS's limit is seven; this only stops a circle that cannot be */

static bool cut_arn(Call *c, Str text, const char *type, Str *name) {
    Str prefix = call_arn(c, "iot", "%s/", type);
    if (!str_starts(text, prefix) || text.len == prefix.len) return false;
    *name = str_from(text, prefix.len);
    return true;
}

Err target_parse(Call *c, Str text, PolicyTarget *out) {
    PolicyTarget t = { .text = text, .name = text };
    if (cut_arn(c, text, "cert", &t.name)) {
        t.kind = TARGET_CERTIFICATE;
    } else if (cut_arn(c, text, "thinggroup", &t.name)) {
        t.kind = TARGET_GROUP;
    } else if (!str_starts(text, S("arn:")) && str_find(text, ':') != SIZE_MAX) {
        t.kind = TARGET_COGNITO;
    } else {
        return api_fail(c, IOT_INVALID_REQUEST,
                        "Invalid target %.*s: give the ARN of a certificate or thing group of this account and region, "
                        "or the id of a Cognito identity",
                        PS(text));
    }
    *out = t;
    return OK;
}

/* Source of the text: aws/aws-cdk issue 26166 */
Err target_parse_principal(Call *c, Str text, PolicyTarget *out) {
    PolicyTarget t;
    Err e = target_parse(c, text, &t);
    if (e == OK && t.kind == TARGET_GROUP)
        return api_fail(c, IOT_INVALID_REQUEST, "The given ARN does not represent a cert");
    if (e == OK) *out = t;
    return e;
}

static Err check_certificate(Call *c, Str id) {
    CertificateRecord certificate;
    Err e = certificate_record_peek(c->txn, policy_tenant(c), id, c->arena, &certificate);
    if (e == ERR_NOT_FOUND)
        return api_fail(c, IOT_RESOURCE_NOT_FOUND, "The certificate given in the principal does not exist (id=%.*s)",
                        PS(id));
    return e;
}

static Err check_group(Call *c, Str name, bool attachable) {
    ThingGroupRecord group;
    Err e = thing_group_record_peek(c->txn, policy_tenant(c), name, c->arena, &group);
    if (e == ERR_NOT_FOUND) return api_fail(c, IOT_RESOURCE_NOT_FOUND, "Thing group %.*s not found", PS(name));
    if (e == OK && attachable && group.query_string.len)
        return api_fail(c, IOT_INVALID_REQUEST, "A policy cannot be attached to the dynamic thing group %.*s",
                        PS(name));
    return e;
}

Err target_check(Call *c, const PolicyTarget *t) {
    if (t->kind == TARGET_CERTIFICATE) return check_certificate(c, t->name);
    return t->kind == TARGET_GROUP ? check_group(c, t->name, false) : OK;
}

/* The lock comes first: what is looked at after it cannot have been deleted by a commit that is not seen. */
Err target_hold(Call *c, const PolicyTarget *t) {
    if (t->kind == TARGET_COGNITO) return OK;
    Err e = t->kind == TARGET_CERTIFICATE ? certificate_record_lock(c->txn, policy_tenant(c), t->name)
                                          : thing_group_record_lock(c->txn, policy_tenant(c), t->name);
    if (e != OK) return e;
    return t->kind == TARGET_CERTIFICATE ? check_certificate(c, t->name) : check_group(c, t->name, true);
}

typedef struct {
    Str account;
    PolicyTarget target;
} Told;

static void tell(Env *env, void *arg) {
    const Told *t = arg;
    if (t->target.kind == TARGET_CERTIFICATE)
        directory_certificate_changed(env->directory, t->account, t->target.name);
    else if (t->target.kind == TARGET_GROUP)
        directory_group_changed(env->directory, t->account, t->target.name);
}

void target_tell(Call *c, const PolicyTarget *t) {
    Told *told = arena_new(c->arena, Told);
    *told = (Told){ c->account, *t };
    call_after(c, tell, told);
}

void list_add_once(Call *c, StrList *list, Str s) {
    for (size_t i = 0; i < list->n; i++)
        if (str_eq(list->items[i], s)) return;
    if ((list->n & (list->n - 1)) == 0) { /* full at each power of two */
        Str *grown = arena_array(c->arena, Str, list->n ? list->n * 2 : 1);
        if (list->n) memcpy(grown, list->items, list->n * sizeof *grown);
        list->items = grown;
    }
    list->items[list->n++] = s;
    list->set = true;
}

Err target_policies(Call *c, Str target, StrList *out) {
    RecordScan *scan;
    PolicyAttachmentRecord at;
    Err e = policy_attachment_record_scan_of_target(c->txn, policy_tenant(c), target, STR_NONE, false, &scan);
    if (e != OK) return e;
    while (policy_attachment_record_next(scan, c->arena, &at)) list_add_once(c, out, at.policy_name);
    return record_scan_end(scan);
}

Err target_add_group(Call *c, Str group_name, StrList *targets) {
    for (int level = 0; group_name.len && level < ANCESTORS_MAX; level++) {
        ThingGroupRecord group;
        list_add_once(c, targets, call_arn(c, "iot", "thinggroup/%.*s", PS(group_name)));
        Err e = thing_group_record_peek(c->txn, policy_tenant(c), group_name, c->arena, &group);
        if (e != OK) return e == ERR_NOT_FOUND ? OK : e;
        group_name = group.parent_group_name;
    }
    return OK;
}
