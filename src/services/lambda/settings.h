/* A function's settings and package, as CreateFunction and the updates give them. */
#pragma once

#include "services/lambda/shared.h"

/* What is absent stays as it is. */
typedef struct {
    Str runtime, handler, description;
    OptInt timeout, memory_size;
    const LambdaEnvironment *environment;
    const LambdaEphemeralStorage *ephemeral_storage;
    const LambdaTracingConfig *tracing_config;
    const LambdaLoggingConfig *logging_config;
} LambdaSettings;

/* Errors: ERR_API: InvalidParameterValueException */
NODISCARD Err lambda_settings_apply(Call *c, const LambdaSettings *s, LambdaFunctionRecord *f);
NODISCARD Err lambda_architecture(Call *c, StrList asked, LambdaFunctionRecord *f);

/* What needs more of AWS than a process: which of it is asked for. Errors: ERR_API, names it */
typedef struct {
    bool vpc, layers, files, image, dead_letter, snap_start, kms, signing, capacity;
} LambdaForeign;
NODISCARD Err lambda_refuse_foreign(Call *c, const LambdaForeign *f);

typedef struct {
    Str zip_file, s3_bucket, s3_key, image_uri;
} LambdaPackage;
/* Checks the package; stores it, unless it is a dry run, and puts its hash and size into f. Errors: ERR_API */
NODISCARD Err lambda_package_store(Call *c, const LambdaPackage *p, bool dry_run, LambdaFunctionRecord *f);
