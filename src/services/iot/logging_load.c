/* A reload reads and installs under one lock: else of two that are under way the older might come last. */
#include "services/iot/logging_load.h"

#include "api/service_log.h"
#include "generated/registry_records.h"
#include "store/store.h"

static const Str TARGET_TYPES[] = { STR_INIT("THING_GROUP"), STR_INIT("CLIENT_ID"), STR_INIT("SOURCE_IP"),
                                    STR_INIT("PRINCIPAL_ID") };

static Err read_targets(Txn *txn, Tenant tenant, Arena *arena, LogSettings *out) {
    RecordScan *scan;
    LoggingLevelRecord r;
    size_t n = 0, cap = 0;
    LogTarget *targets = NULL;
    Err e = logging_level_record_scan(txn, tenant, STR_NONE, false, &scan);
    if (e != OK) return e;
    while (logging_level_record_next(scan, arena, &r)) {
        if (n == cap) {
            LogTarget *more = arena_array(arena, LogTarget, cap = cap ? 2 * cap : 16);
            if (n) memcpy(more, targets, n * sizeof *more);
            targets = more;
        }
        for (int kind = 0; kind <= LOG_TARGET_PRINCIPAL_ID; kind++)
            if (str_eq(r.target_type, TARGET_TYPES[kind]))
                targets[n++] = (LogTarget){ (LogTargetKind)kind, r.target_name, service_log_level(r.level) };
    }
    out->targets = targets;
    out->targets_n = n;
    return record_scan_end(scan);
}

static void read_events(const LoggingOptionsRecord *r, LogSettings *out) {
    ServiceEvent event;
    for (size_t i = 0; i + 2 < r->events.n; i += 3) {
        if (!service_event_find(r->events.items[i], &event)) continue;
        out->event_levels[event] = service_log_level(r->events.items[i + 1]);
        if (r->events.items[i + 2].len) out->event_groups[event] = r->events.items[i + 2];
    }
}

/* The newer form goes before the older one. */
static Err read_settings(Txn *txn, Tenant tenant, Arena *arena, LogSettings *out) {
    LoggingOptionsRecord r;
    Err e = logging_options_record_peek(txn, tenant, S("v2"), arena, &r);
    bool plain = e == ERR_NOT_FOUND;
    if (plain) e = logging_options_record_peek(txn, tenant, S("v1"), arena, &r);
    if (e == ERR_NOT_FOUND || (e == OK && r.disable_all)) return OK;
    if (e != OK) return e;
    out->plain = plain;
    out->level = service_log_level(r.level);
    if (plain) return OK;
    read_events(&r, out);
    return read_targets(txn, tenant, arena, out);
}

Err logging_load(Env *env, Str account) {
    Arena arena = { 0 };
    LogSettings settings = service_log_silent();
    Txn *txn;
    service_log_lock(env->service_log);
    Err e = txn_begin(env->store, &txn);
    if (e == OK) {
        e = read_settings(txn, (Tenant){ account, env->region }, &arena, &settings);
        txn_abort(txn);
    }
    if (e == OK) service_log_set(env->service_log, account, &settings);
    service_log_unlock(env->service_log);
    arena_free(&arena);
    return e;
}
