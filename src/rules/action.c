#include "rules/action.h"

#include <string.h>

#include "generated/iot.h"
#include "rules/actions/kinds.h"

static const ActionKind *const KINDS[] = {
    &ACTION_HTTP,
    &ACTION_IOT_ANALYTICS,
    &ACTION_IOT_EVENTS,
    &ACTION_IOT_SITE_WISE,
    &ACTION_KAFKA,
    &ACTION_LAMBDA,
    &ACTION_REPUBLISH,
    &ACTION_SQS,
    &ACTION_SNS,
    &ACTION_S3,
    &ACTION_KINESIS,
    &ACTION_FIREHOSE,
    &ACTION_DYNAMODB,
    &ACTION_DYNAMODB_V2,
    &ACTION_OPENSEARCH,
    &ACTION_ELASTICSEARCH,
    &ACTION_CLOUDWATCH_METRIC,
    &ACTION_CLOUDWATCH_ALARM,
    &ACTION_CLOUDWATCH_LOGS,
    &ACTION_STEP_FUNCTIONS,
    &ACTION_TIMESTREAM,
    &ACTION_LOCATION,
    &ACTION_SALESFORCE,
};
enum { KINDS_N = sizeof KINDS / sizeof *KINDS };

const ActionKind *const *action_kinds(size_t *n) {
    *n = KINDS_N;
    return KINDS;
}

const ActionKind *action_kind(Str member) {
    for (size_t i = 0; i < KINDS_N; i++)
        if (str_eq(KINDS[i]->member, member)) return KINDS[i];
    return NULL;
}

const ApiShape *action_union(void) {
    for (size_t i = 0; i < iot_service.shapes_n; i++)
        if (str_eq(iot_service.shapes[i].name, S("Action"))) return &iot_service.shapes[i];
    return NULL;
}

const ApiMember *action_member(const ActionKind *kind) {
    const ApiShape *all = action_union();
    for (size_t i = 0; i < all->members_n; i++)
        if (str_eq(all->members[i].name, kind->member)) return &all->members[i];
    return NULL;
}

bool action_is_literal(const ActionKind *kind, Str member) {
    if (str_eq(member, S("roleArn")) || str_eq(member, S("destinationArn"))) return true;
    for (size_t i = 0; kind->literal && kind->literal[i]; i++)
        if (str_eq(str_c(kind->literal[i]), member)) return true;
    return false;
}

Err action_refuse(ActionCheck *c, const char *format, ...) {
    va_list args;
    va_start(args, format);
    c->why = str_format_v(c->arena, format, args);
    va_end(args);
    return ERR_INVALID;
}

void action_failed(ActionRun *run, const char *format, ...) {
    va_list args;
    va_start(args, format);
    Str why = str_format_v(run->arena, format, args);
    va_end(args);
    action_done(run, (ActionResult){ .outcome = ACTION_FAILED, .why = why });
}
