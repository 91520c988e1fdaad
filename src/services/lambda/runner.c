#include <stdlib.h>
#include <sys/stat.h>

#include "services/lambda/code.h"
#include "services/lambda/runner_internal.h"

/* An entry is a function of one revision with its instances and the calls that wait for one. A call goes to an idle
 * instance; where none is, one more is started for each waiting call, up to what the function has reserved and the
 * machine is given. Whatever becomes of an instance, its call is answered exactly once: call_finish. All that has a
 * deadline is looked at by one tick, as tenths of a second are exact enough for limits in whole seconds. */

int64_t runner_now_ms(void) {
    return (int64_t)(uv_hrtime() / 1000000);
}

RunnerCall *runner_call_new(void) {
    return mem_new(sizeof(RunnerCall));
}

void runner_call_free(RunnerCall *call) {
    arena_free(&call->arena);
    free(call);
}

bool runner_can(Str runtime) {
    return str_starts(runtime, S("python3.")) || str_starts(runtime, S("provided"));
}

void call_finish(Runner *r, RunnerCall *call, Err result, Str error, Str answer) {
    (void)r;
    call->result = result;
    call->error = error.ptr ? str_dup(&call->arena, error) : STR_NONE;
    call->answer = answer.ptr ? str_dup(&call->arena, answer) : S("");
    call->done(call);
}

/* ------------------------------------------------------------------------------------------------ entries */

static RunnerFunction function_dup(Arena *a, const RunnerFunction *from) {
    RunnerFunction f = *from;
    Str *texts[] = {
        &f.id, &f.revision, &f.account, &f.region, &f.name, &f.version, &f.runtime, &f.handler, &f.code_dir
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) *texts[i] = str_dup(a, *texts[i]);
    f.environment.items = arena_array(a, StrPair, from->environment.n);
    for (size_t i = 0; i < from->environment.n; i++)
        f.environment.items[i] =
            (StrPair){ str_dup(a, from->environment.items[i].key), str_dup(a, from->environment.items[i].value) };
    return f;
}

static void retire_instances(Entry *e) {
    for (Instance *i = e->instances, *next; i; i = next) {
        next = i->entry_next;
        i->retired = true;
        if (i->state == INSTANCE_IDLE || i->state == INSTANCE_STARTING) instance_end(i);
    }
}

static Entry *entry_for(Runner *r, const RunnerFunction *f) {
    Entry *e = map_get(&r->entries, f->id);
    if (!e) {
        e = mem_new(sizeof *e);
        e->runner = r;
        e->waiting_tail = &e->waiting;
        e->function = function_dup(&e->arena, f);
        map_put(&r->entries, e->function.id, e);
        return e;
    }
    if (!str_eq(e->function.revision, f->revision)) {
        Arena fresh = { 0 };
        RunnerFunction now = function_dup(&fresh, f);
        retire_instances(e);
        map_remove(&r->entries, e->function.id);
        arena_free(&e->arena);
        e->arena = fresh;
        e->function = now;
        map_put(&r->entries, e->function.id, e);
    }
    return e;
}

static RunnerCall *take_waiting(Entry *e) {
    RunnerCall *c = e->waiting;
    if (!c) return NULL;
    e->waiting = c->next;
    if (!e->waiting) e->waiting_tail = &e->waiting;
    e->waiting_n--;
    c->next = NULL;
    return c;
}

void entry_fail_one(Entry *e, Err result, Str error, Str answer) {
    RunnerCall *c = take_waiting(e);
    if (c) call_finish(e->runner, c, result, error, answer);
}

static Instance *idle_of(Entry *e) {
    for (Instance *i = e->instances; i; i = i->entry_next)
        if (i->state == INSTANCE_IDLE && !i->retired) return i;
    return NULL;
}

static int64_t of_account(const Runner *r, Str account) {
    int64_t n = 0;
    for (const Instance *i = r->instances; i; i = i->next) n += str_eq(i->function.account, account);
    return n;
}

/* The one that has been idle longest, of another function. */
static bool make_room(Runner *r, const Entry *e, bool own_account) {
    Instance *oldest = NULL;
    for (Instance *i = r->instances; i; i = i->next)
        if (i->state == INSTANCE_IDLE && i->entry != e && (!oldest || i->idle_ms < oldest->idle_ms) &&
            (!own_account || str_eq(i->function.account, e->function.account)))
            oldest = i;
    if (oldest) instance_end(oldest);
    return oldest != NULL;
}

/* A quarter of all is for accounts that have few, so that no account's functions keep another's from being called. */
static bool may_start(Entry *e) {
    Runner *r = e->runner;
    if (e->starting_n >= e->waiting_n) return false;
    int64_t most = r->o.instances_max, own = of_account(r, e->function.account), left = most - r->instances_n;
    int64_t reserve = most > 1 ? (most + 3) / 4 : 0, few = most / 8 > 1 ? most / 8 : 1;
    if (own >= most - reserve) return make_room(r, e, true);
    return left > reserve || (left > 0 && own < few) || make_room(r, e, false);
}

void entry_pump(Entry *e) {
    Arena scratch = { 0 };
    Instance *i;
    while (e->waiting && (i = idle_of(e))) instance_begin(i, take_waiting(e));
    while (e->waiting && may_start(e)) {
        Str why = S("");
        Err err = instance_start(e, &scratch, &why);
        if (err == OK) continue;
        entry_fail_one(e, ERR_IO, STR_NONE, why);
    }
    arena_free(&scratch);
}

static void pump_all(Runner *r) {
    map_each (&r->entries, slot) {
        Entry *e = slot->value;
        if (e->waiting) entry_pump(e);
    }
}

static void take(Runner *r, RunnerCall *c) {
    Entry *e = entry_for(r, &c->function);
    size_t under_way = e->waiting_n + e->busy_n;
    c->begun_ms = runner_now_ms();
    if ((c->function.reserved >= 0 && under_way >= (size_t)c->function.reserved) || e->waiting_n >= WAITING_MAX) {
        call_finish(r, c, ERR_LIMIT, STR_NONE, S("Rate Exceeded."));
        return;
    }
    *e->waiting_tail = c;
    e->waiting_tail = &c->next;
    c->next = NULL;
    e->waiting_n++;
    entry_pump(e);
}

/* ------------------------------------------------------------------------------------------------ time */

static bool out_of_patience(const RunnerCall *c, int64_t now) {
    return c->patience_ms && now - c->begun_ms >= c->patience_ms;
}

static void drop_impatient(Entry *e, int64_t now) {
    RunnerCall **at = &e->waiting;
    while (*at) {
        RunnerCall *c = *at;
        if (!out_of_patience(c, now)) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        if (!*at) e->waiting_tail = at;
        e->waiting_n--;
        call_finish(e->runner, c, ERR_AGAIN, STR_NONE, S("the function did not begin in time"));
    }
}

static void check_busy(Instance *i, int64_t now) {
    char text[320];
    if (i->call && out_of_patience(i->call, now)) /* it may go on, nobody listens any more */
        call_settle(i, ERR_AGAIN, STR_NONE, S("the function did not answer in time"));
    if (now < i->deadline_ms) return;
    /* Source of the text: observed of AWS's managed runtimes */
    int n = snprintf(text, sizeof text,
                     "{\"errorType\":\"Sandbox.Timedout\",\"errorMessage\":\"RequestId: %s Error: Task timed out after "
                     "%lld.00 seconds\"}",
                     i->request_id, (long long)i->function.timeout_s);
    char line[128];
    int m = snprintf(line, sizeof line, "%s Task timed out after %lld.00 seconds", i->request_id,
                     (long long)i->function.timeout_s);
    instance_line(i, RUNNER_PLATFORM, (Str){ (uint8_t *)line, (size_t)m });
    call_settle(i, OK, S("Unhandled"), (Str){ (uint8_t *)text, (size_t)n });
    instance_end(i);
}

static void check_use(Instance *i) {
    char text[200];
    InstanceUse use = instance_use(i);
    bool many = use.processes > PROCESSES_MAX;
    if (!many && use.memory_mb <= i->function.memory_mb) return;
    int n = snprintf(text, sizeof text, "{\"errorType\":\"%s\",\"errorMessage\":\"RequestId: %s Error: %s\"}",
                     many ? "Runtime.TooManyProcesses" : "Runtime.OutOfMemory", i->request_id,
                     many ? "more than 1024 processes and threads" : "Runtime exited with error: signal: killed");
    instance_line(i, RUNNER_WARNING,
                  many ? S("has more than 1024 processes and threads: ended")
                       : S("uses more memory than it may: ended"));
    if (i->state == INSTANCE_STARTING) {
        instance_init_failed(i, (Str){ (uint8_t *)text, (size_t)n });
        return;
    }
    call_settle(i, OK, S("Unhandled"), (Str){ (uint8_t *)text, (size_t)n });
    instance_end(i);
}

static void check_instance(Instance *i, int64_t now) {
    switch (i->state) {
    case INSTANCE_BUSY: check_busy(i, now); break;
    case INSTANCE_ANSWERED:
        if (now >= i->deadline_ms) instance_end(i);
        break;
    case INSTANCE_STARTING:
        if (now >= i->deadline_ms) {
            char text[160];
            int n =
                snprintf(text, sizeof text,
                         "{\"errorType\":\"Sandbox.Timedout\",\"errorMessage\":\"Error: Task timed out after %lld.00 "
                         "seconds: it did not begin\"}",
                         (long long)i->function.timeout_s + INIT_MS_MAX / 1000);
            instance_init_failed(i, (Str){ (uint8_t *)text, (size_t)n });
        }
        break;
    case INSTANCE_IDLE:
        if (now - i->idle_ms >= i->runner->o.idle_s * 1000) instance_end(i);
        break;
    case INSTANCE_ENDED: break;
    }
    if (i->state != INSTANCE_ENDED) check_use(i);
}

/* A function that nobody has called for long is forgotten. */
static void forget_unused(Runner *r) {
    bool again = true;
    while (again) {
        again = false;
        map_each (&r->entries, slot) {
            Entry *e = slot->value;
            if (e->waiting || e->instances) continue;
            map_remove(&r->entries, e->function.id);
            arena_free(&e->arena);
            free(e);
            again = true;
            break;
        }
    }
}

static void on_tick(uv_timer_t *t) {
    Runner *r = t->data;
    int64_t now = runner_now_ms();
    map_each (&r->entries, slot) drop_impatient(slot->value, now);
    for (Instance *i = r->instances, *next; i; i = next) {
        next = i->next;
        check_instance(i, now);
    }
    pump_all(r);
    forget_unused(r);
    if (r->entries.count == 0 && !r->instances) uv_timer_stop(&r->tick);
}

/* ------------------------------------------------------------------------------------------------ the thread */

static void end_all(Runner *r) {
    map_each (&r->entries, slot) {
        Entry *e = slot->value;
        while (e->waiting) entry_fail_one(e, ERR_CLOSED, STR_NONE, S("the server ends"));
    }
    for (Instance *i = r->instances, *next; i; i = next) {
        next = i->next;
        call_settle(i, ERR_CLOSED, STR_NONE, S("the server ends"));
        instance_end(i);
    }
    uv_close((uv_handle_t *)&r->wake, NULL);
    uv_close((uv_handle_t *)&r->tick, NULL);
}

static void on_wake(uv_async_t *w) {
    Runner *r = w->data;
    pthread_mutex_lock(&r->lock);
    RunnerCall *list = r->posted;
    r->posted = NULL;
    r->posted_tail = &r->posted;
    bool stopping = r->stopping;
    r->ended |= stopping;
    pthread_mutex_unlock(&r->lock);
    while (list) {
        RunnerCall *c = list;
        list = c->next;
        if (stopping)
            call_finish(r, c, ERR_CLOSED, STR_NONE, S("the server ends"));
        else
            take(r, c);
    }
    if (stopping && !uv_is_closing((uv_handle_t *)&r->wake)) {
        end_all(r);
        return;
    }
    if (!stopping && !uv_is_active((uv_handle_t *)&r->tick)) uv_timer_start(&r->tick, on_tick, TICK_MS, TICK_MS);
}

static void *run(void *arg) {
    Runner *r = arg;
    uv_run(&r->loop, UV_RUN_DEFAULT);
    return NULL;
}

Runner *runner_start(const RunnerOptions *options) {
    Runner *r = mem_new(sizeof *r);
    r->o = *options;
    r->posted_tail = &r->posted;
    r->contained = !options->uncontained;
    pthread_mutex_init(&r->lock, NULL);
    mkdir(r->o.dir, 0711);
    r->root_dir = str_dup_c(&r->arena, str_format(&r->arena, "%s/root", r->o.dir));
    mkdir(r->root_dir, 0711);
    uv_loop_init(&r->loop);
    uv_async_init(&r->loop, &r->wake, on_wake);
    uv_timer_init(&r->loop, &r->tick);
    r->wake.data = r->tick.data = r;
    pthread_create(&r->thread, NULL, run, r);
    return r;
}

void runner_submit(Runner *r, RunnerCall *call) {
    call->next = NULL;
    pthread_mutex_lock(&r->lock);
    bool ended = r->ended;
    if (!ended) {
        *r->posted_tail = call;
        r->posted_tail = &call->next;
        uv_async_send(&r->wake);
    }
    pthread_mutex_unlock(&r->lock);
    if (ended) call_finish(r, call, ERR_CLOSED, STR_NONE, S("the server ends"));
}

void runner_stop(Runner *r) {
    pthread_mutex_lock(&r->lock);
    r->stopping = true;
    uv_async_send(&r->wake);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
}

void runner_free(Runner *r) {
    forget_unused(r);
    map_free(&r->entries);
    uv_loop_close(&r->loop);
    pthread_mutex_destroy(&r->lock);
    arena_free(&r->arena);
    free(r);
}
