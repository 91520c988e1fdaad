/* IoT Analytics: the result, or in batch mode each of its elements, is a message for a channel of this server.
 * Source: AWS IoT developer guide, "IoT Analytics"; botocore's IotAnalyticsAction and BatchPutMessage */
#include "generated/iot.h"
#include "generated/iotanalytics.h"
#include "rules/actions/aws.h"
#include "rules/actions/kinds.h"
#include "rules/actions/operation.h"

enum { ELEMENTS_MAX = 100 };

/* channelArn stands for the name where an old rule has it. */
static Str channel(const IotIotAnalyticsAction *a) {
    if (a->channel_name.len) return a->channel_name;
    Str rest = a->channel_arn, name = rest;
    while (rest.ptr) name = str_cut(&rest, '/');
    return name;
}

static Str resource(Arena *arena, const void *action) {
    (void)arena;
    return channel(action);
}

static Err check(ActionCheck *c, const void *action) {
    return channel(action).len ? OK : action_refuse(c, "An iotAnalytics action needs a channelName");
}

static void start(ActionRun *run) {
    const IotIotAnalyticsAction *a = run->items[0].action;
    ActionParts parts;
    Str why;
    void *answer;
    if (action_parts(run, a->batch_mode.v, ELEMENTS_MAX, &parts, &why) != OK) {
        action_failed(run, "IotAnalyticsAction failed. %.*s", PS(why));
        return;
    }
    IotanalyticsMessage *messages = arena_array(run->arena, IotanalyticsMessage, parts.n);
    for (size_t i = 0; i < parts.n; i++) messages[i] = (IotanalyticsMessage){ action_uuid(run), parts.items[i] };
    const IotanalyticsBatchPutMessageIn in = { .channel_name = channel(a), .messages = { messages, parts.n, true } };
    if (!action_operation(run, &iotanalytics_service, "BatchPutMessage", &in, &answer)) return;
    const IotanalyticsBatchPutMessageOut *out = answer;
    if (out->batch_put_message_error_entries.n)
        action_operation_refused(run, out->batch_put_message_error_entries.items[0].error_code,
                                 out->batch_put_message_error_entries.items[0].error_message);
    else
        action_done(run, (ActionResult){ .outcome = ACTION_DONE });
}

const ActionKind ACTION_IOT_ANALYTICS = {
    .member = STR_INIT("iotAnalytics"),
    .failed = STR_INIT("IotAnalyticsAction"),
    .check = check,
    .resource = resource,
    .right = { "iotanalytics:BatchPutMessage", "arn:aws:iotanalytics:{region}:{account}:channel/{}" },
    .start = start,
    .waits = true,
};
