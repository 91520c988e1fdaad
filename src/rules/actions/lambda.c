/* Lambda: the function is called with the result, and nobody waits for its answer. The function's resource policy
 * must let iot.amazonaws.com, for this rule.
 * Source: AWS IoT developer guide, "Lambda" */
#include "api/function.h"
#include "generated/iot.h"
#include "rules/actions/kinds.h"

enum { PAYLOAD_BYTES_MAX = 256 * 1024 }; /* Source: Lambda quotas, asynchronous invocation */

static Str resource(Arena *arena, const void *action) {
    (void)arena;
    return ((const IotLambdaAction *)action)->function_arn;
}

static Err check(ActionCheck *c, const void *action) {
    Str arn = resource(NULL, action);
    if (str_starts(arn, S("arn:")) || str_find_str(arn, S("${")) != SIZE_MAX) return OK;
    return action_refuse(c, "functionArn '%.*s' is no ARN of a function", PS(arn));
}

/* Some texts go on where others begin anew. */
static Str sentence(Arena *arena, Str text) {
    if (!text.len || text.ptr[0] < 'a' || text.ptr[0] > 'z') return text;
    return str_format(arena, "%c%.*s", text.ptr[0] - 'a' + 'A', PS(str_from(text, 1)));
}

static void done(void *ctx, const FunctionAnswer *answer) {
    ActionRun *run = ctx;
    ActionResult r = { .outcome = ACTION_DONE };
    switch (answer->result) {
    case OK: break;
    case ERR_LIMIT: r.outcome = ACTION_SLOWER; break;
    case ERR_AGAIN:
    case ERR_IO: r.outcome = ACTION_AGAIN; break;
    default: r.outcome = ACTION_FAILED;
    }
    if (r.outcome != ACTION_DONE)
        r.why =
            str_format(run->arena, "Failed to invoke lambda function. %.*s", PS(sentence(run->arena, answer->payload)));
    action_done(run, r);
}

static void start(ActionRun *run) {
    const IotLambdaAction *a = run->items[0].action;
    if (!run->env->functions) {
        action_failed(run, "Failed to invoke lambda function. This server has none");
        return;
    }
    function_call(run->env->functions,
                  &(FunctionCall){ .account = run->account,
                                   .region = run->region,
                                   .function = a->function_arn,
                                   .payload = run->items[0].payload,
                                   .principal = S("iot.amazonaws.com"),
                                   .source_arn = run->rule_arn,
                                   .event = true,
                                   .patience_ms = run->left_ms },
                  done, run);
}

const ActionKind ACTION_LAMBDA = {
    .member = STR_INIT("lambda"),
    .failed = STR_INIT("LambdaAction"),
    .check = check,
    .resource = resource,
    .start = start,
    .payload_bytes_max = PAYLOAD_BYTES_MAX,
    .json_only = true,
};
