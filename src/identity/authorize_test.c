#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "api/dispatch.h"
#include "identity/authorize.h"

/* The services as the models give them; requests go through the real routes and codec. */
typedef struct {
    Arena arena;
    Principal principal;
    Call call;
    PolicySlot *policy;
    AuthorizeTags *tags;
} World;

static const ApiService *service(const char *name) {
    size_t n;
    const ApiService *const *all = api_services(&n);
    for (size_t i = 0; i < n; i++)
        if (str_eq(all[i]->name, str_c(name))) return all[i];
    fail_msg("no service %s", name);
    return NULL;
}

static void world(World *w, PrincipalKind kind, const char *policy) {
    *w = (World){ 0 };
    w->principal.kind = kind;
    w->principal.arn = kind == PRINCIPAL_ACCESS_KEY ? S("arn:aws:iam::123456789012:user/u")
                                                    : S("arn:aws:iot:us-east-1:123456789012:cert/c");
    PolicyFault fault;
    PolicyKind policies = kind == PRINCIPAL_ACCESS_KEY ? POLICY_IAM : POLICY_IOT;
    if (policy) {
        Policy *compiled;
        assert_int_equal(policy_compile(S("p"), str_c(policy), policies, &w->arena, &compiled, &fault), OK);
        w->policy = policy_slot_fixed(compiled);
    }
    w->principal.policies = &w->policy;
    w->principal.policies_n = policy != NULL;
    w->call = (Call){ .arena = &w->arena,
                      .principal = &w->principal,
                      .account = S("123456789012"),
                      .region = S("us-east-1"),
                      .source_ip = S("10.0.0.1"),
                      .now_ms = 1767323045000 };
}

static void done(World *w) {
    policy_slot_release(w->policy);
    arena_free(&w->arena);
}

static const ApiOp *input(World *w, const char *name, const char *method, const char *path, const char *query,
                          const char *body, void **in) {
    HttpHeader principal = { S("x-amzn-principal"), S("arn:aws:iot:us-east-1:123456789012:cert/c9") };
    ApiRequest rq = { str_c(method), str_c(path), str_c(query), &principal, 1, str_c(body) };
    ApiMatch m;
    assert_int_equal(api_match(service(name), &rq, &w->arena, &m), OK);
    if (api_prepare(&w->call, &m, &rq, in) != OK) fail_msg("%s %s: %.*s", method, path, PS(w->call.failure.message));
    return m.op;
}

#define ARN "arn:aws:iot:us-east-1:123456789012:"
static const struct {
    const char *service, *method, *path, *query, *body;
    const char *action, *resource, *second_resource, *second_action;
} NEEDS[] = {
    { "iot", "POST", "/things/lamp", "", "{}", "iot:CreateThing", ARN "thing/lamp", NULL, NULL },
    { "iot", "GET", "/things", "", "", "iot:ListThings", "*", NULL, NULL },
    { "iot", "GET", "/things/lamp/principals", "", "", "iot:ListThingPrincipals", ARN "thing/lamp", NULL, NULL },
    { "iot", "PUT", "/things/lamp/principals", "", "", "iot:AttachThingPrincipal", ARN "cert/c9", NULL, NULL },
    { "iot", "PUT", "/target-policies/p", "", "{\"target\":\"" ARN "cert/x\"}", "iot:AttachPolicy", ARN "cert/x", NULL,
      NULL },
    { "iot", "POST", "/policies/p", "", "{\"policyDocument\":\"{}\"}", "iot:CreatePolicy", ARN "policy/p", NULL, NULL },
    { "iot", "PUT", "/thing-groups/addThingToThingGroup", "", "{\"thingName\":\"t\",\"thingGroupName\":\"g\"}",
      "iot:AddThingToThingGroup", ARN "thinggroup/g", ARN "thing/t", NULL },
    { "iot", "GET", "/endpoint", "endpointType=iot:Data-ATS", "", "iot:DescribeEndpoint", "*", NULL, NULL },
    { "iot", "POST", "/keys-and-certificate", "setAsActive=true", "", "iot:CreateKeysAndCertificate", "*", NULL, NULL },
    { "iot", "GET", "/certificates/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "", "",
      "iot:DescribeCertificate", ARN "cert/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", NULL,
      NULL },
    { "iot-data", "GET", "/things/t/shadow", "", "", "iot:GetThingShadow", ARN "thing/t", NULL, NULL },
    { "iot-data", "GET", "/things/t/shadow", "name=n", "", "iot:GetThingShadow", ARN "thing/t/n", NULL, NULL },
    { "iot-data", "POST", "/things/t/shadow", "name=n", "{}", "iot:UpdateThingShadow", ARN "thing/t/n", NULL, NULL },
    { "iot-data", "GET", "/api/things/shadow/ListNamedShadowsForThing/t", "", "", "iot:ListNamedShadowsForThing",
      ARN "thing/t", NULL, NULL },
    { "iot-data", "POST", "/topics/a%2Fb", "qos=1", "x", "iot:Publish", ARN "topic/a/b", NULL, NULL },
    { "iot-data", "POST", "/topics/a%2Fb", "retain=true", "x", "iot:Publish", ARN "topic/a/b", NULL,
      "iot:RetainPublish" },
    { "iot-data", "GET", "/retainedMessage/a%2Fb", "", "", "iot:GetRetainedMessage", ARN "topic/a/b", NULL, NULL },
    { "iot-data", "GET", "/retainedMessage", "", "", "iot:ListRetainedMessages", "*", NULL, NULL },
    { "iot-data", "DELETE", "/connections/c1", "", "", "iot:DeleteConnection", ARN "client/c1", NULL, NULL },
    { "iot-data", "GET", "/connections/c1/subscriptions", "", "", "iot:ListSubscriptions", ARN "client/c1", NULL,
      NULL },
    { "iot-data", "POST", "/connections/c1/messages", "topic=a", "x", "iot:SendDirectMessage", ARN "client/c1", NULL,
      NULL },
    { "iot-jobs-data", "GET", "/things/t/jobs/j", "", "", "iotjobsdata:DescribeJobExecution", ARN "thing/t", NULL,
      NULL },
    { "iot-jobs-data", "PUT", "/things/t/jobs/$next", "", "{}", "iotjobsdata:StartNextPendingJobExecution",
      ARN "thing/t", NULL, NULL },
};

static void every_operation_asks_for_its_action_on_its_resource(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof NEEDS / sizeof *NEEDS; i++) {
        World w;
        world(&w, PRINCIPAL_ACCESS_KEY, NULL);
        void *in;
        const ApiOp *op =
            input(&w, NEEDS[i].service, NEEDS[i].method, NEEDS[i].path, NEEDS[i].query, NEEDS[i].body, &in);
        AuthorizeNeed need = authorize_need(&w.call, op, in);
        if (!str_eq(need.action, str_c(NEEDS[i].action)) || !str_eq(need.resources[0], str_c(NEEDS[i].resource)))
            fail_msg("%s: %.*s on %.*s", NEEDS[i].path, PS(need.action), PS(need.resources[0]));
        assert_int_equal(need.resources_n, NEEDS[i].second_resource ? 2 : 1);
        if (NEEDS[i].second_resource) assert_true(str_eq(need.resources[1], str_c(NEEDS[i].second_resource)));
        assert_true(str_eq(need.second_action, str_c(NEEDS[i].second_action)));
        done(&w);
    }
}

static Err try(World *w, const char *name, const char *method, const char *path, const char *query, const char *body) {
    void *in;
    const ApiOp *op = input(w, name, method, path, query, body, &in);
    return api_authorize(&w->call, op, in, w->tags);
}

#define ALLOW(action, resource)                                                                                        \
    "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"" action                            \
    "\",\"Resource\":\"" resource "\"}]}"

static void a_refusal_names_who_what_and_why(void **state) {
    (void)state;
    World w;
    world(&w, PRINCIPAL_ACCESS_KEY, ALLOW("iot:*", ARN "thing/a*"));
    assert_int_equal(try(&w, "iot", "POST", "/things/ab", "", "{}"), OK);
    assert_int_equal(try(&w, "iot", "POST", "/things/b", "", "{}"), ERR_API);
    assert_true(str_eq(w.call.failure.error->name, S("AccessDeniedException")) && w.call.failure.error->status == 403);
    assert_true(
        str_eq(w.call.failure.message,
               S("User: arn:aws:iam::123456789012:user/u is not authorized to perform: iot:CreateThing on "
                 "resource: " ARN "thing/b because no identity-based policy allows the iot:CreateThing action")));
    assert_int_equal(try(&w, "iot-data", "GET", "/things/b/shadow", "", ""), ERR_API);
    assert_true(str_eq(w.call.failure.error->name, S("ForbiddenException")));
    assert_int_equal(try(&w, "iot", "GET", "/things", "", ""), ERR_API); /* "*" is not granted by one thing */
    done(&w);
}

static void each_resource_and_each_action_must_be_allowed(void **state) {
    (void)state;
    World w;
    const char *body = "{\"thingName\":\"t\",\"thingGroupName\":\"g\"}";
    world(&w, PRINCIPAL_ACCESS_KEY, ALLOW("iot:*", ARN "thing*/t"));
    assert_int_equal(try(&w, "iot", "PUT", "/thing-groups/addThingToThingGroup", "", body), ERR_API);
    done(&w);
    world(&w, PRINCIPAL_ACCESS_KEY, ALLOW("iot:*", ARN "thing*"));
    assert_int_equal(try(&w, "iot", "PUT", "/thing-groups/addThingToThingGroup", "", body), OK);
    done(&w);
    world(&w, PRINCIPAL_ACCESS_KEY, ALLOW("iot:Publish", "*"));
    assert_int_equal(try(&w, "iot-data", "POST", "/topics/a", "", ""), OK);
    assert_int_equal(try(&w, "iot-data", "POST", "/topics/a", "retain=true", ""), ERR_API);
    assert_true(str_find_str(w.call.failure.message, S("iot:RetainPublish")) != SIZE_MAX);
    done(&w);
}

static void a_certificate_keeps_to_the_data_plane(void **state) {
    (void)state;
    World w;
    world(&w, PRINCIPAL_CERTIFICATE, ALLOW("iot:*", "*"));
    assert_int_equal(try(&w, "iot-data", "POST", "/topics/a", "", ""), OK);
    assert_int_equal(try(&w, "iot", "POST", "/things/b", "", "{}"), ERR_API);
    assert_true(str_eq(w.call.failure.error->name, S("AccessDeniedException")));
    done(&w);
    world(&w, PRINCIPAL_CERTIFICATE, NULL);
    assert_int_equal(try(&w, "iot-data", "POST", "/topics/a", "", ""), ERR_API);
    assert_true(str_eq(w.call.failure.error->name, S("ForbiddenException")));
    done(&w);
}

static void conditions_on_the_request_count(void **state) {
    (void)state;
    static const char POLICY[] =
        "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\","
        "\"Condition\":"
        "{\"IpAddress\":{\"aws:SourceIp\":\"10.0.0.0/8\"}}},{\"Effect\":\"Deny\",\"Action\":\"iot:GetConnection\","
        "\"Resource\":\"*\",\"Condition\":{\"Bool\":{\"iot:IncludeSocketInformation\":\"true\"}}}]}";
    World w;
    world(&w, PRINCIPAL_ACCESS_KEY, POLICY);
    assert_int_equal(try(&w, "iot-data", "GET", "/connections/c", "", ""), OK);
    assert_int_equal(try(&w, "iot-data", "GET", "/connections/c", "includeSocketInformation=true", ""), ERR_API);
    assert_true(str_find_str(w.call.failure.message, S("with an explicit deny")) != SIZE_MAX);
    w.call.source_ip = S("192.0.2.1");
    assert_int_equal(try(&w, "iot-data", "GET", "/connections/c", "", ""), ERR_API);
    done(&w);
}

static Err tags_of_pier(Call *c, Str arn, StrMap *out) {
    static StrPair site = { STR_INIT("site"), STR_INIT("pier") };
    (void)c;
    *out = str_ends(arn, S("/b")) ? (StrMap){ &site, 1, true } : (StrMap){ 0 };
    return OK;
}

#define IF(operator, key, value)                                                                                       \
    "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\","            \
    "\"Condition\":{\""                                                                                                \
    operator"\":{\"" key "\":" value "}}}]}"

static void conditions_on_tags_of_the_request_count(void **state) {
    (void)state;
    static const char TAGGED[] =
        "{\"tags\":[{\"Key\":\"site\",\"Value\":\"pier\"},{\"Key\":\"floor\",\"Value\":\"1\"}]}";
    World w;
    world(&w, PRINCIPAL_ACCESS_KEY, IF("StringEquals", "aws:RequestTag/site", "\"pier\""));
    assert_int_equal(try(&w, "iot", "POST", "/billing-groups/b", "", TAGGED), OK);
    assert_int_equal(try(&w, "iot", "POST", "/billing-groups/b", "", "{}"), ERR_API);
    done(&w);
    world(&w, PRINCIPAL_ACCESS_KEY, IF("ForAllValues:StringEquals", "aws:TagKeys", "[\"site\"]"));
    assert_int_equal(try(&w, "iot", "POST", "/billing-groups/b", "", TAGGED), ERR_API);
    assert_int_equal(try(&w, "iot", "POST", "/untag", "", "{\"resourceArn\":\"" ARN "x/b\",\"tagKeys\":[\"site\"]}"),
                     OK);
    assert_int_equal(try(&w, "iot", "POST", "/untag", "", "{\"resourceArn\":\"" ARN "x/b\",\"tagKeys\":[\"floor\"]}"),
                     ERR_API);
    done(&w);
}

static void conditions_on_tags_of_the_resource_wait_for_a_transaction(void **state) {
    (void)state;
    World w;
    world(&w, PRINCIPAL_ACCESS_KEY, IF("StringEquals", "aws:resourcetag/site", "\"pier\""));
    assert_int_equal(try(&w, "iot", "GET", "/billing-groups/b", "", ""), ERR_AGAIN);
    w.tags = tags_of_pier;
    assert_int_equal(try(&w, "iot", "GET", "/billing-groups/b", "", ""), OK);
    assert_int_equal(try(&w, "iot", "GET", "/billing-groups/c", "", ""), ERR_API);
    done(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_asks_for_its_action_on_its_resource),
        cmocka_unit_test(a_refusal_names_who_what_and_why),
        cmocka_unit_test(each_resource_and_each_action_must_be_allowed),
        cmocka_unit_test(a_certificate_keeps_to_the_data_plane),
        cmocka_unit_test(conditions_on_the_request_count),
        cmocka_unit_test(conditions_on_tags_of_the_request_count),
        cmocka_unit_test(conditions_on_tags_of_the_resource_wait_for_a_transaction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
