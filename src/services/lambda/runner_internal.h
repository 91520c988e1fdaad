/* Inside the runner: entries are functions, instances their processes. All on the runner's thread. */
#pragma once

#include <pthread.h>
#include <uv.h>

#include "base/map.h"
#include "base/rng.h"
#include "net/http.h"
#include "services/lambda/runner.h"

typedef struct Entry Entry;
typedef struct Instance Instance;
typedef struct ApiConn ApiConn;

/* Source: Lambda quotas: 6 MB a synchronous payload; AWS: 10 s to begin; a log line 256 KB */
enum {
    PAYLOAD_BYTES_MAX = 6 << 20,
    INIT_MS_MAX = 10000,
    WAITING_MAX = 1000,
    TAIL_BYTES = 4096,
    LINE_BYTES_MAX = 8192,
    LINES_PER_S_MAX = 1000,
    TICK_MS = 100,
    PROCESSES_MAX = 1024, /* and threads, of one instance. Source: Lambda quotas */
};

struct Runner {
    RunnerOptions o;
    pthread_t thread;
    uv_loop_t loop;
    uv_async_t wake;
    uv_timer_t tick;
    pthread_mutex_t lock;
    RunnerCall *posted, **posted_tail;
    bool stopping, ended;
    Map entries;
    Instance *instances;
    int64_t instances_n;
    RunnerCall *patient; /* those that somebody waits for with a limit, by their own link */
    Rng rng;
    Arena arena; /* as long as the runner */
    char *root_dir;
    bool contained, contained_before, told_uncontained, told_unknown;
    struct {
        bool asked;
        Str error;   /* STR_NONE: usable */
        Str version; /* "python3.11" */
        const char *program;
        const char **visible;
    } python;
};

struct Entry {
    Runner *runner;
    Arena arena; /* of the function */
    RunnerFunction function;
    RunnerCall *waiting, **waiting_tail;
    size_t waiting_n, busy_n, starting_n, idle_n;
    Instance *instances;
    bool told_python; /* what is wrong with the interpreter, once */
};

typedef enum { INSTANCE_STARTING, INSTANCE_IDLE, INSTANCE_BUSY, INSTANCE_ANSWERED, INSTANCE_ENDED } InstanceState;

typedef struct {
    uv_pipe_t pipe;
    Instance *instance;
    bool open, error;
    size_t len; /* of an unfinished line */
    uint8_t line[LINE_BYTES_MAX];
} InstanceOutput;

struct Instance {
    Runner *runner;
    Entry *entry;
    Instance *next, *prev;             /* of the runner */
    Instance *entry_next, *entry_prev; /* of the entry */
    InstanceState state;
    bool retired; /* ends when its call is done */
    pid_t pid;
    int pid_fd, exit_status;
    uv_poll_t ended;
    uv_tcp_t server;
    ApiConn *conns, *next_conn; /* next_conn: waits for an invocation */
    InstanceOutput out, err;
    int handles; /* that are not closed yet */
    RunnerCall *call;
    RunnerFunction function; /* in arena: a retired one keeps its own */
    Arena arena;
    char request_id[40];
    char api[32];
    char tmp_dir[256];
    int64_t started_ms, begun_ms, deadline_ms, idle_ms;
    int64_t init_ms;
    bool reported_init;
    bool stop_reason_set;
    char stop_error[512]; /* why it was ended: the answer of its call */
    uint8_t tail[2 * TAIL_BYTES];
    size_t tail_len;
    int64_t line_s, lines_n, lines_lost;
};

/* entries */
void entry_pump(Entry *e);                                        /* hands out waiting calls, starts what lacks */
void entry_fail_one(Entry *e, Err result, Str error, Str answer); /* the call that an instance was started for */
void call_finish(Runner *r, RunnerCall *call, Err result, Str error, Str answer);
void call_settle(Instance *i, Err result, Str error, Str answer); /* of its call, if it still has one */
int64_t runner_now_ms(void);

/* instances */
NODISCARD Err instance_start(Entry *e, Arena *scratch, Str *why);
void instance_begin(Instance *i, RunnerCall *call);         /* it is idle */
void instance_end(Instance *i);                             /* kills it; its call must be settled */
void instance_answered(Instance *i, Str error, Str answer); /* its word on its call */
void instance_init_failed(Instance *i, Str answer);
void instance_ready(Instance *i); /* it asks for an invocation */
void instance_unlink(Instance *i);
void instance_line(Instance *i, RunnerLine kind, Str text);
void instance_handle_closed(Instance *i);
void instance_forget_call(Instance *i, const RunnerCall *call);
typedef struct {
    int64_t memory_mb;
    size_t processes; /* and threads; PROCESSES_MAX + 1: or more */
} InstanceUse;
InstanceUse instance_use(const Instance *i); /* of all its processes together */

/* the Runtime API */
NODISCARD Err api_listen(Instance *i);
void api_give(Instance *i); /* its call to the connection that waits */
void api_close_all(Instance *i);

/* Finds the interpreter and what it must see, once. */
void python_find(Runner *r);
