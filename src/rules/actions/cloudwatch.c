/* CloudWatch: a metric's value, an alarm's state. The result of the SQL is not sent: the action's own members are.
 * Source: AWS IoT developer guide, "CloudWatch metrics" and "CloudWatch alarms"; botocore's CloudwatchMetricAction,
 * CloudwatchAlarmAction; CloudWatch API, PutMetricData and SetAlarmState */
#include <math.h>
#include <stdlib.h>

#include "api/timestamp.h"
#include "generated/iot.h"
#include "rules/actions/aws.h"
#include "rules/actions/kinds.h"

static bool is_number(Arena *arena, Str s) {
    char *text = str_dup_c(arena, str_trim(s)), *end;
    double v = strtod(text, &end);
    return *text && !*end && isfinite(v);
}

/* ------------------------------------------------------------------------------------------------ a metric */

static Str metric(Arena *arena, const void *action) {
    const IotCloudwatchMetricAction *a = action;
    return str_format(arena, "%.*s/%.*s", PS(a->metric_namespace), PS(a->metric_name));
}

static Str metric_destination(Arena *arena, const void *action) {
    (void)action;
    (void)arena;
    return S("cloudwatch");
}

static void start_metric(ActionRun *run) {
    const ActionItem *item = &run->items[0];
    const IotCloudwatchMetricAction *a = item->action;
    int64_t seconds = item->time_ms / 1000;
    if (!is_number(run->arena, a->metric_value)) {
        action_failed(run, "metricValue '%.*s' is no number", PS(a->metric_value));
        return;
    }
    if (a->metric_timestamp.len && str_to_i64(a->metric_timestamp, &seconds) != OK) {
        action_failed(run, "metricTimestamp '%.*s' is no number of seconds", PS(a->metric_timestamp));
        return;
    }
    Writer w = action_form(run, "cloudwatch", "PutMetricData");
    action_form_add(&w, "Namespace", a->metric_namespace);
    action_form_add(&w, "MetricData.member.1.MetricName", a->metric_name);
    action_form_add(&w, "MetricData.member.1.Value", str_trim(a->metric_value));
    action_form_add(&w, "MetricData.member.1.Unit", a->metric_unit);
    action_form_add(&w, "MetricData.member.1.Timestamp", timestamp_iso8601(run->arena, seconds * 1000));
    action_aws(run, &(AwsRequest){ .service = aws_service(S("cloudwatch")), .body = writer_str(&w) });
}

const ActionKind ACTION_CLOUDWATCH_METRIC = {
    .member = STR_INIT("cloudwatchMetric"),
    .failed = STR_INIT("CloudwatchMetricAction"),
    .resource = metric,
    .right = { "cloudwatch:PutMetricData", "*" },
    .destination = metric_destination,
    .start = start_metric,
};

/* ------------------------------------------------------------------------------------------------ an alarm */

static Str alarm(Arena *arena, const void *action) {
    (void)arena;
    return ((const IotCloudwatchAlarmAction *)action)->alarm_name;
}

static bool is_state(Str s) {
    return str_eq(s, S("OK")) || str_eq(s, S("ALARM")) || str_eq(s, S("INSUFFICIENT_DATA"));
}

static Err check_alarm(ActionCheck *c, const void *action) {
    const IotCloudwatchAlarmAction *a = action;
    if (str_find_str(a->state_value, S("${")) == SIZE_MAX && !is_state(a->state_value))
        return action_refuse(c, "stateValue '%.*s' is none of OK, ALARM, INSUFFICIENT_DATA", PS(a->state_value));
    return OK;
}

static void start_alarm(ActionRun *run) {
    const IotCloudwatchAlarmAction *a = run->items[0].action;
    if (!is_state(a->state_value)) {
        action_failed(run, "stateValue '%.*s' is none of OK, ALARM, INSUFFICIENT_DATA", PS(a->state_value));
        return;
    }
    Writer w = action_form(run, "cloudwatch", "SetAlarmState");
    action_form_add(&w, "AlarmName", a->alarm_name);
    action_form_add(&w, "StateReason", a->state_reason);
    action_form_add(&w, "StateValue", a->state_value);
    action_aws(run, &(AwsRequest){ .service = aws_service(S("cloudwatch")), .body = writer_str(&w) });
}

const ActionKind ACTION_CLOUDWATCH_ALARM = {
    .member = STR_INIT("cloudwatchAlarm"),
    .failed = STR_INIT("CloudwatchAlarmAction"),
    .check = check_alarm,
    .resource = alarm,
    .right = { "cloudwatch:SetAlarmState", "arn:aws:cloudwatch:{region}:{account}:alarm:{}" },
    .start = start_alarm,
};
