/* The workload: a verdict for each connection when it begins and when settings change, which is rare; entries where
 * somebody asked for them. So: one map from account to settings behind a reader-writer lock, settings replaced whole,
 * and one version for all accounts, that moves with each change.
 *
 * A level for one resource goes before one for an event, that before the account's. Where several resources of one
 * connection have levels the most talkative counts; of the groups on one way to a root the one nearest to the thing.
 * Ping and Connection.AuthNError stay silent unless they are configured as events. */
#include "api/service_log.h"

#include <pthread.h>
#include <stdlib.h>

#include "api/log_entry.h"
#include "base/map.h"
#include "base/rng.h"

static const Str EVENT_NAMES[] = {
#define X(name, text) STR_INIT(text),
    SERVICE_EVENTS(X)
#undef X
};
static const Str LEVEL_NAMES[] = { STR_INIT("DEBUG"), STR_INIT("INFO"), STR_INIT("WARN"), STR_INIT("ERROR"),
                                   STR_INIT("DISABLED") };

uint8_t service_log_level(Str name) {
    for (uint8_t i = 0; i <= SERVICE_LOG_DISABLED; i++)
        if (str_eq(name, LEVEL_NAMES[i])) return i;
    return SERVICE_LOG_UNSET;
}

Str service_log_level_name(uint8_t level) {
    return level <= SERVICE_LOG_DISABLED ? LEVEL_NAMES[level] : STR_NONE;
}

Str service_event_name(ServiceEvent event) {
    return EVENT_NAMES[event];
}

bool service_event_find(Str name, ServiceEvent *out) {
    for (int i = 0; i < SERVICE_EVENTS_N; i++) {
        if (!str_eq(name, EVENT_NAMES[i])) continue;
        *out = (ServiceEvent)i;
        return true;
    }
    return false;
}

LogSettings service_log_silent(void) {
    LogSettings s = { .level = SERVICE_LOG_DISABLED };
    memset(s.event_levels, SERVICE_LOG_UNSET, sizeof s.event_levels);
    return s;
}

/* ------------------------------------------------------------------------------------------------ accounts */

typedef struct {
    Arena arena; /* holds all of it */
    Str account;
    LogSettings settings;
    Map targets[LOG_TARGET_PRINCIPAL_ID + 1]; /* name to LogTarget */
} AccountLog;

struct ServiceLog {
    pthread_rwlock_t lock;
    pthread_mutex_t loading;
    Map accounts;
    ServiceLogWriteFn *write;
    void *ctx;
    _Atomic uint32_t version; /* never 0 */
    _Atomic uint32_t talking; /* accounts with anything on */
};

ServiceLog *service_log_new(ServiceLogWriteFn *write, void *ctx) {
    ServiceLog *log = mem_new(sizeof *log);
    pthread_rwlock_init(&log->lock, NULL);
    pthread_mutex_init(&log->loading, NULL);
    log->write = write;
    log->ctx = ctx;
    atomic_init(&log->version, 1);
    return log;
}

void service_log_lock(ServiceLog *log) {
    pthread_mutex_lock(&log->loading);
}

void service_log_unlock(ServiceLog *log) {
    pthread_mutex_unlock(&log->loading);
}

static void account_free(AccountLog *a) {
    if (!a) return;
    for (int i = 0; i <= LOG_TARGET_PRINCIPAL_ID; i++) map_free(&a->targets[i]);
    Arena arena = a->arena;
    arena_free(&arena);
}

static void moved(ServiceLog *log) {
    uint32_t next = atomic_load(&log->version) + 1;
    atomic_store_explicit(&log->version, next ? next : 1, memory_order_release);
    atomic_store(&log->talking, (uint32_t)log->accounts.count);
}

void service_log_clear(ServiceLog *log) {
    pthread_rwlock_wrlock(&log->lock);
    map_each (&log->accounts, slot) account_free(slot->value);
    map_free(&log->accounts);
    log->accounts = (Map){ 0 };
    moved(log);
    pthread_rwlock_unlock(&log->lock);
}

void service_log_free(ServiceLog *log) {
    if (!log) return;
    service_log_clear(log);
    pthread_rwlock_destroy(&log->lock);
    pthread_mutex_destroy(&log->loading);
    free(log);
}

static bool is_silent(const LogSettings *s) {
    if (s->level != SERVICE_LOG_DISABLED) return false;
    for (int i = 0; i < SERVICE_EVENTS_N; i++)
        if (s->event_levels[i] < SERVICE_LOG_DISABLED) return false;
    for (size_t i = 0; i < s->targets_n; i++)
        if (s->targets[i].level < SERVICE_LOG_DISABLED) return false;
    return true;
}

static AccountLog *account_new(Str account, const LogSettings *settings) {
    Arena arena = { .block_bytes = 1024 };
    AccountLog *a = arena_new(&arena, AccountLog);
    *a = (AccountLog){ .settings = *settings };
    a->account = str_dup(&arena, account);
    for (int i = 0; i < SERVICE_EVENTS_N; i++)
        if (settings->event_groups[i].ptr) a->settings.event_groups[i] = str_dup(&arena, settings->event_groups[i]);
    LogTarget *targets = arena_array(&arena, LogTarget, settings->targets_n);
    for (size_t i = 0; i < settings->targets_n; i++) {
        targets[i] = settings->targets[i];
        targets[i].name = str_dup(&arena, targets[i].name);
        map_put(&a->targets[targets[i].kind], targets[i].name, &targets[i]);
    }
    a->settings.targets = targets;
    a->arena = arena;
    return a;
}

void service_log_set(ServiceLog *log, Str account, const LogSettings *settings) {
    AccountLog *fresh = settings && !is_silent(settings) ? account_new(account, settings) : NULL;
    pthread_rwlock_wrlock(&log->lock);
    AccountLog *old = fresh ? map_put(&log->accounts, fresh->account, fresh) : map_remove(&log->accounts, account);
    moved(log);
    pthread_rwlock_unlock(&log->lock);
    account_free(old);
}

/* ------------------------------------------------------------------------------------------------ verdicts */

static uint8_t target_level(const AccountLog *a, LogTargetKind kind, Str name) {
    const LogTarget *t = name.len ? map_get(&a->targets[kind], name) : NULL;
    return t ? t->level : SERVICE_LOG_UNSET;
}

static uint8_t groups_level(const AccountLog *a, const LogSubject *s) {
    uint8_t most = SERVICE_LOG_UNSET;
    bool found = false; /* on this way to a root */
    for (size_t i = 0; i < s->groups_n; i++) {
        if (!s->groups[i].ptr) {
            found = false;
            continue;
        }
        uint8_t level = found ? SERVICE_LOG_UNSET : target_level(a, LOG_TARGET_THING_GROUP, s->groups[i]);
        found |= level != SERVICE_LOG_UNSET;
        if (level < most) most = level;
    }
    return most;
}

static uint8_t subject_level(const AccountLog *a, const LogSubject *s) {
    const uint8_t levels[] = { groups_level(a, s), target_level(a, LOG_TARGET_CLIENT_ID, s->client_id),
                               target_level(a, LOG_TARGET_SOURCE_IP, s->source_ip),
                               target_level(a, LOG_TARGET_PRINCIPAL_ID, s->principal_id) };
    uint8_t most = SERVICE_LOG_UNSET;
    for (size_t i = 0; i < sizeof levels; i++)
        if (levels[i] < most) most = levels[i];
    return most;
}

static uint8_t event_level(const AccountLog *a, uint8_t of_subject, int event) {
    uint8_t own = a->settings.event_levels[event];
    bool opt_in = event == SERVICE_EVENT_PING || event == SERVICE_EVENT_AUTHN_ERROR;
    if (opt_in && own == SERVICE_LOG_UNSET) return SERVICE_LOG_DISABLED;
    if (of_subject != SERVICE_LOG_UNSET) return of_subject;
    return own != SERVICE_LOG_UNSET ? own : a->settings.level;
}

void service_log_judge(ServiceLog *log, const LogSubject *subject, LogVerdict *out) {
    LogVerdict v = { .version = atomic_load_explicit(&log->version, memory_order_acquire) };
    pthread_rwlock_rdlock(&log->lock);
    const AccountLog *a = map_get(&log->accounts, subject->account);
    if (a) {
        uint8_t of_subject = subject_level(a, subject);
        for (int i = 0; i < SERVICE_EVENTS_N; i++)
            for (uint8_t level = event_level(a, of_subject, i); level <= LOG_ERROR; level++)
                v.on[level] |= UINT64_C(1) << i;
    }
    pthread_rwlock_unlock(&log->lock);
    *out = v;
}

bool service_log_current(const ServiceLog *log, const LogVerdict *verdict) {
    return atomic_load_explicit(&log->version, memory_order_acquire) == verdict->version;
}

const _Atomic uint32_t *service_log_version(const ServiceLog *log) {
    return &log->version;
}

bool service_log_any(const ServiceLog *log) {
    return atomic_load_explicit(&log->talking, memory_order_relaxed) > 0;
}

/* ------------------------------------------------------------------------------------------------ entries */

/* Where entries of this event go: copied, for the settings may be replaced. */
static bool destination(ServiceLog *log, const LogEntry *e, Arena *arena, Str *group) {
    pthread_rwlock_rdlock(&log->lock);
    const AccountLog *a = map_get(&log->accounts, e->account);
    bool plain = a && a->settings.plain;
    Str own = a ? a->settings.event_groups[e->event] : STR_NONE;
    *group = plain ? S("AWSIotLogs") : own.ptr ? str_dup(arena, own) : S("AWSIotLogsV2");
    pthread_rwlock_unlock(&log->lock);
    return plain;
}

void service_log_write(ServiceLog *log, const LogEntry *entry) {
    Arena arena = { .block_bytes = 4096 };
    Rng rng = { 0 };
    LogEntry e = *entry;
    Str group;
    bool plain = destination(log, &e, &arena, &group);
    if (!e.trace_id.ptr) e.trace_id = rng_uuid(&rng, &arena);
    Str text = plain ? log_entry_text(&e, &arena) : log_entry_json(&e, &arena);
    log->write(log->ctx, e.account, str_format(&arena, "%.*s %.*s\n", PS(group), PS(text)));
    arena_free(&arena);
}

void service_log_tell(ServiceLog *log, const LogSubject *subject, const LogEntry *entry) {
    LogVerdict v;
    if (!service_log_any(log)) return;
    service_log_judge(log, subject, &v);
    if (log_verdict_has(&v, entry->event, entry->level)) service_log_write(log, entry);
}
