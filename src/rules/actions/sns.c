/* SNS: the result is published to a topic, or to a platform's endpoint.
 * Source: AWS IoT developer guide, "SNS"; botocore's SnsAction; SNS API, Publish */
#include "generated/iot.h"
#include "rules/actions/aws.h"
#include "rules/actions/kinds.h"

enum { MESSAGE_BYTES_MAX = 262144 };

static Str resource(Arena *arena, const void *action) {
    (void)arena;
    return ((const IotSnsAction *)action)->target_arn;
}

static void start(ActionRun *run) {
    const ActionItem *item = &run->items[0];
    const IotSnsAction *a = item->action;
    if (!str_is_utf8(item->payload)) {
        action_failed(run, "the payload is no UTF-8 text, and SNS takes nothing else");
        return;
    }
    Writer w = action_form(run, "sns", "Publish");
    action_form_add(&w, "TargetArn", a->target_arn);
    action_form_add(&w, "Message", item->payload);
    if (str_eq(a->message_format, S("JSON"))) action_form_add(&w, "MessageStructure", S("json"));
    action_aws(run, &(AwsRequest){ .service = aws_service(S("sns")), .body = writer_str(&w) });
}

const ActionKind ACTION_SNS = {
    .member = STR_INIT("sns"),
    .failed = STR_INIT("SnsAction"),
    .resource = resource,
    .right = { "sns:Publish", "{}" },
    .start = start,
    .payload_bytes_max = MESSAGE_BYTES_MAX,
};
