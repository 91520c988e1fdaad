#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "identity/key_ring.h"

#define ALLOW                                                                                                          \
    "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"iot:*\",\"Resource\":\"*\"}]}"
#define ACCOUNT S("123456789012")
static const int64_t NOW_MS = 1767323045000;

typedef struct {
    Arena arena;
    Rng rng;
    Store *store;
    KeyRing *ring;
    char dir[64];
} World;

static Err open_ring(World *w, KeyRing **out, Str *why) {
    KeyRingOptions o = { .store = w->store, .rng = &w->rng, .data_dir = w->dir, .account = ACCOUNT, .now_ms = NOW_MS };
    return keyring_open(&o, &w->arena, out, why);
}

static int set_up(void **state) {
    World *w = mem_new(sizeof *w);
    w->rng.state = 7;
    snprintf(w->dir, sizeof w->dir, "%s", "/tmp/starling-keys-XXXXXX");
    Str why = S("");
    StoreOptions o = { .engine = "memory" };
    if (!mkdtemp(w->dir) || store_open(&o, &w->arena, &w->store, &why) != OK || open_ring(w, &w->ring, &why) != OK)
        return -1;
    *state = w;
    return 0;
}

static int tear_down(void **state) {
    World *w = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/credentials", w->dir);
    unlink(path);
    rmdir(w->dir);
    keyring_close(w->ring);
    store_close(w->store);
    arena_free(&w->arena);
    free(w);
    return 0;
}

/* A signed request of that key; token STR_NONE: none. */
static Err ask(World *w, KeyRing *ring, const AccessKey *key, Str token, int64_t real_ms, const Principal **p,
               SigV4Fault *fault) {
    HttpHeader headers[4] = { { S("Host"), S("localhost") } };
    ApiRequest rq = { S("GET"), S("/things"), STR_NONE, headers, 1, STR_NONE };
    SigV4Credentials who = { key->id, key->secret, token, S("us-east-1"), S("iot") };
    sigv4_sign(&who, &rq, real_ms, &w->arena, headers + 1);
    rq.headers_n = token.ptr ? 4 : 3;
    SigV4 sig;
    return keyring_authenticate(ring, &rq, real_ms, &w->arena, &sig, p, fault);
}

static void change(World *w, const AccessKey *key, bool delete) {
    Txn *txn;
    assert_int_equal(txn_begin(w->store, &txn), OK);
    Err e = delete ? access_key_delete(txn, key->id) : access_key_put(txn, key);
    assert_true(e == OK || (delete &&e == ERR_NOT_FOUND));
    assert_int_equal(txn_commit(txn, true), OK);
    keyring_changed(w->ring, key->id);
}

static const Str ALLOW_IOT = STR_INIT(ALLOW);

static AccessKey new_key(World *w, Str user, int64_t expires_ms) {
    AccessKey key = {
        .account = ACCOUNT, .user = user, .policies = &ALLOW_IOT, .policies_n = 1, .expires_ms = expires_ms
    };
    access_key_generate(&key, &w->rng, &w->arena);
    return key;
}

static void refused(World *w, const AccessKey *key, Str token, int64_t real_ms, const char *code) {
    const Principal *p = NULL;
    SigV4Fault fault;
    assert_int_equal(ask(w, w->ring, key, token, real_ms, &p, &fault), ERR_UNAUTHENTICATED);
    assert_string_equal(fault.code, code);
    assert_null(p);
}

static void accepted(World *w, KeyRing *ring, const AccessKey *key, Str token, int64_t real_ms, const char *arn) {
    const Principal *p = NULL;
    SigV4Fault fault = { 0 };
    if (ask(w, ring, key, token, real_ms, &p, &fault) != OK) fail_msg("%.*s", PS(fault.message));
    assert_true(str_eq(p->arn, str_c(arn)));
    assert_int_equal(p->kind, PRINCIPAL_ACCESS_KEY);
    principal_release(p);
}

static AccessKey key_of_file(World *w) {
    char path[128], text[512];
    snprintf(path, sizeof path, "%s/credentials", w->dir);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    int fd = open(path, O_RDONLY);
    ssize_t n = read(fd, text, sizeof text);
    close(fd);
    assert_true(n > 0);
    Str rest = str_dup(&w->arena, (Str){ (uint8_t *)text, (size_t)n });
    assert_true(str_eq(str_cut(&rest, '\n'), S("[default]")));
    Str id = str_cut(&rest, '\n'), secret = str_cut(&rest, '\n');
    assert_true(str_starts(id, S("aws_access_key_id = AKIA")));
    assert_true(str_starts(secret, S("aws_secret_access_key = ")));
    return (AccessKey){ .id = str_from(id, 20), .secret = str_from(secret, 24) };
}

static void the_first_key_is_made_once_and_works_after_a_restart(void **state) {
    World *w = *state;
    AccessKey key = key_of_file(w);
    accepted(w, w->ring, &key, STR_NONE, NOW_MS, "arn:aws:iam::123456789012:user/admin");
    KeyRing *again;
    Str why;
    assert_int_equal(open_ring(w, &again, &why), OK);
    AccessKey same = key_of_file(w);
    assert_true(str_eq(key.id, same.id) && str_eq(key.secret, same.secret));
    accepted(w, again, &key, STR_NONE, NOW_MS, "arn:aws:iam::123456789012:user/admin");
    keyring_close(again);
}

static void a_directory_that_cannot_be_written_is_named_and_no_key_is_stored(void **state) {
    World *w = *state;
    Arena a = { 0 };
    Store *empty;
    KeyRing *ring = NULL;
    Str why = S("");
    StoreOptions so = { .engine = "memory" };
    assert_int_equal(store_open(&so, &a, &empty, &why), OK);
    KeyRingOptions o = { .store = empty, .rng = &w->rng, .data_dir = "/nowhere", .account = ACCOUNT };
    assert_int_equal(keyring_open(&o, &a, &ring, &why), ERR_IO);
    assert_true(str_starts(why, S("/nowhere/credentials cannot be written: No such file")));
    assert_null(ring);
    o.data_dir = NULL; /* and now the first key is made, so none was there */
    assert_int_equal(keyring_open(&o, &a, &ring, &why), OK);
    AccessKey *keys;
    assert_int_equal(keyring_list(ring, STR_NONE, &a, &keys), 1);
    keyring_close(ring);
    store_close(empty);
    arena_free(&a);
}

static void a_key_counts_from_its_making_to_its_end(void **state) {
    World *w = *state;
    AccessKey key = new_key(w, S("anna"), INT64_MAX);
    refused(w, &key, STR_NONE, NOW_MS, "UnrecognizedClientException");
    change(w, &key, false);
    accepted(w, w->ring, &key, STR_NONE, NOW_MS, "arn:aws:iam::123456789012:user/anna");
    AccessKey wrong = key;
    wrong.secret = S("another");
    refused(w, &wrong, STR_NONE, NOW_MS, "InvalidSignatureException");
    refused(w, &key, S("token"), NOW_MS, "UnrecognizedClientException");
    assert_true(keyring_alive(w->ring, key.id, NOW_MS));
    key.disabled = true;
    change(w, &key, false);
    refused(w, &key, STR_NONE, NOW_MS, "UnrecognizedClientException");
    assert_false(keyring_alive(w->ring, key.id, NOW_MS));
    key.disabled = false;
    change(w, &key, false);
    accepted(w, w->ring, &key, STR_NONE, NOW_MS, "arn:aws:iam::123456789012:user/anna");
    change(w, &key, true);
    refused(w, &key, STR_NONE, NOW_MS, "UnrecognizedClientException");
}

static void a_temporary_key_needs_its_token_and_dies_on_time_or_with_its_certificate(void **state) {
    World *w = *state;
    AccessKey key = new_key(w, S("session"), NOW_MS + 60000), other = new_key(w, S("session"), NOW_MS + 60000);
    key.role = other.role = S("Role");
    key.certificate_id = S("c1");
    other.certificate_id = S("c2");
    assert_true(str_starts(key.id, S("ASIA")));
    change(w, &key, false);
    change(w, &other, false);
    const char *arn = "arn:aws:sts::123456789012:assumed-role/Role/session";
    accepted(w, w->ring, &key, key.session_token, NOW_MS, arn);
    refused(w, &key, STR_NONE, NOW_MS, "UnrecognizedClientException");
    refused(w, &key, other.session_token, NOW_MS, "UnrecognizedClientException");
    refused(w, &key, key.session_token, NOW_MS + 60000, "ExpiredTokenException");
    keyring_certificate_gone(w->ring, S("210987654321"), S("c1"));
    accepted(w, w->ring, &key, key.session_token, NOW_MS, arn);
    keyring_certificate_gone(w->ring, ACCOUNT, S("c1"));
    refused(w, &key, key.session_token, NOW_MS, "UnrecognizedClientException");
    accepted(w, w->ring, &other, other.session_token, NOW_MS, arn);
    Txn *txn;
    assert_int_equal(txn_begin(w->store, &txn), OK);
    assert_int_equal(access_key_delete_of_certificate(txn, ACCOUNT, S("c1")), OK);
    AccessKey got;
    assert_int_equal(access_key_get(txn, key.id, &w->arena, &got), ERR_NOT_FOUND);
    assert_int_equal(access_key_get(txn, other.id, &w->arena, &got), OK);
    assert_true(str_eq(got.secret, other.secret) && str_eq(got.session_token, other.session_token) &&
                str_eq(got.role, S("Role")) && got.expires_ms == other.expires_ms && got.policies_n == 1 &&
                str_eq(got.policies[0], ALLOW_IOT));
    txn_abort(txn);
}

static void keys_that_have_ended_are_forgotten_and_no_other(void **state) {
    World *w = *state;
    AccessKey old = new_key(w, S("a"), NOW_MS - 1), young = new_key(w, S("b"), NOW_MS + 1),
              lasting = new_key(w, S("c"), INT64_MAX);
    change(w, &old, false);
    change(w, &young, false);
    change(w, &lasting, false);
    AccessKey *keys;
    assert_int_equal(keyring_list(w->ring, STR_NONE, &w->arena, &keys), 4);
    keyring_forget_ended(w->ring, NOW_MS);
    assert_int_equal(keyring_list(w->ring, STR_NONE, &w->arena, &keys), 3);
    assert_false(keyring_alive(w->ring, old.id, 0));
    Txn *txn;
    size_t deleted = 0;
    AccessKey got;
    assert_int_equal(txn_begin(w->store, &txn), OK);
    assert_int_equal(access_key_delete_ended(txn, NOW_MS, 10, &deleted), OK);
    assert_int_equal(deleted, 1);
    assert_int_equal(access_key_get(txn, old.id, &w->arena, &got), ERR_NOT_FOUND);
    assert_int_equal(access_key_get(txn, lasting.id, &w->arena, &got), OK);
    assert_true(got.expires_ms == INT64_MAX);
    assert_int_equal(access_key_delete_ended(txn, INT64_MAX, 10, &deleted), OK);
    assert_int_equal(deleted, 1); /* the young one */
    txn_abort(txn);
}

static void what_is_not_allowed_in_a_key_is_said(void **state) {
    World *w = *state;
    Str nonsense = S("{\"Version\":\"2012-10-17\"}");
    static uint8_t large[ACCESS_KEY_POLICY_BYTES_MAX + 1];
    Str too_large = { large, sizeof large };
    const struct {
        AccessKey key;
        Err error;
        const char *says;
    } cases[] = {
        { { .account = S("12345678901x"), .user = S("u") }, ERR_INVALID, "12 digits, got '12345678901x'" },
        { { .account = S("1"), .user = S("u") }, ERR_INVALID, "12 digits, got '1'" },
        { { .account = ACCOUNT, .user = S("") }, ERR_INVALID, "user's name" },
        { { .account = ACCOUNT, .user = S("a/b") }, ERR_INVALID, "got 'a/b'" },
        { { .account = ACCOUNT, .user = S("u"), .policies_n = 11 }, ERR_LIMIT, "at most 10" },
        { { .account = ACCOUNT, .user = S("u"), .policies = &too_large, .policies_n = 1 }, ERR_LIMIT, "6145" },
        { { .account = ACCOUNT, .user = S("u"), .policies = &nonsense, .policies_n = 1 },
          ERR_INVALID,
          "policy 1, line" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Str why = S("");
        assert_int_equal(access_key_check(&cases[i].key, &w->arena, &why), cases[i].error);
        if (str_find_str(why, str_c(cases[i].says)) == SIZE_MAX) fail_msg("%zu: %.*s", i, PS(why));
    }
    AccessKey fine = new_key(w, S("a.b@c"), INT64_MAX);
    Str why;
    assert_int_equal(access_key_check(&fine, &w->arena, &why), OK);
}

static void a_listing_is_sorted_and_tells_no_secret(void **state) {
    World *w = *state;
    for (int i = 0; i < 20; i++) {
        AccessKey key = new_key(w, S("many"), INT64_MAX);
        if (i % 2) key.account = S("210987654321");
        change(w, &key, false);
    }
    AccessKey *keys;
    assert_int_equal(keyring_list(w->ring, S("210987654321"), &w->arena, &keys), 10);
    for (size_t i = 0; i < 10; i++) {
        assert_true(str_eq(keys[i].user, S("many")) && !keys[i].secret.ptr && !keys[i].session_token.ptr);
        if (i) assert_true(str_cmp(keys[i - 1].id, keys[i].id) < 0);
    }
    assert_int_equal(keyring_list(w->ring, S("000000000000"), &w->arena, &keys), 0);
}

typedef struct {
    World *w;
    const AccessKey *key;
    _Atomic bool stop;
    _Atomic int served;
} Race;

static void *ask_on(void *arg) {
    Race *r = arg;
    while (!r->stop) {
        World mine = { 0 };
        const Principal *p = NULL;
        SigV4Fault fault;
        if (ask(&mine, r->w->ring, r->key, STR_NONE, NOW_MS, &p, &fault) == OK) r->served++;
        principal_release(p);
        arena_free(&mine.arena);
    }
    return NULL;
}

static void keys_may_change_while_requests_come(void **state) {
    World *w = *state;
    AccessKey key = new_key(w, S("busy"), INT64_MAX);
    change(w, &key, false);
    Race r = { .w = w, .key = &key };
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, ask_on, &r);
    for (int i = 0; i < 50 || r.served < 20; i++) {
        change(w, &key, i % 2);
        if (i % 8 == 0) change(w, &key, false);
    }
    r.stop = true;
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    change(w, &key, true);
    refused(w, &key, STR_NONE, NOW_MS, "UnrecognizedClientException");
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(the_first_key_is_made_once_and_works_after_a_restart),
        T(a_directory_that_cannot_be_written_is_named_and_no_key_is_stored),
        T(a_key_counts_from_its_making_to_its_end),
        T(a_temporary_key_needs_its_token_and_dies_on_time_or_with_its_certificate),
        T(keys_that_have_ended_are_forgotten_and_no_other),
        T(what_is_not_allowed_in_a_key_is_said),
        T(a_listing_is_sorted_and_tells_no_secret),
        T(keys_may_change_while_requests_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
