/* Runner: a thread that runs functions in processes of their own and hands them their calls through the Lambda Runtime
 * API. Knows neither store nor Lambda's own API. */
#pragma once

#include "base/list.h"
#include "base/arena.h"

typedef struct Runner Runner;

/* A function as it is to be run. Borrowed from the call that brings it. */
typedef struct {
    Str id;       /* whose instances: ACCOUNT/REGION/NAME/VERSION */
    Str revision; /* instances of another one end when their call is done */
    Str account, region, name, version;
    Str runtime, handler;
    StrMap environment;
    Str code_dir;
    int64_t timeout_s, memory_mb, tmp_mb;
    int64_t reserved; /* calls at once; -1: as many as the machine takes */
} RunnerFunction;

typedef struct RunnerCall {
    struct RunnerCall *next; /* the runner's */
    Arena arena;             /* holds what the call is made of, and its answer */
    RunnerFunction function;
    Str request_id, invoked_arn, client_context;
    Str payload;
    int64_t patience_ms; /* 0: as long as the function may run */
    bool want_log;
    /* On the runner's thread, once; the call is the receiver's again. */
    void (*done)(struct RunnerCall *call);
    void *ctx;
    /* the answer: as FunctionAnswer has it */
    Err result;
    Str answer, error, log;
    /* the runner's */
    int64_t begun_ms;
} RunnerCall;

typedef enum { RUNNER_STDOUT, RUNNER_STDERR, RUNNER_PLATFORM, RUNNER_WARNING } RunnerLine;

typedef struct {
    const char *dir;    /* where instances may be given folders; made */
    const char *python; /* interpreter of python3.x functions, with awslambdaric */
    int64_t instances_max, idle_s;
    bool uncontained;
    /* A line that a function wrote, or that is said about it; on the runner's thread. */
    void (*line)(void *ctx, RunnerLine kind, const RunnerFunction *f, Str request_id, Str text);
    void *ctx;
} RunnerOptions;

Runner *runner_start(const RunnerOptions *options);
/* Ends every instance; calls under way, and those that still come, are answered ERR_CLOSED. */
void runner_stop(Runner *r);
void runner_free(Runner *r);                     /* after runner_stop */
void runner_submit(Runner *r, RunnerCall *call); /* any thread */
bool runner_can(Str runtime);                    /* python3.x, provided, provided.al2 … */
RunnerCall *runner_call_new(void);
void runner_call_free(RunnerCall *call);
