/* Outside: what functions of the SQL ask of others: AWS's services, functions, and what this server itself holds.
 * Waits for the answers: asked on the engine's own threads only. */
#pragma once

#include "api/function.h"
#include "aws/client.h"
#include "aws/folder.h"
#include "base/clock.h"
#include "rules/right.h"
#include "rules/sql.h"

/* On whose behalf a statement asks. */
typedef struct {
    Str account, region, rule_arn;
} RuleAsker;

/* As SqlOutside, for any rule. */
typedef struct {
    void *ctx;
    Err (*call)(void *ctx, const RuleAsker *who, const SqlOutsideCall *call, Arena *arena, Str *out, Str *why);
} RuleOutside;

/* What is NULL is not there: functions that need it fail, and say so. */
typedef struct {
    AwsClient *aws;
    Folder *objects; /* where no S3 is configured */
    Functions *functions;
    const Clock *clock;
    RuleOutside local; /* shadows and the registry */
    RoleBook *roles;   /* by which the functions' roles are let; NULL: all are */
} OutsideOptions;

typedef struct Outside Outside;
enum { OUTSIDE_ANSWER_MS = 5000, OUTSIDE_LAMBDA_MS = 2000, OUTSIDE_ANSWER_BYTES_MAX = 1 << 20 };

Outside *outside_new(const OutsideOptions *options);
void outside_free(Outside *o); /* accepts NULL */
const RuleOutside *outside_table(const Outside *o);
