#include "broker/hub.h"

#include <stdlib.h>

#include "base/reader.h"
#include "broker/client.h"
#include "broker/departure.h"
#include "generated/iot_records.h"

/* What all shards share, and how the rest of the server reaches the broker: by tasks posted to a shard. */

Space *hub_space(Broker *b, Str account) {
    pthread_mutex_lock(&b->spaces_lock);
    Space *s = map_get(&b->spaces, account);
    if (!s) {
        s = space_new(account);
        map_put(&b->spaces, s->account, s);
    }
    pthread_mutex_unlock(&b->spaces_lock);
    return s;
}

void hub_ask(HubTask *t, Shard *shard, void (*run)(Task *task, Reactor *reactor)) {
    t->task.run = run;
    t->done = false;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->over, NULL);
    reactor_post(shard->reactor, &t->task);
    pthread_mutex_lock(&t->lock);
    while (!t->done) pthread_cond_wait(&t->over, &t->lock);
    pthread_mutex_unlock(&t->lock);
    pthread_mutex_destroy(&t->lock);
    pthread_cond_destroy(&t->over);
}

void hub_told(HubTask *t) {
    pthread_mutex_lock(&t->lock);
    t->done = true;
    pthread_cond_signal(&t->over);
    pthread_mutex_unlock(&t->lock);
}

static void shut(Shard *shard) {
    while (shard->clients)
        client_leave(shard->clients, LEAVE_SERVER, MQTT_SERVER_SHUTTING_DOWN, "the server is shutting down");
}

static void before_flush(Reactor *r) {
    Shard *shard = shard_of(r);
    BrokerCounters *c = &shard->broker->counters;
    if (atomic_load_explicit(&shard->broker->ended, memory_order_relaxed)) shut(shard); /* who has just come here */
    relays_submit(shard);
    store_ops_submit(shard);
    if (shard->published_in | shard->delivered | shard->acks) {
        atomic_fetch_add_explicit(&c->published_in, shard->published_in, memory_order_relaxed);
        atomic_fetch_add_explicit(&c->delivered, shard->delivered, memory_order_relaxed);
        atomic_fetch_add_explicit(&c->acks, shard->acks, memory_order_relaxed);
        shard->published_in = shard->delivered = shard->acks = 0;
    }
}

/* A peak that is over sooner does not scatter a fleet. One that waits for a processor itself would not gain by using
 * another: there is none. */
enum { SATURATED_S = 3 };

static void each_second(Reactor *r) {
    Shard *shard = shard_of(r);
    uint32_t ran = atomic_load_explicit(&r->ran_permille, memory_order_relaxed);
    shard->saturated_s = ran >= REACTOR_SATURATED_PERMILLE ? shard->saturated_s + 1 : 0;
    if (shard->saturated_s >= SATURATED_S) shard_relieve(shard);
}

Broker *broker_new(const BrokerOptions *options, Reactor **reactors, size_t n) {
    Broker *b = mem_new(sizeof *b);
    b->o = *options;
    if (options->service_log) b->log_version = service_log_version(options->service_log);
    b->shards_n = n < SHARDS_MAX ? n : SHARDS_MAX;
    pthread_mutex_init(&b->spaces_lock, NULL);
    for (size_t i = 0; i < b->shards_n; i++) {
        Shard *s = b->shards[i] = mem_new(sizeof *s);
        s->broker = b;
        s->reactor = reactors[i];
        s->index = (int)i;
        s->rng.state = options->random_seed ? options->random_seed + i : 0;
        reactors[i]->owner = s;
        reactors[i]->before_flush = before_flush;
        reactors[i]->each_second = each_second;
    }
    return b;
}

void broker_free(Broker *b) {
    for (size_t i = 0; i < b->shards_n; i++) {
        routes_free(b->shards[i]);
        wills_free(b->shards[i]);
        departures_free(b->shards[i]);
        map_free(&b->shards[i]->principals);
        free(b->shards[i]);
    }
    map_each (&b->spaces, slot) {
        Space *space = slot->value;
        map_each (&space->sessions, entry) {
            Session *s = entry->value;
            while (s->subs) tree_remove(&space->tree, &s->subs, s->subs);
            session_free(s);
        }
        space_free(space);
    }
    map_free(&b->spaces);
    pthread_mutex_destroy(&b->spaces_lock);
    free(b);
}

/* ------------------------------------------------------------------------------------------------ publishing */

typedef struct {
    Task task;
    BrokerMessage message;
    uint8_t data[];
} PublishTask;

static void publish(Task *task, Reactor *r) {
    PublishTask *t = (PublishTask *)task;
    Shard *shard = shard_of(r);
    const BrokerMessage *in = &t->message;
    Message m = { .space = hub_space(shard->broker, in->account),
                  .topic = in->topic,
                  .payload = { turn_copy(r, in->payload), in->payload.len },
                  .props = in->props,
                  .qos = in->qos,
                  .retain = in->retain,
                  .done = in->done,
                  .ctx = in->ctx };
    MqttProps props;
    if (in->props.len && mqtt_props_decode(MQTT_PUBLISH, in->props, &props) == OK &&
        mqtt_props_has(&props, MQTT_PROP_MESSAGE_EXPIRY)) {
        m.has_expiry = true;
        m.expires_ms = clock_ms(shard->broker->o.clock) + (int64_t)props.message_expiry_s * 1000;
    }
    const TopicService *service = in->principal ? route_find(shard, m.space, m.topic)->service : NULL;
    if (service) topic_request(shard, service, &m, in->principal, in->source_ip);
    const RuleOrigin from = { .source_ip = in->source_ip, .principal = in->principal, .depth = in->rule_depth };
    hub_publish(shard, &m, &from);
    principal_release((Principal *)(uintptr_t)in->principal);
    free(t);
}

bool broker_open_topic(const Broker *b, Str topic) {
    if (!str_starts(topic, S("$")) || str_starts(topic, S("$aws/rules/"))) return true;
    for (size_t i = 0; i < b->o.services_n; i++)
        if (b->o.services[i].takes(topic)) return true;
    return false;
}

void broker_publish(Broker *b, const BrokerMessage *message) {
    size_t bytes =
        message->account.len + message->topic.len + message->payload.len + message->props.len + message->source_ip.len;
    PublishTask *t = mem_grow(NULL, sizeof *t + bytes);
    BrokerMessage *m = &t->message;
    *m = *message;
    str_pack(t->data, (Str *const[]){ &m->account, &m->topic, &m->payload, &m->props, &m->source_ip }, 5);
    if (message->principal) principal_retain(message->principal);
    t->task.run = publish;
    reactor_post(b->shards[0]->reactor, &t->task);
}

/* ------------------------------------------------------------------------------------------------ principals */

typedef struct {
    Task task;
    const Principal *now; /* NULL: may not be connected */
    Str id, account;
    uint8_t data[];
} PrincipalTask;

void client_rebound(Client *c) {
    if (c->state == CLIENT_NEW) return;
    client_bind(c);
    if (!c->session || c->session->client != c) return;
    session_touch(c->session);
}

static void rebind(Client *c, const Principal *now) {
    principal_release((Principal *)(uintptr_t)c->principal);
    c->principal = principal_retain(now);
    client_rebound(c);
}

static void principal_task(Task *task, Reactor *r) {
    PrincipalTask *t = (PrincipalTask *)task;
    Shard *shard = shard_of(r);
    Client *first = map_get(&shard->principals, t->id);
    for (Client *c = first, *next; c; c = next) {
        next = c->next_principal;
        if (!str_eq(c->space->account, t->account)) continue; /* one certificate may be registered in several */
        if (!t->now) {
            client_leave(c, LEAVE_AUTH_ERROR, MQTT_NOT_AUTHORIZED, "its principal may not be connected any more");
            continue;
        }
        if (c == first) map_put(&shard->principals, t->now->id, c); /* the key lives in the first one's snapshot */
        rebind(c, t->now);
    }
    principal_release((Principal *)(uintptr_t)t->now);
    free(t);
}

void broker_principal_changed(Broker *b, Str account, Str principal_id, const Principal *now) {
    atomic_fetch_add(&b->principal_changes_begun, 1);
    for (size_t i = 0; i < b->shards_n; i++) {
        PrincipalTask *t = mem_grow(NULL, sizeof *t + principal_id.len + account.len);
        memcpy(t->data, principal_id.ptr, principal_id.len);
        memcpy(t->data + principal_id.len, account.ptr, account.len);
        t->id = (Str){ t->data, principal_id.len };
        t->account = (Str){ t->data + principal_id.len, account.len };
        t->now = now ? principal_retain(now) : NULL;
        t->task.run = principal_task;
        reactor_post(b->shards[i]->reactor, &t->task);
    }
    atomic_fetch_add(&b->principal_changes_posted, 1);
}

void broker_time_passes(Broker *b) {
    pthread_mutex_lock(&b->spaces_lock);
    map_each (&b->spaces, slot) {
        Space *space = slot->value;
        if (!atomic_exchange_explicit(&space->timed, false, memory_order_relaxed)) continue; /* set again when bound */
        atomic_fetch_add_explicit(&space->policy_version, 1, memory_order_release);
        space_touch(space, S("#"));
    }
    pthread_mutex_unlock(&b->spaces_lock);
}

/* Clients bind again at their next decision, routes ask their receivers again at their next message. */
void broker_policies_changed(Broker *b, Str account) {
    Space *space = hub_space(b, account);
    atomic_fetch_add_explicit(&space->policy_version, 1, memory_order_release);
    space_touch(space, S("#"));
}

void broker_disconnect_principal(Broker *b, Str account, Str principal_id) {
    broker_principal_changed(b, account, principal_id, NULL);
}

/* ------------------------------------------------------------------------------------------------ start and end */

static void restore_subs(Session *s, Str encoded) {
    Reader r = reader_from(encoded);
    while (!r.bad && reader_left(&r)) {
        uint8_t qos = reader_u8(&r), flags = reader_u8(&r);
        Str text = reader_take(&r, reader_u16(&r));
        MqttFilter f;
        bool made;
        if (r.bad || mqtt_filter_parse(text, (MqttTopicLimits){ SIZE_MAX, SIZE_MAX }, &f) != OK) return;
        Sub *sub = tree_add(&s->space->tree, s, &s->subs, f.group, f.filter, &made);
        sub->qos = qos;
        sub->no_local = flags & 1;
        sub->retain_as_published = flags >> 1 & 1;
        s->subs_n += made;
    }
    session_note_overlaps(s);
}

static void restore(Broker *b, Space *space, const SessionRecord *row, int64_t now_ms) {
    Shard *shard = b->shards[0];
    Session *s = session_add(shard, space, row->client_id);
    s->version = (MqttVersion)row->mqtt_version;
    s->expiry_s = (uint32_t)row->expiry_s;
    enum { BEYOND = 1 << 30 }; /* more than it can have stored since the record was written */
    uint64_t past = (uint64_t)row->next_sequence + BEYOND;
    if (s->next_seq < past) s->next_seq = past;                                  /* the system's clock went back */
    s->tried_seq = row->connected ? s->next_seq : (uint64_t)row->tried_sequence; /* a crash: maybe all of them */
    s->presence = (uint32_t)row->version_number;
    s->connected_ms = row->connected_ms;
    s->disconnected_ms = row->connected ? now_ms : row->disconnected_ms; /* cut off with the server */
    s->disconnect_reason = "SERVER_INITIATED_DISCONNECT";
    atomic_store(&s->kept, true);
    restore_subs(s, row->subscriptions);
    int64_t left = s->disconnected_ms + (int64_t)s->expiry_s * 1000 - now_ms;
    if (left > (int64_t)s->expiry_s * 1000) left = (int64_t)s->expiry_s * 1000; /* the system's clock went back */
    timer_arm(shard->reactor, &s->expiry, reactor_now_ms(shard->reactor) + (left > 0 ? left : 0));
}

static Err load_sessions(Broker *b, Txn *txn, Space *space, Arena *arena) {
    RecordScan *scan;
    SessionRecord row;
    int64_t now = clock_ms(b->o.clock);
    Err e = session_record_scan(txn, (Tenant){ space->account, b->o.region }, STR_NONE, false, &scan);
    if (e != OK) return e;
    while (session_record_next(scan, arena, &row)) {
        restore(b, space, &row, now);
        arena_reset(arena);
    }
    return record_scan_end(scan);
}

static Err count_retained(Broker *b, Txn *txn, Space *space, Arena *arena) {
    RecordScan *scan;
    RetainedMessageRecord row;
    Err e = retained_message_record_scan(txn, (Tenant){ space->account, b->o.region }, STR_NONE, false, &scan);
    if (e != OK) return e;
    for (; retained_message_record_next(scan, arena, &row); arena_reset(arena)) atomic_fetch_add(&space->retained_n, 1);
    return record_scan_end(scan);
}

Err broker_load_account(Broker *b, Str account) {
    Txn *txn;
    Arena arena = { 0 };
    Err e = txn_begin(b->o.store, &txn);
    if (e != OK) return e;
    Space *space = hub_space(b, account);
    e = load_sessions(b, txn, space, &arena);
    if (e == OK) e = count_retained(b, txn, space, &arena);
    txn_abort(txn);
    arena_free(&arena);
    return e;
}

typedef struct {
    HubTask task;
    void (*run)(Shard *shard);
} ShardTask;

static void shard_task(Task *task, Reactor *r) {
    ShardTask *t = (ShardTask *)task;
    t->run(shard_of(r));
    hub_told(&t->task);
}

/* On each shard's thread, one after the other; waits. */
static void on_shards(Broker *b, void (*run)(Shard *shard)) {
    for (size_t i = 0; i < b->shards_n; i++) {
        ShardTask t = { .run = run };
        hub_ask(&t.task, b->shards[i], shard_task);
    }
}

void broker_shut(Broker *b) {
    atomic_store(&b->shutting, true);
    atomic_store(&b->ended, true);
    on_shards(b, shut);
}

/* Sessions of this shard; only its own thread frees them, so that the list holds without the lock. */
static Session **sessions_of(Shard *shard, Space *space, Arena *arena, size_t *n) {
    pthread_mutex_lock(&space->sessions_lock);
    Session **list = arena_array(arena, Session *, space->sessions.count + 1);
    *n = 0;
    map_each (&space->sessions, slot) {
        Session *s = slot->value;
        if (atomic_load(&s->shard_index) == shard->index) list[(*n)++] = s;
    }
    pthread_mutex_unlock(&space->sessions_lock);
    return list;
}

/* One that is on its way here goes to whom it comes with. */
static void forget_session(Shard *shard, Session *s) {
    s->expiry_s = 0;
    if (s->moving)
        session_clear(shard, s);
    else
        session_away(shard, s);
    s->presence = 0;
    s->connected_ms = s->disconnected_ms = 0;
}

static void reset(Shard *shard) {
    Broker *b = shard->broker;
    Arena arena = { 0 };
    while (shard->clients) {
        Client *c = shard->clients;
        free(c->will);
        c->will = NULL;
        c->session_expiry_s = 0;
        client_leave(c, LEAVE_SERVER, MQTT_ADMINISTRATIVE_ACTION, "the server was reset");
    }
    wills_free(shard);
    pthread_mutex_lock(&b->spaces_lock);
    Space **spaces = arena_array(&arena, Space *, b->spaces.count + 1);
    size_t spaces_n = 0;
    map_each (&b->spaces, slot) spaces[spaces_n++] = slot->value;
    pthread_mutex_unlock(&b->spaces_lock);
    for (size_t i = 0; i < spaces_n; i++) {
        size_t n;
        Session **list = sessions_of(shard, spaces[i], &arena, &n);
        for (size_t j = 0; j < n; j++) forget_session(shard, list[j]);
    }
    arena_free(&arena);
}

void broker_reset(Broker *b) {
    atomic_store(&b->shutting, true);
    on_shards(b, reset);
    atomic_store(&b->shutting, false);
    pthread_mutex_lock(&b->spaces_lock);
    map_each (&b->spaces, slot) atomic_store(&((Space *)slot->value)->retained_n, 0);
    pthread_mutex_unlock(&b->spaces_lock);
}

BrokerFigures broker_figures(Broker *b) {
    BrokerCounters *c = &b->counters;
    BrokerFigures f = { .connects = atomic_load(&c->connects),
                        .connections = atomic_load(&c->connects) - atomic_load(&c->disconnects),
                        .connects_refused = atomic_load(&c->connect_refused),
                        .published_in = atomic_load(&c->published_in),
                        .delivered = atomic_load(&c->delivered),
                        .dropped_slow = atomic_load(&c->dropped_slow),
                        .dropped_full = atomic_load(&c->dropped_full),
                        .queued = atomic_load(&c->queued),
                        .denied = atomic_load(&c->denied) };
    pthread_mutex_lock(&b->spaces_lock);
    map_each (&b->spaces, slot) {
        Space *space = slot->value;
        pthread_mutex_lock(&space->sessions_lock);
        f.sessions += space->sessions.count;
        pthread_mutex_unlock(&space->sessions_lock);
        pthread_rwlock_rdlock(&space->lock);
        f.subscriptions += space->tree.subs_n;
        pthread_rwlock_unlock(&space->lock);
    }
    pthread_mutex_unlock(&b->spaces_lock);
    return f;
}
