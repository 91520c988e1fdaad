/* Lambda: runs functions that its own API stored, each in processes of its own. Everybody else calls them through
 * api/function.h. */
#pragma once

#include "api/function.h"
#include "services/env.h"

typedef struct Lambda Lambda;

typedef struct {
    Env *env;
} LambdaOptions;

Lambda *lambda_open(const LambdaOptions *options);
void lambda_close(Lambda *l); /* accepts NULL */
Functions *lambda_functions(Lambda *l);
