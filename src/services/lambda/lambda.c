#include "services/lambda/lambda.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "services/lambda/alias.h"
#include "services/lambda/code.h"
#include "services/lambda/local.h"
#include "services/lambda/shared.h"
#include "store/worker.h"

/* From whoever calls to the runner: a worker reads the function's record and asks its resource policy, a slow one
 * unpacks its package where no process of it has needed it yet, then the runner has the call. */

/* ------------------------------------------------------------------------------------------------ to the runner */

RunnerCall *lambda_call_new(Lambda *l, Tenant tenant, const LambdaFunctionRecord *f, const LambdaName *name) {
    RunnerCall *run = runner_call_new();
    Arena *a = &run->arena;
    RunnerFunction *to = &run->function;
    *to = (RunnerFunction){ .account = str_dup(a, tenant.account),
                            .region = str_dup(a, tenant.region),
                            .name = str_dup(a, f->function_name),
                            .version = str_dup(a, f->version),
                            .revision = str_format(a, "%lld/%.*s", (long long)f->modified_ms, PS(f->code_sha256)),
                            .runtime = str_dup(a, f->runtime),
                            .handler = str_dup(a, f->handler),
                            .code_dir = str_format(a, "%s/%.*s", l->o.dir, PS(f->code_sha256)),
                            .timeout_s = f->timeout_s,
                            .memory_mb = f->memory_mb,
                            .tmp_mb = f->ephemeral_mb,
                            .reserved = f->reserved_and_one - 1 };
    to->id = str_format(a, "%.*s/%.*s/%.*s/%.*s", PS(to->account), PS(to->region), PS(to->name), PS(to->version));
    to->environment.items = arena_array(a, StrPair, f->environment.n);
    for (size_t i = 0; i < f->environment.n; i++)
        to->environment.items[to->environment.n++] =
            (StrPair){ str_dup(a, f->environment.items[i].key), str_dup(a, f->environment.items[i].value) };
    run->invoked_arn = lambda_arn(a, name);
    return run;
}

typedef struct {
    Job job; /* first */
    Lambda *lambda;
    RunnerCall *run;
    Str code_sha256; /* in run's arena */
    Str why;
} Unpack;

static Err unpack(Job *job, Txn *txn) {
    Unpack *u = (Unpack *)job;
    Arena arena = { 0 };
    LambdaCodeRecord code;
    Str why = S("");
    RunnerCall *run = u->run;
    Tenant tenant = { run->function.account, run->function.region };
    Err e = lambda_code_record_peek(txn, tenant, run->function.name, u->code_sha256, &arena, &code);
    if (e == OK) e = lambda_code_unpack(code.zip, str_dup_c(&arena, run->function.code_dir), &arena, &why);
    if (e != OK) u->why = str_format(&run->arena, "its package cannot be unpacked: %.*s", PS(why));
    arena_free(&arena);
    return e == ERR_CONFLICT ? e : e == OK ? OK : ERR_IO;
}

static void unpacked(Job *job, Err e) {
    Unpack *u = (Unpack *)job;
    if (e == OK) {
        runner_submit(u->lambda->runner, u->run);
    } else {
        u->run->result = ERR_IO;
        u->run->answer = u->why.ptr ? u->why : S("its package cannot be read");
        u->run->done(u->run);
    }
    free(u);
}

void lambda_dispatch(Lambda *l, RunnerCall *run, Str code_sha256) {
    struct stat st;
    Arena scratch = { 0 };
    bool there = stat(str_dup_c(&scratch, run->function.code_dir), &st) == 0;
    arena_free(&scratch);
    if (there) {
        runner_submit(l->runner, run);
        return;
    }
    Unpack *u = mem_new(sizeof *u);
    u->lambda = l;
    u->run = run;
    u->code_sha256 = str_dup(&run->arena, code_sha256);
    u->job = (Job){ .key = str_hash(code_sha256), .run = unpack, .done = unpacked };
    workers_submit(l->o.env->slow_workers, &u->job);
}

/* ------------------------------------------------------------------------------------------------ calls by name */

typedef struct {
    Job job; /* first */
    Lambda *lambda;
    Arena arena, scratch;
    FunctionCall call; /* in arena */
    FunctionDone *done;
    void *ctx;
    LambdaName name;
    Tenant tenant;
    RunnerCall *run;
    Str code_sha256;
    LambdaEventRecord event;
    Str why;
} Named;

static void named_end(Named *n, const FunctionAnswer *answer) {
    n->done(n->ctx, answer);
    arena_free(&n->scratch);
    arena_free(&n->arena);
    free(n);
}

static Err named_refuse(Named *n, Err e, const char *what) {
    n->why = str_format(&n->arena, "%s: %.*s", what, PS(lambda_arn(&n->arena, &n->name)));
    return e;
}

static Err find(Named *n, Txn *txn, LambdaFunctionRecord *f) {
    LambdaFunctionRecord latest;
    bool permitted = false;
    Rng rng = { 0 };
    Str version;
    Err e = alias_version(txn, n->tenant, n->name.name, n->name.qualifier, &rng, &n->scratch, &version);
    if (e == OK) e = lambda_function_record_peek(txn, n->tenant, n->name.name, version, &n->scratch, f);
    if (e == OK) e = lambda_function_record_peek(txn, n->tenant, n->name.name, LAMBDA_LATEST, &n->scratch, &latest);
    if (e == ERR_NOT_FOUND) return named_refuse(n, e, "Function not found");
    if (e == OK) f->reserved_and_one = latest.reserved_and_one;
    if (e == OK)
        e = lambda_permits(txn, n->tenant, n->name.name, n->name.qualifier, n->call.principal, n->call.source_arn,
                           n->call.account, &n->scratch, &permitted);
    if (e == OK && !permitted)
        return named_refuse(n, ERR_DENIED,
                            "The function's resource policy does not let the service call it (AddPermission)");
    return e;
}

static Err named_run(Job *job, Txn *txn) {
    Named *n = (Named *)job;
    LambdaFunctionRecord f;
    if (n->run) runner_call_free(n->run);
    n->run = NULL;
    arena_reset(&n->scratch);
    Err e = find(n, txn, &f);
    if (e != OK) return e;
    if (n->call.event) {
        Rng rng = { 0 };
        n->event = (LambdaEventRecord){ .event_id = rng_uuid(&rng, &n->arena),
                                        .function_name = n->name.name,
                                        .version = f.version,
                                        .invoked_arn = lambda_arn(&n->arena, &n->name),
                                        .payload = n->call.payload,
                                        .accepted_ms = clock_ms(n->lambda->o.env->clock) };
        n->event.due_ms = n->event.accepted_ms;
        n->event.version = str_dup(&n->arena, f.version);
        return lambda_event_store(txn, n->tenant, &n->event);
    }
    n->run = lambda_call_new(n->lambda, n->tenant, &f, &n->name);
    n->code_sha256 = str_dup(&n->arena, f.code_sha256);
    return OK;
}

static void ran(RunnerCall *run) {
    Named *n = run->ctx;
    named_end(n, &(FunctionAnswer){ .result = run->result, .payload = run->answer, .error = run->error });
    runner_call_free(run);
}

static void named_done(Job *job, Err e) {
    Named *n = (Named *)job;
    if (e != OK) {
        if (n->run) runner_call_free(n->run);
        Str why = n->why.ptr ? n->why : S("the store could not be read");
        bool known = e == ERR_NOT_FOUND || e == ERR_DENIED;
        named_end(n, &(FunctionAnswer){ .result = known ? e : ERR_IO, .payload = why });
        return;
    }
    if (n->call.event) {
        lambda_event_begin(n->lambda, n->tenant, &n->event);
        named_end(n, &(FunctionAnswer){ .result = OK, .payload = S("") });
        return;
    }
    RunnerCall *run = n->run;
    Rng rng = { 0 };
    run->request_id = rng_uuid(&rng, &run->arena);
    run->payload = str_dup(&run->arena, n->call.payload);
    run->patience_ms = n->call.patience_ms;
    run->done = ran;
    run->ctx = n;
    lambda_dispatch(n->lambda, run, n->code_sha256);
}

static void call_named(Functions *self, const FunctionCall *call, FunctionDone *done, void *ctx) {
    Lambda *l = (Lambda *)self;
    Named *n = mem_new(sizeof *n);
    n->lambda = l;
    n->call = *call;
    Str *texts[] = { &n->call.account, &n->call.region,    &n->call.function,
                     &n->call.payload, &n->call.principal, &n->call.source_arn };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) *texts[i] = str_dup(&n->arena, *texts[i]);
    n->done = done;
    n->ctx = ctx;
    if (lambda_name_parse(n->call.function, STR_NONE, n->call.account, n->call.region, &n->name) != OK) {
        Str why = str_format(&n->arena, "'%.*s' is neither the name nor the ARN of a function", PS(n->call.function));
        named_end(n, &(FunctionAnswer){ .result = ERR_NOT_FOUND, .payload = why });
        return;
    }
    n->tenant = (Tenant){ n->name.account, n->name.region };
    n->job = (Job){ .key = str_hash(n->name.name), .run = named_run, .done = named_done };
    workers_submit(l->o.env->workers, &n->job);
}

/* ------------------------------------------------------------------------------------------------ life */

static void on_line(void *ctx, RunnerLine kind, const RunnerFunction *f, Str request_id, Str text) {
    static const LogLevel LEVELS[] = { [RUNNER_STDOUT] = LOG_INFO,
                                       [RUNNER_STDERR] = LOG_INFO,
                                       [RUNNER_PLATFORM] = LOG_INFO,
                                       [RUNNER_WARNING] = LOG_WARN };
    Lambda *l = ctx;
    if (l->o.line) l->o.line(l->o.ctx, LEVELS[kind], f->account, f->name, request_id, text);
}

Lambda *lambda_open(const LambdaOptions *options) {
    Lambda *l = mem_new(sizeof *l);
    l->functions.call = call_named;
    l->o = *options;
    Rng rng = { 0 };
    rng_fill(&rng, l->secret, sizeof l->secret);
    lambda_code_delete(l->o.dir); /* a cache: packages are in the store */
    l->runner = runner_start(&(RunnerOptions){ .dir = l->o.dir,
                                               .python = l->o.python,
                                               .instances_max = l->o.instances_max,
                                               .idle_s = l->o.idle_s,
                                               .uncontained = l->o.uncontained,
                                               .line = on_line,
                                               .ctx = l });
    lambda_events_open(l);
    return l;
}

void lambda_shut(Lambda *l) {
    if (!l) return;
    lambda_events_shut(l);
    runner_stop(l->runner);
}

void lambda_close(Lambda *l) {
    if (!l) return;
    lambda_events_close(l);
    runner_free(l->runner);
    free(l);
}

Functions *lambda_functions(Lambda *l) {
    return &l->functions;
}

struct Folder *lambda_objects(const Lambda *l) {
    return l->o.objects;
}
