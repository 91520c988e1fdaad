#include "generated/rules_records.h"
#include "rules/work_internal.h"

/* A message that was acknowledged is done by the rule that took it: the rule may have been replaced, disabled or
 * deleted before the server went down. Its version was written with the first message that needed it; versions that no
 * message refers to go when the work is loaded. */

typedef struct {
    Rules *rules;
    Str account;
    Map versions; /* version (of a former release: name) to Rule, one reference each: what the stored work refers to */
    Arena arena;
} Loading;

static Tenant tenant_of(const Loading *l) {
    return (Tenant){ l->account, l->rules->o.region };
}

/* It runs for its messages alone: nothing finds it. */
static Rule *rule_of_version(Loading *l, const RuleVersionRecord *v) {
    Rule *rule = NULL;
    RuleFault fault = { 0 };
    const RuleSpec spec = { .account = l->account,
                            .region = l->rules->o.region,
                            .name = v->rule_name,
                            .plain_http = l->rules->o.plain_http,
                            .roles = l->rules->o.roles };
    RuleFigures *figures = rule_figures_new();
    Err e = rule_new(&spec, v->payload, figures, &l->arena, &rule, &fault);
    rule_figures_release(figures);
    return e == OK ? rule : NULL;
}

/* Borrowed; NULL: nothing is known of the rule any more. */
static Rule *rule_for(Loading *l, Txn *txn, const RuleWorkRecord *row) {
    Str key = row->rule_version.len ? row->rule_version : row->rule_name;
    Rule *rule = map_get(&l->versions, key);
    RuleVersionRecord version;
    if (rule) return rule;
    rule = rules_find(l->rules, l->account, row->rule_name);
    /* without a version: of a former release, which knew the name alone */
    bool good = rule && (row->rule_version.len ? str_eq(rule->version, row->rule_version) : !rule->disabled);
    if (!good) {
        rule_release(rule);
        rule = NULL;
        if (row->rule_version.len &&
            rule_version_record_get(txn, tenant_of(l), row->rule_version, &l->arena, &version) == OK)
            rule = rule_of_version(l, &version);
    }
    if (rule) map_put(&l->versions, str_dup(&l->arena, key), rule);
    return rule;
}

static void bring_back(Loading *l, Rule *rule, const RuleWorkRecord *row) {
    const WorkMessage m = { .in = { .topic = row->topic,
                                    .payload = row->payload,
                                    .client_id = row->client_id,
                                    .principal = row->principal,
                                    .trace_id = row->trace_id,
                                    .source_ip = row->source_ip,
                                    .time_ms = row->time_ms,
                                    .properties = row->props },
                            .depth = (uint32_t)row->depth };
    Work *w = work_new(l->rules, rule, &m);
    w->id = row->work_id;
    w->written = true;
    atomic_store(&w->state, STORED);
    w->next = l->rules->brought_back;
    l->rules->brought_back = w;
}

static void tell_lost(Loading *l, const RuleWorkRecord *row) {
    rules_event(l->rules, &(RuleEvent){ .level = LOG_ERROR,
                                        .event = "RuleExecution",
                                        .account = l->account,
                                        .rule = row->rule_name,
                                        .topic = row->topic,
                                        .trace_id = row->trace_id,
                                        .details = S("a message waited for this rule, of which nothing is known any "
                                                     "more: dropped") });
}

static Err load_all(Loading *l, Txn *txn) {
    RecordScan *scan;
    RuleWorkRecord row;
    Arena arena = { 0 };
    Err e = rule_work_record_scan(txn, tenant_of(l), STR_NONE, false, &scan), inner = OK;
    if (e != OK) return e;
    while (inner == OK && rule_work_record_next(scan, &arena, &row)) {
        Rule *rule = rule_for(l, txn, &row);
        if (rule) {
            bring_back(l, rule, &row);
        } else {
            tell_lost(l, &row);
            inner = rule_work_record_delete(txn, tenant_of(l), row.work_id);
        }
        if ((uint64_t)row.work_id >= atomic_load(&l->rules->next_work_id))
            atomic_store(&l->rules->next_work_id, (uint64_t)row.work_id + 1);
        arena_reset(&arena);
    }
    arena_free(&arena);
    e = record_scan_end(scan);
    return inner != OK ? inner : e;
}

static Err forget_versions(Loading *l, Txn *txn) {
    RecordScan *scan;
    RuleVersionRecord row;
    Arena arena = { 0 };
    Err e = rule_version_record_scan(txn, tenant_of(l), STR_NONE, false, &scan), inner = OK;
    if (e != OK) return e;
    while (inner == OK && rule_version_record_next(scan, &arena, &row)) {
        if (!map_get(&l->versions, row.rule_version))
            inner = rule_version_record_delete(txn, tenant_of(l), row.rule_version);
        arena_reset(&arena);
    }
    arena_free(&arena);
    e = record_scan_end(scan);
    return inner != OK ? inner : e;
}

Err work_load(Rules *r, Str account) {
    Txn *txn;
    Loading l = { .rules = r, .account = account };
    Err e = txn_begin(r->o.store, &txn);
    if (e != OK) return e;
    e = load_all(&l, txn);
    if (e == OK) e = forget_versions(&l, txn);
    if (e == OK)
        e = txn_commit(txn, false);
    else
        txn_abort(txn);
    map_each (&l.versions, slot) rule_release(slot->value);
    map_free(&l.versions);
    arena_free(&l.arena);
    return e;
}
