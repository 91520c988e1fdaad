/* What the operations on functions share: whose function is meant, its record, its configuration as it is answered,
 * and the way to the runner. */
#pragma once

#include "generated/lambda.h"
#include "generated/lambda_records.h"
#include "services/env.h"
#include "services/lambda/lambda.h"
#include "services/lambda/runner.h"

#define LAMBDA_LATEST S("$LATEST")

/* A function as a request names it. */
typedef struct {
    Str account, region, name;
    Str qualifier; /* STR_NONE: none is given */
} LambdaName;

/* Shape:  a name, ACCOUNT:function:NAME, or an ARN, each with or without :QUALIFIER; qualifier: given apart, or
 * STR_NONE Errors: ERR_MALFORMED; ERR_INVALID: two qualifiers that differ */
NODISCARD Err lambda_name_parse(Str text, Str qualifier, Str account, Str region, LambdaName *out);
Str lambda_arn(Arena *a, const LambdaName *n); /* with its qualifier, if it has one */

/* Whose function is meant, in the caller's account. Errors: ERR_API */
NODISCARD Err lambda_name_of(Call *c, Str text, Str qualifier, LambdaName *out);
/* Its record: the version that is meant, $LATEST where none is. Errors: ERR_API: ResourceNotFoundException */
NODISCARD Err lambda_need(Call *c, const LambdaName *n, LambdaFunctionRecord *out);
NODISCARD Err lambda_not_found(Call *c, const LambdaName *n);
/* Errors: ERR_API: PreconditionFailedException: another revision is expected than it has */
NODISCARD Err lambda_expect_revision(Call *c, Str expected, Str have);
/* A change of the function: another revision, now. */
void lambda_touch(Call *c, LambdaFunctionRecord *f);
/* qualifier: version or alias in its ARN, or STR_NONE */
LambdaFunctionConfiguration *lambda_configuration(Call *c, const LambdaFunctionRecord *f, Str qualifier);
/* Answers that are a configuration: the models' structs of both are one shape. */
#define LAMBDA_ANSWER(out, configuration)                                                                              \
    do {                                                                                                               \
        _Static_assert(sizeof *(out) == sizeof(LambdaFunctionConfiguration), "one shape");                             \
        memcpy((out), (configuration), sizeof *(out));                                                                 \
    } while (0)

/* One published version of what $LATEST is now. */
NODISCARD Err lambda_publish(Call *c, LambdaFunctionRecord *latest, Str description, LambdaFunctionRecord *out);
/* Deletes packages of this function that no version has any more. */
NODISCARD Err lambda_drop_code(Call *c, Str name);

/* Whether the service may call it on behalf of the resource: some statement of its resource policy says so. */
NODISCARD Err lambda_permits(Txn *txn, Tenant tenant, Str name, Str qualifier, Str principal, Str source_arn,
                             Str source_account, Arena *arena, bool *out);

/* A call of this function for the runner, all of it copied. */
RunnerCall *lambda_call_new(Lambda *l, Tenant tenant, const LambdaFunctionRecord *f, const LambdaName *name);
/* Unpacks its code where that is not there yet, then gives it to the runner. Any thread, does not wait. */
void lambda_dispatch(Lambda *l, RunnerCall *call, Str code_sha256);

/* An asynchronous call: stored in the transaction, and begun after its commit. Source: Lambda developer guide: two
 * more attempts, after one and two minutes */
NODISCARD Err lambda_event_store(Txn *txn, Tenant tenant, const LambdaEventRecord *event);
void lambda_event_begin(Lambda *l, Tenant tenant, const LambdaEventRecord *event);
