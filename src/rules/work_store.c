#include "generated/rules_records.h"
#include "rules/work_internal.h"

static Tenant tenant_of(const Work *w) {
    return (Tenant){ w->rule->account, w->rule->region };
}

static uint64_t order_of(const Work *w) {
    return (uint64_t)w->id * UINT64_C(0x9e3779b97f4a7c15);
}

static Err remove_run(Job *job, Txn *txn) {
    Work *w = (Work *)((char *)job - offsetof(Work, remove));
    Err e = rule_work_record_delete(txn, tenant_of(w), w->id);
    return e == ERR_NOT_FOUND ? OK : e;
}

static void remove_done(Job *job, Err e) {
    (void)e; /* the store refused: it runs again after a restart, as at-least-once allows */
    work_release((Work *)((char *)job - offsetof(Work, remove)));
}

/* Both are so: nobody needs the record any more. */
static void take_away(Work *w) {
    if (!w->written || w->dropped || atomic_load(&w->rules->stopping)) {
        work_release(w);
        return;
    }
    w->remove = (Job){ .key = order_of(w), .run = remove_run, .done = remove_done };
    workers_submit(w->rules->o.workers, &w->remove);
}

static Err put_run(Job *job, Txn *txn) {
    Work *w = (Work *)((char *)job - offsetof(Work, put));
    const SqlMessageIn *in = &w->message.in;
    w->written = !(atomic_load(&w->state) & OVER);
    if (!w->written) return OK;
    RuleWorkRecord row = { .work_id = w->id,
                           .rule_name = w->rule->name,
                           .topic = in->topic,
                           .payload = in->payload,
                           .props = in->properties,
                           .client_id = in->client_id,
                           .principal = in->principal,
                           .trace_id = in->trace_id,
                           .source_ip = in->source_ip,
                           .time_ms = in->time_ms,
                           .depth = w->message.depth,
                           .rule_version = w->rule->version };
    Err e = OK;
    if (!atomic_load(&w->rule->version_kept)) {
        const RuleVersionRecord version = { .rule_version = w->rule->version,
                                            .rule_name = w->rule->name,
                                            .payload = w->rule->payload };
        e = rule_version_record_put(txn, tenant_of(w), &version);
    }
    return e == OK ? rule_work_record_put(txn, tenant_of(w), &row) : e;
}

static void put_done(Job *job, Err e) {
    Work *w = (Work *)((char *)job - offsetof(Work, put));
    if (e != OK) w->written = false;
    if (w->written) atomic_store(&w->rule->version_kept, true);
    broker_rule_release(w->hold, e == OK);
    if (atomic_fetch_or(&w->state, STORED) & OVER)
        take_away(w);
    else
        work_release(w);
}

/* Its publisher waits until it is stored, or over. */
void work_store(Work *w, const RuleMessage *hold) {
    if ((atomic_load(&w->state) & OVER) || atomic_load(&w->rules->stopping)) return;
    w->hold = broker_rule_hold(hold);
    w->id = (int64_t)atomic_fetch_add(&w->rules->next_work_id, 1);
    atomic_fetch_add(&w->refs, 1);
    w->put = (Job){ .key = order_of(w), .run = put_run, .done = put_done };
    workers_submit(w->rules->o.workers, &w->put);
}

void work_over(Work *w) {
    if (atomic_fetch_or(&w->state, OVER) & STORED)
        take_away(w);
    else
        work_release(w);
}
