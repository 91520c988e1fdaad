#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "identity/managed_policy.h"
#include "identity/role.h"

#define ACCOUNT S("123456789012")
#define ROLE S("arn:aws:iam::123456789012:role/path/r")

typedef struct {
    Store *store;
    Txn *txn;
    Arena arena;
} World;

static int begin(void **state) {
    World *w = mem_new(sizeof *w);
    Str why;
    StoreOptions o = { .engine = "memory" };
    assert_int_equal(store_open(&o, &w->arena, &w->store, &why), OK);
    assert_int_equal(txn_begin(w->store, &w->txn), OK);
    *state = w;
    return 0;
}

static int end(void **state) {
    World *w = *state;
    txn_abort(w->txn);
    store_close(w->store);
    arena_free(&w->arena);
    free(w);
    return 0;
}

static void add_role(World *w, const char *trust) {
    const RoleRecord r = { .role_name = S("r"), .path = S("/path/"), .trust_policy = str_c(trust) };
    assert_int_equal(role_record_put(w->txn, role_tenant(ACCOUNT), &r), OK);
}

static void add_inline(World *w, const char *name, const char *document) {
    const RolePolicyRecord r = { .role_name = S("r"), .policy_name = str_c(name), .document = str_c(document) };
    assert_int_equal(role_policy_record_put(w->txn, role_tenant(ACCOUNT), &r), OK);
}

#define TRUST(principal)                                                                                               \
    "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":" principal                        \
    ",\"Action\":\"sts:AssumeRole\"}]}"
#define MAY(action, resource)                                                                                          \
    "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"" action                            \
    "\",\"Resource\":\"" resource "\"}]}"

static Err ask(World *w, Str role, Str service, Str action, Str resource) {
    Str why = STR_NONE;
    const RoleQuestion q = {
        .account = ACCOUNT, .role_arn = role, .service = service, .action = action, .resource = resource
    };
    Err e = role_may(w->txn, &q, &w->arena, &why);
    assert_true(e == OK || why.len > 0);
    return e;
}

static void a_role_may_what_its_policies_say_for_whom_it_trusts(void **state) {
    World *w = *state;
    Str iot = S("iot.amazonaws.com"), put = S("s3:PutObject"), bucket = S("arn:aws:s3:::b/k");
    assert_int_equal(ask(w, ROLE, iot, put, bucket), ERR_NOT_FOUND);
    add_role(w, TRUST("{\"Service\":[\"lambda.amazonaws.com\",\"iot.amazonaws.com\"]}"));
    assert_int_equal(ask(w, ROLE, iot, put, bucket), ERR_DENIED); /* no policy yet */
    add_inline(w, "p", MAY("s3:Put*", "arn:aws:s3:::b/*"));
    assert_int_equal(ask(w, ROLE, iot, put, bucket), OK);
    assert_int_equal(ask(w, ROLE, S("lambda.amazonaws.com"), put, bucket), OK);
    assert_int_equal(ask(w, ROLE, S("other.amazonaws.com"), put, bucket), ERR_DENIED);
    assert_int_equal(ask(w, ROLE, iot, S("s3:GetObject"), bucket), ERR_DENIED);
    assert_int_equal(ask(w, ROLE, iot, put, S("arn:aws:s3:::c/k")), ERR_DENIED);
    assert_int_equal(ask(w, S("arn:aws:iam::123456789012:role/r"), iot, put, bucket), ERR_NOT_FOUND); /* its path */
    assert_int_equal(ask(w, S("r"), iot, put, bucket), ERR_NOT_FOUND);
}

static void a_deny_of_one_policy_outweighs_another(void **state) {
    World *w = *state;
    add_role(w, TRUST("{\"Service\":\"iot.amazonaws.com\"}"));
    add_inline(w, "a", MAY("*", "*"));
    add_inline(w, "d",
               "{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Deny\",\"Action\":\"sqs:*\","
               "\"Resource\":\"*\"}}");
    assert_int_equal(ask(w, ROLE, S("iot.amazonaws.com"), S("sns:Publish"), S("*")), OK);
    assert_int_equal(ask(w, ROLE, S("iot.amazonaws.com"), S("sqs:SendMessage"), S("*")), ERR_DENIED);
}

static void attached_policies_count_as_they_are_by_default(void **state) {
    World *w = *state;
    Tenant t = role_tenant(ACCOUNT);
    Str arn = S("arn:aws:iam::123456789012:policy/own"), aws = S("arn:aws:iam::aws:policy/service-role/AWSIoTLogging");
    IamPolicyRecord p = { .policy_name = S("own"), .path = S("/"), .default_version = 1, .last_version = 2 };
    add_role(w, TRUST("{\"Service\":\"iot.amazonaws.com\"}"));
    for (int v = 1; v <= 2; v++) {
        const IamPolicyVersionRecord r = { .policy_name = S("own"),
                                           .version = v,
                                           .document = v == 1 ? S(MAY("a:One", "*")) : S(MAY("a:Two", "*")) };
        assert_int_equal(iam_policy_version_record_put(w->txn, t, &r), OK);
    }
    assert_int_equal(iam_policy_record_put(w->txn, t, &p), OK);
    const Str arns[] = { arn, aws };
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(role_attachment_record_put(
                             w->txn, t, &(RoleAttachmentRecord){ .role_name = S("r"), .policy_arn = arns[i] }),
                         OK);
    assert_int_equal(ask(w, ROLE, S("iot.amazonaws.com"), S("a:One"), S("*")), OK);
    assert_int_equal(ask(w, ROLE, S("iot.amazonaws.com"), S("a:Two"), S("*")), ERR_DENIED);
    assert_int_equal(ask(w, ROLE, S("iot.amazonaws.com"), S("logs:PutLogEvents"), S("*")), OK);
    p.default_version = 2;
    assert_int_equal(iam_policy_record_put(w->txn, t, &p), OK);
    assert_int_equal(ask(w, ROLE, S("iot.amazonaws.com"), S("a:One"), S("*")), ERR_DENIED);
    assert_int_equal(ask(w, ROLE, S("iot.amazonaws.com"), S("a:Two"), S("*")), OK);
}

static void accounts_and_principals_are_told_apart(void **state) {
    World *w = *state;
    static const struct {
        const char *principal;
        bool mine, others;
    } CASES[] = {
        { "{\"AWS\":\"arn:aws:iam::123456789012:root\"}", true, false },
        { "{\"AWS\":\"123456789012\"}", true, false },
        { "{\"AWS\":[\"x\",\"arn:aws:iam::123456789012:user/me\"]}", true, false },
        { "{\"AWS\":\"arn:aws:iam::123456789012:user/you\"}", false, false },
        { "{\"AWS\":\"*\"}", true, true },
        { "\"*\"", true, true },
        { "{\"Service\":\"iot.amazonaws.com\"}", false, false },
        { "{\"Federated\":\"arn:aws:iam::123456789012:user/me\"}", false, false },
    };
    const RoleTaker me = { .arn = S("arn:aws:iam::123456789012:user/me"), .account = ACCOUNT };
    const RoleTaker other = { .arn = S("arn:aws:iam::999999999999:user/me"), .account = S("999999999999") };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Str trust = str_format(&w->arena, TRUST("%s"), CASES[i].principal), why;
        assert_int_equal(role_trust_check(trust, &w->arena, &why), OK);
        const RoleRecord r = { .role_name = S("r"), .trust_policy = trust };
        assert_int_equal(role_trusts(&r, &me, &w->arena), CASES[i].mine ? OK : ERR_DENIED);
        assert_int_equal(role_trusts(&r, &other, &w->arena), CASES[i].others ? OK : ERR_DENIED);
    }
}

static void what_is_no_trust_policy_is_refused_with_a_reason(void **state) {
    World *w = *state;
    static const char *const BAD[] = {
        "",
        "[]",
        "{}",
        "nonsense",
        "{\"Statement\":[1]}",
        "{\"Statement\":{\"Effect\":\"Allow\"}}",
        TRUST("{}"),
        TRUST("[]"),
        TRUST("\"me\""),
        TRUST("{\"AWS\":[]}"),
        TRUST("{\"AWS\":1}"),
        TRUST("{\"Aws\":\"*\"}"),
        "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"NotPrincipal\":\"*\",\"Action\":\"a:b\"}]}",
        "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"x\"}]}",
    };
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        Str why = STR_NONE;
        assert_int_not_equal(role_trust_check(str_c(BAD[i]), &w->arena, &why), OK);
        assert_true(why.len > 0);
    }
}

static void every_managed_policy_compiles(void **state) {
    World *w = *state;
    static const char *const NAMES[] = { "AdministratorAccess",
                                         "AWSIoTFullAccess",
                                         "AWSIoTDataAccess",
                                         "AWSIoTConfigReadOnlyAccess",
                                         "service-role/AWSIoTThingsRegistration",
                                         "service-role/AWSIoTRuleActions",
                                         "service-role/AWSIoTLogging",
                                         "service-role/AWSLambdaBasicExecutionRole" };
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        Policy *policy;
        PolicyFault fault;
        Str document = managed_policy_document(str_format(&w->arena, "arn:aws:iam::aws:policy/%s", NAMES[i]));
        assert_int_equal(policy_compile(S("m"), document, POLICY_IAM, &w->arena, &policy, &fault), OK);
        policy_release(policy);
    }
    assert_null(managed_policy_document(S("arn:aws:iam::aws:policy/Other")).ptr);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_role_may_what_its_policies_say_for_whom_it_trusts, begin, end),
        cmocka_unit_test_setup_teardown(a_deny_of_one_policy_outweighs_another, begin, end),
        cmocka_unit_test_setup_teardown(attached_policies_count_as_they_are_by_default, begin, end),
        cmocka_unit_test_setup_teardown(accounts_and_principals_are_told_apart, begin, end),
        cmocka_unit_test_setup_teardown(what_is_no_trust_policy_is_refused_with_a_reason, begin, end),
        cmocka_unit_test_setup_teardown(every_managed_policy_compiles, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
