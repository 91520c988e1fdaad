/* Kinesis Data Streams: the result is a record of a stream; those of some milliseconds go in one call.
 * Source: AWS IoT developer guide, "Kinesis Data Streams"; botocore's KinesisAction; Kinesis API, PutRecord and
 * PutRecords (of which some records may be refused) */
#include "base/encode.h"
#include "generated/iot.h"
#include "rules/actions/aws.h"
#include "rules/actions/kinds.h"

enum { RECORD_BYTES_MAX = 1048576, KEY_CHARACTERS_MAX = 256, UNDER_WAY_MAX = 16 };
enum { RECORDS_MAX = 500, BATCH_BYTES_MAX = 3 << 20, OPEN_MS = 5 }; /* of 5 MB; as base64 they are a third more */

static Str resource(Arena *arena, const void *action) {
    (void)arena;
    return ((const IotKinesisAction *)action)->stream_name;
}

static Str key_of(const ActionItem *item) {
    const IotKinesisAction *a = item->action;
    return a->partition_key.ptr ? a->partition_key : item->trace_id;
}

/* Of each record its result, kept from try to try: ACTION_AGAIN while it is still to be sent. */
static ActionResult *results(ActionRun *run) {
    if (run->progress) return run->progress;
    ActionResult *each = arena_array(run->arena, ActionResult, run->n);
    for (size_t i = 0; i < run->n; i++) {
        Str key = key_of(&run->items[i]);
        size_t characters = str_code_points(key);
        each[i].outcome = ACTION_AGAIN;
        if (characters > 0 && characters <= KEY_CHARACTERS_MAX) continue;
        each[i].outcome = ACTION_FAILED;
        each[i].why = str_format(run->arena, "the partition key '%.*s' has %zu characters, 1 to %d are expected",
                                 PS(key), characters, KEY_CHARACTERS_MAX);
    }
    run->progress = each;
    run->each = each;
    return each;
}

static void add_record(ActionRun *run, yyjson_mut_doc *d, yyjson_mut_val *o, const ActionItem *item) {
    json_add_str(d, o, S("PartitionKey"), key_of(item));
    json_add_str(d, o, S("Data"), base64_encode(run->arena, item->payload));
}

/* What is left decides whether there is another try. */
static void settle(ActionRun *run, ActionOutcome left, Str why) {
    ActionResult *each = run->progress;
    bool any = false;
    for (size_t i = 0; i < run->n; i++) {
        if (each[i].outcome != ACTION_AGAIN && each[i].outcome != ACTION_SLOWER) continue;
        each[i] = (ActionResult){ .outcome = left, .why = why };
        any = true;
    }
    action_done(run, (ActionResult){ .outcome = any ? left : ACTION_DONE, .why = why });
}

/* The answer has a place for each record that was sent, in order; one that was refused has an ErrorCode. */
static void batch_answered(void *ctx, const AwsAnswer *answer) {
    ActionRun *run = ctx;
    ActionResult *each = run->progress;
    yyjson_val *o, *one, *records;
    size_t i, n, at = 0;
    Str code = STR_NONE, message = STR_NONE;
    if (answer->result != OK) {
        Str why = str_format(run->arena, "The error received was %.*s", PS(answer->why));
        settle(run, action_aws_outcome(answer->retry), why);
        return;
    }
    bool json = json_read(run->arena, answer->body, true, &o, NULL) == OK;
    records = json ? json_get(o, S("Records")) : NULL;
    yyjson_arr_foreach(records, i, n, one) {
        while (at < run->n && each[at].outcome != ACTION_AGAIN && each[at].outcome != ACTION_SLOWER) at++;
        if (at == run->n) break;
        Str refused = json_str(json_get(one, S("ErrorCode")));
        if (refused.ptr) {
            code = str_dup(run->arena, refused);
            message = str_dup(run->arena, json_str(json_get(one, S("ErrorMessage"))));
            at++;
        } else {
            each[at++] = (ActionResult){ .outcome = ACTION_DONE };
        }
    }
    bool slower = str_eq(code, S("ProvisionedThroughputExceededException"));
    Str why = code.ptr ? str_format(run->arena, "The error received was kinesis refused the record: %.*s%s%.*s",
                                    PS(code), message.len ? ": " : "", PS(message))
                       : S("kinesis's answer does not tell of every record");
    settle(run, slower ? ACTION_SLOWER : ACTION_AGAIN, why);
}

static void start(ActionRun *run) {
    ActionResult *each = results(run);
    const IotKinesisAction *a = run->items[0].action;
    yyjson_mut_doc *d = json_doc(run->arena);
    yyjson_mut_val *o = yyjson_mut_obj(d), *records = yyjson_mut_arr(d);
    json_add_str(d, o, S("StreamName"), a->stream_name);
    if (run->n == 1 && each[0].outcome != ACTION_FAILED) {
        add_record(run, d, o, &run->items[0]);
        run->each = NULL;
        action_aws_json(run, "kinesis", "PutRecord", d, o, NULL);
        return;
    }
    for (size_t i = 0; i < run->n; i++)
        if (each[i].outcome == ACTION_AGAIN || each[i].outcome == ACTION_SLOWER)
            add_record(run, d, yyjson_mut_arr_add_obj(d, records), &run->items[i]);
    if (yyjson_mut_arr_size(records) == 0) {
        action_done(run, (ActionResult){ .outcome = ACTION_FAILED, .why = each[0].why });
        return;
    }
    yyjson_mut_obj_add_val(d, o, "Records", records);
    action_aws_call(run,
                    &(AwsRequest){ .service = aws_service(S("kinesis")),
                                   .operation = S("PutRecords"),
                                   .body = json_write_mut(run->arena, o) },
                    batch_answered, run);
}

/* Messages that come together go together: a shard takes 1,000 records a second, however few calls they are. */
static ActionBatch batch(const void *action) {
    (void)action;
    return (ActionBatch){
        .n_max = RECORDS_MAX, .bytes_max = BATCH_BYTES_MAX, .open_ms = OPEN_MS, .across_topics = true, .quiet = true
    };
}

const ActionKind ACTION_KINESIS = {
    .member = STR_INIT("kinesis"),
    .failed = STR_INIT("KinesisAction"),
    .resource = resource,
    .right = { "kinesis:PutRecord", "arn:aws:kinesis:{region}:{account}:stream/{}" },
    .start = start,
    .payload_bytes_max = RECORD_BYTES_MAX,
    .under_way_max = UNDER_WAY_MAX,
    .batch = batch,
};
