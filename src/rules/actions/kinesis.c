/* Kinesis Data Streams: the result is a record of a stream.
 * Source: AWS IoT developer guide, "Kinesis Data Streams"; botocore's KinesisAction; Kinesis API, PutRecord */
#include "base/encode.h"
#include "generated/iot.h"
#include "rules/actions/aws.h"
#include "rules/actions/kinds.h"

enum { RECORD_BYTES_MAX = 1048576, KEY_CHARACTERS_MAX = 256, UNDER_WAY_MAX = 16 };

static Str resource(Arena *arena, const void *action) {
    (void)arena;
    return ((const IotKinesisAction *)action)->stream_name;
}

static void start(ActionRun *run) {
    const ActionItem *item = &run->items[0];
    const IotKinesisAction *a = item->action;
    Str key = a->partition_key.ptr ? a->partition_key : item->trace_id;
    if (str_code_points(key) == 0 || str_code_points(key) > KEY_CHARACTERS_MAX) {
        action_failed(run, "the partition key '%.*s' has %zu characters, 1 to %d are expected", PS(key),
                      str_code_points(key), KEY_CHARACTERS_MAX);
        return;
    }
    yyjson_mut_doc *d = json_doc(run->arena);
    yyjson_mut_val *o = yyjson_mut_obj(d);
    json_add_str(d, o, S("StreamName"), a->stream_name);
    json_add_str(d, o, S("PartitionKey"), key);
    json_add_str(d, o, S("Data"), base64_encode(run->arena, item->payload));
    action_aws_json(run, "kinesis", "PutRecord", d, o, NULL);
}

const ActionKind ACTION_KINESIS = {
    .member = STR_INIT("kinesis"),
    .failed = STR_INIT("KinesisAction"),
    .resource = resource,
    .right = { "kinesis:PutRecord", "arn:aws:kinesis:{region}:{account}:stream/{}" },
    .start = start,
    .payload_bytes_max = RECORD_BYTES_MAX,
    .under_way_max = UNDER_WAY_MAX,
};
