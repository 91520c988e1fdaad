/* Step Functions: the result is the input of an execution. Its name stays the same from try to try, so that a try whose
 * answer was lost does not start it twice.
 * Source: AWS IoT developer guide, "Step Functions"; botocore's StepFunctionsAction; Step Functions API,
 * StartExecution: idempotent for the same name and input */
#include "base/rng.h"
#include "generated/iot.h"
#include "rules/actions/aws.h"
#include "rules/actions/kinds.h"

enum { INPUT_BYTES_MAX = 262144, NAME_CHARACTERS_MAX = 80 };

static Str resource(Arena *arena, const void *action) {
    (void)arena;
    return ((const IotStepFunctionsAction *)action)->state_machine_name;
}

static Str name_of(ActionRun *run, const IotStepFunctionsAction *a) {
    Str *name = run->progress;
    if (name) return *name;
    Rng rng = { 0 };
    Str uuid = rng_uuid(&rng, run->arena);
    run->progress = name = arena_new(run->arena, Str);
    *name = str_format(run->arena, "%.*s%.*s", PS(a->execution_name_prefix), PS(uuid));
    return *name;
}

static void start(ActionRun *run) {
    const ActionItem *item = &run->items[0];
    const IotStepFunctionsAction *a = item->action;
    Str name = name_of(run, a);
    if (name.len > NAME_CHARACTERS_MAX) {
        action_failed(run, "the execution's name '%.*s' has more than %d characters", PS(name), NAME_CHARACTERS_MAX);
        return;
    }
    yyjson_mut_doc *d = json_doc(run->arena);
    yyjson_mut_val *o = yyjson_mut_obj(d);
    Str machine = str_format(run->arena, "arn:aws:states:%.*s:%.*s:stateMachine:%.*s", PS(run->region),
                             PS(run->account), PS(a->state_machine_name));
    json_add_str(d, o, S("stateMachineArn"), machine);
    json_add_str(d, o, S("name"), name);
    json_add_str(d, o, S("input"), item->payload);
    action_aws_json(run, "stepfunctions", "StartExecution", d, o, NULL);
}

const ActionKind ACTION_STEP_FUNCTIONS = {
    .member = STR_INIT("stepFunctions"),
    .failed = STR_INIT("StepFunctionsAction"),
    .resource = resource,
    .right = { "states:StartExecution", "arn:aws:states:{region}:{account}:stateMachine:{}" },
    .start = start,
    .payload_bytes_max = INPUT_BYTES_MAX,
    .json_only = true,
};
