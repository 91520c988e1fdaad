#include "broker/connection.h"

#include <stdlib.h>

#include "broker/client.h"
#include "identity/connection_vars.h"

/* A question goes to the reactor that owns the session and its asker waits. A session that moved meanwhile is asked for
 * again where it is now. */

typedef struct Ask {
    HubTask task;
    Space *space;
    Str client_id;
    void (*look)(struct Ask *ask, Shard *shard, Session *s); /* s NULL: there is none */
    Arena *arena;
    void *out;
    Err result;
} Ask;

/* The shard to ask: where the session is, or the first. */
static Shard *home(Broker *b, Space *space, Str client_id) {
    pthread_mutex_lock(&space->sessions_lock);
    Session *s = map_get(&space->sessions, client_id);
    int index = s ? atomic_load(&s->shard_index) : 0;
    pthread_mutex_unlock(&space->sessions_lock);
    return b->shards[index];
}

/* Its session is elsewhere, or just on its way here: the task goes after it. */
static bool elsewhere(Task *task, const Shard *here, Space *space, Str client_id) {
    Shard *there = home(here->broker, space, client_id);
    if (here == there && !session_in_transit(here, space, client_id)) return false;
    reactor_post(there->reactor, task);
    return true;
}

static void ask_task(Task *task, Reactor *r) {
    Ask *a = (Ask *)task;
    Shard *here = shard_of(r);
    if (elsewhere(task, here, a->space, a->client_id)) return;
    a->look(a, here, session_here(here, a->space, a->client_id));
    hub_told(&a->task);
}

static Err ask(Ask *a, Broker *b, Str account, Str client_id) {
    a->space = hub_space(b, account);
    a->client_id = client_id;
    hub_ask(&a->task, home(b, a->space, client_id), ask_task);
    return a->result;
}

/* ------------------------------------------------------------------------------------------------ questions */

enum { REMEMBERED_MS = 30 * 60 * 1000 }; /* Source: developer guide, GetConnection */

static void socket_facts(const Client *c, Arena *arena, BrokerConnection *out) {
    char text[INET6_ADDRSTRLEN];
    const Conn *conn = c->conn;
    const struct sockaddr_in6 local = conn_local(conn);
    const PrincipalThing *thing = connection_thing(c->principal, c->client_id);
    if (thing) out->thing_name = str_dup(arena, thing->name);
    out->source_ip = str_dup(arena, c->source_ip);
    out->source_port = ntohs(conn->peer.sin6_port);
    out->target_ip = str_dup(arena, conn_address(&local, text));
    out->target_port = conn->local_port;
}

static void look_connection(Ask *a, Shard *shard, Session *s) {
    BrokerConnection *out = a->out;
    int64_t now = clock_ms(shard->broker->o.clock);
    bool kept = s && atomic_load(&s->kept), live = s && s->client && s->client->state == CLIENT_LIVE;
    a->result = ERR_NOT_FOUND;
    if (!s || (!live && !kept && (s->disconnected_ms == 0 || now - s->disconnected_ms > REMEMBERED_MS))) return;
    *out = (BrokerConnection){ .connected = live,
                               .clean_session = !kept,
                               .session_expiry_s = s->expiry_s,
                               .keepalive_s = s->keepalive_s,
                               .connected_ms = s->connected_ms,
                               .disconnected_ms = s->disconnected_ms,
                               .disconnect_reason = str_c(s->disconnect_reason),
                               .has_session = kept };
    if (live) socket_facts(s->client, a->arena, out);
    a->result = OK;
}

Err broker_connection(Broker *b, Str account, Str client_id, Arena *arena, BrokerConnection *out) {
    Ask a = { .look = look_connection, .arena = arena, .out = out };
    return ask(&a, b, account, client_id);
}

typedef struct {
    HubTask task;
    Str account, principal_id, client_id; /* client_id ptr NULL: not found here */
    Arena *arena;
} FindTask;

static void find_client(Task *task, Reactor *r) {
    FindTask *t = (FindTask *)task;
    for (Client *c = map_get(&shard_of(r)->principals, t->principal_id); c && !t->client_id.ptr; c = c->next_principal)
        if (c->state == CLIENT_LIVE && str_eq(c->space->account, t->account))
            t->client_id = str_dup(t->arena, c->client_id);
    hub_told(&t->task);
}

bool broker_client_of(Broker *b, Str account, Str principal_id, Arena *arena, Str *client_id) {
    for (size_t i = 0; i < b->shards_n; i++) {
        FindTask t = { .account = account, .principal_id = principal_id, .arena = arena };
        hub_ask(&t.task, b->shards[i], find_client);
        if (!t.client_id.ptr) continue;
        *client_id = t.client_id;
        return true;
    }
    return false;
}

typedef struct {
    BrokerSubscription *list;
    size_t n;
} SubList;

static int by_filter(const void *x, const void *y) {
    return str_cmp(((const BrokerSubscription *)x)->filter, ((const BrokerSubscription *)y)->filter);
}

static void look_subscriptions(Ask *a, Shard *shard, Session *s) {
    SubList *out = a->out;
    (void)shard;
    a->result = ERR_NOT_FOUND;
    if (!s || (!s->client && !atomic_load(&s->kept))) return;
    out->list = arena_array(a->arena, BrokerSubscription, s->subs_n);
    for (Sub *sub = s->subs; sub; sub = sub->next_of_session)
        out->list[out->n++] = (BrokerSubscription){ tree_filter(sub, a->arena), sub->qos };
    if (out->n) qsort(out->list, out->n, sizeof *out->list, by_filter);
    a->result = OK;
}

Err broker_subscriptions(Broker *b, Str account, Str client_id, Arena *arena, BrokerSubscription **out, size_t *n) {
    SubList list = { 0 };
    Ask a = { .look = look_subscriptions, .arena = arena, .out = &list };
    Err e = ask(&a, b, account, client_id);
    if (e != OK) return e;
    *out = list.list;
    *n = list.n;
    return OK;
}

/* ------------------------------------------------------------------------------------------------ orders */

typedef struct {
    Task task;
    Space *space;
    Str client_id;
    bool end_session, prevent_will;
    uint8_t data[];
} EvictTask;

static void evict(Task *task, Reactor *r) {
    EvictTask *t = (EvictTask *)task;
    Shard *here = shard_of(r);
    if (elsewhere(task, here, t->space, t->client_id)) return;
    Session *s = session_here(here, t->space, t->client_id);
    if (s && s->client) {
        Client *c = s->client;
        if (t->prevent_will) {
            free(c->will);
            c->will = NULL;
        }
        if (t->end_session) c->session_expiry_s = 0;
        client_leave(c, LEAVE_API, MQTT_ADMINISTRATIVE_ACTION, "the connection was deleted over the API");
    } else if (s && t->end_session) {
        s->expiry_s = 0;
        session_away(here, s);
    }
    free(t);
}

void broker_evict(Broker *b, const BrokerEviction *e) {
    EvictTask *t = mem_grow(NULL, sizeof *t + e->client_id.len);
    *t = (EvictTask){ .task.run = evict,
                      .space = hub_space(b, e->account),
                      .client_id = { t->data, e->client_id.len },
                      .end_session = e->end_session,
                      .prevent_will = e->prevent_will };
    memcpy(t->data, e->client_id.ptr, e->client_id.len);
    reactor_post(home(b, t->space, t->client_id)->reactor, &t->task);
}

/* A direct message that waits for its PUBACK. It is told once: by the PUBACK, by its timer or by the session's end. */
struct Confirm {
    Timer timer;
    bool told;
    void (*done)(void *ctx, BrokerDirectResult result);
    void *ctx;
};

static void tell(Confirm *c, BrokerDirectResult result) {
    if (c->told) return;
    c->told = true;
    timer_disarm(&c->timer);
    c->done(c->ctx, result);
}

void confirm_done(Confirm *c, bool came) {
    tell(c, came ? DIRECT_CONFIRMED : DIRECT_NOT_CONNECTED);
    free(c);
}

/* The window's entry keeps it until the PUBACK or the end. */
static void confirm_late(Timer *t, Reactor *r) {
    (void)r;
    tell((Confirm *)t, DIRECT_TIMED_OUT);
}

typedef struct {
    Task task;
    Arena arena;
    BrokerDirect direct;
    Space *space;
} DirectTask;

static BrokerDirectResult direct_now(DirectTask *t, Shard *shard, bool *waits) {
    const BrokerDirect *d = &t->direct;
    Session *s = session_here(shard, t->space, d->client_id);
    if (!s || !s->client || s->client->state != CLIENT_LIVE) return DIRECT_NOT_CONNECTED;
    if (!session_may_receive(s, d->message.topic)) return DIRECT_NOT_ALLOWED;
    Message m = { .space = t->space, .topic = d->message.topic, .props = d->message.props, .qos = d->message.qos };
    m.payload = (Str){ turn_copy(shard->reactor, d->message.payload), d->message.payload.len };
    Confirm *c = NULL;
    if (m.qos) {
        c = mem_new(sizeof *c);
        *c = (Confirm){ .timer.fire = confirm_late, .done = d->done, .ctx = d->ctx };
    }
    if (!session_send_direct(shard, s, &m, c)) {
        free(c);
        return DIRECT_WINDOW_FULL;
    }
    if (c) timer_arm(shard->reactor, &c->timer, reactor_now_ms(shard->reactor) + d->timeout_s * 1000);
    *waits = c != NULL;
    return DIRECT_SENT;
}

static void direct_task(Task *task, Reactor *r) {
    DirectTask *t = (DirectTask *)task;
    Shard *here = shard_of(r);
    bool waits = false;
    if (elsewhere(task, here, t->space, t->direct.client_id)) return;
    BrokerDirectResult result = direct_now(t, here, &waits);
    if (!waits) t->direct.done(t->direct.ctx, result);
    arena_free(&t->arena);
    free(t);
}

void broker_send_direct(Broker *b, const BrokerDirect *direct) {
    DirectTask *t = mem_new(sizeof *t);
    t->task.run = direct_task;
    t->direct = *direct;
    t->direct.client_id = str_dup(&t->arena, direct->client_id);
    t->direct.message.topic = str_dup(&t->arena, direct->message.topic);
    t->direct.message.payload = str_dup(&t->arena, direct->message.payload);
    t->direct.message.props = str_dup(&t->arena, direct->message.props);
    t->space = hub_space(b, direct->message.account);
    reactor_post(home(b, t->space, t->direct.client_id)->reactor, &t->task);
}
