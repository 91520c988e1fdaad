/* Logging options, in the older form (one level, lines of text) and the newer one (levels by event and resource, JSON).
 * Where both are set the newer one counts. Changes take effect after the commit, on live connections, too.
 * Source: botocore's iot model; AWS IoT developer guide, "Configure AWS IoT logging" */
#include "api/page.h"
#include "api/service_log.h"
#include "generated/iot.h"
#include "generated/registry_records.h"
#include "identity/role.h"
#include "services/iot/logging_load.h"

/* Source: of the count none is known; so that what an account keeps in memory has an end */
enum { TARGETS_MAX = 1000 };

static void load_now(Env *env, void *arg) {
    Err e = logging_load(env, *(Str *)arg);
    (void)e; /* a store that cannot be read says so to whoever calls next */
}

static Err changed(Call *c, Err e) {
    if (e != OK) return e;
    Str *account = arena_new(c->arena, Str);
    *account = c->account;
    call_after(c, load_now, account);
    return OK;
}

static Err options_of(Call *c, Str form, LoggingOptionsRecord *out) {
    return logging_options_record_get(c->txn, call_tenant(c), form, c->arena, out);
}

static Err check_role(Call *c, Str arn) {
    Str account;
    if (!arn.ptr || role_arn_account(arn, &account)) return OK;
    return api_fail(c, IOT_INVALID_REQUEST, "Invalid role ARN '%.*s': arn:aws:iam::ACCOUNT:role/NAME is expected",
                    PS(str_sub(arn, 0, 200)));
}

/* ------------------------------------------------------------------------------------------------ the older form */

Err iot_get_logging_options(Call *c, const IotGetLoggingOptionsIn *in, IotGetLoggingOptionsOut *out) {
    (void)in;
    LoggingOptionsRecord r = { .level = S("DISABLED") };
    Err e = options_of(c, S("v1"), &r);
    if (e != OK && e != ERR_NOT_FOUND) return e;
    *out = (IotGetLoggingOptionsOut){ .role_arn = r.role_arn, .log_level = r.level };
    return OK;
}

Err iot_set_logging_options(Call *c, const IotSetLoggingOptionsIn *in, IotSetLoggingOptionsOut *out) {
    (void)out;
    const IotLoggingOptionsPayload *p = in->logging_options_payload;
    Err e = check_role(c, p->role_arn);
    if (e != OK) return e;
    LoggingOptionsRecord r = { .form = S("v1"),
                               .role_arn = p->role_arn,
                               .level = p->log_level.ptr ? p->log_level : S("DISABLED"),
                               .modified_ms = c->now_ms };
    return changed(c, logging_options_record_put(c->txn, call_tenant(c), &r));
}

/* ------------------------------------------------------------------------------------------------ the newer form */

static Err need_options(Call *c, LoggingOptionsRecord *out) {
    Err e = options_of(c, S("v2"), out);
    if (e != ERR_NOT_FOUND) return e;
    return api_fail(c, IOT_NOT_CONFIGURED, "V2 logging is not configured: call SetV2LoggingOptions first");
}

static Str given(Str s) {
    return s.len ? s : STR_NONE;
}

/* verbose: every event there is, with the level that counts for it. */
static IotLogEventConfigurations events_of(Call *c, const LoggingOptionsRecord *r, bool verbose) {
    IotLogEventConfigurations list = { arena_array(c->arena, IotLogEventConfiguration, SERVICE_EVENTS_N), 0, false };
    for (size_t i = 0; i + 2 < r->events.n && list.n < SERVICE_EVENTS_N; i += 3)
        list.items[list.n++] = (IotLogEventConfiguration){ .event_type = r->events.items[i],
                                                           .log_level = given(r->events.items[i + 1]),
                                                           .log_destination = given(r->events.items[i + 2]) };
    size_t configured = list.n;
    for (int event = 0; verbose && event < SERVICE_EVENTS_N; event++) {
        Str name = service_event_name((ServiceEvent)event);
        bool there = false, opt_in = event == SERVICE_EVENT_PING || event == SERVICE_EVENT_AUTHN_ERROR;
        for (size_t i = 0; i < configured; i++) there |= str_eq(list.items[i].event_type, name);
        if (!there)
            list.items[list.n++] =
                (IotLogEventConfiguration){ .event_type = name, .log_level = opt_in ? S("DISABLED") : r->level };
    }
    list.set = list.n > 0;
    return list;
}

Err iot_get_v2_logging_options(Call *c, const IotGetV2LoggingOptionsIn *in, IotGetV2LoggingOptionsOut *out) {
    LoggingOptionsRecord r;
    Err e = need_options(c, &r);
    if (e != OK) return e;
    *out = (IotGetV2LoggingOptionsOut){ .role_arn = r.role_arn,
                                        .default_log_level = r.level,
                                        .disable_all_logs = { true, r.disable_all },
                                        .event_configurations = events_of(c, &r, in->verbose.v) };
    return OK;
}

static Err set_events(Call *c, const IotLogEventConfigurations *in, LoggingOptionsRecord *r) {
    if (!in->set) return OK;
    StrList events = { arena_array(c->arena, Str, 3 * in->n), 0, true };
    for (size_t i = 0; i < in->n; i++) {
        const IotLogEventConfiguration *x = &in->items[i];
        ServiceEvent event;
        if (!service_event_find(x->event_type, &event))
            return api_fail(c, IOT_INVALID_REQUEST,
                            "Invalid eventType %.*s: GetV2LoggingOptions with verbose lists those that are possible",
                            PS(x->event_type));
        for (size_t k = 0; k < events.n; k += 3)
            if (str_eq(events.items[k], x->event_type))
                return api_fail(c, IOT_INVALID_REQUEST, "The eventType %.*s is given twice", PS(x->event_type));
        events.items[events.n++] = x->event_type;
        events.items[events.n++] = x->log_level.ptr ? x->log_level : S("");
        events.items[events.n++] = x->log_destination.ptr ? x->log_destination : S("");
    }
    r->events = events;
    return OK;
}

/* What is not given stays as it was. */
Err iot_set_v2_logging_options(Call *c, const IotSetV2LoggingOptionsIn *in, IotSetV2LoggingOptionsOut *out) {
    (void)out;
    LoggingOptionsRecord r = { .form = S("v2"), .level = S("ERROR") };
    Err e = options_of(c, S("v2"), &r);
    if (e == ERR_NOT_FOUND) e = OK;
    if (e == OK) e = check_role(c, in->role_arn);
    if (e == OK) e = set_events(c, &in->event_configurations, &r);
    if (e != OK) return e;
    if (in->role_arn.ptr) r.role_arn = in->role_arn;
    if (in->default_log_level.ptr) r.level = in->default_log_level;
    if (in->disable_all_logs.set) r.disable_all = in->disable_all_logs.v;
    r.modified_ms = c->now_ms;
    return changed(c, logging_options_record_put(c->txn, call_tenant(c), &r));
}

/* ------------------------------------------------------------------------------------------------ one resource's */

static Err check_room(Call *c) {
    RecordScan *scan;
    LoggingLevelRecord r;
    size_t n = 0;
    Err e = logging_level_record_scan(c->txn, call_tenant(c), STR_NONE, false, &scan);
    if (e != OK) return e;
    while (n < TARGETS_MAX && logging_level_record_next(scan, c->arena, &r)) n++;
    e = record_scan_end(scan);
    if (e != OK || n < TARGETS_MAX) return e;
    return api_fail(c, IOT_LIMIT_EXCEEDED, "%zu logging levels are set, the maximum is %d", n, TARGETS_MAX);
}

static Err set_target(Call *c, const IotLogTarget *target, Str level) {
    LoggingLevelRecord r;
    if (!target->target_name.len)
        return api_fail(c, IOT_INVALID_REQUEST, "The targetName of a %.*s is missing", PS(target->target_type));
    Err e = logging_level_record_get(c->txn, call_tenant(c), target->target_type, target->target_name, c->arena, &r);
    if (e == ERR_NOT_FOUND) {
        r = (LoggingLevelRecord){ .target_type = target->target_type, .target_name = target->target_name };
        e = check_room(c);
    }
    if (e != OK) return e;
    r.level = level;
    return logging_level_record_put(c->txn, call_tenant(c), &r);
}

/* The target DEFAULT is the account's level. */
Err iot_set_v2_logging_level(Call *c, const IotSetV2LoggingLevelIn *in, IotSetV2LoggingLevelOut *out) {
    (void)out;
    LoggingOptionsRecord options;
    Err e = need_options(c, &options);
    if (e != OK) return e;
    if (!str_eq(in->log_target->target_type, S("DEFAULT")))
        return changed(c, set_target(c, in->log_target, in->log_level));
    options.level = in->log_level;
    options.modified_ms = c->now_ms;
    return changed(c, logging_options_record_put(c->txn, call_tenant(c), &options));
}

/* A level that is not set is deleted already. */
Err iot_delete_v2_logging_level(Call *c, const IotDeleteV2LoggingLevelIn *in, IotDeleteV2LoggingLevelOut *out) {
    (void)out;
    if (str_eq(in->target_type, S("DEFAULT")))
        return api_fail(c, IOT_INVALID_REQUEST, "The level of the target DEFAULT cannot be deleted, only changed");
    Err e = logging_level_record_delete(c->txn, call_tenant(c), in->target_type, in->target_name);
    return e == ERR_NOT_FOUND ? OK : changed(c, e);
}

static IotLogTargetConfiguration target(Call *c, Str type, Str name, Str level) {
    IotLogTarget *t = arena_new(c->arena, IotLogTarget);
    *t = (IotLogTarget){ .target_type = type, .target_name = name };
    return (IotLogTargetConfiguration){ .log_target = t, .log_level = level };
}

static Err walk(Call *c, Str type, Str after, RecordScan **out) {
    if (type.ptr) return logging_level_record_scan_of_target_type(c->txn, call_tenant(c), type, after, false, out);
    return logging_level_record_scan(c->txn, call_tenant(c), after, false, out);
}

/* The account's level comes first, as the target DEFAULT, at the position before all others. */
Err iot_list_v2_logging_levels(Call *c, const IotListV2LoggingLevelsIn *in, IotListV2LoggingLevelsOut *out) {
    LoggingOptionsRecord options;
    LoggingLevelRecord r;
    RecordScan *scan;
    Page page;
    Err e = need_options(c, &options);
    if (e == OK) e = page_open(c, in->target_type, in->next_token, in->max_results, (PageSize){ 25, 250 }, &page);
    if (e == OK) e = walk(c, in->target_type, page.after.len ? page.after : STR_NONE, &scan);
    if (e != OK) return e;
    IotLogTargetConfiguration *items = arena_array(c->arena, IotLogTargetConfiguration, page.most);
    bool first = !in->target_type.ptr || str_eq(in->target_type, S("DEFAULT"));
    if (first && !page.after.ptr && page_take_at(&page, S("")))
        items[0] = target(c, S("DEFAULT"), STR_NONE, options.level);
    while (logging_level_record_next(scan, c->arena, &r)) {
        if (!page_take(&page, scan)) break;
        items[page.n - 1] = target(c, r.target_type, r.target_name, r.level);
    }
    out->log_target_configurations = (IotLogTargetConfigurations){ items, page.n, true };
    out->next_token = page.next;
    return record_scan_end(scan);
}
