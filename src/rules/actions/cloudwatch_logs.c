/* CloudWatch Logs: the result, or in batch mode each of its elements, is an event of a log stream that has the rule's
 * name; it is made when it is not there.
 * Source: AWS IoT developer guide, "CloudWatch Logs"; botocore's CloudwatchLogsAction; CloudWatch Logs API,
 * PutLogEvents */
#include "generated/iot.h"
#include "rules/actions/aws.h"
#include "rules/actions/kinds.h"

enum { EVENTS_MAX = 10000, EVENT_BYTES_MAX = 1048576 };

static Str resource(Arena *arena, const void *action) {
    (void)arena;
    return ((const IotCloudwatchLogsAction *)action)->log_group_name;
}

static void add_event(yyjson_mut_doc *d, yyjson_mut_val *events, int64_t ms, Str message) {
    yyjson_mut_val *e = yyjson_mut_arr_add_obj(d, events);
    yyjson_mut_obj_add_int(d, e, "timestamp", ms);
    json_add_str(d, e, S("message"), message);
}

/* Errors: ERR_INVALID with *why */
static Err events_of(ActionRun *run, const IotCloudwatchLogsAction *a, yyjson_mut_doc *d, yyjson_mut_val *events,
                     Str *why) {
    const ActionItem *item = &run->items[0];
    ActionParts parts;
    if (!a->batch_mode.v) {
        add_event(d, events, item->time_ms, item->payload);
        return OK;
    }
    Err e = action_parts(run, true, EVENTS_MAX, &parts, why);
    for (size_t i = 0; e == OK && i < parts.n; i++) {
        yyjson_val *o = NULL, *ms, *message;
        *why = str_format(run->arena, "element %zu is not {\"timestamp\": milliseconds, \"message\": text}: %.*s", i,
                          PS(parts.items[i]));
        if (json_read(run->arena, parts.items[i], false, &o, NULL) != OK) return ERR_INVALID;
        ms = json_get(o, S("timestamp"));
        message = json_get(o, S("message"));
        if (!yyjson_is_int(ms) || !yyjson_is_str(message)) return ERR_INVALID;
        add_event(d, events, yyjson_get_sint(ms), json_str(message));
    }
    return e;
}

static void put_events(ActionRun *run);

static void stream_made(void *ctx, const AwsAnswer *answer) {
    ActionRun *run = ctx;
    if (answer->result == OK || str_eq(answer->error.code, S("ResourceAlreadyExistsException")))
        put_events(run);
    else
        action_aws_failed(run, answer);
}

static void make_stream(ActionRun *run) {
    const IotCloudwatchLogsAction *a = run->items[0].action;
    yyjson_mut_doc *d = json_doc(run->arena);
    yyjson_mut_val *o = yyjson_mut_obj(d);
    json_add_str(d, o, S("logGroupName"), a->log_group_name);
    json_add_str(d, o, S("logStreamName"), run->rule_name);
    action_aws_call(run,
                    &(AwsRequest){ .service = aws_service(S("logs")),
                                   .operation = S("CreateLogStream"),
                                   .body = json_write_mut(run->arena, o) },
                    stream_made, run);
}

static void events_put(void *ctx, const AwsAnswer *answer) {
    ActionRun *run = ctx;
    bool made = run->progress != NULL;
    if (answer->result == OK) {
        action_done(run, (ActionResult){ .outcome = ACTION_DONE });
    } else if (str_eq(answer->error.code, S("ResourceNotFoundException")) && !made) {
        run->progress = run;
        make_stream(run);
    } else {
        action_aws_failed(run, answer);
    }
}

static void put_events(ActionRun *run) {
    const IotCloudwatchLogsAction *a = run->items[0].action;
    yyjson_mut_doc *d = json_doc(run->arena);
    yyjson_mut_val *o = yyjson_mut_obj(d), *events = yyjson_mut_arr(d);
    Str why;
    if (events_of(run, a, d, events, &why) != OK) {
        action_failed(run, "%.*s", PS(why));
        return;
    }
    if (yyjson_mut_arr_size(events) == 0) {
        action_done(run, (ActionResult){ .outcome = ACTION_DONE });
        return;
    }
    json_add_str(d, o, S("logGroupName"), a->log_group_name);
    json_add_str(d, o, S("logStreamName"), run->rule_name);
    yyjson_mut_obj_add_val(d, o, "logEvents", events);
    action_aws_call(run,
                    &(AwsRequest){ .service = aws_service(S("logs")),
                                   .operation = S("PutLogEvents"),
                                   .body = json_write_mut(run->arena, o) },
                    events_put, run);
}

static void start(ActionRun *run) {
    if (!str_is_utf8(run->items[0].payload)) {
        action_failed(run, "the payload is no UTF-8 text, and a log takes nothing else");
        return;
    }
    run->progress = NULL;
    put_events(run);
}

const ActionKind ACTION_CLOUDWATCH_LOGS = {
    .member = STR_INIT("cloudwatchLogs"),
    .failed = STR_INIT("CloudwatchLogsAction"),
    .resource = resource,
    .right = { "logs:PutLogEvents", "arn:aws:logs:{region}:{account}:log-group:{}:log-stream:{rule}" },
    .start = start,
    .payload_bytes_max = EVENT_BYTES_MAX,
};
