/* ServiceLog: what an account wants to be told of its connections and calls, and the entries that tell it, in the form
 * that AWS IoT gives CloudWatch. The server's own lines (base/log.h) are another matter.
 * An account's settings are replaced whole; who holds connections keeps the verdict on each, stamped with a version, so
 * that what is not logged costs a comparison. Safe from every thread. Does no input or output: whoever makes it gives
 * the function that takes the lines.
 * Source: AWS IoT developer guide, "Configure AWS IoT logging" and "CloudWatch AWS IoT log entries" */
#pragma once

#include <stdatomic.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/log.h"

/* Every kind of entry that the guide knows, also those of services that are not here yet: they may be configured. */
#define SERVICE_EVENTS(X)                                                                                              \
    X(CONNECT, "Connect")                                                                                              \
    X(DISCONNECT, "Disconnect")                                                                                        \
    X(PING, "Ping")                                                                                                    \
    X(AUTHN_ERROR, "Connection.AuthNError")                                                                            \
    X(PUBLISH_IN, "Publish-In")                                                                                        \
    X(PUBLISH_OUT, "Publish-Out")                                                                                      \
    X(QUEUED, "Queued")                                                                                                \
    X(SUBSCRIBE, "Subscribe")                                                                                          \
    X(UNSUBSCRIBE, "Unsubscribe")                                                                                      \
    X(DELETE_CONNECTION, "DeleteConnection")                                                                           \
    X(GET_CONNECTION, "GetConnection")                                                                                 \
    X(LIST_SUBSCRIPTIONS, "ListSubscriptions")                                                                         \
    X(SEND_DIRECT_MESSAGE, "SendDirectMessage")                                                                        \
    X(GET_RETAINED_MESSAGE, "GetRetainedMessage")                                                                      \
    X(LIST_RETAINED_MESSAGE, "ListRetainedMessage")                                                                    \
    X(DELETE_THING_SHADOW, "DeleteThingShadow")                                                                        \
    X(GET_THING_SHADOW, "GetThingShadow")                                                                              \
    X(UPDATE_THING_SHADOW, "UpdateThingShadow")                                                                        \
    X(RULE_MATCH, "RuleMatch")                                                                                         \
    X(STARTING_RULE_EXECUTION, "StartingRuleExecution")                                                                \
    X(RULE_EXECUTION, "RuleExecution")                                                                                 \
    X(FUNCTION_EXECUTION, "FunctionExecution")                                                                         \
    X(RULE_MESSAGE_THROTTLED, "RuleMessageThrottled")                                                                  \
    X(RULE_NOT_FOUND, "RuleNotFound")                                                                                  \
    X(DESCRIBE_JOB_EXECUTION, "DescribeJobExecution")                                                                  \
    X(GET_PENDING_JOB_EXECUTION, "GetPendingJobExecution")                                                             \
    X(START_NEXT_PENDING_JOB_EXECUTION, "StartNextPendingJobExecution")                                                \
    X(UPDATE_JOB_EXECUTION, "UpdateJobExecution")                                                                      \
    X(REPORT_FINAL_JOB_EXECUTION_COUNT, "ReportFinalJobExecutionCount")                                                \
    X(GET_DEVICE_CREDENTIALS, "GetDeviceCredentials")                                                                  \
    X(PROVISION_DEVICE, "ProvisionDevice")                                                                             \
    X(ADD_THING_TO_DYNAMIC_THING_GROUPS_FAILED, "AddThingToDynamicThingGroupsFailed")                                  \
    X(NAMED_SHADOW_COUNT_LIMIT_EXCEEDED, "NamedShadowCountForDynamicGroupQueryLimitExceeded")                          \
    X(RETRIEVE_OCSP_STAPLE_DATA, "RetrieveOCSPStapleData")
typedef enum {
#define X(name, text) SERVICE_EVENT_##name,
    SERVICE_EVENTS(X)
#undef X
        SERVICE_EVENTS_N
} ServiceEvent;

/* Levels are LogLevel's, and two more: nothing at all, and nothing said. */
enum { SERVICE_LOG_DISABLED = LOG_ERROR + 1, SERVICE_LOG_UNSET };
/* "DEBUG" … "DISABLED"; UNSET for anything else. */
uint8_t service_log_level(Str name);
Str service_log_level_name(uint8_t level); /* STR_NONE for UNSET */
Str service_event_name(ServiceEvent event);
bool service_event_find(Str name, ServiceEvent *out);

typedef enum {
    LOG_TARGET_THING_GROUP,
    LOG_TARGET_CLIENT_ID,
    LOG_TARGET_SOURCE_IP,
    LOG_TARGET_PRINCIPAL_ID
} LogTargetKind;
typedef struct {
    LogTargetKind kind;
    Str name;
    uint8_t level;
} LogTarget;

/* An account's settings. */
typedef struct {
    bool plain; /* the older form: lines of text to AWSIotLogs, no levels but the default */
    uint8_t level;
    uint8_t event_levels[SERVICE_EVENTS_N]; /* UNSET: the default */
    Str event_groups[SERVICE_EVENTS_N];     /* log groups; STR_NONE: AWSIotLogsV2 */
    const LogTarget *targets;
    size_t targets_n;
} LogSettings;
LogSettings service_log_silent(void); /* what an account has that configured nothing */

typedef struct ServiceLog ServiceLog;
/* Gets each line, with its line break. */
typedef void ServiceLogWriteFn(void *ctx, Str account, Str line);
ServiceLog *service_log_new(ServiceLogWriteFn *write, void *ctx);
void service_log_free(ServiceLog *log); /* accepts NULL */
/* settings NULL: silent; everything is copied */
void service_log_set(ServiceLog *log, Str account, const LogSettings *settings);
/* Held by whoever reads settings from elsewhere and sets them, so that of two the newer one comes last. */
void service_log_lock(ServiceLog *log);
void service_log_unlock(ServiceLog *log);
void service_log_clear(ServiceLog *log); /* all accounts silent */

/* Whom an entry is about. */
typedef struct {
    Str account, client_id, principal_id, source_ip;
    /* the thing's groups: each before its parent and so on to the root, an absent name behind each root */
    const Str *groups;
    size_t groups_n;
} LogSubject;

/* What is logged of one subject. All zeros: not judged yet. */
typedef struct {
    uint64_t on[LOG_ERROR + 1]; /* by level: the events, by bit */
    uint32_t version;
} LogVerdict;
void service_log_judge(ServiceLog *log, const LogSubject *subject, LogVerdict *out);
/* Whether a verdict still stands. */
bool service_log_current(const ServiceLog *log, const LogVerdict *verdict);
/* What a verdict is stamped with, for who asks often. */
const _Atomic uint32_t *service_log_version(const ServiceLog *log);
/* Whether any account logs anything: where this is false nobody need judge. */
bool service_log_any(const ServiceLog *log);
static inline bool log_verdict_has(const LogVerdict *v, ServiceEvent event, LogLevel level) {
    return v->on[level] >> event & 1;
}

typedef struct {
    const char *name;
    Str text;       /* ptr NULL: a number */
    int64_t number; /* … or a truth, or JSON that stands as it is: */
    enum { LOG_FIELD_PLAIN, LOG_FIELD_BOOL, LOG_FIELD_JSON } form;
} LogField;

enum { LOG_FIELDS_MAX = 8 };
typedef struct {
    ServiceEvent event;
    LogLevel level;
    bool success;
    int64_t now_ms;
    Str trace_id; /* absent: one is made */
    Str account;
    /* what is absent is left out */
    Str protocol, topic, client_id, principal_id, source_ip;
    int source_port; /* 0: left out */
    Str reason, details;
    LogField more[LOG_FIELDS_MAX];
    size_t more_n;
} LogEntry;
/* Writes it, whatever the verdict was. */
void service_log_write(ServiceLog *log, const LogEntry *entry);
/* Judges and writes: for what comes seldom. level and success stand in the entry. */
void service_log_tell(ServiceLog *log, const LogSubject *subject, const LogEntry *entry);
