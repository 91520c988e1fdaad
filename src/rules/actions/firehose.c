/* Firehose: the result, or in batch mode each of its elements, is a record of a delivery stream, with the separator
 * behind it. What a batch's answer names as refused is sent again alone.
 * Source: AWS IoT developer guide, "Data Firehose"; botocore's FirehoseAction; Firehose API, PutRecordBatch */
#include "base/encode.h"
#include "generated/iot.h"
#include "rules/actions/aws.h"
#include "rules/actions/kinds.h"

enum { RECORD_BYTES_MAX = 1024000, RECORDS_MAX = 500 };

static Str resource(Arena *arena, const void *action) {
    (void)arena;
    return ((const IotFirehoseAction *)action)->delivery_stream_name;
}

/* The records that are still to be sent. */
typedef struct {
    ActionParts left;
    size_t n; /* of all */
} Progress;

static Str record(ActionRun *run, const IotFirehoseAction *a, Str data) {
    Writer w = writer_in(run->arena);
    writer_bytes(&w, data);
    writer_bytes(&w, a->separator);
    return base64_encode(run->arena, writer_str(&w));
}

static void batch_answered(ActionRun *run, const AwsAnswer *answer) {
    Progress *p = run->progress;
    yyjson_val *o, *one, *responses;
    size_t i, n, kept = 0;
    Str code = STR_NONE, message = STR_NONE;
    if (json_read(run->arena, answer->body, true, &o, NULL) != OK) {
        action_done(run, (ActionResult){ .outcome = ACTION_AGAIN, .why = S("firehose's answer is no JSON") });
        return;
    }
    responses = json_get(o, S("RequestResponses"));
    yyjson_arr_foreach(responses, i, n, one) {
        Str refused = json_str(json_get(one, S("ErrorCode")));
        if (!refused.ptr || i >= p->left.n) continue;
        code = str_dup(run->arena, refused);
        message = str_dup(run->arena, json_str(json_get(one, S("ErrorMessage"))));
        p->left.items[kept++] = p->left.items[i];
    }
    if (kept == 0) {
        action_done(run, (ActionResult){ .outcome = ACTION_DONE });
        return;
    }
    p->left.n = kept;
    action_parts_failed(run, "firehose", kept, p->n, code, message);
}

static void start_batch(ActionRun *run, const IotFirehoseAction *a) {
    Progress *p = run->progress;
    Str why;
    if (!p) {
        p = run->progress = arena_new(run->arena, Progress);
        if (action_parts(run, true, RECORDS_MAX, &p->left, &why) != OK) {
            action_failed(run, "%.*s", PS(why));
            return;
        }
        p->n = p->left.n;
    }
    if (p->n == 0) {
        action_done(run, (ActionResult){ .outcome = ACTION_DONE });
        return;
    }
    yyjson_mut_doc *d = json_doc(run->arena);
    yyjson_mut_val *o = yyjson_mut_obj(d), *records = yyjson_mut_arr(d);
    for (size_t i = 0; i < p->left.n; i++) {
        yyjson_mut_val *r = yyjson_mut_arr_add_obj(d, records);
        json_add_str(d, r, S("Data"), record(run, a, p->left.items[i]));
    }
    json_add_str(d, o, S("DeliveryStreamName"), a->delivery_stream_name);
    yyjson_mut_obj_add_val(d, o, "Records", records);
    action_aws_json(run, "firehose", "PutRecordBatch", d, o, batch_answered);
}

static void start(ActionRun *run) {
    const IotFirehoseAction *a = run->items[0].action;
    if (a->batch_mode.v) {
        start_batch(run, a);
        return;
    }
    yyjson_mut_doc *d = json_doc(run->arena);
    yyjson_mut_val *o = yyjson_mut_obj(d), *r = yyjson_mut_obj(d);
    json_add_str(d, o, S("DeliveryStreamName"), a->delivery_stream_name);
    json_add_str(d, r, S("Data"), record(run, a, run->items[0].payload));
    yyjson_mut_obj_add_val(d, o, "Record", r);
    action_aws_json(run, "firehose", "PutRecord", d, o, NULL);
}

static ActionRight right(Arena *arena, const void *action) {
    (void)arena;
    return (ActionRight){ ((const IotFirehoseAction *)action)->batch_mode.v ? "firehose:PutRecordBatch"
                                                                            : "firehose:PutRecord",
                          "arn:aws:firehose:{region}:{account}:deliverystream/{}" };
}

/* Its separator is taken as it is. */
static const char *const LITERAL[] = { "separator", NULL };

const ActionKind ACTION_FIREHOSE = {
    .member = STR_INIT("firehose"),
    .failed = STR_INIT("FirehoseAction"),
    .literal = LITERAL,
    .resource = resource,
    .right_of = right,
    .start = start,
    .payload_bytes_max = RECORD_BYTES_MAX,
};
