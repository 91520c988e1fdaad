/* Inside Lambda: what its files share of the running whole. */
#pragma once

#include "services/lambda/runner.h"
#include "services/lambda/shared.h"

typedef struct EventRun EventRun;

struct Lambda {
    Functions functions; /* first */
    LambdaOptions o;
    Runner *runner;
    uint8_t secret[32]; /* of the URLs of packages */
    /* asynchronous calls that wait for their next attempt */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping;
    EventRun *delayed;
    _Atomic int64_t events_n; /* acknowledged and not done */
};

enum { LAMBDA_EVENTS_MAX = 10000 };

void lambda_events_open(Lambda *l);
void lambda_events_shut(Lambda *l);
void lambda_events_close(Lambda *l);
