#include "rules/rules.h"

#include <stdlib.h>

#include "generated/rules_records.h"
#include "identity/principal.h"
#include "rules/destination.h"
#include "rules/kafka_client.h"
#include "rules/work.h"

/* Rules are immutable and counted: a route keeps a set of those that its topic concerns, and goes on with it while a
 * rule is replaced, until the broker is told that the route is out of date. The lock guards the tables only; a message
 * whose route is kept takes none. */

void rules_event(Rules *r, const RuleEvent *e) {
    if (r->o.on_event) r->o.on_event(r->o.on_event_ctx, e);
}

/* ------------------------------------------------------------------------------------------------ the tables */

/* Under the lock. */
static RuleSpace *space_of(const Rules *r, Str account) {
    return map_get(&r->spaces, account);
}

static RuleSpace *space_make(Rules *r, Str account) {
    RuleSpace *s = space_of(r, account);
    if (s) return s;
    s = mem_new(sizeof *s + account.len);
    memcpy(s->text, account.ptr, account.len);
    s->account = (Str){ s->text, account.len };
    map_put(&r->spaces, s->account, s);
    return s;
}

/* Takes the reference of `rule` over (NULL: the name has none any more); the former one is returned with its own. */
static Rule *exchange(Rules *r, Str account, Str name, Rule *rule) {
    pthread_rwlock_wrlock(&r->lock);
    RuleSpace *s = space_make(r, account);
    Rule *old = map_get(&s->by_name, name);
    if (old) {
        map_remove(&s->by_name, name);
        if (old->filter.ptr && !old->disabled) match_remove(&s->match, old->filter, old);
        atomic_fetch_sub(&r->rules_n, 1);
    }
    if (rule) {
        map_put(&s->by_name, rule->name, rule);
        if (rule->filter.ptr && !rule->disabled) match_add(&s->match, rule->filter, rule);
        atomic_fetch_add(&r->rules_n, 1);
    }
    pthread_rwlock_unlock(&r->lock);
    return old;
}

Rule *rules_find(Rules *r, Str account, Str name) {
    pthread_rwlock_rdlock(&r->lock);
    RuleSpace *s = space_of(r, account);
    Rule *rule = s ? map_get(&s->by_name, name) : NULL;
    if (rule) rule_retain(rule);
    pthread_rwlock_unlock(&r->lock);
    return rule;
}

Destinations *rules_set_destinations(Rules *r, Str account, Destinations *d) {
    pthread_rwlock_wrlock(&r->lock);
    RuleSpace *s = space_make(r, account);
    Destinations *old = s->destinations;
    s->destinations = d;
    pthread_rwlock_unlock(&r->lock);
    return old;
}

void rules_with_destinations(Rules *r, Str account, void (*look)(const Destinations *d, void *ctx), void *ctx) {
    pthread_rwlock_rdlock(&r->lock);
    const RuleSpace *s = space_of(r, account);
    look(s ? s->destinations : NULL, ctx);
    pthread_rwlock_unlock(&r->lock);
}

size_t rules_count(Rules *r, Str account) {
    pthread_rwlock_rdlock(&r->lock);
    RuleSpace *s = space_of(r, account);
    size_t n = s ? s->by_name.count : 0;
    pthread_rwlock_unlock(&r->lock);
    return n;
}

/* ------------------------------------------------------------------------------------------------ the broker's hook */

typedef struct {
    RuleSet *set;
    size_t cap;
} Finding;

static void add_to_set(void *ctx, Rule *rule) {
    Finding *f = ctx;
    size_t n = f->set ? f->set->n : 0;
    if (n == f->cap) {
        f->cap = f->cap ? f->cap * 2 : 4;
        f->set = mem_grow(f->set, sizeof *f->set + f->cap * sizeof(Rule *));
        if (n == 0) *f->set = (RuleSet){ .refs = 1 };
    }
    f->set->rules[f->set->n++] = rule_retain(rule);
}

static const Str INGEST = STR_INIT("$aws/rules/");

static Str ingest_name(Str topic) {
    Str rest = str_from(topic, INGEST.len);
    return str_cut(&rest, '/');
}

static void *find(void *ctx, Str account, Str topic) {
    Rules *r = ctx;
    Finding f = { 0 };
    bool ingest = str_starts(topic, INGEST);
    if (!ingest && atomic_load(&r->rules_n) == 0) return NULL;
    pthread_rwlock_rdlock(&r->lock);
    RuleSpace *s = space_of(r, account);
    if (s && ingest) {
        Rule *rule = map_get(&s->by_name, ingest_name(topic));
        if (rule && !rule->disabled) add_to_set(&f, rule);
    } else if (s) {
        match_find(&s->match, topic, add_to_set, &f);
    }
    pthread_rwlock_unlock(&r->lock);
    if (ingest && !f.set) {
        f.set = mem_new(sizeof *f.set);
        f.set->refs = 1;
    }
    if (ingest) f.set->ingest = true;
    return f.set;
}

static void release(void *rules) {
    RuleSet *set = rules;
    if (atomic_fetch_sub(&set->refs, 1) > 1) return;
    for (size_t i = 0; i < set->n; i++) rule_release(set->rules[i]);
    free(set);
}

/* As rng_uuid; this one is made for every message. */
static Str trace_id(Bench *b, char out[36]) {
    static const char HEX[] = "0123456789abcdef";
    uint64_t bits[2] = { rng_u64(&b->trace), rng_u64(&b->trace) };
    for (int i = 0, n = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        out[i] = dash ? '-' : HEX[bits[n / 16] >> 4 * (n % 16) & 15];
        n += !dash;
    }
    out[14] = '4';
    out[19] = HEX[8 | (bits[1] & 3)];
    return (Str){ (uint8_t *)out, 36 };
}

static void not_found(Rules *r, const RuleMessage *m) {
    Str name = ingest_name(m->topic);
    atomic_fetch_add_explicit(&r->not_found, 1, memory_order_relaxed);
    rules_event(r, &(RuleEvent){ .level = LOG_ERROR,
                                 .event = "RuleNotFound",
                                 .account = m->account,
                                 .rule = name,
                                 .client_id = m->client_id,
                                 .principal = m->principal ? m->principal->id : STR_NONE,
                                 .topic = m->topic,
                                 .source_ip = m->source_ip,
                                 .details = S("there is no rule of that name, or it is disabled") });
}

/* Source: AWS IoT Core quotas, "Rule evaluations per second per AWS account" */
static bool over_rate(Rules *r, const RuleSet *set, const RuleMessage *m) {
    if (!r->o.evaluations_per_s) return false;
    uint64_t second = (uint64_t)(monotonic_ns() / 1000000000) & UINT32_MAX, was, now = 0;
    pthread_rwlock_rdlock(&r->lock);
    RuleSpace *s = space_of(r, m->account);
    if (s) {
        was = atomic_load(&s->rate);
        do now = (was >> 32 == second ? was : second << 32) + set->n;
        while (!atomic_compare_exchange_weak(&s->rate, &was, now));
    }
    pthread_rwlock_unlock(&r->lock);
    return s && (now & UINT32_MAX) > r->o.evaluations_per_s;
}

static void throttled(Rules *r, const RuleSet *set, const RuleMessage *m) {
    for (size_t i = 0; i < set->n; i++) {
        atomic_fetch_add_explicit(&set->rules[i]->figures->throttled, 1, memory_order_relaxed);
        rules_event(r, &(RuleEvent){ .level = LOG_ERROR,
                                     .event = "RuleMessageThrottled",
                                     .account = m->account,
                                     .rule = set->rules[i]->name,
                                     .client_id = m->client_id,
                                     .principal = m->principal ? m->principal->id : STR_NONE,
                                     .topic = m->topic,
                                     .source_ip = m->source_ip,
                                     .details = S("the account has more evaluations a second than it may") });
    }
}

/* A message that k rules pass on counts as more than one round, so that rules which match what they publish end after
 * some thousand messages, however many they make of each. Shape: 0 for one, 2 more for each doubling */
static uint32_t breadth(const RuleSet *set) {
    size_t k = 0;
    uint32_t rounds = 0;
    for (size_t i = 0; i < set->n; i++) k += set->rules[i]->republishes;
    for (; k > 1; k = (k + 1) / 2) rounds += 2;
    return rounds;
}

/* What the rules of one message may take on a reactor, all together (some 20 ms): those that are left then are run by
 * the pool, as statements that reach outside are. */
enum { MESSAGE_STEPS_MAX = SQL_STEPS_MAX };

static void run(void *ctx, void *rules, const RuleMessage *m) {
    Rules *r = ctx;
    const RuleSet *set = rules;
    Bench *bench = &r->benches[m->shard];
    char trace[36];
    if (set->n == 0) {
        not_found(r, m);
        return;
    }
    if (over_rate(r, set, m)) {
        throttled(r, set, m);
        return;
    }
    bool own = !m->principal || m->principal->kind == PRINCIPAL_SERVICE;
    const WorkMessage wm = { .in = { .topic = m->topic,
                                     .payload = m->payload,
                                     .client_id = m->client_id,
                                     .principal = own ? STR_NONE : m->principal->id,
                                     .trace_id = trace_id(bench, trace),
                                     .source_ip = m->source_ip.len ? m->source_ip : STR_NONE,
                                     .time_ms = clock_ms(r->o.clock),
                                     .properties = m->props },
                             .depth = m->depth + breadth(set) };
    SqlMessage *message = NULL;
    int64_t taken = 0;
    for (size_t i = 0; i < set->n; i++) {
        if (set->rules[i]->outside || taken >= MESSAGE_STEPS_MAX) {
            work_evaluate_later(r, set->rules[i], &wm, m->qos ? m : NULL);
            continue;
        }
        if (!message) message = sql_message_open(&wm.in, &bench->arena);
        taken += work_evaluate(r, set->rules[i], message, &wm, bench, m->qos ? m : NULL);
    }
    arena_reset(&bench->arena);
}

const RulesOptions *rules_options(const Rules *r) {
    return &r->o;
}

RuleHook rules_hook(Rules *r) {
    return (RuleHook){ .ctx = r, .find = find, .release = release, .run = run };
}

/* ------------------------------------------------------------------------------------------------ from the store */

static void tell_broken(Rules *r, Str account, Str name, Str why) {
    rules_event(
        r,
        &(RuleEvent){ .level = LOG_ERROR, .event = "RuleExecution", .account = account, .rule = name, .details = why });
}

/* A role that was never made here may be a mistake in its ARN: said once. */
static void tell_roles(Rules *r, const Rule *rule) {
    Arena arena = { 0 };
    for (size_t i = 0; rule->seats && i <= rule->plans_n; i++) {
        const Plan *p = i < rule->plans_n ? &rule->plans[i] : rule->error;
        if (!rule->seats[i] || role_seat_known(rule->roles, rule->seats[i]) || !role_seat_tell(rule->seats[i]))
            continue;
        Str arn = right_role(p->kind, p->action);
        rules_event(r, &(RuleEvent){ .level = LOG_INFO,
                                     .event = "RuleRole",
                                     .success = true,
                                     .account = rule->account,
                                     .rule = rule->name,
                                     .action = p->kind->failed,
                                     .details = str_format(&arena,
                                                           "the role %.*s was never created here, so its policies are "
                                                           "not known and refuse nothing",
                                                           PS(arn)) });
    }
    arena_free(&arena);
}

/* The rule of a record as it runs; NULL: it does not compile (any more), which is told. */
static Rule *rule_of(Rules *r, Str account, const TopicRuleRecord *row, Arena *arena) {
    Rule *rule = NULL;
    RuleFault fault = { 0 };
    RuleSpec spec = { .account = account,
                      .region = r->o.region,
                      .name = row->rule_name,
                      .disabled = row->disabled,
                      .plain_http = r->o.plain_http,
                      .roles = r->o.roles };
    Rule *old = rules_find(r, account, row->rule_name);
    RuleFigures *figures = old ? old->figures : rule_figures_new();
    Err e = rule_new(&spec, row->payload, figures, arena, &rule, &fault);
    if (e != OK) tell_broken(r, account, row->rule_name, fault.text);
    if (e == OK) tell_roles(r, rule);
    if (old)
        rule_release(old);
    else
        rule_figures_release(figures);
    return e == OK ? rule : NULL;
}

void rules_changed(Rules *r, Str account, Str name) {
    Txn *txn;
    Arena arena = { 0 };
    TopicRuleRecord row;
    Rule *rule = NULL;
    pthread_mutex_lock(&r->change); /* who comes second reads what is newer */
    Err e = txn_begin(r->o.store, &txn);
    if (e == OK) {
        e = topic_rule_record_peek(txn, (Tenant){ account, r->o.region }, name, &arena, &row);
        if (e == OK) rule = rule_of(r, account, &row, &arena);
        txn_abort(txn);
    }
    if (e == OK || e == ERR_NOT_FOUND) {
        Str filter = rule ? rule->filter : STR_NONE;
        Rule *old = exchange(r, account, name, rule);
        if (old && old->filter.ptr) broker_rules_changed(r->env.broker, account, old->filter);
        if (filter.ptr || !old) broker_rules_changed(r->env.broker, account, filter.ptr ? filter : S("$aws"));
        rule_release(old);
    } else {
        tell_broken(r, account, name, S("its record cannot be read"));
    }
    pthread_mutex_unlock(&r->change);
    arena_free(&arena);
}

static Err load_rules(Rules *r, Txn *txn, Str account) {
    RecordScan *scan;
    TopicRuleRecord row;
    Arena arena = { 0 };
    Err e = topic_rule_record_scan(txn, (Tenant){ account, r->o.region }, STR_NONE, false, &scan);
    if (e != OK) return e;
    while (topic_rule_record_next(scan, &arena, &row)) {
        Rule *rule = rule_of(r, account, &row, &arena);
        if (rule) rule_release(exchange(r, account, rule->name, rule));
        arena_reset(&arena);
    }
    arena_free(&arena);
    return record_scan_end(scan);
}

Err rules_load_account(Rules *r, Str account) {
    Txn *txn;
    Err e = txn_begin(r->o.store, &txn);
    if (e != OK) return e;
    e = load_rules(r, txn, account);
    txn_abort(txn);
    if (e == OK) e = work_load(r, account);
    if (e == OK) destinations_changed(r, account);
    return e;
}

void rules_resume(Rules *r) {
    work_resume(r);
}

/* ------------------------------------------------------------------------------------------------ life */

enum { QUEUED_MAX = 10000, QUEUED_BYTES_MAX = 64 << 20 };

Rules *rules_new(const RulesOptions *o) {
    Rules *r = mem_new(sizeof *r);
    Rng seed = { 0 };
    r->o = *o;
    r->self = (Principal){ .kind = PRINCIPAL_SERVICE, .id = S("rules"), .arn = S("rules"), .refs = 1 };
    pthread_rwlock_init(&r->lock, NULL);
    pthread_mutex_init(&r->change, NULL);
    r->next_work_id = (uint64_t)real_ms() << 20; /* beyond what a former run used */
    for (size_t i = 0; i < sizeof r->benches / sizeof *r->benches; i++) r->benches[i].trace.state = rng_u64(&seed) | 1;
    r->pool = pool_start(o->threads_max);
    const DeliveryOptions d = { .env = &r->env,
                                .pool = r->pool,
                                .queued_max = o->queued_max ? o->queued_max : QUEUED_MAX,
                                .queued_bytes_max = o->queued_bytes_max ? o->queued_bytes_max : QUEUED_BYTES_MAX };
    r->delivery = delivery_start(&d);
    r->kafka = kafka_clients_new();
    return r;
}

void rules_connect(Rules *r, const ActionEnv *env) {
    r->env = *env;
    r->env.rules = r;
    r->env.kafka = r->kafka;
    r->env.self = &r->self;
}

static void clear(Rules *r) {
    pthread_rwlock_wrlock(&r->lock);
    Map spaces = r->spaces;
    r->spaces = (Map){ 0 };
    atomic_store(&r->rules_n, 0);
    pthread_rwlock_unlock(&r->lock);
    map_each (&spaces, slot) {
        RuleSpace *s = slot->value;
        if (r->env.broker && !atomic_load(&r->stopping)) {
            broker_rules_changed(r->env.broker, s->account, S("#"));
            map_each (&s->by_name, rule) {
                const Rule *gone = rule->value;
                if (gone->filter.ptr) broker_rules_changed(r->env.broker, s->account, gone->filter);
            }
        }
        map_each (&s->by_name, rule) rule_release(rule->value);
        map_free(&s->by_name);
        match_free(&s->match);
        destinations_free(s->destinations);
        free(s);
    }
    map_free(&spaces);
}

void rules_reset(Rules *r) {
    clear(r);
}

void rules_stop(Rules *r) {
    atomic_store(&r->stopping, true);
    delivery_close(r->delivery);
    pool_stop(r->pool);
    kafka_clients_stop(r->kafka);
    delivery_stop(r->delivery);
}

void rules_free(Rules *r) {
    if (!r) return;
    clear(r);
    delivery_free(r->delivery);
    pool_free(r->pool);
    kafka_clients_free(r->kafka);
    for (size_t i = 0; i < sizeof r->benches / sizeof *r->benches; i++) arena_free(&r->benches[i].arena);
    pthread_rwlock_destroy(&r->lock);
    pthread_mutex_destroy(&r->change);
    free(r);
}

/* ------------------------------------------------------------------------------------------------ figures */

static uint64_t count(const _Atomic uint64_t *n) {
    return atomic_load_explicit(n, memory_order_relaxed);
}

static void sum_rule(const RuleFigures *f, RulesFigures *sum) {
    sum->matched += count(&f->matched);
    sum->executed += count(&f->executed);
    sum->parse_errors += count(&f->parse_errors);
    sum->throttled += count(&f->throttled);
    for (size_t i = 0; i <= RULE_ACTIONS_MAX; i++) {
        const ActionFigures *a = &f->actions[i];
        bool error = i == RULE_ACTIONS_MAX;
        *(error ? &sum->error_succeeded : &sum->succeeded) += count(&a->succeeded);
        *(error ? &sum->error_failed : &sum->failed) += count(&a->failed);
        sum->retried += count(&a->retried);
        sum->actions_throttled += count(&a->throttled);
    }
}

RulesFigures rules_figures(Rules *r) {
    RulesFigures sum = { .rules = atomic_load(&r->rules_n),
                         .not_found = count(&r->not_found),
                         .queued =
                             (int64_t)delivery_waiting(r->delivery) }; /* those of rules that are gone with them */
    pthread_rwlock_rdlock(&r->lock);
    map_each (&r->spaces, space)
        map_each (&((RuleSpace *)space->value)->by_name, rule) sum_rule(((Rule *)rule->value)->figures, &sum);
    pthread_rwlock_unlock(&r->lock);
    return sum;
}

static void give_action(const Rule *rule, size_t i, const Plan *plan, const char *kind, RuleActionFn *fn, void *ctx) {
    const ActionFigures *a = &rule->figures->actions[i];
    const RuleActionFigures f = { .account = rule->account,
                                  .rule = rule->name,
                                  .action = plan->kind->member,
                                  .stage = kind,
                                  .index = i,
                                  .succeeded = count(&a->succeeded),
                                  .failed = count(&a->failed),
                                  .throttled = count(&a->throttled),
                                  .retried = count(&a->retried),
                                  .queued = atomic_load_explicit(&a->queued, memory_order_relaxed) };
    fn(ctx, &f);
}

void rules_each_figure(Rules *r, RuleTotalsFn *totals, RuleActionFn *actions, void *ctx) {
    pthread_rwlock_rdlock(&r->lock);
    map_each (&r->spaces, space)
        map_each (&((RuleSpace *)space->value)->by_name, slot) {
            const Rule *rule = slot->value;
            const RuleFigures *f = rule->figures;
            const RuleTotals t = { rule->account,           rule->name,
                                   count(&f->matched),      count(&f->executed),
                                   count(&f->parse_errors), count(&f->throttled) };
            if (totals) totals(ctx, &t);
            for (size_t i = 0; actions && i < rule->plans_n; i++)
                give_action(rule, i, &rule->plans[i], "action", actions, ctx);
            if (actions && rule->error) give_action(rule, RULE_ACTIONS_MAX, rule->error, "errorAction", actions, ctx);
        }
    pthread_rwlock_unlock(&r->lock);
}
