/* S3: the result is an object. Where no endpoint is set for S3, it is a file in the data folder.
 * Source: AWS IoT developer guide, "S3"; botocore's S3Action; S3 API, PutObject */
#include "aws/folder.h"
#include "base/encode.h"
#include "generated/iot.h"
#include "rules/actions/aws.h"
#include "rules/actions/kinds.h"

enum { KEY_BYTES_MAX = 1024 };

static Str resource(Arena *arena, const void *action) {
    const IotS3Action *a = action;
    return str_format(arena, "%.*s/%.*s", PS(a->bucket_name), PS(a->key));
}

static Str destination(Arena *arena, const void *action) {
    return str_format(arena, "s3 %.*s", PS(((const IotS3Action *)action)->bucket_name));
}

static void kept(void *ctx, Err e, Str why) {
    ActionRun *run = ctx;
    Str text = str_format(run->arena, "Failed to put S3 object. The error received was: %.*s", PS(why));
    ActionOutcome outcome = e == OK ? ACTION_DONE : e == ERR_INVALID ? ACTION_FAILED : ACTION_AGAIN;
    action_done(run, (ActionResult){ .outcome = outcome, .why = text });
}

static void start(ActionRun *run) {
    const ActionItem *item = &run->items[0];
    const IotS3Action *a = item->action;
    const AwsService *s3 = aws_service(S("s3"));
    if (a->key.len == 0 || a->key.len > KEY_BYTES_MAX) {
        action_failed(run, "the key has %zu bytes, 1 to %d are expected", a->key.len, KEY_BYTES_MAX);
        return;
    }
    if (run->env->objects && !aws_client_is_custom(run->env->aws, s3)) {
        folder_put(run->env->objects, run->account, a->bucket_name, a->key, item->payload, kept, run);
        return;
    }
    Str bucket = percent_encode(run->arena, a->bucket_name, false), key = percent_encode(run->arena, a->key, true);
    const HttpHeader acl = { S("x-amz-acl"), a->canned_acl };
    action_aws(run, &(AwsRequest){ .service = s3,
                                   .method = S("PUT"),
                                   .path = str_format(run->arena, "/%.*s/%.*s", PS(bucket), PS(key)),
                                   .headers = &acl,
                                   .headers_n = a->canned_acl.len ? 1 : 0,
                                   .content_type = S("application/octet-stream"),
                                   .body = item->payload });
}

const ActionKind ACTION_S3 = {
    .member = STR_INIT("s3"),
    .failed = STR_INIT("S3Action"),
    .resource = resource,
    .right = { "s3:PutObject", "arn:aws:s3:::{}" },
    .destination = destination,
    .start = start,
};
