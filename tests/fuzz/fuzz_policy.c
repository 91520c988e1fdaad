#include "fuzz.h"

#include "identity/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena a = { 0 };
    Str in = { data, size };
    PolicyKind kind = fuzz_choice(&in) & 1 ? POLICY_IAM : POLICY_IOT;
    Policy *policy = NULL;
    PolicyFault fault = { 0 };
    if (policy_compile(S("fuzz"), in, kind, &a, &policy, &fault) != OK) {
        CHECK(fault.reason.len > 0 && fault.line >= 0);
        arena_free(&a);
        return 0;
    }
    const Str thing = S("t"), none = STR_NONE;
    const PolicyVar vars[] = { { S("iot:ClientId"), &thing, 1 },
                               { S("iot:Connection.Thing.ThingName"), &thing, 1 },
                               { S("iot:Certificate.Subject.CommonName"), &none, 1 } };
    PolicyBound *bound;
    policy_bind(&policy, 1, vars, sizeof vars / sizeof *vars, &a, &bound);
    Str resources[] = { S("arn:aws:iot:us-east-1:123456789012:topic/a/t"), S("*"), STR_NONE };
    for (size_t i = 0; i < sizeof resources / sizeof *resources; i++) {
        PolicyWhy why = { 0 };
        PolicyDecision d = policy_decide(bound, S("iot:Publish"), resources[i], NULL, 0, &a, &why);
        CHECK(d == policy_decide(bound, S("iot:Publish"), resources[i], NULL, 0, NULL, NULL));
        CHECK((d == POLICY_IMPLICIT_DENY) == (why.policy == NULL));
    }
    policy_release(policy);
    arena_free(&a);
    return 0;
}
