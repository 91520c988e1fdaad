/* IoT Events: the result, or in batch mode each of its elements, is a message for an input of this server.
 * Source: AWS IoT developer guide, "IoT Events"; botocore's IotEventsAction and BatchPutMessage */
#include "generated/iot.h"
#include "generated/iotevents_data.h"
#include "rules/actions/aws.h"
#include "rules/actions/kinds.h"
#include "rules/actions/operation.h"

enum { ELEMENTS_MAX = 10, ID_CHARACTERS_MAX = 128 };

static Str resource(Arena *arena, const void *action) {
    (void)arena;
    return ((const IotIotEventsAction *)action)->input_name;
}

static Err check(ActionCheck *c, const void *action) {
    const IotIotEventsAction *a = action;
    if (a->batch_mode.v && a->message_id.ptr)
        return action_refuse(c, "An iotEvents action has no messageId with batchMode: each message gets one");
    return OK;
}

static void start(ActionRun *run) {
    const IotIotEventsAction *a = run->items[0].action;
    ActionParts parts;
    Str why;
    void *answer;
    if (action_parts(run, a->batch_mode.v, ELEMENTS_MAX, &parts, &why) != OK) {
        action_failed(run, "IotEventsAction failed. %.*s", PS(why));
        return;
    }
    IoteventsDataMessage *messages = arena_array(run->arena, IoteventsDataMessage, parts.n);
    for (size_t i = 0; i < parts.n; i++) {
        Str id = a->message_id.len ? str_sub(a->message_id, 0, ID_CHARACTERS_MAX) : action_uuid(run);
        messages[i] =
            (IoteventsDataMessage){ .message_id = id, .input_name = a->input_name, .payload = parts.items[i] };
    }
    const IoteventsDataBatchPutMessageIn in = { .messages = { messages, parts.n, true } };
    if (!action_operation(run, &iotevents_data_service, "BatchPutMessage", &in, &answer)) return;
    const IoteventsDataBatchPutMessageOut *out = answer;
    if (out->batch_put_message_error_entries.n)
        action_operation_refused(run, out->batch_put_message_error_entries.items[0].error_code,
                                 out->batch_put_message_error_entries.items[0].error_message);
    else
        action_done(run, (ActionResult){ .outcome = ACTION_DONE });
}

const ActionKind ACTION_IOT_EVENTS = {
    .member = STR_INIT("iotEvents"),
    .failed = STR_INIT("IotEventsAction"),
    .check = check,
    .resource = resource,
    .right = { "iotevents:BatchPutMessage", "arn:aws:iotevents:{region}:{account}:input/{}" },
    .start = start,
    .waits = true,
};
