#include "services/lambda/lambda.h"

#include <stdlib.h>

#include "base/arena.h"

struct Lambda {
    Functions functions; /* first */
    LambdaOptions o;
};

static void call(Functions *self, const FunctionCall *call, FunctionDone *done, void *ctx) {
    (void)self, (void)call;
    done(ctx, &(FunctionAnswer){ .result = ERR_NOT_IMPLEMENTED, .payload = S("functions are not run yet") });
}

Lambda *lambda_open(const LambdaOptions *options) {
    Lambda *l = mem_new(sizeof *l);
    l->functions.call = call;
    l->o = *options;
    return l;
}

void lambda_close(Lambda *l) {
    free(l);
}

Functions *lambda_functions(Lambda *l) {
    return &l->functions;
}
