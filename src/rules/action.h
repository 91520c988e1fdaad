/* Action: one way in which a rule's result leaves: how a kind of action is described, and how it is run.
 * A kind is a constant in src/rules/actions/KIND.c and a line of the table in action.c; everything that kinds have in
 * common (templates, queues, retries, batches, counters, the error action) is done by whoever runs them, by what the
 * description says. Runs off the publish path; nothing in it may block.
 * Source: AWS IoT developer guide, "AWS IoT rule actions"; botocore's iot model, Action */
#pragma once

#include "api/op.h"
#include "base/arena.h"
#include "base/clock.h"

typedef struct Broker Broker;
typedef struct Functions Functions; /* api/function.h */
typedef struct Fetch Fetch;         /* net/fetch.h: outbound HTTP */
typedef struct Principal Principal;
typedef struct Folder Folder;       /* aws/folder.h */
typedef struct AwsClient AwsClient; /* signed calls to AWS services, or to what speaks their API */
typedef struct Rules Rules;
typedef struct KafkaClients KafkaClients; /* rules/kafka_client.h */

/* An operation of a service of this server, called as a client of it would; may wait.
 * Shape:  in, *out: its generated structs; *code the error's name, *message its text, in the arena
 * Errors: ERR_NOT_IMPLEMENTED: the service is not there (yet); ERR_API with code and message; others */
typedef Err ActionOperationFn(void *ctx, Str account, const ApiService *service, Str operation, const void *in,
                              Arena *arena, void **out, Str *code, Str *message);

/* What an action may reach. Filled once, by server/wire.c; a member that is not there is NULL and the action fails
 * with a sentence that says so. */
typedef struct {
    Rules *rules;
    Broker *broker;
    Functions *functions;
    Fetch *fetch;   /* to what the operator named */
    Fetch *outward; /* to what a rule's author named: another one, which keeps away from this machine */
    AwsClient *aws;
    KafkaClients *kafka;
    ActionOperationFn *operation;
    void *operation_ctx;
    Folder *objects; /* where no S3 is configured */
    const Clock *clock;
    const Principal *self; /* the server itself: on whose behalf a rule publishes on reserved topics */
    Str region;
    Str data_dir;
    bool plain_http;     /* operator's setting: destinations on loopback and without TLS */
    const char *ca_file; /* operator's setting: what http destinations are trusted by; NULL: the system's CAs */
} ActionEnv;

/* Why an action's parameters do not do, at Create- and ReplaceTopicRule.
 * Shape: a sentence for InvalidRequestException: what is wrong, with what value, and what would be right */
typedef struct {
    Arena *arena;
    Str account, region;
    bool error_action; /* it is the rule's error action */
    bool plain_http;
    Str why;
} ActionCheck;
NODISCARD Err action_refuse(ActionCheck *c, const char *format, ...) PRINTF_LIKE(2, 3); /* returns ERR_INVALID */

/* One message's part of the work. */
typedef struct {
    const void *action; /* the kind's generated struct (IotRepublishAction …) with its templates rendered */
    Str payload;        /* the SELECT's result, or the error document */
    bool json;          /* else bytes as they came (SELECT * on a payload that is no JSON) */
    Str topic, client_id, trace_id, source_ip; /* of the message that triggered the rule */
    int64_t time_ms;                           /* when it came, since 1970 */
    uint32_t depth;                            /* how many rules republished it so far */
} ActionItem;

typedef enum {
    ACTION_DONE,
    ACTION_FAILED, /* for good: the error action is told why */
    ACTION_AGAIN,  /* refused, cut, time-out, 5xx: tried again with back-off while the kind's limits allow it */
    ACTION_SLOWER, /* throttled (429 …): as ACTION_AGAIN, and counted */
} ActionOutcome;

typedef struct ActionResult {
    ActionOutcome outcome;
    Str why;      /* errorMessage of the error document; unused when done */
    Str resource; /* failedResource; STR_NONE: what the kind's `resource` says */
} ActionResult;

/* One try of one or several items (several only where the kind batches). */
typedef struct ActionRun {
    const ActionEnv *env;
    const struct ActionKind *kind;
    Str account, region, rule_name, rule_arn;
    const ActionItem *items;
    size_t n;
    int attempt;     /* from 0 */
    int64_t left_ms; /* of the kind's total_ms: a request's time-out */
    Arena *arena;    /* lives until the last try is over; not shared: use it in start, and in what calls action_done */
    void *progress;  /* the kind's own, NULL at first, kept from try to try: which parts are done */
    /* Of several items where they do not all end alike: one for each, in the arena, set before action_done; NULL: all
     * as action_done says. Counts once no try follows. */
    const struct ActionResult *each;
} ActionRun;
/* Exactly once a try, on any thread, maybe before `start` returns. The result is copied; the run belongs to its caller
 * again from here on. */
void action_done(ActionRun *run, ActionResult result);
void action_failed(ActionRun *run, const char *format, ...) PRINTF_LIKE(2, 3); /* ACTION_FAILED */

/* What the action's role must allow.
 * Shape: "kinesis:PutRecord", "arn:aws:kinesis:{region}:{account}:stream/{}", where {} is what `resource` gives */
typedef struct {
    const char *action, *resource; /* NULL: nothing is asked */
} ActionRight;

typedef struct ActionKind {
    Str member; /* in the model's Action: "republish" */
    Str failed; /* as failedAction names it: "RepublishAction" */
    /* Members that are taken as they are, wherever they stand in the struct, up to a NULL; roleArn and destinationArn
     * always are. Every other string is a substitution template.
     * Source: the action's page: "Supports substitution templates" */
    const char *const *literal;
    /* Beyond the model's own limits; templates are checked already. NULL: nothing more.
     * Errors: ERR_INVALID by action_refuse */
    Err (*check)(ActionCheck *c, const void *action);
    /* The resource that failedResource and the log name, from a rendered action: a table's, a queue's name. */
    Str (*resource)(Arena *arena, const void *action);
    ActionRight right;                                         /* Source: the action's page, "Requirements" */
    ActionRight (*right_of)(Arena *arena, const void *action); /* where it depends on the parameters; NULL: `right` */
    /* What shares a queue: nothing that waits for one destination delays another. NULL: `member` and `resource`. */
    Str (*destination)(Arena *arena, const void *action);
    void (*start)(ActionRun *run);
    /* limits; 0: the default, in action.c */
    size_t payload_bytes_max;
    uint32_t under_way_max; /* tries at the same time, a destination */
    uint32_t tries_max;
    int64_t total_ms;   /* from the first try on; no try starts after it */
    int64_t backoff_ms; /* before the second try, then doubled, with jitter */
    bool json_only;     /* a result that is no JSON fails without a try (lambda …) */
    bool local;         /* start never waits for anybody: run at once, without a queue */
    bool waits;         /* start waits: it runs on the engine\'s own threads */
    /* Several messages in one try: whether and how far, by the action's own parameters. NULL: one by one.
     * Shape: out->n_max <= 1: this action does not */
    struct ActionBatch (*batch)(const void *action);
} ActionKind;

typedef struct ActionBatch {
    uint32_t n_max;
    size_t bytes_max; /* of all payloads */
    int64_t open_ms;  /* the first waits at most so long for more */
    bool across_topics;
    bool quiet; /* the server's own affair: the error action is told of each message by itself */
} ActionBatch;

/* The kind of that member of the model's Action, or NULL. */
const ActionKind *action_kind(Str member);
const ActionKind *const *action_kinds(size_t *n);
/* The model's Action, and the kind's member of it: its shape is the table of the kind's generated struct. */
const ApiShape *action_union(void);
const ApiMember *action_member(const ActionKind *kind);
bool action_is_literal(const ActionKind *kind, Str member);
