#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "services/lambda/code.h"
#include "services/lambda/runner_internal.h"
#include "services/lambda/spawn.h"

/* One process of a function, from its start to its last handle. It is unlinked as soon as it is to end, and freed
 * when the kernel has said that it did and libuv has let go of all its handles. */

static void set_state(Instance *i, InstanceState state) {
    Entry *e = i->entry;
    if (e) {
        e->starting_n -= i->state == INSTANCE_STARTING;
        e->busy_n -= i->state == INSTANCE_BUSY;
        e->starting_n += state == INSTANCE_STARTING;
        e->busy_n += state == INSTANCE_BUSY;
    }
    i->state = state;
}

static void link_up(Instance *i) {
    Runner *r = i->runner;
    Entry *e = i->entry;
    i->next = r->instances;
    if (i->next) i->next->prev = i;
    r->instances = i;
    r->instances_n++;
    i->entry_next = e->instances;
    if (i->entry_next) i->entry_next->entry_prev = i;
    e->instances = i;
    e->starting_n++;
}

void instance_unlink(Instance *i) {
    Runner *r = i->runner;
    Entry *e = i->entry;
    if (!e) return;
    *(i->prev ? &i->prev->next : &r->instances) = i->next;
    if (i->next) i->next->prev = i->prev;
    *(i->entry_prev ? &i->entry_prev->entry_next : &e->instances) = i->entry_next;
    if (i->entry_next) i->entry_next->entry_prev = i->entry_prev;
    r->instances_n--;
    i->entry = NULL;
}

void instance_handle_closed(Instance *i) {
    if (--i->handles > 0 || i->state != INSTANCE_ENDED) return;
    if (i->tmp_dir[0]) lambda_code_delete(i->tmp_dir);
    arena_free(&i->arena);
    free(i);
}

/* ------------------------------------------------------------------------------------------------ what it says */

static void keep_tail(Instance *i, Str text) {
    if (text.len + 1 > TAIL_BYTES) text = str_from(text, text.len + 1 - TAIL_BYTES);
    if (i->tail_len + text.len + 1 > sizeof i->tail) {
        size_t keep = TAIL_BYTES;
        memmove(i->tail, i->tail + i->tail_len - keep, keep);
        i->tail_len = keep;
    }
    if (text.len) memcpy(i->tail + i->tail_len, text.ptr, text.len);
    i->tail_len += text.len;
    i->tail[i->tail_len++] = '\n';
}

void instance_line(Instance *i, RunnerLine kind, Str text) {
    int64_t s = runner_now_ms() / 1000;
    if (kind != RUNNER_WARNING) keep_tail(i, text);
    if (s != i->line_s) {
        char lost[64];
        int n =
            i->lines_lost ? snprintf(lost, sizeof lost, "%lld lines more were not kept", (long long)i->lines_lost) : 0;
        i->line_s = s;
        i->lines_n = i->lines_lost = 0;
        if (n) instance_line(i, RUNNER_WARNING, (Str){ (uint8_t *)lost, (size_t)n });
    }
    if (kind < RUNNER_PLATFORM && i->lines_n >= LINES_PER_S_MAX) {
        i->lines_lost++;
        return;
    }
    i->lines_n++;
    i->runner->o.line(i->runner->o.ctx, kind, &i->function, str_c(i->request_id), text);
}

static void output_bytes(InstanceOutput *o, const uint8_t *bytes, size_t n) {
    RunnerLine kind = o->error ? RUNNER_STDERR : RUNNER_STDOUT;
    for (size_t at = 0; at < n;) {
        const uint8_t *end = memchr(bytes + at, '\n', n - at);
        size_t piece = end ? (size_t)(end - bytes) - at : n - at, room = sizeof o->line - o->len;
        if (piece > room) {
            piece = room;
            end = NULL;
        }
        memcpy(o->line + o->len, bytes + at, piece);
        o->len += piece;
        at += piece + (end != NULL);
        if (!end && o->len < sizeof o->line) continue;
        instance_line(o->instance, kind, (Str){ o->line, o->len });
        o->len = 0;
    }
}

/* What it wrote before it answered is in the pipe already. Bounded: another of its threads may write for ever. */
static void drain(InstanceOutput *o) {
    uint8_t bytes[8192];
    uv_os_fd_t fd;
    ssize_t n;
    if (!o->open || uv_fileno((uv_handle_t *)&o->pipe, &fd)) return;
    for (int turns = 0; turns < 128 && (n = read(fd, bytes, sizeof bytes)) > 0; turns++)
        output_bytes(o, bytes, (size_t)n);
}

static void room_for(uv_handle_t *h, size_t wanted, uv_buf_t *buf) {
    (void)h, (void)wanted;
    *buf = uv_buf_init(mem_grow(NULL, 65536), 65536);
}

static void handle_closed(uv_handle_t *h) {
    instance_handle_closed(h->data);
}

static void on_output(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
    InstanceOutput *o = (InstanceOutput *)stream;
    if (n > 0) output_bytes(o, (uint8_t *)buf->base, (size_t)n);
    free(buf->base);
    if (n >= 0 || !o->open) return;
    if (o->len) instance_line(o->instance, o->error ? RUNNER_STDERR : RUNNER_STDOUT, (Str){ o->line, o->len });
    o->open = false;
    uv_close((uv_handle_t *)stream, handle_closed);
}

static Err output_open(Instance *i, InstanceOutput *o, bool error, int *write_fd) {
    int fds[2];
    if (pipe2(fds, O_CLOEXEC)) return ERR_IO;
    o->instance = i;
    o->error = error;
    uv_pipe_init(&i->runner->loop, &o->pipe, 0);
    o->pipe.data = i;
    i->handles++;
    o->open = true;
    *write_fd = fds[1];
    if (uv_pipe_open(&o->pipe, fds[0])) {
        close(fds[0]);
        return ERR_IO;
    }
    uv_read_start((uv_stream_t *)&o->pipe, room_for, on_output);
    return OK;
}

/* ------------------------------------------------------------------------------------------------ its processes */

enum { TREE_MAX = PROCESSES_MAX + 1 };

static size_t read_proc(int pid, const char *file, char *text, size_t size) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t len = 0;
    ssize_t n;
    while (fd >= 0 && len < size - 1 && (n = read(fd, text + len, size - 1 - len)) > 0) len += (size_t)n; /* by pages */
    if (fd >= 0) close(fd);
    text[len] = 0;
    return len;
}

/* The process and all that descend from it; any thread may have made children. */
static size_t tree_of(int pid, int *out, size_t *threads_n) {
    size_t n = 0;
    *threads_n = 0;
    out[n++] = pid;
    for (size_t i = 0; i < n && n < TREE_MAX; i++) {
        char path[64], file[64], text[16384];
        snprintf(path, sizeof path, "/proc/%d/task", out[i]);
        DIR *threads = opendir(path);
        const struct dirent *e;
        while (threads && n < TREE_MAX && (e = readdir(threads))) {
            if (e->d_name[0] == '.') continue;
            ++*threads_n;
            snprintf(file, sizeof file, "task/%.20s/children", e->d_name);
            if (!read_proc(out[i], file, text, sizeof text)) continue;
            char *at = text, *next;
            for (long child; n < TREE_MAX && (child = strtol(at, &next, 10)) > 0; at = next) out[n++] = (int)child;
        }
        if (threads) closedir(threads);
    }
    if (*threads_n < n) *threads_n = n;
    return n;
}

/* What an instance without a namespace of its own has started; where its first process is over, by what it was given.
 */
static void kill_tree(const Instance *i) {
    int tree[TREE_MAX];
    size_t threads;
    for (size_t k = tree_of(i->pid, tree, &threads); k > 0; k--) kill(tree[k - 1], SIGKILL);
}

static bool given_to(const Instance *i, int pid) {
    char text[65536], want[64];
    int n = snprintf(want, sizeof want, "AWS_LAMBDA_RUNTIME_API=%s", i->api);
    size_t len = read_proc(pid, "environ", text, sizeof text);
    return len && memmem(text, len, want, (size_t)n + 1);
}

static void kill_left(const Instance *i) {
    DIR *all = opendir("/proc");
    const struct dirent *e;
    while (all && (e = readdir(all))) {
        int pid = atoi(e->d_name);
        if (pid > 0 && given_to(i, pid)) kill(pid, SIGKILL);
    }
    if (all) closedir(all);
}

/* ------------------------------------------------------------------------------------------------ its end */

void instance_end(Instance *i) {
    if (i->state == INSTANCE_ENDED) return;
    set_state(i, INSTANCE_ENDED);
    if (i->pid > 0 && i->tmp_dir[0]) kill_tree(i);
    if (i->pid > 0) spawn_kill(i->pid);
    instance_unlink(i);
    api_close_all(i);
    InstanceOutput *outputs[] = { &i->out, &i->err };
    for (int k = 0; k < 2; k++) {
        if (!outputs[k]->open) continue;
        outputs[k]->open = false;
        uv_close((uv_handle_t *)&outputs[k]->pipe, handle_closed);
    }
}

/* Source of the text: AWS's answer to a function whose process ended */
static Str exit_text(const Instance *i, const siginfo_t *info, char *text, size_t size) {
    char how[64];
    if (info->si_code == CLD_EXITED)
        snprintf(how, sizeof how, "exit status %d", info->si_status);
    else
        snprintf(how, sizeof how, "signal: %s", info->si_status == SIGKILL ? "killed" : strsignal(info->si_status));
    int n =
        snprintf(text, size,
                 "{\"errorType\":\"Runtime.ExitError\",\"errorMessage\":\"RequestId: %s Error: Runtime exited %s%s\"}",
                 i->request_id,
                 info->si_code == CLD_EXITED && info->si_status == 0 ? "without providing a reason" : "with error: ",
                 info->si_code == CLD_EXITED && info->si_status == 0 ? "" : how);
    return (Str){ (uint8_t *)text, (size_t)n };
}

void instance_init_failed(Instance *i, Str answer) {
    Entry *e = i->entry;
    drain(&i->out);
    drain(&i->err);
    set_state(i, INSTANCE_BUSY); /* not starting any more */
    entry_fail_one(e, OK, S("Unhandled"), answer);
    instance_end(i);
}

static void on_ended(uv_poll_t *poll, int status, int events) {
    Instance *i = poll->data;
    siginfo_t info = { 0 };
    char text[256];
    (void)status, (void)events;
    spawn_kill(i->pid); /* what it started, while its id is still its own */
    if (i->tmp_dir[0]) kill_left(i);
    if (waitid(P_PID, (id_t)i->pid, &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0) return;
    uv_poll_stop(poll);
    i->pid = 0;
    if (i->state != INSTANCE_ENDED) {
        drain(&i->out);
        drain(&i->err);
        Str answer = exit_text(i, &info, text, sizeof text);
        if (i->state == INSTANCE_STARTING) {
            instance_init_failed(i, answer);
        } else {
            if (i->call) instance_line(i, RUNNER_PLATFORM, answer);
            call_settle(i, OK, S("Unhandled"), answer);
            instance_end(i);
        }
    }
    close(i->pid_fd);
    uv_close((uv_handle_t *)poll, handle_closed);
}

/* ------------------------------------------------------------------------------------------------ its calls */

static int64_t resident_bytes(int pid) {
    char text[128];
    long long all = 0, resident = 0;
    if (!read_proc(pid, "statm", text, sizeof text) || sscanf(text, "%lld %lld", &all, &resident) != 2) return 0;
    return resident * (int64_t)sysconf(_SC_PAGESIZE);
}

/* What it shares with others counts in parts. */
static int64_t own_bytes(int pid) {
    char text[2048];
    long long kb = 0;
    const char *at = read_proc(pid, "smaps_rollup", text, sizeof text) ? strstr(text, "\nPss:") : NULL;
    if (!at || sscanf(at, "\nPss: %lld", &kb) != 1) return 0;
    return kb << 10;
}

InstanceUse instance_use(const Instance *i) {
    int tree[TREE_MAX];
    int64_t bytes = 0, own = 0, limit = i->function.memory_mb << 20;
    InstanceUse use = { 0 };
    size_t n = tree_of(i->pid, tree, &use.processes);
    for (size_t k = 0; k < n; k++) bytes += resident_bytes(tree[k]);
    use.memory_mb = bytes >> 20;
    if (n == 1 || use.memory_mb <= i->function.memory_mb || use.processes > PROCESSES_MAX) return use;
    for (size_t k = 0; k < n && own <= limit + (1 << 20); k++) own += own_bytes(tree[k]);
    use.memory_mb = own >> 20;
    return use;
}

static int64_t peak_mb(const Instance *i) {
    char path[64], line[256];
    long long kb = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)i->pid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %lld", &kb) == 1) break;
    if (f) fclose(f);
    return kb >> 10;
}

void instance_begin(Instance *i, RunnerCall *call) {
    char line[160];
    i->call = call;
    i->begun_ms = runner_now_ms();
    i->deadline_ms = i->begun_ms + i->function.timeout_s * 1000;
    snprintf(i->request_id, sizeof i->request_id, "%.*s", PS(call->request_id));
    i->tail_len = 0;
    set_state(i, INSTANCE_BUSY);
    int n = snprintf(line, sizeof line, "START RequestId: %s Version: %.*s", i->request_id, PS(i->function.version));
    instance_line(i, RUNNER_PLATFORM, (Str){ (uint8_t *)line, (size_t)n });
    api_give(i);
}

void call_settle(Instance *i, Err result, Str error, Str answer) {
    RunnerCall *c = i->call;
    if (!c) return;
    i->call = NULL;
    if (c->want_log) {
        size_t from = i->tail_len > TAIL_BYTES ? i->tail_len - TAIL_BYTES : 0;
        c->log = str_dup(&c->arena, (Str){ i->tail + from, i->tail_len - from });
    }
    call_finish(i->runner, c, result, error, answer);
}

void instance_answered(Instance *i, Str error, Str answer) {
    char line[320], init[64] = "";
    int64_t ms = runner_now_ms() - i->begun_ms;
    drain(&i->out);
    drain(&i->err);
    int n = snprintf(line, sizeof line, "END RequestId: %s", i->request_id);
    instance_line(i, RUNNER_PLATFORM, (Str){ (uint8_t *)line, (size_t)n });
    if (!i->reported_init) snprintf(init, sizeof init, "Init Duration: %lld.00 ms\t", (long long)i->init_ms);
    i->reported_init = true;
    n = snprintf(
        line, sizeof line,
        "REPORT RequestId: %s\tDuration: %lld.00 ms\tBilled Duration: %lld ms\tMemory Size: %lld MB\tMax Memory "
        "Used: %lld MB\t%s",
        i->request_id, (long long)ms, (long long)(ms ? ms : 1), (long long)i->function.memory_mb, (long long)peak_mb(i),
        init);
    instance_line(i, RUNNER_PLATFORM, (Str){ (uint8_t *)line, (size_t)n });
    call_settle(i, OK, error, answer);
    set_state(i, INSTANCE_ANSWERED);
}

void instance_ready(Instance *i) {
    if (i->state == INSTANCE_STARTING) i->init_ms = runner_now_ms() - i->started_ms;
    i->request_id[0] = 0;
    i->idle_ms = runner_now_ms();
    set_state(i, INSTANCE_IDLE);
    if (i->retired)
        instance_end(i);
    else
        entry_pump(i->entry);
}

/* ------------------------------------------------------------------------------------------------ its start */

typedef struct {
    Arena *arena;
    char *items[1024];
    size_t n;
} Vars;

static void var(Vars *v, const char *name, Str value) {
    if (v->n + 1 < sizeof v->items / sizeof *v->items)
        v->items[v->n++] = str_dup_c(v->arena, str_format(v->arena, "%s=%.*s", name, PS(value)));
}

/* Source: Lambda developer guide, "Defined runtime environment variables". Keys of the function's role are not given:
 * nobody here could issue them for a role that only its ARN is known of. */
static char *const *environment(Instance *i, bool contained, Arena *a) {
    const RunnerFunction *f = &i->function;
    Vars *v = arena_new(a, Vars);
    v->arena = a;
    Str task = contained ? S("/var/task") : f->code_dir;
    for (size_t k = 0; k < f->environment.n; k++)
        var(v, str_dup_c(a, f->environment.items[k].key), f->environment.items[k].value);
    time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    Str stream = str_format(a, "%04d/%02d/%02d/[%.*s]%016llx", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
                            PS(f->version), (unsigned long long)rng_u64(&i->runner->rng));
    bool python = str_starts(f->runtime, S("python"));
    var(v, "AWS_LAMBDA_RUNTIME_API", str_c(i->api));
    var(v, "_HANDLER", f->handler);
    var(v, "AWS_REGION", f->region);
    var(v, "AWS_DEFAULT_REGION", f->region);
    if (python) var(v, "AWS_EXECUTION_ENV", str_format(a, "AWS_Lambda_%.*s", PS(f->runtime)));
    var(v, "AWS_LAMBDA_FUNCTION_NAME", f->name);
    var(v, "AWS_LAMBDA_FUNCTION_VERSION", f->version);
    var(v, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", str_format(a, "%lld", (long long)f->memory_mb));
    var(v, "AWS_LAMBDA_INITIALIZATION_TYPE", S("on-demand"));
    var(v, "AWS_LAMBDA_LOG_GROUP_NAME", str_format(a, "/aws/lambda/%.*s", PS(f->name)));
    var(v, "AWS_LAMBDA_LOG_STREAM_NAME", stream);
    var(v, "LAMBDA_TASK_ROOT", task);
    var(v, "LAMBDA_RUNTIME_DIR", S("/var/runtime"));
    var(v, "TZ", S(":UTC"));
    var(v, "LANG", S("C.UTF-8"));
    var(v, "HOME", contained ? S("/tmp") : str_c(i->tmp_dir));
    if (!contained) var(v, "TMPDIR", str_c(i->tmp_dir));
    var(v, "PATH", S("/usr/local/bin:/usr/bin:/bin"));
    var(v, "LD_LIBRARY_PATH", str_format(a, "%.*s:%.*s/lib", PS(task), PS(task)));
    if (python) var(v, "PYTHONDONTWRITEBYTECODE", S("1"));
    return v->items;
}

static void tell_python(Instance *i, Str text) {
    if (i->entry->told_python) return;
    i->entry->told_python = true;
    instance_line(i, RUNNER_WARNING, text);
}

static void tell_other_version(Instance *i, Arena *a) {
    Str have = i->runner->python.version, want = i->function.runtime;
    if (str_eq(have, want)) return;
    tell_python(i, str_format(a,
                              "its runtime is %.*s, but '%s' is %.*s and runs it: name an interpreter of that version "
                              "by --lambda-python, or set the function's runtime",
                              PS(want), i->runner->o.python, PS(have)));
}

static Err program(Instance *i, Arena *a, char ***argv, const char *const **visible, Str *why) {
    static const char *const NONE[] = { NULL };
    const RunnerFunction *f = &i->function;
    char **args = arena_array(a, char *, 5);
    *argv = args;
    *visible = NONE;
    if (!str_starts(f->runtime, S("python"))) {
        args[0] = str_dup_c(a, str_format(a, "%.*s/bootstrap", PS(f->code_dir)));
        if (access(args[0], X_OK)) {
            *why = S("the package of a provided runtime must have an executable file 'bootstrap' at its top");
            return ERR_IO;
        }
        if (i->runner->contained) args[0] = str_dup_c(a, S("/var/task/bootstrap"));
        return OK;
    }
    python_find(i->runner);
    if (i->runner->python.error.ptr) {
        *why = i->runner->python.error;
        tell_python(i, *why);
        return ERR_IO;
    }
    tell_other_version(i, a);
    args[0] = str_dup_c(a, str_c(i->runner->python.program));
    args[1] = str_dup_c(a, S("-m"));
    args[2] = str_dup_c(a, S("awslambdaric"));
    args[3] = str_dup_c(a, f->handler);
    *visible = (const char *const *)i->runner->python.visible;
    return OK;
}

static Err spawn_in(Instance *i, int out_fd, int err_fd, Arena *a, Spawned *out, Str *why) {
    Runner *r = i->runner;
    char **argv;
    const char *const *visible;
    if (!r->contained) {
        snprintf(i->tmp_dir, sizeof i->tmp_dir, "%s/tmp.XXXXXX", r->o.dir);
        if (!mkdtemp(i->tmp_dir)) {
            *why = str_format(a, "%s: %s", i->tmp_dir, strerror(errno));
            i->tmp_dir[0] = 0;
            return ERR_IO;
        }
    }
    Err e = program(i, a, &argv, &visible, why);
    if (e != OK) return e;
    SpawnSpec spec = { .argv = argv,
                       .envp = environment(i, r->contained, a),
                       .code_dir = str_dup_c(a, i->function.code_dir),
                       .tmp_dir = i->tmp_dir,
                       .root_dir = r->root_dir,
                       .visible = visible,
                       .memory_mb = i->function.memory_mb,
                       .tmp_mb = i->function.tmp_mb,
                       .out_fd = out_fd,
                       .err_fd = err_fd,
                       .contained = r->contained };
    e = spawn_process(&spec, a, out, why);
    if (e == OK) r->contained_before |= r->contained;
    if (e != ERR_NOT_IMPLEMENTED) return e;
    if (r->contained_before) return ERR_IO; /* this kernel has them: who brings one start to fail gains nothing */
    instance_line(i, RUNNER_WARNING,
                  str_format(a,
                             "functions run without namespaces of their own (%.*s): only Landlock and limits keep them",
                             PS(*why)));
    r->contained = false;
    return spawn_in(i, out_fd, err_fd, a, out, why);
}

Err instance_start(Entry *entry, Arena *scratch, Str *why) {
    Runner *r = entry->runner;
    Instance *i = mem_new(sizeof *i);
    int out_fd = -1, err_fd = -1;
    Spawned spawned;
    i->runner = r;
    i->entry = entry;
    i->function = entry->function;
    Str *texts[] = { &i->function.id,      &i->function.account, &i->function.region,  &i->function.name,
                     &i->function.version, &i->function.runtime, &i->function.handler, &i->function.code_dir };
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) *texts[k] = str_dup(&i->arena, *texts[k]);
    i->started_ms = runner_now_ms();
    i->deadline_ms = i->started_ms + INIT_MS_MAX + i->function.timeout_s * 1000;
    link_up(i);
    i->handles = 1; /* until it has started */
    *why = S("no pipe or socket for its process");
    Err e = api_listen(i);
    if (e == OK) e = output_open(i, &i->out, false, &out_fd);
    if (e == OK) e = output_open(i, &i->err, true, &err_fd);
    if (e == OK) e = spawn_in(i, out_fd, err_fd, scratch, &spawned, why);
    if (out_fd >= 0) close(out_fd);
    if (err_fd >= 0) close(err_fd);
    i->function.environment = (StrMap){ 0 }; /* the entry's, and given */
    if (e == OK) {
        i->pid = spawned.pid;
        i->pid_fd = spawned.fd;
        uv_poll_init(&r->loop, &i->ended, i->pid_fd);
        i->ended.data = i;
        i->handles++;
        uv_poll_start(&i->ended, UV_READABLE, on_ended);
    } else {
        instance_end(i);
    }
    instance_handle_closed(i); /* the one of the start */
    return e;
}
