#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>

#include "generated/iot.h"
#include "generated/iot_records.h"
#include "services/testing/cases.h"

#define ARN "arn:aws:iot:us-east-1:123456789012:"
#define CERT "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define CERT_ARN ARN "cert/" CERT
#define ALLOW(resource)                                                                                                \
    S("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"iot:*\",\"Resource\":\"" resource \
      "\"}]}")
#define DENY(resource)                                                                                                 \
    S("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Deny\",\"Action\":\"iot:*\",\"Resource\":\"" resource  \
      "\"}]}")
/* CN=lamp1, P-256, self-signed */
/* clang-format off */
static const char pem[] =
"-----BEGIN CERTIFICATE-----\n"
"MIIBdzCCAR2gAwIBAgIUM3OBjKeQ3my8Dt8TEq5BJAa4SycwCgYIKoZIzj0EAwIw\n"
"EDEOMAwGA1UEAwwFbGFtcDEwIBcNMjYxMTIzMDgxOTI0WhgPMjEyNjEwMzAwODE5\n"
"MjRaMBAxDjAMBgNVBAMMBWxhbXAxMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n"
"VJ+2Pxv4x5xEAEma8vra+6kBLYRoe7yqKx0Oa/mLQD6ObIDVBweaGhBXiJtLI0yu\n"
"K9j2z3KGU69yp0RvIEUTHKNTMFEwHQYDVR0OBBYEFFApljtLa0fn0ol922bDLAr4\n"
"qi0cMB8GA1UdIwQYMBaAFFApljtLa0fn0ol922bDLAr4qi0cMA8GA1UdEwEB/wQF\n"
"MAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgWWJHk0w9PJP6B/J/mtWuXUzidsJ9DV4T\n"
"1ekdIrSR/JECIQD4/C0vcM/Ps91U1skGXSH/qJG7NzHBcj4ExnufCULc/w==\n"
"-----END CERTIFICATE-----\n";
/* clang-format on */

static const Tenant tenant = { STR_INIT(FIXTURE_ACCOUNT), STR_INIT(FIXTURE_REGION) };

static int setup(void **state) {
    return fixture_case_open(state, &iot_service);
}

static Err create(Fixture *f, const char *name, Str document) {
    IotCreatePolicyOut out;
    return FIXTURE_CALL(f, "CreatePolicy",
                        (&(IotCreatePolicyIn){ .policy_name = str_c(name), .policy_document = document }), &out);
}
static Err create_version(Fixture *f, const char *name, Str document, bool set_default,
                          IotCreatePolicyVersionOut *out) {
    return FIXTURE_CALL(f, "CreatePolicyVersion",
                        (&(IotCreatePolicyVersionIn){ str_c(name), document, { true, set_default } }), out);
}
static Err attach(Fixture *f, const char *name, const char *target) {
    IotAttachPolicyOut out;
    return FIXTURE_CALL(f, "AttachPolicy", (&(IotAttachPolicyIn){ str_c(name), str_c(target) }), &out);
}
static Err detach(Fixture *f, const char *name, const char *target) {
    IotDetachPolicyOut out;
    return FIXTURE_CALL(f, "DetachPolicy", (&(IotDetachPolicyIn){ str_c(name), str_c(target) }), &out);
}
static Err delete_policy(Fixture *f, const char *name) {
    IotDeletePolicyOut out;
    return FIXTURE_CALL(f, "DeletePolicy", (&(IotDeletePolicyIn){ str_c(name) }), &out);
}

static void put_certificate(Fixture *f) {
    Txn *txn = fixture_txn(f);
    CertificateRecord c = {
        .certificate_id = S(CERT), .certificate_pem = str_c(pem), .status = S("ACTIVE"), .mode = S("DEFAULT")
    };
    assert_int_equal(certificate_record_put(txn, tenant, &c), OK);
    fixture_commit(f, txn);
}
static void put_group(Fixture *f, const char *name, const char *parent, const char *query) {
    Txn *txn = fixture_txn(f);
    ThingGroupRecord g = { .thing_group_name = str_c(name), .thing_group_id = S("x"), .version = 1 };
    if (parent) g.parent_group_name = str_c(parent);
    if (query) g.query_string = str_c(query);
    assert_int_equal(thing_group_record_put(txn, tenant, &g), OK);
    fixture_commit(f, txn);
}
static void put_thing(Fixture *f, const char *name, const char *group) {
    Txn *txn = fixture_txn(f);
    ThingRecord t = { .thing_name = str_c(name), .thing_id = S("x"), .version = 1 };
    ThingPrincipalRecord p = { .thing_name = t.thing_name,
                               .principal = S(CERT_ARN),
                               .thing_principal_type = S("NON_EXCLUSIVE_THING") };
    GroupMemberRecord m = { .thing_group_name = str_c(group), .thing_name = t.thing_name };
    assert_int_equal(thing_record_put(txn, tenant, &t), OK);
    assert_int_equal(thing_principal_record_put(txn, tenant, &p), OK);
    if (group) assert_int_equal(group_member_record_put(txn, tenant, &m), OK);
    fixture_commit(f, txn);
}

static void a_policy_is_made_read_and_deleted(void **state) {
    Fixture *f = *state;
    IotCreatePolicyOut made;
    IotGetPolicyOut got;
    Str document = ALLOW("*");
    assert_int_equal(FIXTURE_CALL(f, "CreatePolicy",
                                  (&(IotCreatePolicyIn){ .policy_name = S("p"), .policy_document = document }), &made),
                     OK);
    assert_true(str_eq(made.policy_arn, S(ARN "policy/p")) && str_eq(made.policy_version_id, S("1")));
    assert_true(str_eq(made.policy_document, document));
    assert_int_equal(FIXTURE_CALL(f, "GetPolicy", (&(IotGetPolicyIn){ S("p") }), &got), OK);
    assert_true(str_eq(got.policy_document, document) && str_eq(got.default_version_id, S("1")));
    assert_true(got.creation_date.v == FIXTURE_NOW_MS && got.generation_id.len == 36);
    expect_error(f, create(f, "p", document), "ResourceAlreadyExistsException",
                 "Policy cannot be created - name already exists (name=p)");
    assert_true(str_eq(f->resource_arn, S(ARN "policy/p")));
    assert_int_equal(delete_policy(f, "p"), OK);
    expect_error(f, delete_policy(f, "p"), "ResourceNotFoundException", "Policy not found (name=p)");
    expect_error(f, FIXTURE_CALL(f, "GetPolicy", (&(IotGetPolicyIn){ S("p") }), &got), "ResourceNotFoundException",
                 "Policy default version not found");
    assert_int_equal(create(f, "p", document), OK);
}

static void a_malformed_document_is_refused_with_line_and_reason(void **state) {
    Fixture *f = *state;
    IotCreatePolicyVersionOut out;
    expect_error(f, create(f, "p", S("./policy.json")), "MalformedPolicyException", "Policy document is Malformed: ");
    expect_error(f, create(f, "p", ALLOW("topic")), "MalformedPolicyException",
                 "Policy document is Malformed: The following resources are invalid : topic (line 1)");
    assert_int_equal(create(f, "p", ALLOW("*")), OK);
    expect_error(f, create_version(f, "p", S("{}"), true, &out), "MalformedPolicyException", "Statement is missing");
    expect_error(f, create(f, "", ALLOW("*")), "InvalidRequestException", "policyName");
    expect_error(f, create(f, "a b", ALLOW("*")), "InvalidRequestException", "policyName");
}

static void versions_count_up_and_at_most_five_are_kept(void **state) {
    Fixture *f = *state;
    IotCreatePolicyVersionOut made;
    IotGetPolicyOut got;
    IotGetPolicyVersionOut version;
    IotListPolicyVersionsOut list;
    IotDeletePolicyVersionOut gone;
    IotSetDefaultPolicyVersionOut set;
    expect_error(f, create_version(f, "p", ALLOW("*"), true, &made), "ResourceNotFoundException",
                 "Policy not found (name=p)");
    assert_int_equal(create(f, "p", ALLOW("*")), OK);
    assert_int_equal(create_version(f, "p", DENY("*"), false, &made), OK);
    assert_true(str_eq(made.policy_version_id, S("2")) && !made.is_default_version.v);
    assert_int_equal(f->outbox_n, 0);
    assert_int_equal(create_version(f, "p", DENY("*"), true, &made), OK);
    assert_true(str_eq(made.policy_version_id, S("3")) && made.is_default_version.v);
    assert_int_equal(f->outbox_n, 1);
    assert_int_equal(FIXTURE_CALL(f, "GetPolicy", (&(IotGetPolicyIn){ S("p") }), &got), OK);
    assert_true(str_eq(got.default_version_id, S("3")) && str_eq(got.policy_document, DENY("*")));
    assert_int_equal(create_version(f, "p", DENY("*"), false, &made), OK);
    assert_int_equal(create_version(f, "p", DENY("*"), false, &made), OK);
    expect_error(f, create_version(f, "p", DENY("*"), false, &made), "VersionsLimitExceededException",
                 "The policy p already has the maximum number of versions (5)");
    expect_error(f, FIXTURE_CALL(f, "DeletePolicyVersion", (&(IotDeletePolicyVersionIn){ S("p"), S("3") }), &gone),
                 "InvalidRequestException", "Cannot delete the default version of a policy");
    assert_int_equal(FIXTURE_CALL(f, "DeletePolicyVersion", (&(IotDeletePolicyVersionIn){ S("p"), S("5") }), &gone),
                     OK);
    assert_int_equal(create_version(f, "p", DENY("*"), false, &made), OK);
    assert_true(str_eq(made.policy_version_id, S("6")));
    assert_int_equal(FIXTURE_CALL(f, "ListPolicyVersions", (&(IotListPolicyVersionsIn){ S("p") }), &list), OK);
    assert_int_equal(list.policy_versions.n, 5);
    assert_true(str_eq(list.policy_versions.items[0].version_id, S("6")));
    assert_true(list.policy_versions.items[2].is_default_version.v);
    assert_int_equal(
        FIXTURE_CALL(f, "SetDefaultPolicyVersion", (&(IotSetDefaultPolicyVersionIn){ S("p"), S("1") }), &set), OK);
    assert_int_equal(f->outbox_n, 1);
    expect_error(f,
                 FIXTURE_CALL(f, "SetDefaultPolicyVersion", (&(IotSetDefaultPolicyVersionIn){ S("p"), S("5") }), &set),
                 "ResourceNotFoundException", "version=5");
    assert_int_equal(FIXTURE_CALL(f, "GetPolicyVersion", (&(IotGetPolicyVersionIn){ S("p"), S("1") }), &version), OK);
    assert_true(version.is_default_version.v && str_eq(version.policy_document, ALLOW("*")));
    expect_error(
        f,
        FIXTURE_CALL(f, "GetPolicyVersion", (&(IotGetPolicyVersionIn){ S("p"), S("99999999999999999999") }), &version),
        "ResourceNotFoundException", "");
    expect_error(f, delete_policy(f, "p"), "DeleteConflictException",
                 "versions other than default version exist (name=p)");
}

static void lists_go_page_by_page_in_the_order_of_creation(void **state) {
    Fixture *f = *state;
    static const char *names[] = { "c", "a", "d", "b", "e" };
    for (int i = 0; i < 5; i++) {
        f->now_ms += 1000;
        assert_int_equal(create(f, names[i], ALLOW("*")), OK);
    }
    for (int up = 0; up < 2; up++) {
        IotListPoliciesIn in = { .page_size = { true, 2 }, .ascending_order = { true, up } };
        IotListPoliciesOut out;
        for (int i = 0; i < 5; i++) {
            if (i % 2 == 0) {
                assert_int_equal(FIXTURE_CALL(f, "ListPolicies", &in, &out), OK);
                assert_int_equal(out.policies.n, i < 4 ? 2 : 1);
                in.marker = out.next_marker;
            }
            assert_true(str_eq(out.policies.items[i % 2].policy_name, str_c(names[up ? i : 4 - i])));
        }
        assert_null(out.next_marker.ptr);
    }
    IotListPoliciesIn bad = { .marker = S("AAAA") };
    IotListPoliciesOut out;
    expect_error(f, FIXTURE_CALL(f, "ListPolicies", &bad, &out), "InvalidRequestException", "Invalid next token");
    bad = (IotListPoliciesIn){ .page_size = { true, 251 } };
    expect_error(f, FIXTURE_CALL(f, "ListPolicies", &bad, &out), "InvalidRequestException", "pageSize");
}

static void a_policy_is_attached_to_what_exists(void **state) {
    Fixture *f = *state;
    put_certificate(f);
    put_group(f, "g", NULL, NULL);
    put_group(f, "dyn", NULL, "thingName:x");
    expect_error(f, attach(f, "p", CERT_ARN), "ResourceNotFoundException", "Policy not found (name=p)");
    assert_int_equal(create(f, "p", ALLOW("*")), OK);
    assert_int_equal(attach(f, "p", CERT_ARN), OK);
    assert_int_equal(f->outbox_n, 1);
    assert_int_equal(attach(f, "p", CERT_ARN), OK);
    assert_int_equal(f->outbox_n, 0);
    assert_int_equal(attach(f, "p", ARN "thinggroup/g"), OK);
    assert_int_equal(attach(f, "p", "us-east-1:12345678-1234-1234-1234-123456789012"), OK);
    expect_error(f, attach(f, "p", ARN "cert/00"), "ResourceNotFoundException", "does not exist");
    expect_error(f, attach(f, "p", ARN "thinggroup/no"), "ResourceNotFoundException", "Thing group no not found");
    expect_error(f, attach(f, "p", ARN "thinggroup/dyn"), "InvalidRequestException", "dynamic");
    expect_error(f, attach(f, "p", ARN "thing/t"), "InvalidRequestException", "Invalid target");
    expect_error(f, attach(f, "p", ARN "cert/"), "InvalidRequestException", "Invalid target");
    expect_error(f, attach(f, "p", "arn:aws:iot:us-east-1:999999999999:cert/" CERT), "InvalidRequestException",
                 "Invalid target");
    expect_error(f, attach(f, "p", "x"), "InvalidRequestException", "Invalid target");
    expect_error(f, delete_policy(f, "p"), "DeleteConflictException",
                 "The policy cannot be deleted as the policy is attached to one or more principals (name=p)");

    IotListTargetsForPolicyOut targets;
    IotListPolicyPrincipalsOut principals;
    assert_int_equal(
        FIXTURE_CALL(f, "ListTargetsForPolicy", (&(IotListTargetsForPolicyIn){ .policy_name = S("p") }), &targets), OK);
    assert_int_equal(targets.targets.n, 3);
    assert_int_equal(
        FIXTURE_CALL(f, "ListPolicyPrincipals", (&(IotListPolicyPrincipalsIn){ .policy_name = S("p") }), &principals),
        OK);
    assert_int_equal(principals.principals.n, 2);
    expect_error(
        f, FIXTURE_CALL(f, "ListTargetsForPolicy", (&(IotListTargetsForPolicyIn){ .policy_name = S("q") }), &targets),
        "ResourceNotFoundException", "q");

    assert_int_equal(detach(f, "p", CERT_ARN), OK);
    assert_int_equal(f->outbox_n, 1);
    assert_int_equal(detach(f, "p", CERT_ARN), OK);
    assert_int_equal(f->outbox_n, 0);
    assert_int_equal(detach(f, "p", ARN "thinggroup/g"), OK);
    assert_int_equal(detach(f, "p", "us-east-1:12345678-1234-1234-1234-123456789012"), OK);
    assert_int_equal(delete_policy(f, "p"), OK);
}

static void the_deprecated_pair_takes_certificates_only(void **state) {
    Fixture *f = *state;
    put_certificate(f);
    put_group(f, "g", NULL, NULL);
    assert_int_equal(create(f, "p", ALLOW("*")), OK);
    IotAttachPrincipalPolicyOut a;
    IotDetachPrincipalPolicyOut d;
    IotListPrincipalPoliciesOut l;
    expect_error(
        f,
        FIXTURE_CALL(f, "AttachPrincipalPolicy", (&(IotAttachPrincipalPolicyIn){ S("p"), S(ARN "thinggroup/g") }), &a),
        "InvalidRequestException", "The given ARN does not represent a cert");
    assert_int_equal(
        FIXTURE_CALL(f, "AttachPrincipalPolicy", (&(IotAttachPrincipalPolicyIn){ S("p"), S(CERT_ARN) }), &a), OK);
    assert_int_equal(
        FIXTURE_CALL(f, "ListPrincipalPolicies", (&(IotListPrincipalPoliciesIn){ .principal = S(CERT_ARN) }), &l), OK);
    assert_int_equal(l.policies.n, 1);
    assert_true(str_eq(l.policies.items[0].policy_arn, S(ARN "policy/p")));
    assert_int_equal(
        FIXTURE_CALL(f, "DetachPrincipalPolicy", (&(IotDetachPrincipalPolicyIn){ S("p"), S(CERT_ARN) }), &d), OK);
    assert_int_equal(
        FIXTURE_CALL(f, "ListPrincipalPolicies", (&(IotListPrincipalPoliciesIn){ .principal = S(CERT_ARN) }), &l), OK);
    assert_int_equal(l.policies.n, 0);
    expect_error(f,
                 FIXTURE_CALL(f, "DetachPrincipalPolicy", (&(IotDetachPrincipalPolicyIn){ S("q"), S(CERT_ARN) }), &d),
                 "ResourceNotFoundException", "q");
}

static void a_target_takes_ten_policies_and_a_group_two(void **state) {
    Fixture *f = *state;
    put_certificate(f);
    put_group(f, "g", NULL, NULL);
    for (int i = 0; i < 11; i++) {
        char name[8];
        snprintf(name, sizeof name, "p%02d", i);
        assert_int_equal(create(f, name, ALLOW("*")), OK);
        Err e = attach(f, name, CERT_ARN);
        if (i < 10)
            assert_int_equal(e, OK);
        else
            expect_error(f, e, "LimitExceededException", "maximum number of policies (10)");
        e = attach(f, name, ARN "thinggroup/g");
        if (i < 2)
            assert_int_equal(e, OK);
        else
            expect_error(f, e, "LimitExceededException", "maximum number of policies (2)");
    }
    IotListAttachedPoliciesIn in = { .target = S(CERT_ARN), .page_size = { true, 4 } };
    IotListAttachedPoliciesOut out;
    size_t seen = 0;
    do {
        assert_int_equal(FIXTURE_CALL(f, "ListAttachedPolicies", &in, &out), OK);
        seen += out.policies.n;
        in.marker = out.next_marker;
    } while (in.marker.ptr);
    assert_int_equal(seen, 10);
}

static void effective_policies_come_from_groups_and_their_ancestors(void **state) {
    Fixture *f = *state;
    put_certificate(f);
    put_group(f, "root", NULL, NULL);
    put_group(f, "leaf", "root", NULL);
    put_thing(f, "lamp1", "leaf");
    assert_int_equal(create(f, "own", ALLOW(ARN "client/lamp1")), OK);
    assert_int_equal(create(f, "upper", ALLOW(ARN "topic/*")), OK);
    assert_int_equal(create(f, "lower", DENY(ARN "topic/secret")), OK);
    assert_int_equal(attach(f, "own", CERT_ARN), OK);
    assert_int_equal(attach(f, "upper", ARN "thinggroup/root"), OK);
    assert_int_equal(attach(f, "lower", ARN "thinggroup/leaf"), OK);
    IotGetEffectivePoliciesOut out;
    IotListAttachedPoliciesOut attached;
    assert_int_equal(
        FIXTURE_CALL(f, "GetEffectivePolicies", (&(IotGetEffectivePoliciesIn){ .principal = S(CERT_ARN) }), &out), OK);
    assert_int_equal(out.effective_policies.n, 3);
    assert_int_equal(
        FIXTURE_CALL(f, "GetEffectivePolicies", (&(IotGetEffectivePoliciesIn){ .thing_name = S("lamp1") }), &out), OK);
    assert_int_equal(out.effective_policies.n, 2);
    assert_true(str_eq(out.effective_policies.items[1].policy_document, ALLOW(ARN "topic/*")));
    expect_error(f, FIXTURE_CALL(f, "GetEffectivePolicies", (&(IotGetEffectivePoliciesIn){ 0 }), &out),
                 "InvalidRequestException", "needed");
    IotGetEffectivePoliciesIn pool = { .thing_name = S("t"), .cognito_identity_pool_id = S("us-east-1:pool") };
    expect_error(f, FIXTURE_CALL(f, "GetEffectivePolicies", &pool, &out), "NotImplementedException", "us-east-1:pool");
    expect_error(f,
                 FIXTURE_CALL(f, "GetEffectivePolicies", (&(IotGetEffectivePoliciesIn){ .thing_name = S("no") }), &out),
                 "ResourceNotFoundException", "no");
    expect_error(
        f,
        FIXTURE_CALL(f, "GetEffectivePolicies", (&(IotGetEffectivePoliciesIn){ .principal = S(ARN "cert/00") }), &out),
        "ResourceNotFoundException", "00");
    assert_int_equal(FIXTURE_CALL(f, "ListAttachedPolicies",
                                  (&(IotListAttachedPoliciesIn){ .target = S(ARN "thinggroup/leaf") }), &attached),
                     OK);
    assert_int_equal(attached.policies.n, 1);
    assert_int_equal(
        FIXTURE_CALL(f, "ListAttachedPolicies",
                     (&(IotListAttachedPoliciesIn){ .target = S(ARN "thinggroup/leaf"), .recursive = { true, true } }),
                     &attached),
        OK);
    assert_int_equal(attached.policies.n, 2);
}

static void test_authorization_decides_as_a_connection_would(void **state) {
    Fixture *f = *state;
    put_certificate(f);
    put_group(f, "g", NULL, NULL);
    put_thing(f, "lamp1", "g");
    assert_int_equal(create(f, "own", ALLOW(ARN "topic/${iot:Connection.Thing.ThingName}/*")), OK);
    assert_int_equal(create(f, "cn", ALLOW(ARN "client/${iot:Certificate.Subject.CommonName}")), OK);
    assert_int_equal(create(f, "secret", DENY(ARN "topic/lamp1/secret")), OK);
    assert_int_equal(create(f, "all", ALLOW("*")), OK);
    assert_int_equal(attach(f, "own", CERT_ARN), OK);
    assert_int_equal(attach(f, "cn", CERT_ARN), OK);
    assert_int_equal(attach(f, "secret", ARN "thinggroup/g"), OK);
    Str topics[] = { S(ARN "topic/lamp1/a"), S(ARN "topic/lamp1/secret"), S(ARN "topic/lamp2/a"),
                     S(ARN "client/lamp1") };
    IotAuthInfo infos[] = {
        { S("PUBLISH"), { &topics[0], 1, true } }, { S("PUBLISH"), { &topics[1], 1, true } },
        { S("RECEIVE"), { &topics[2], 1, true } }, { S("CONNECT"), { &topics[3], 1, true } },
        { S("PUBLISH"), { topics, 3, true } },
    };
    static const char *want[] = { "ALLOWED", "EXPLICIT_DENY", "IMPLICIT_DENY", "ALLOWED", "EXPLICIT_DENY" };
    IotTestAuthorizationIn in = { .principal = S(CERT_ARN), .auth_infos = { infos, 5, true }, .client_id = S("lamp1") };
    IotTestAuthorizationOut out;
    assert_int_equal(FIXTURE_CALL(f, "TestAuthorization", &in, &out), OK);
    assert_int_equal(out.auth_results.n, 5);
    for (size_t i = 0; i < 5; i++) assert_true(str_eq(out.auth_results.items[i].auth_decision, str_c(want[i])));
    assert_true(str_eq(out.auth_results.items[0].allowed->policies.items[0].policy_name, S("own")));
    assert_true(
        str_eq(out.auth_results.items[1].denied->explicit_deny->policies.items[0].policy_arn, S(ARN "policy/secret")));
    assert_int_equal(out.auth_results.items[2].denied->implicit_deny->policies.n, 3);

    in.auth_infos.n = 1;
    in.client_id = S("other");
    assert_int_equal(FIXTURE_CALL(f, "TestAuthorization", &in, &out), OK);
    assert_true(str_eq(out.auth_results.items[0].auth_decision, S("IMPLICIT_DENY")));
    assert_true(str_eq(out.auth_results.items[0].missing_context_values.items[0], S("iot:Connection.Thing.ThingName")));

    Str add[] = { S("all") }, skip[] = { S("secret"), S("own") }, unknown[] = { S("unknown") };
    infos[0].resources.items = &topics[1];
    in.policy_names_to_add = (StrList){ add, 1, true };
    in.policy_names_to_skip = (StrList){ skip, 2, true };
    assert_int_equal(FIXTURE_CALL(f, "TestAuthorization", &in, &out), OK);
    assert_true(str_eq(out.auth_results.items[0].auth_decision, S("ALLOWED")));
    in.policy_names_to_add.items = unknown;
    expect_error(f, FIXTURE_CALL(f, "TestAuthorization", &in, &out), "ResourceNotFoundException", "unknown");
    in = (IotTestAuthorizationIn){ .principal = S(CERT_ARN),
                                   .auth_infos = { &(IotAuthInfo){ .resources = { topics, 1, true } }, 1, true } };
    expect_error(f, FIXTURE_CALL(f, "TestAuthorization", &in, &out), "InvalidRequestException", "actionType");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_case_close)
    const struct CMUnitTest tests[] = {
        TEST(a_policy_is_made_read_and_deleted),
        TEST(a_malformed_document_is_refused_with_line_and_reason),
        TEST(versions_count_up_and_at_most_five_are_kept),
        TEST(lists_go_page_by_page_in_the_order_of_creation),
        TEST(a_policy_is_attached_to_what_exists),
        TEST(the_deprecated_pair_takes_certificates_only),
        TEST(a_target_takes_ten_policies_and_a_group_two),
        TEST(effective_policies_come_from_groups_and_their_ancestors),
        TEST(test_authorization_decides_as_a_connection_would),
    };
    return cmocka_run_group_tests_name("policy handlers", tests, NULL, NULL);
}
