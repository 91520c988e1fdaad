/* The rules' SQL: a statement is compiled once, when its rule is saved, and then run on messages.
 * Pure but for what the caller lends it (SqlOutside): it knows no sockets, no store and no actions.
 *
 * A message is opened once and shared by all rules that match it; its payload is parsed when the first of them asks
 * for it. Compiled statements and templates are only read, by any number of threads; a message belongs to one thread.
 * Source: AWS IoT developer guide, AWS IoT SQL reference */
#pragma once

#include "base/json.h"
#include "base/rng.h"
#include "expr/fault.h"

typedef enum { SQL_2015_10_08, SQL_2016_03_23, SQL_BETA } SqlVersion;

/* Shape:  "2015-10-08", "2016-03-23", "beta"; empty: 2015-10-08, as CreateTopicRule has it
 * Errors: ERR_INVALID */
NODISCARD Err sql_version_parse(Str text, SqlVersion *out);
Str sql_version_name(SqlVersion v);

typedef ExprFault SqlFault; /* why a text does not compile: where, what was found, what was expected */

typedef struct Sql Sql;

enum { SQL_TEXT_BYTES_MAX = 131072, SQL_VARIABLES_MAX = 10, SQL_NESTING_MAX = 64 };

/* Owns:   *out lives in the arena, and borrows nothing of `text`
 * Errors: ERR_INVALID with *fault, ERR_LIMIT (longer than SQL_TEXT_BYTES_MAX, nested deeper than SQL_NESTING_MAX)
 *         with *fault */
NODISCARD Err sql_compile(Str text, SqlVersion version, Arena *arena, const Sql **out, SqlFault *fault);

/* The filter behind FROM; STR_NONE where there is none (a rule for basic ingest only). It is a good filter. */
Str sql_topic_filter(const Sql *sql);
SqlVersion sql_version(const Sql *sql);

/* What reaches outside of the message, and so may wait for others. */
typedef enum {
    SQL_GET_THING_SHADOW,        /* thing, shadow name (STR_NONE: classic), role ARN -> the shadow's document */
    SQL_AWS_LAMBDA,              /* function ARN, payload (JSON) -> the function's JSON */
    SQL_GET_DYNAMODB,            /* table, partition key, its value, sort key, its value (both STR_NONE: none), role ARN
                                    -> the item as plain JSON, not in DynamoDB's typed form */
    SQL_GET_SECRET,              /* secret id, "SecretString" or "SecretBinary", role ARN
                                    -> the string as it is, or the binary one's bytes */
    SQL_GET_REGISTRY_DATA,       /* "DescribeThing" or "ListThingGroupsForThing", thing, role ARN -> the API's answer */
    SQL_MACHINELEARNING_PREDICT, /* model id, role ARN, record (one layer of strings, JSON) -> Predict's answer */
    SQL_PROTO_DESCRIPTOR,        /* bucket, key -> the bytes of a FileDescriptorSet */
    SQL_OUTSIDE_KINDS
} SqlOutsideKind;

enum { SQL_OUTSIDE_ARGS_MAX = 6 };
typedef struct {
    SqlOutsideKind kind;
    Str args[SQL_OUTSIDE_ARGS_MAX];    /* in the order above */
    bool number[SQL_OUTSIDE_ARGS_MAX]; /* the argument was a number, args holds its digits (DynamoDB's key values) */
} SqlOutsideCall;

/* Asked on the thread that runs the statement, and waited for. */
typedef struct {
    void *ctx;
    /* Errors: any; *why then says what failed, and the statement ends unless get_or_default catches it
     * Owns:   *out and *why live in the arena */
    Err (*call)(void *ctx, const SqlOutsideCall *call, Arena *arena, Str *out, Str *why);
} SqlOutside;

/* A set of SqlOutsideKind, bit 1 << kind: a statement with any may block, so run it where that is allowed. */
uint32_t sql_reaches_outside(const Sql *sql);

/* A message as it came. Everything is borrowed until the arena of sql_message_open goes. */
typedef struct {
    Str topic;       /* whole, also of basic ingest: the statement sees it without `$aws/rules/NAME/` */
    Str payload;     /* any bytes */
    Str client_id;   /* STR_NONE: not by MQTT */
    Str principal;   /* what principal() gives; STR_NONE: nobody */
    Str trace_id;    /* STR_NONE: not by MQTT */
    Str source_ip;   /* as text; STR_NONE: republished */
    int64_t time_ms; /* timestamp() */
    Str properties;  /* MQTT 5: the publish's checked list (MqttPublish.props); STR_NONE: none */
} SqlMessageIn;

typedef struct SqlMessage SqlMessage;

/* Owns: *out lives in the arena, together with all that running statements on it makes */
SqlMessage *sql_message_open(const SqlMessageIn *in, Arena *arena);

/* On whose behalf, and with what at hand. */
typedef struct {
    Str account;               /* accountid(): the rule's owner */
    Rng *rng;                  /* newuuid(), rand() */
    const SqlOutside *outside; /* NULL: functions that reach outside fail, and say so */
    bool explain;              /* note why something became Undefined */
    int64_t *steps;            /* left to a rule's statement and its templates together; NULL: SQL_STEPS_MAX each */
} SqlEnv;

/* One place where a value became Undefined that had been none before. */
typedef struct {
    int32_t line, column; /* where the expression begins */
    Str expression;       /* its text */
    Str why;              /* "the payload has no member 'temp'", "abs: argument 1 is Array, got [1,2]" */
} SqlUndefined;

typedef struct SqlVariables SqlVariables; /* what SET computed, for the templates of the same rule and message */

typedef struct {
    bool matched; /* WHERE holds; all below but `variables` and `undefined` is empty otherwise */
    bool binary;  /* output is the payload's bytes as they came: `SELECT *` alone on what is no JSON */
    Str output;   /* JSON, minified, UTF-8; "" for SELECT VALUE of Undefined */
    const SqlVariables *variables;
    const SqlUndefined *undefined; /* when env->explain; at most SQL_UNDEFINED_MAX */
    size_t undefined_n;
    Str why; /* of a failure: a sentence */
} SqlResult;

/* AWS's: SET's values and transform's result. The same holds for every string or array that a function makes. */
enum { SQL_VALUE_BYTES_MAX = 131072, SQL_UNDEFINED_MAX = 64 };
/* Of one run, so that no statement takes for ever on any payload. */
enum { SQL_STEPS_MAX = 1000000, SQL_MADE_BYTES_MAX = 4 << 20 };

/* Errors: ERR_LIMIT (a bound above), or what `outside` answered; out->why says which. A WHERE that is not true is no
 *         error. *out is set also on failure: its `why` and `undefined`. */
NODISCARD Err sql_run(const Sql *sql, SqlMessage *message, const SqlEnv *env, SqlResult *out);

/* Substitution templates: `${expression}` in an action's parameters, rendered against the original payload. */
typedef struct SqlTemplate SqlTemplate;

/* `sql` is the rule's statement: its version counts and its variables are visible.
 * Owns:   *out lives in the arena, and borrows nothing of `text`
 * Errors: as sql_compile; line and column count in the template */
NODISCARD Err sql_template_compile(const Sql *sql, Str text, Arena *arena, const SqlTemplate **out, SqlFault *fault);
/* True where the text has no `${`: rendering gives it back as it is. */
bool sql_template_is_constant(const SqlTemplate *t);
uint32_t sql_template_reaches_outside(const SqlTemplate *t);

/* `variables`: of the run of the rule's statement on this message; NULL: all Undefined.
 * Shape:  the text with every `${...}` replaced by its value's standard conversion to String, Undefined by nothing
 * Errors: as sql_run, with *why
 * Owns:   *out lives in the message's arena */
NODISCARD Err sql_template_render(const SqlTemplate *t, SqlMessage *message, const SqlEnv *env,
                                  const SqlVariables *variables, Str *out, Str *why);
