/* SQS: the result is a message of a queue.
 * Source: AWS IoT developer guide, "SQS"; botocore's SqsAction; SQS API, SendMessage */
#include "base/encode.h"
#include "generated/iot.h"
#include "rules/actions/aws.h"
#include "rules/actions/kinds.h"

enum { MESSAGE_BYTES_MAX = 1048576 };

static Str resource(Arena *arena, const void *action) {
    (void)arena;
    return ((const IotSqsAction *)action)->queue_url;
}

static void start(ActionRun *run) {
    const ActionItem *item = &run->items[0];
    const IotSqsAction *a = item->action;
    bool base64 = a->use_base64.v;
    if (!base64 && !str_is_utf8(item->payload)) {
        action_failed(run, "the payload is no UTF-8 text: set useBase64 to send it as base64");
        return;
    }
    yyjson_mut_doc *d = json_doc(run->arena);
    yyjson_mut_val *o = yyjson_mut_obj(d);
    json_add_str(d, o, S("QueueUrl"), a->queue_url);
    json_add_str(d, o, S("MessageBody"), base64 ? base64_encode(run->arena, item->payload) : item->payload);
    action_aws_json(run, "sqs", "SendMessage", d, o, NULL);
}

/* https://sqs.REGION.amazonaws.com/ACCOUNT/NAME */
static ActionRight right(Arena *arena, const void *action) {
    Str rest = ((const IotSqsAction *)action)->queue_url, account = S("{account}"), name = S("");
    while (rest.ptr) {
        account = name;
        name = str_cut(&rest, '/');
    }
    Str arn = str_format(arena, "arn:aws:sqs:{region}:%.*s:%.*s", PS(account.len ? account : S("{account}")), PS(name));
    return (ActionRight){ "sqs:SendMessage", str_dup_c(arena, arn) };
}

const ActionKind ACTION_SQS = {
    .member = STR_INIT("sqs"),
    .failed = STR_INIT("SqsAction"),
    .resource = resource,
    .right_of = right,
    .start = start,
    .payload_bytes_max = MESSAGE_BYTES_MAX,
};
