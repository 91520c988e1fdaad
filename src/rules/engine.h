/* Inside of the rules engine. */
#pragma once

#include <pthread.h>

#include "identity/principal.h"
#include "rules/delivery.h"
#include "rules/match.h"
#include "rules/rules.h"
#include "store/worker.h"

enum { SHARDS_MAX_HERE = 64 };

typedef struct Destinations Destinations; /* destination.c */

/* The rules of one account. */
typedef struct {
    Str account;
    Destinations *destinations; /* NULL: none */
    _Atomic uint64_t rate;      /* the second that is counted, and how many evaluations it had: 32 bits each */
    Map by_name;                /* to Rule; one reference each */
    Match match;
    uint8_t text[];
} RuleSpace;

/* What a route keeps: the rules that its topic concerns. */
typedef struct {
    _Atomic int refs;
    bool ingest; /* $aws/rules/NAME: without a rule nobody takes the message */
    size_t n;
    Rule *rules[];
} RuleSet;

/* What running statements takes, one thread's. */
typedef struct {
    Arena arena;
    Rng rng;
    Rng trace; /* seeded: trace ids are no secrets */
} Bench;

struct Rules {
    RulesOptions o;
    ActionEnv env;
    Principal self;        /* republished messages are its own */
    pthread_rwlock_t lock; /* of what follows, and only that */
    Map spaces;            /* account to RuleSpace */
    _Atomic size_t rules_n;
    pthread_mutex_t change; /* one rule changes at a time */
    Bench benches[SHARDS_MAX_HERE];
    Delivery *delivery;
    Pool *pool;
    KafkaClients *kafka;
    struct Work *brought_back; /* until rules_resume */
    _Atomic uint64_t not_found;
    _Atomic uint64_t next_work_id;
    _Atomic bool stopping;
};

void destinations_free(Destinations *d); /* accepts NULL */
/* Takes them over and returns the former ones. */
Destinations *rules_set_destinations(Rules *r, Str account, Destinations *d);
/* Under the lock: look does not come back to the rules. */
void rules_with_destinations(Rules *r, Str account, void (*look)(const Destinations *d, void *ctx), void *ctx);

void rules_event(Rules *r, const RuleEvent *e);
static inline bool rules_explain(const Rules *r) {
    return r->o.explains && r->o.explains(r->o.on_event_ctx);
}
/* The account's rule of that name, retained; NULL: there is none. */
Rule *rules_find(Rules *r, Str account, Str name);
