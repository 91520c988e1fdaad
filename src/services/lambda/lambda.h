/* Lambda: runs functions that its own API stored, each in processes of its own. Everybody else calls them through
 * api/function.h. */
#pragma once

#include "api/function.h"
#include "base/log.h"
#include "services/env.h"

typedef struct Lambda Lambda;

typedef struct {
    Env *env;
    const char *dir;        /* of unpacked packages; emptied at each start */
    const char *python;     /* interpreter of python3.x functions */
    int64_t instances_max;  /* processes at once */
    bool uncontained;       /* without namespaces of their own */
    int64_t idle_s;         /* one that is not called for so long ends */
    struct Folder *objects; /* where S3 is embedded, to take packages from; NULL: nowhere */
    void (*line)(void *ctx, LogLevel level, Str account, Str function, Str request_id, Str text); /* of its log */
    void *ctx;
} LambdaOptions;

Lambda *lambda_open(const LambdaOptions *options);
/* Brings back the asynchronous calls of this account that were acknowledged and not done. */
NODISCARD Err lambda_load_account(Lambda *l, Str account);
/* Ends every function, and answers the calls under way. Before the workers end. */
void lambda_shut(Lambda *l);  /* accepts NULL */
void lambda_close(Lambda *l); /* accepts NULL; after the workers ended */
Functions *lambda_functions(Lambda *l);
struct Folder *lambda_objects(const Lambda *l);
