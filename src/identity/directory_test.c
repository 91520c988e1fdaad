#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/rng.h"
#include "generated/iot_records.h"
#include "identity/directory.h"
#include "identity/vars_code.h"
#include "identity/x509.h"
#include "identity/x509_make.h"

enum { CERTS = 4, THINGS = 3, GROUPS = 4, POLICIES = 3, VERSIONS = 4 };
static const Tenant TENANT = { STR_INIT("123456789012"), STR_INIT("us-east-1") };
static const int PARENT[GROUPS] = { -1, 0, 1, -1 }; /* g0 > g1 > g2, and g3 */

/* What the listener was told last. */
typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t told;
    int calls;
    _Atomic int policies; /* how often it was told of one */
    Str id;
    bool gone;
    const Principal *now;
} Heard;

typedef struct {
    Arena arena;
    Store *store;
    Workers *workers;
    Directory *directory;
    Heard heard;
    Str pem[CERTS], id[CERTS];
} Fixture;

static void hear(void *ctx, Str account, Str id, const Principal *now) {
    Heard *h = ctx;
    assert_true(str_eq(account, TENANT.account));
    pthread_mutex_lock(&h->lock);
    principal_release(h->now);
    h->now = now ? principal_retain(now) : NULL;
    h->gone = !now;
    h->calls++;
    pthread_cond_broadcast(&h->told);
    pthread_mutex_unlock(&h->lock);
    (void)id;
}

static void hear_policies(void *ctx, Str account) {
    Heard *h = ctx;
    assert_true(str_eq(account, TENANT.account));
    atomic_fetch_add(&h->policies, 1);
}

static void hear_calls(Heard *h, int calls) {
    pthread_mutex_lock(&h->lock);
    while (h->calls < calls) pthread_cond_wait(&h->told, &h->lock);
    pthread_mutex_unlock(&h->lock);
}

static int fixture_make(void **state) {
    Fixture *f = mem_new(sizeof *f);
    Str why;
    assert_int_equal(store_open(&(StoreOptions){ .engine = "memory" }, &f->arena, &f->store, &why), OK);
    f->workers = workers_start(f->store, 2);
    f->directory = directory_open(&(DirectoryOptions){
        .store = f->store, .workers = f->workers, .account = TENANT.account, .region = TENANT.region, .idle_max = 16 });
    pthread_mutex_init(&f->heard.lock, NULL);
    pthread_cond_init(&f->heard.told, NULL);
    directory_listen(f->directory, hear, hear_policies, &f->heard);
    for (int i = 0; i < CERTS; i++) {
        EVP_PKEY *key = x509_make_key(KEY_EC_P256);
        X509 *cert = x509_make(&(MakeSpec){ .kind = MAKE_DEVICE,
                                            .key = key,
                                            .common_name = S("device"),
                                            .not_before_ms = real_ms() - 1000,
                                            .not_after_ms = real_ms() + 86400000 });
        CertInfo info;
        f->pem[i] = x509_pem_of(&f->arena, cert);
        assert_int_equal(x509_parse(f->pem[i], &f->arena, &info, &why), OK);
        f->id[i] = info.id;
        X509_free(cert);
        EVP_PKEY_free(key);
    }
    *state = f;
    return 0;
}

static int fixture_free(void **state) {
    Fixture *f = *state;
    workers_stop(f->workers);
    principal_release(f->heard.now);
    directory_close(f->directory);
    store_close(f->store);
    arena_free(&f->arena);
    free(f);
    return 0;
}

/* Changes of the store */

static Txn *begin(Fixture *f) {
    Txn *t;
    assert_int_equal(txn_begin(f->store, &t), OK);
    return t;
}
static void commit(Txn *t, Err e) {
    assert_int_equal(e, OK);
    assert_int_equal(txn_commit(t, false), OK);
}

/* The first two as RegisterCertificate stores them, the others without what it decoded. */
static void put_certificate(Fixture *f, int c, Str status) {
    Txn *t = begin(f);
    CertInfo info;
    Str why, vars = STR_NONE;
    assert_int_equal(x509_parse(f->pem[c], &f->arena, &info, &why), OK);
    if (c < 2) vars = vars_encode(info.vars, info.vars_n, &f->arena);
    commit(t, certificate_record_put(t, TENANT,
                                     &(CertificateRecord){ .certificate_id = f->id[c],
                                                           .certificate_pem = f->pem[c],
                                                           .status = status,
                                                           .not_before_ms = info.not_before_ms,
                                                           .not_after_ms = info.not_after_ms,
                                                           .policy_vars = vars,
                                                           .mode = S("DEFAULT") }));
}
static Str named(Fixture *f, char kind, int i) {
    return str_format(&f->arena, "%c%d", kind, i);
}
static Str cert_arn(Fixture *f, int c) {
    return str_format(&f->arena, "arn:aws:iot:us-east-1:123456789012:cert/%.*s", PS(f->id[c]));
}
static Str group_arn(Fixture *f, int g) {
    return str_format(&f->arena, "arn:aws:iot:us-east-1:123456789012:thinggroup/g%d", g);
}

/* Version v of policy p allows publishing to p/v and nothing else. */
static void put_policy(Fixture *f, int p, int v) {
    Txn *t = begin(f);
    Str document = str_format(&f->arena,
                              "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":"
                              "\"iot:Publish\",\"Resource\":\"arn:aws:iot:us-east-1:123456789012:topic/%d/%d\"}]}",
                              p, v);
    Err e =
        policy_record_put(t, TENANT, &(PolicyRecord){ .policy_name = named(f, 'p', p), .default_version_id = v + 1 });
    if (e == OK)
        e = policy_version_record_put(
            t, TENANT,
            &(PolicyVersionRecord){ .policy_name = named(f, 'p', p), .version_id = v + 1, .document = document });
    commit(t, e);
}
static void attach_policy(Fixture *f, Str target, int p, bool on) {
    Txn *t = begin(f);
    Str name = named(f, 'p', p);
    commit(t, on ? policy_attachment_record_put(t, TENANT,
                                                &(PolicyAttachmentRecord){ .target = target, .policy_name = name })
                 : policy_attachment_record_delete(t, TENANT, target, name));
}
static void put_thing(Fixture *f, int thing, int value) {
    Txn *t = begin(f);
    StrPair attribute = { S("value"), str_format(&f->arena, "%d", value) };
    commit(t, thing_record_put(t, TENANT,
                               &(ThingRecord){ .thing_name = named(f, 't', thing),
                                               .thing_type_name = S("pump"),
                                               .attributes = { &attribute, 1, true } }));
}
static void attach_thing(Fixture *f, int c, int thing, bool on) {
    Txn *t = begin(f);
    Str arn = cert_arn(f, c), name = named(f, 't', thing);
    commit(t, on ? thing_principal_record_put(t, TENANT,
                                              &(ThingPrincipalRecord){ .thing_name = name,
                                                                       .principal = arn,
                                                                       .thing_principal_type = S("EXCLUSIVE_THING") })
                 : thing_principal_record_delete(t, TENANT, name, arn));
}
static void put_groups(Fixture *f) {
    Txn *t = begin(f);
    Err e = OK;
    for (int g = 0; e == OK && g < GROUPS; g++)
        e = thing_group_record_put(
            t, TENANT,
            &(ThingGroupRecord){ .thing_group_name = named(f, 'g', g),
                                 .parent_group_name = PARENT[g] < 0 ? STR_NONE : named(f, 'g', PARENT[g]) });
    commit(t, e);
}
static void put_member(Fixture *f, int thing, int g, bool on) {
    Txn *t = begin(f);
    Str group = named(f, 'g', g), name = named(f, 't', thing);
    commit(t, on ? group_member_record_put(t, TENANT,
                                           &(GroupMemberRecord){ .thing_group_name = group, .thing_name = name })
                 : group_member_record_delete(t, TENANT, group, name));
}

/* Looking up */

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t came;
    bool done;
    DirectoryAnswer answer;
} Wait;

static void came(void *ctx, const DirectoryAnswer *answer) {
    Wait *w = ctx;
    pthread_mutex_lock(&w->lock);
    w->answer = *answer;
    w->done = true;
    pthread_cond_signal(&w->came);
    pthread_mutex_unlock(&w->lock);
}

static DirectoryAnswer look(Fixture *f, Str id, bool *at_once) {
    Wait w = { .lock = PTHREAD_MUTEX_INITIALIZER, .came = PTHREAD_COND_INITIALIZER };
    Err e = directory_certificate(f->directory, STR_NONE, id, came, &w, &w.answer.principal);
    if (at_once) *at_once = e == OK;
    if (e == OK) return w.answer;
    assert_int_equal(e, ERR_AGAIN);
    pthread_mutex_lock(&w.lock);
    while (!w.done) pthread_cond_wait(&w.came, &w.lock);
    pthread_mutex_unlock(&w.lock);
    return w.answer;
}

static bool may_publish(const Principal *p, int policy, int version) {
    Arena a = { 0 };
    PrincipalBound bound;
    principal_bind(p, p->vars, p->vars_n, &a, &bound);
    Str topic = str_format(&a, "arn:aws:iot:us-east-1:123456789012:topic/%d/%d", policy, version);
    bool allowed = policy_decide(bound.policies, S("iot:Publish"), topic, NULL, 0, NULL, NULL) == POLICY_ALLOWED;
    principal_unbind(&bound);
    arena_free(&a);
    return allowed;
}

static void who_is_not_active_is_told_why(void **state) {
    Fixture *f = *state;
    DirectoryAnswer a = look(f, f->id[0], NULL);
    assert_int_equal(a.error, ERR_NOT_FOUND);
    assert_string_equal(a.reason, "DEVICE_CERTIFICATE_NOT_REGISTERED");
    assert_null(a.status);
    static const char *const refused[][2] = { { "INACTIVE", "DEVICE_CERTIFICATE_INACTIVE" },
                                              { "REVOKED", "DEVICE_CERTIFICATE_REVOKED" },
                                              { "PENDING_ACTIVATION", "DEVICE_CERTIFICATE_INACTIVE" } };
    for (size_t i = 0; i < 3; i++) {
        put_certificate(f, 0, str_c(refused[i][0]));
        a = look(f, f->id[0], NULL);
        assert_int_equal(a.error, ERR_DENIED);
        assert_null(a.principal);
        assert_string_equal(a.status, refused[i][0]);
        assert_string_equal(a.reason, refused[i][1]);
    }
    assert_int_equal(directory_cached(f->directory), 0);
    put_certificate(f, 0, S("ODD"));
    assert_int_equal(look(f, f->id[0], NULL).error, ERR_CORRUPT);
    assert_int_equal(look(f, S("no fingerprint at all"), NULL).error, ERR_NOT_FOUND);
    char longest[300] = { 0 };
    assert_int_equal(look(f, (Str){ (uint8_t *)longest, sizeof longest }, NULL).error, ERR_NOT_FOUND);
}

static void a_principal_has_what_certificate_things_and_groups_give(void **state) {
    Fixture *f = *state;
    put_certificate(f, 0, S("ACTIVE"));
    put_groups(f);
    for (int p = 0; p < POLICIES; p++) put_policy(f, p, 0);
    attach_policy(f, cert_arn(f, 0), 0, true);
    attach_policy(f, group_arn(f, 0), 0, true); /* twice the same: once in the principal */
    attach_policy(f, group_arn(f, 0), 1, true); /* of an ancestor */
    attach_policy(f, group_arn(f, 3), 2, true); /* of a group it is not in */
    put_thing(f, 0, 7);
    attach_thing(f, 0, 0, true);
    put_member(f, 0, 2, true);
    bool at_once;
    DirectoryAnswer a = look(f, f->id[0], &at_once);
    assert_int_equal(a.error, OK);
    assert_false(at_once);
    const Principal *p = a.principal;
    assert_true(str_eq(p->id, f->id[0]) && str_eq(p->arn, cert_arn(f, 0)));
    assert_int_equal(p->kind, PRINCIPAL_CERTIFICATE);
    assert_int_equal(p->policies_n, 2);
    assert_true(may_publish(p, 0, 0) && may_publish(p, 1, 0) && !may_publish(p, 2, 0));
    assert_int_equal(p->things_n, 1);
    assert_true(str_eq(p->things[0].name, S("t0")) && str_eq(p->things[0].type_name, S("pump")));
    assert_true(p->things[0].exclusive);
    assert_int_equal(p->things[0].attributes_n, 1);
    assert_true(str_eq(p->things[0].attributes[0], S("value")) && str_eq(p->things[0].attributes[1], S("7")));
    assert_true(p->vars_n >= 3 && str_eq(p->vars[0].name, S("iot:CertificateId")));
    DirectoryAnswer again = look(f, f->id[0], &at_once);
    assert_true(at_once);
    assert_ptr_equal(again.principal, p);
    principal_release(again.principal);
    principal_release(p);
}

static void a_thing_knows_the_ways_to_its_roots_and_what_its_type_adds(void **state) {
    Fixture *f = *state;
    put_certificate(f, 0, S("ACTIVE"));
    put_groups(f);
    for (int thing = 0; thing < 2; thing++) {
        put_thing(f, thing, 7);
        attach_thing(f, 0, thing, true);
        put_member(f, thing, 2, true); /* the second time a way that was met already */
    }
    put_member(f, 1, 3, true);
    Txn *t = begin(f);
    commit(t, thing_type_record_put(
                  t, TENANT,
                  &(ThingTypeRecord){
                      .thing_type_name = S("pump"),
                      .mqtt5_configuration =
                          S("{\"propagatingAttributes\":[{\"userPropertyKey\":\"a\",\"thingAttribute\":\"value\"},"
                            "{\"userPropertyKey\":\"b\",\"thingAttribute\":\"other\"},"
                            "{\"userPropertyKey\":\"c\",\"connectionAttribute\":\"iot:ClientId\"}]}") }));
    const Principal *p = look(f, f->id[0], NULL).principal;
    assert_int_equal(p->things_n, 2);
    static const char *const want[] = { "g2", "g1", "g0", NULL, "g3", NULL };
    for (size_t thing = 0; thing < 2; thing++) {
        const PrincipalThing *x = &p->things[thing];
        assert_int_equal(x->groups_n, thing ? 6 : 4);
        for (size_t i = 0; i < x->groups_n; i++)
            assert_true(want[i] ? str_eq(x->groups[i], str_c(want[i])) : !x->groups[i].ptr);
        assert_int_equal(x->properties_n, 2);
        assert_true(str_eq(x->properties[0].key, S("a")) && str_eq(x->properties[0].value, S("7")));
        assert_true(str_eq(x->properties[1].key, S("c")) && !x->properties[1].value.ptr);
    }
    t = begin(f);
    commit(t, thing_type_record_put(t, TENANT, &(ThingTypeRecord){ .thing_type_name = S("pump") }));
    directory_type_changed(f->directory, TENANT.account, S("pump"));
    hear_calls(&f->heard, 1);
    assert_int_equal(f->heard.now->things[0].properties_n, 0);
    principal_release(p);
}

static void a_principal_is_the_same_whether_its_certificate_is_decoded_now_or_was_at_registration(void **state) {
    Fixture *f = *state;
    f->pem[0] = f->pem[3] = f->pem[2]; /* one certificate under two names: 0 with its variables, 3 without */
    put_certificate(f, 0, S("ACTIVE"));
    put_certificate(f, 3, S("ACTIVE"));
    const Principal *made[] = { look(f, f->id[0], NULL).principal, look(f, f->id[3], NULL).principal };
    assert_int_equal(made[0]->not_after_ms, made[1]->not_after_ms);
    assert_int_equal(made[0]->not_before_ms, made[1]->not_before_ms);
    assert_int_equal(made[0]->vars_n, made[1]->vars_n);
    for (size_t i = 0; i < made[0]->vars_n; i++) {
        assert_true(str_eq(made[0]->vars[i].name, made[1]->vars[i].name));
        assert_int_equal(made[0]->vars[i].n, made[1]->vars[i].n);
        for (size_t k = 0; k < made[0]->vars[i].n; k++)
            assert_true(str_eq(made[0]->vars[i].values[k], made[1]->vars[i].values[k]));
    }
    for (int i = 0; i < 2; i++) principal_release(made[i]);
}

/* Every change of what a principal is made of is heard, with a snapshot that has it. */
static void a_change_replaces_the_snapshot_of_whom_it_concerns(void **state) {
    Fixture *f = *state;
    a_principal_has_what_certificate_things_and_groups_give(state);
    put_certificate(f, 1, S("ACTIVE"));
    const Principal *other = look(f, f->id[1], NULL).principal;
    uint64_t generation = directory_generation(f->directory);

    attach_policy(f, cert_arn(f, 0), 1, true);
    directory_certificate_changed(f->directory, TENANT.account, f->id[0]);
    hear_calls(&f->heard, 1);
    assert_true(directory_generation(f->directory) > generation);

    put_thing(f, 0, 8);
    directory_thing_changed(f->directory, TENANT.account, S("t0"));
    hear_calls(&f->heard, 2);
    assert_true(str_eq(f->heard.now->things[0].attributes[1], S("8")));

    attach_policy(f, group_arn(f, 1), 2, true);
    directory_group_changed(f->directory, TENANT.account, S("g1"));
    hear_calls(&f->heard, 3);
    assert_true(may_publish(f->heard.now, 2, 0));

    attach_policy(f, cert_arn(f, 0), 0, false);
    attach_policy(f, group_arn(f, 0), 0, false);
    directory_certificate_changed(f->directory, TENANT.account, f->id[0]);
    hear_calls(&f->heard, 4);
    assert_false(may_publish(f->heard.now, 0, 0));

    put_certificate(f, 0, S("REVOKED"));
    directory_certificate_changed(f->directory, TENANT.account, f->id[0]);
    hear_calls(&f->heard, 5);
    assert_true(f->heard.gone);
    assert_int_equal(look(f, f->id[0], NULL).error, ERR_DENIED);

    const Principal *same = look(f, f->id[1], NULL).principal; /* untouched by all of it */
    assert_ptr_equal(same, other);
    assert_int_equal(f->heard.calls, 5);
    principal_release(same);
    principal_release(other);
}

enum { MANY = 1500 };
/* Registers them, of one certificate's text: the directory goes by what is registered. Each has policy p0, or a thing
 * of its own in group g0. */
static Str *put_many(Fixture *f, bool grouped) {
    Str *ids = arena_array(&f->arena, Str, MANY);
    Txn *t = begin(f);
    Err e = OK;
    for (int i = 0; i < MANY; i++) {
        ids[i] = str_format(&f->arena, "%064x", i);
        Str arn = str_format(&f->arena, "arn:aws:iot:us-east-1:123456789012:cert/%.*s", PS(ids[i]));
        Str thing = str_format(&f->arena, "many%d", i);
        CertificateRecord certificate = {
            .certificate_id = ids[i], .certificate_pem = f->pem[0], .status = S("ACTIVE"), .mode = S("DEFAULT")
        };
        if (e == OK) e = certificate_record_put(t, TENANT, &certificate);
        if (e == OK && !grouped)
            e = policy_attachment_record_put(t, TENANT,
                                             &(PolicyAttachmentRecord){ .target = arn, .policy_name = S("p0") });
        if (e != OK || !grouped) continue;
        e = thing_record_put(t, TENANT, &(ThingRecord){ .thing_name = thing });
        if (e == OK)
            e = thing_principal_record_put(t, TENANT, &(ThingPrincipalRecord){ .thing_name = thing, .principal = arn });
        if (e == OK)
            e = group_member_record_put(t, TENANT,
                                        &(GroupMemberRecord){ .thing_group_name = S("g0"), .thing_name = thing });
    }
    commit(t, e);
    put_groups(f);
    return ids;
}
static const Principal **look_many(Fixture *f, const Str *ids) {
    const Principal **held = mem_new(MANY * sizeof *held);
    for (int i = 0; i < MANY; i++) held[i] = look(f, ids[i], NULL).principal;
    return held;
}

/* More than are given to the workers at a time: each is told, none twice, and a lookup in between has it new. */
static void a_group_of_all_reaches_all(void **state) {
    Fixture *f = *state;
    Str *ids = put_many(f, true);
    put_policy(f, 0, 0);
    const Principal **held = look_many(f, ids);
    attach_policy(f, group_arn(f, 0), 0, true);
    directory_group_changed(f->directory, TENANT.account, S("g0"));
    for (int i = MANY - 1; i >= 0; i -= 100) {
        const Principal *now = look(f, ids[i], NULL).principal;
        assert_true(may_publish(now, 0, 0));
        principal_release(now);
    }
    hear_calls(&f->heard, MANY);
    for (int i = 0; i < MANY; i++) {
        bool at_once;
        const Principal *now = look(f, ids[i], &at_once).principal;
        assert_true(at_once && may_publish(now, 0, 0));
        principal_release(now);
        principal_release(held[i]);
    }
    assert_int_equal(f->heard.calls, MANY);
    free(held);
}

/* No snapshot is made again for it: those that are held have it once the change has been told. */
static void a_policy_of_all_changes_for_all_at_once(void **state) {
    Fixture *f = *state;
    Str *ids = put_many(f, false);
    put_policy(f, 0, 0);
    const Principal **held = look_many(f, ids);
    uint64_t generation = directory_generation(f->directory);
    put_policy(f, 0, 1);
    assert_true(may_publish(held[0], 0, 0));
    directory_policy_changed(f->directory, TENANT.account, S("p0"));
    assert_int_equal(f->heard.policies, 1);
    assert_true(directory_generation(f->directory) > generation);
    for (int i = 0; i < MANY; i++) {
        bool at_once;
        const Principal *now = look(f, ids[i], &at_once).principal;
        assert_true(at_once && now == held[i] && may_publish(now, 0, 1) && !may_publish(now, 0, 0));
        principal_release(now);
        principal_release(held[i]);
    }
    assert_int_equal(f->heard.calls, 0);
    put_policy(f, 1, 1);
    directory_policy_changed(f->directory, TENANT.account, S("p1")); /* nobody's */
    assert_int_equal(f->heard.policies, 1);
    free(held);
}

static void a_policy_in_the_store_that_is_none_denies_all(void **state) {
    Fixture *f = *state;
    put_certificate(f, 0, S("ACTIVE"));
    attach_policy(f, cert_arn(f, 0), 0, true);
    Txn *t = begin(f);
    Err e = policy_record_put(t, TENANT, &(PolicyRecord){ .policy_name = S("p0"), .default_version_id = 1 });
    if (e == OK)
        e = policy_version_record_put(
            t, TENANT, &(PolicyVersionRecord){ .policy_name = S("p0"), .version_id = 1, .document = S("{") });
    commit(t, e);
    DirectoryAnswer a = look(f, f->id[0], NULL);
    assert_int_equal(a.error, ERR_CORRUPT);
    assert_string_equal(a.reason, "INTERNAL_SERVER_ERROR");
}

static void an_expired_certificate_is_refused(void **state) {
    Fixture *f = *state;
    EVP_PKEY *key = x509_make_key(KEY_EC_P256);
    X509 *cert = x509_make(&(MakeSpec){
        .kind = MAKE_DEVICE, .key = key, .common_name = S("old"), .not_before_ms = 0, .not_after_ms = 1000 });
    f->pem[3] = x509_pem_of(&f->arena, cert);
    X509_free(cert);
    EVP_PKEY_free(key);
    put_certificate(f, 3, S("ACTIVE"));
    DirectoryAnswer a = look(f, f->id[3], NULL);
    assert_int_equal(a.error, ERR_DENIED);
    assert_string_equal(a.reason, "DEVICE_CERTIFICATE_EXPIRED");
}

static void idle_principals_go_and_held_ones_stay(void **state) {
    Fixture *f = *state;
    for (int i = 0; i < CERTS; i++) put_certificate(f, i, S("ACTIVE"));
    Directory *small = directory_open(&(DirectoryOptions){
        .store = f->store, .workers = f->workers, .account = TENANT.account, .region = TENANT.region, .idle_max = 1 });
    Directory *large = f->directory;
    f->directory = small;
    const Principal *held = look(f, f->id[0], NULL).principal;
    for (int i = 1; i < CERTS; i++) principal_release(look(f, f->id[i], NULL).principal);
    /* A last one that is held pushes out those that are not. */
    principal_release(look(f, f->id[1], NULL).principal);
    assert_true(directory_cached(small) <= 3);
    bool at_once;
    const Principal *again = look(f, f->id[0], &at_once).principal;
    assert_true(at_once);
    assert_ptr_equal(again, held);
    principal_release(again);
    principal_release(held);
    f->directory = large;
    workers_stop(f->workers);
    directory_close(small);
    f->workers = workers_start(f->store, 1);
}

static void the_plain_principal_may_do_everything_of_iot(void **state) {
    Fixture *f = *state;
    const Principal *p = directory_plain(f->directory);
    Arena a = { 0 };
    PrincipalBound bound;
    assert_int_equal(p->kind, PRINCIPAL_PLAIN);
    principal_bind(p, p->vars, p->vars_n, &a, &bound);
    assert_int_equal(policy_decide(bound.policies, S("iot:Connect"), S("arn:aws:iot:us-east-1:123456789012:client/x"),
                                   NULL, 0, NULL, NULL),
                     POLICY_ALLOWED);
    principal_unbind(&bound);
    arena_free(&a);
    principal_release(p);
}

/* The twin: what is in the store as plain arrays, and what a principal must be by the rules, written out naively. */
typedef struct {
    bool active[CERTS], cert_policy[CERTS][POLICIES], cert_thing[CERTS][THINGS];
    bool member[THINGS][GROUPS], group_policy[GROUPS][POLICIES];
    int version[POLICIES], value[THINGS];
} Twin;

static bool twin_has_policy(const Twin *w, int c, int p) {
    if (w->cert_policy[c][p]) return true;
    for (int t = 0; t < THINGS; t++)
        for (int g = 0; g < GROUPS; g++)
            for (int up = g; w->cert_thing[c][t] && w->member[t][g] && up >= 0; up = PARENT[up])
                if (w->group_policy[up][p]) return true;
    return false;
}

static bool agrees(Fixture *f, const Twin *w, int c) {
    DirectoryAnswer a = look(f, f->id[c], NULL);
    if (!a.principal) return !w->active[c] && a.error == ERR_DENIED;
    bool same = w->active[c];
    for (int p = 0; p < POLICIES; p++)
        for (int v = 0; v < VERSIONS; v++)
            same = same && may_publish(a.principal, p, v) == (twin_has_policy(w, c, p) && w->version[p] == v);
    size_t things = 0;
    for (int t = 0; t < THINGS; t++) things += w->cert_thing[c][t];
    same = same && a.principal->things_n == things;
    for (size_t i = 0; same && i < a.principal->things_n; i++) {
        int t = a.principal->things[i].name.ptr[1] - '0';
        int64_t value = -1;
        same = str_to_i64(a.principal->things[i].attributes[1], &value) == OK && value == w->value[t];
    }
    principal_release(a.principal);
    return same;
}

static void change_one(Fixture *f, Twin *w, Rng *rng, bool tell) {
    Directory *d = f->directory;
    int c = (int)(rng_u64(rng) % CERTS), t = (int)(rng_u64(rng) % THINGS), g = (int)(rng_u64(rng) % GROUPS);
    int p = (int)(rng_u64(rng) % POLICIES);
    switch (rng_u64(rng) % 7) {
    case 0:
        w->active[c] = !w->active[c];
        put_certificate(f, c, w->active[c] ? S("ACTIVE") : S("INACTIVE"));
        if (tell) directory_certificate_changed(d, TENANT.account, f->id[c]);
        break;
    case 1:
        attach_policy(f, cert_arn(f, c), p, w->cert_policy[c][p] = !w->cert_policy[c][p]);
        if (tell) directory_certificate_changed(d, TENANT.account, f->id[c]);
        break;
    case 2:
        attach_thing(f, c, t, w->cert_thing[c][t] = !w->cert_thing[c][t]);
        if (tell) directory_certificate_changed(d, TENANT.account, f->id[c]);
        break;
    case 3:
        put_member(f, t, g, w->member[t][g] = !w->member[t][g]);
        if (tell) directory_thing_changed(d, TENANT.account, named(f, 't', t));
        break;
    case 4:
        attach_policy(f, group_arn(f, g), p, w->group_policy[g][p] = !w->group_policy[g][p]);
        if (tell) directory_group_changed(d, TENANT.account, named(f, 'g', g));
        break;
    case 5:
        put_policy(f, p, w->version[p] = (w->version[p] + 1) % VERSIONS);
        if (tell) directory_policy_changed(d, TENANT.account, named(f, 'p', p));
        break;
    default:
        put_thing(f, t, ++w->value[t]);
        if (tell) directory_thing_changed(d, TENANT.account, named(f, 't', t));
    }
}

static void twin_begin(Fixture *f, Twin *w) {
    *w = (Twin){ 0 };
    put_groups(f);
    for (int p = 0; p < POLICIES; p++) put_policy(f, p, 0);
    for (int t = 0; t < THINGS; t++) put_thing(f, t, 0);
    for (int c = 0; c < CERTS; c++) put_certificate(f, c, S("INACTIVE"));
}

typedef struct {
    Fixture *f;
    _Atomic bool stop;
    uint64_t seed;
} Looker;

/* Keeps loads in flight while the store changes under them. */
static void *look_always(void *arg) {
    Looker *l = arg;
    Rng rng = { l->seed };
    while (!atomic_load(&l->stop)) {
        DirectoryAnswer a = look(l->f, l->f->id[rng_u64(&rng) % CERTS], NULL);
        principal_release(a.principal);
    }
    return NULL;
}

static void lookups_during_changes_agree_with_a_naive_twin(void **state) {
    Fixture *f = *state;
    Twin w;
    twin_begin(f, &w);
    Rng rng = { 7 };
    Looker lookers[2] = { { .f = f, .seed = 1 }, { .f = f, .seed = 2 } };
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&threads[i], NULL, look_always, &lookers[i]), 0);
    for (int round = 0; round < 60; round++) {
        for (int i = 0; i < 20; i++) change_one(f, &w, &rng, true);
        for (int c = 0; c < CERTS; c++) assert_true(agrees(f, &w, c));
    }
    for (int i = 0; i < 2; i++) {
        atomic_store(&lookers[i].stop, true);
        pthread_join(threads[i], NULL);
    }
}

static void the_twin_finds_a_change_that_was_not_told(void **state) {
    Fixture *f = *state;
    Twin w;
    twin_begin(f, &w);
    Rng rng = { 7 };
    bool found = false;
    for (int i = 0; i < 300; i++) {
        change_one(f, &w, &rng, i % 10 != 0); /* the planted fault */
        for (int c = 0; c < CERTS; c++) found = found || !agrees(f, &w, c);
    }
    assert_true(found);
}

int main(void) {
#define DIRECTORY_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_make, fixture_free)
    const struct CMUnitTest tests[] = {
        DIRECTORY_TEST(who_is_not_active_is_told_why),
        DIRECTORY_TEST(a_principal_has_what_certificate_things_and_groups_give),
        DIRECTORY_TEST(a_principal_is_the_same_whether_its_certificate_is_decoded_now_or_was_at_registration),
        DIRECTORY_TEST(a_thing_knows_the_ways_to_its_roots_and_what_its_type_adds),
        DIRECTORY_TEST(a_change_replaces_the_snapshot_of_whom_it_concerns),
        DIRECTORY_TEST(a_group_of_all_reaches_all),
        DIRECTORY_TEST(a_policy_of_all_changes_for_all_at_once),
        DIRECTORY_TEST(a_policy_in_the_store_that_is_none_denies_all),
        DIRECTORY_TEST(an_expired_certificate_is_refused),
        DIRECTORY_TEST(idle_principals_go_and_held_ones_stay),
        DIRECTORY_TEST(the_plain_principal_may_do_everything_of_iot),
        DIRECTORY_TEST(lookups_during_changes_agree_with_a_naive_twin),
        DIRECTORY_TEST(the_twin_finds_a_change_that_was_not_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
