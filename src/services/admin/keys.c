/* Access keys over the admin API. A change is written in the call's transaction; the ring hears of it after the
 * commit. A caller of another than the server's own account keeps to its account. */
#include "identity/key_ring.h"
#include "services/admin/respond.h"
#include "services/env.h"

static void tell_ring(Env *env, void *arg) {
    keyring_changed(env->keys, *(const Str *)arg);
}

static void after_commit(Admin *a, Str id) {
    Str *kept = arena_new(a->call->arena, Str);
    *kept = str_dup(a->call->arena, id);
    call_after(a->call, tell_ring, kept);
}

#define ALLOW_ALL                                                                                                      \
    "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}]}"

Err admin_key_create(Admin *a) {
    Call *c = a->call;
    yyjson_val *body;
    Err e = admin_body(a, &body);
    if (e != OK) return e;
    Str account = json_str(json_get(body, S("account"))), user = json_str(json_get(body, S("user")));
    Str policy = json_str(json_get(body, S("policy"))), why;
    if (!policy.ptr) policy = S(ALLOW_ALL);
    AccessKey key = { .account = account.ptr ? account : c->principal->account,
                      .user = user.ptr ? user : S("admin"),
                      .policies = &policy,
                      .policies_n = 1,
                      .created_ms = c->now_ms,
                      .expires_ms = INT64_MAX };
    if (access_key_check(&key, c->arena, &why) != OK)
        return admin_fail(a, 400, "InvalidRequestException", "%.*s", PS(why));
    if (!admin_may_touch(a, key.account))
        return admin_fail(a, 403, "AccessDeniedException", "a key of account %.*s cannot make one for account %.*s",
                          PS(c->principal->account), PS(key.account));
    access_key_generate(&key, c->rng, c->arena);
    e = access_key_put(c->txn, &key);
    if (e != OK) return e;
    after_commit(a, key.id);
    yyjson_mut_doc *doc = json_doc(c->arena);
    yyjson_mut_val *out = yyjson_mut_obj(doc);
    json_add_str(doc, out, S("accessKeyId"), key.id);
    json_add_str(doc, out, S("secretAccessKey"), key.secret);
    json_add_str(doc, out, S("account"), key.account);
    json_add_str(doc, out, S("user"), key.user);
    return admin_answer(a, 200, doc, out);
}

Err admin_key_list(Admin *a) {
    Call *c = a->call;
    Str account = admin_param(a, S("account"));
    if (!account.ptr && !str_eq(c->principal->account, c->env->account)) account = c->principal->account;
    if (account.ptr && !admin_may_touch(a, account))
        return admin_fail(a, 403, "AccessDeniedException", "a key of account %.*s cannot see those of account %.*s",
                          PS(c->principal->account), PS(account));
    AccessKey *keys;
    size_t n = keyring_list(c->env->keys, account, c->arena, &keys);
    yyjson_mut_doc *doc = json_doc(c->arena);
    yyjson_mut_val *out = yyjson_mut_obj(doc), *list = yyjson_mut_arr(doc);
    for (size_t i = 0; i < n; i++) {
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, list);
        json_add_str(doc, o, S("accessKeyId"), keys[i].id);
        json_add_str(doc, o, S("account"), keys[i].account);
        json_add_str(doc, o, S("user"), keys[i].user);
        json_add_str(doc, o, S("status"), keys[i].disabled ? S("Inactive") : S("Active"));
        yyjson_mut_obj_add_int(doc, o, "createdMs", keys[i].created_ms);
        if (keys[i].expires_ms != INT64_MAX) yyjson_mut_obj_add_int(doc, o, "expiresMs", keys[i].expires_ms);
        if (keys[i].certificate_id.len) json_add_str(doc, o, S("certificateId"), keys[i].certificate_id);
    }
    yyjson_mut_obj_add(out, json_mut_str(doc, S("keys")), list);
    return admin_answer(a, 200, doc, out);
}

/* The key that the path names, which the caller may change. */
static Err find(Admin *a, AccessKey *out) {
    Call *c = a->call;
    AccessKey key;
    Err e = access_key_get(c->txn, a->id, c->arena, &key);
    if (e == ERR_NOT_FOUND || (e == OK && !admin_may_touch(a, key.account)))
        return admin_fail(a, 404, "ResourceNotFoundException", "there is no access key %.*s",
                          PS(str_sub(a->id, 0, 100)));
    if (e == OK && str_eq(key.id, c->principal->id))
        return admin_fail(a, 409, "ConflictException", "%.*s signs this very request: use another key to change it",
                          PS(key.id));
    if (e == OK) *out = key;
    return e;
}

Err admin_key_update(Admin *a) {
    Call *c = a->call;
    yyjson_val *body;
    AccessKey key;
    Err e = admin_body(a, &body);
    if (e == OK) e = find(a, &key);
    if (e != OK) return e;
    Str status = json_str(json_get(body, S("status")));
    if (!str_eq(status, S("Active")) && !str_eq(status, S("Inactive")))
        return admin_fail(a, 400, "InvalidRequestException", "status is 'Active' or 'Inactive', got '%.*s'",
                          PS(str_sub(status, 0, 100)));
    key.disabled = str_eq(status, S("Inactive"));
    e = access_key_put(c->txn, &key);
    if (e != OK) return e;
    after_commit(a, key.id);
    yyjson_mut_doc *doc = json_doc(c->arena);
    return admin_answer(a, 200, doc, yyjson_mut_obj(doc));
}

Err admin_key_delete(Admin *a) {
    AccessKey key;
    Err e = find(a, &key);
    if (e == OK) e = access_key_delete(a->call->txn, key.id);
    if (e != OK) return e;
    after_commit(a, key.id);
    yyjson_mut_doc *doc = json_doc(a->call->arena);
    return admin_answer(a, 200, doc, yyjson_mut_obj(doc));
}
