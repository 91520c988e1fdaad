#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/json.h"
#include "identity/key_ring.h"
#include "services/admin/admin.h"
#include "services/env.h"

#define ACCOUNT S("123456789012")
#define OTHER S("210987654321")

typedef struct {
    Arena arena;
    Rng rng;
    Env env;
    AdminSource source;
    const Principal *admin;
    Str admin_id;
} World;

static size_t figures(Env *env, AdminFigure *out, size_t out_max) {
    (void)env;
    (void)out_max;
    out[0] = (AdminFigure){ "connections", 3 };
    return 1;
}

static Str logs(Env *env, uint64_t from, Arena *arena, uint64_t *next) {
    (void)env;
    *next = from + 2;
    return str_format(arena, "line %d\n", (int)from);
}

static int set_up(void **state) {
    World *w = mem_new(sizeof *w);
    w->rng.state = 5;
    Str why;
    StoreOptions so = { .engine = "memory" };
    if (store_open(&so, &w->arena, &w->env.store, &why) != OK) return -1;
    KeyRingOptions o = { .store = w->env.store, .rng = &w->rng, .account = ACCOUNT };
    if (keyring_open(&o, &w->arena, &w->env.keys, &why) != OK) return -1;
    w->env.account = ACCOUNT;
    w->env.region = S("us-east-1");
    w->source = (AdminSource){ figures, logs, 1000 };
    AccessKey *keys;
    if (keyring_list(w->env.keys, STR_NONE, &w->arena, &keys) != 1) return -1;
    w->admin_id = keys[0].id;
    w->admin = keyring_principal(w->env.keys, keys[0].id);
    *state = w;
    return 0;
}

static int tear_down(void **state) {
    World *w = *state;
    principal_release(w->admin);
    keyring_close(w->env.keys);
    store_close(w->env.store);
    arena_free(&w->arena);
    free(w);
    return 0;
}

/* As the gateway does: transaction, commit unless it failed, then the outbox. */
static ApiResponse ask(World *w, const Principal *p, const char *method, const char *path, const char *query,
                       const char *body) {
    Call c = { .env = &w->env,
               .principal = p,
               .account = p->account,
               .region = w->env.region,
               .request_id = S("r"),
               .now_ms = 5000,
               .arena = &w->arena,
               .rng = &w->rng };
    ApiRequest rq = { .method = str_c(method), .path = str_c(path), .query = str_c(query), .body = str_c(body) };
    ApiResponse rs = { 0 };
    assert_int_equal(txn_begin(w->env.store, &c.txn), OK);
    Err e = admin_handle(&c, &w->source, &rq, &rs);
    assert_true(e == OK || e == ERR_API);
    assert_int_equal(e == OK, rs.status == 200);
    if (e == OK)
        assert_int_equal(txn_commit(c.txn, true), OK);
    else
        txn_abort(c.txn);
    for (Outgoing *o = c.outbox; e == OK && o; o = o->next) o->run(&w->env, o->arg);
    return rs;
}

static Str member(World *w, ApiResponse rs, const char *name) {
    yyjson_val *v;
    Str why;
    assert_int_equal(json_read(&w->arena, rs.body, false, &v, &why), OK);
    return str_dup(&w->arena, json_str(json_get(v, str_c(name))));
}

static const char *path_of(World *w, Str id) {
    return str_dup_c(&w->arena, str_format(&w->arena, "/_starling/keys/%.*s", PS(id)));
}

static void fails(World *w, ApiResponse rs, int status, const char *says) {
    assert_int_equal(rs.status, status);
    Str message = member(w, rs, "message");
    if (str_find_str(message, str_c(says)) == SIZE_MAX) fail_msg("%.*s", PS(message));
}

static void a_key_is_made_disabled_and_deleted(void **state) {
    World *w = *state;
    ApiResponse rs = ask(w, w->admin, "POST", "/_starling/keys", "", "{\"user\":\"anna\"}");
    assert_int_equal(rs.status, 200);
    Str id = member(w, rs, "accessKeyId");
    assert_true(member(w, rs, "secretAccessKey").len == 40 && str_eq(member(w, rs, "account"), ACCOUNT));
    assert_true(keyring_alive(w->env.keys, id, 0));
    rs = ask(w, w->admin, "GET", "/_starling/keys", "", "");
    assert_true(str_find_str(rs.body, id) != SIZE_MAX && str_find_str(rs.body, S("\"user\":\"anna\"")) != SIZE_MAX);
    assert_true(str_find_str(rs.body, S("ecret")) == SIZE_MAX);
    assert_int_equal(ask(w, w->admin, "PUT", path_of(w, id), "", "{\"status\":\"Inactive\"}").status, 200);
    assert_false(keyring_alive(w->env.keys, id, 0));
    fails(w, ask(w, w->admin, "PUT", path_of(w, id), "", "{\"status\":\"off\"}"), 400, "got 'off'");
    assert_int_equal(ask(w, w->admin, "PUT", path_of(w, id), "", "{\"status\":\"Active\"}").status, 200);
    assert_true(keyring_alive(w->env.keys, id, 0));
    assert_int_equal(ask(w, w->admin, "DELETE", path_of(w, id), "", "").status, 200);
    assert_false(keyring_alive(w->env.keys, id, 0));
    fails(w, ask(w, w->admin, "DELETE", path_of(w, id), "", ""), 404, "there is no access key");
}

static void nobody_locks_himself_out(void **state) {
    World *w = *state;
    fails(w, ask(w, w->admin, "DELETE", path_of(w, w->admin_id), "", ""), 409, "signs this very request");
    fails(w, ask(w, w->admin, "PUT", path_of(w, w->admin_id), "", "{\"status\":\"Inactive\"}"), 409, "another key");
    assert_true(keyring_alive(w->env.keys, w->admin_id, 0));
}

static void another_account_keeps_to_itself(void **state) {
    World *w = *state;
    Str id =
        member(w, ask(w, w->admin, "POST", "/_starling/keys", "", "{\"account\":\"210987654321\"}"), "accessKeyId");
    const Principal *p = keyring_principal(w->env.keys, id);
    assert_true(str_eq(p->account, OTHER));
    fails(w, ask(w, p, "POST", "/_starling/keys", "", "{\"account\":\"123456789012\"}"), 403, "cannot make one");
    fails(w, ask(w, p, "GET", "/_starling/keys", "account=123456789012", ""), 403, "cannot see");
    fails(w, ask(w, p, "DELETE", path_of(w, w->admin_id), "", ""), 404, "there is no access key");
    fails(w, ask(w, p, "GET", "/_starling/logs", "", ""), 403, "for the server's own account");
    fails(w, ask(w, p, "GET", "/_starling/status", "", ""), 403, "for the server's own account");
    const char *body = str_dup_c(
        &w->arena, str_format(&w->arena, "{\"principal\":\"%.*s\",\"action\":\"Publish\",\"resource\":\"topic/a\"}",
                              PS(w->admin_id)));
    fails(w, ask(w, p, "POST", "/_starling/policy/explain", "", body), 404, "there is no access key");
    ApiResponse rs = ask(w, p, "GET", "/_starling/keys", "", "");
    assert_true(str_find_str(rs.body, id) != SIZE_MAX && str_find_str(rs.body, w->admin_id) == SIZE_MAX);
    principal_release(p);
}

static void a_policy_binds_also_here(void **state) {
    World *w = *state;
    static const char BODY[] = "{\"user\":\"ops\",\"policy\":\"{\\\"Version\\\":\\\"2012-10-17\\\",\\\"Statement\\\":"
                               "[{\\\"Effect\\\":\\\"Allow\\\",\\\"Action\\\":\\\"starling:Status\\\",\\\"Resource\\\":"
                               "\\\"*\\\"}]}\"}";
    Str id = member(w, ask(w, w->admin, "POST", "/_starling/keys", "", BODY), "accessKeyId");
    const Principal *p = keyring_principal(w->env.keys, id);
    ApiResponse rs = ask(w, p, "GET", "/_starling/status", "", "");
    assert_true(str_find_str(rs.body, S("\"figures\":{\"connections\":3}")) != SIZE_MAX);
    fails(w, ask(w, p, "GET", "/_starling/logs", "", ""), 403, "not authorized to perform: starling:Logs");
    principal_release(p);
    fails(w, ask(w, w->admin, "POST", "/_starling/keys", "", "{\"policy\":\"{}\"}"), 400, "policy 1");
    fails(w, ask(w, w->admin, "POST", "/_starling/keys", "", "{\"user\":\"a b\"}"), 400, "got 'a b'");
}

static void a_decision_is_explained(void **state) {
    World *w = *state;
    char *body = str_dup_c(
        &w->arena, str_format(&w->arena, "{\"principal\":\"%.*s\",\"action\":\"Publish\",\"resource\":\"topic/a\"}",
                              PS(w->admin_id)));
    ApiResponse rs = ask(w, w->admin, "POST", "/_starling/policy/explain", "", body);
    assert_true(str_eq(member(w, rs, "decision"), S("allowed")) && member(w, rs, "text").len > 0);
    fails(w, ask(w, w->admin, "POST", "/_starling/policy/explain", "", "{}"), 400, "are needed");
    fails(w,
          ask(w, w->admin, "POST", "/_starling/policy/explain", "",
              "{\"principal\":\"AKIAX\",\"action\":\"a\",\"resource\":\"b\"}"),
          404, "AKIAX");
    fails(w,
          ask(w, w->admin, "POST", "/_starling/policy/explain", "",
              "{\"principal\":\"arn:aws:iot:r:a:cert/c0\",\"action\":\"a\",\"resource\":\"b\"}"),
          404, "no certificate c0");
}

static void what_is_not_there_says_so(void **state) {
    World *w = *state;
    fails(w, ask(w, w->admin, "GET", "/_starling/nothing", "", ""), 404, "there is no /_starling/nothing");
    fails(w, ask(w, w->admin, "GET", "/_starling/keys/", "", ""), 404, "there is no");
    fails(w, ask(w, w->admin, "PATCH", "/_starling/keys", "", ""), 405, "PATCH cannot be used");
    fails(w, ask(w, w->admin, "POST", "/_starling/keys", "", "{"), 400, "not JSON");
    fails(w, ask(w, w->admin, "POST", "/_starling/keys", "", "[]"), 400, "not a JSON object");
    fails(w, ask(w, w->admin, "PUT", "/_starling/keys/%zz", "", "{}"), 400, "'%' without");
    fails(w, ask(w, w->admin, "GET", "/_starling/logs", "from=x", ""), 400, "got 'x'");
    assert_true(str_eq(member(w, ask(w, w->admin, "GET", "/_starling/logs", "from=7", ""), "lines"), S("line 7\n")));
    w->source.logs = NULL;
    fails(w, ask(w, w->admin, "GET", "/_starling/logs", "", ""), 501, "standard error");
    Principal device = { .kind = PRINCIPAL_CERTIFICATE, .account = ACCOUNT };
    fails(w, ask(w, &device, "GET", "/_starling/status", "", ""), 403, "access key");
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_key_is_made_disabled_and_deleted), T(nobody_locks_himself_out), T(another_account_keeps_to_itself),
        T(a_policy_binds_also_here),           T(a_decision_is_explained),  T(what_is_not_there_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
