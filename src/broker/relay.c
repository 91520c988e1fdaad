#include <stdlib.h>

#include "broker/client.h"

/* Messages for other shards are gathered through a turn and go over as one task with one wake-up. Only bytes cross:
 * the other shard looks the topic up in its own routes. The AckWait crosses too; it is counted atomically.
 *
 * A session may leave for another shard while messages for it are on their way here. They are sent on behind it until
 * nobody can send more: a task that visits each shard pushes out what was routed there before, and so comes home behind
 * all of it. The versions by which a message was routed tell whether its publisher knew already. */

typedef struct RelayItem {
    struct RelayItem *next;
    Space *space;
    Str topic, payload, props, client_id; /* client_id: one member; STR_NONE: the topic's subscribers */
    uint8_t qos, member_qos;
    bool retain, has_expiry, older; /* older: sent on behind a session that moved */
    int64_t expires_ms;
    AckWait *wait;
    uint32_t version, wild_version; /* of its route, when the tree was asked */
} RelayItem;

struct Relay {
    Task task;
    Arena arena;
    RelayItem *first, **tail;
};

struct Departure {
    Task task; /* first */
    Departure *next, **link;
    Shard *home; /* that the session left */
    Shard *to;
    uint64_t hold; /* there, of messages that wait for the end of this; 0: there is none */
    Space *space;
    Str client_id;
    uint32_t versions[SPACE_VERSIONS], wild_version; /* routes of these know where it is now */
    uint8_t data[];
};

static void departure_unlist(Departure *d) {
    *d->link = d->next;
    if (d->next) d->next->link = d->link;
}

void departures_free(Shard *shard) {
    while (shard->departures) {
        Departure *d = shard->departures;
        departure_unlist(d);
        free(d);
    }
}

static void visit_next(Departure *d, const Shard *here);

static void caught_up(Task *task, Reactor *r) {
    Departure *d = (Departure *)task;
    Shard *here = shard_of(r);
    Session *s = session_here(here, d->space, d->client_id);
    if (s && session_held_by(s, d->hold)) session_caught_up(here, s); /* else it was taken over meanwhile */
    free(d);
}

static void visit(Task *task, Reactor *r) {
    Departure *d = (Departure *)task;
    Shard *here = shard_of(r);
    if (here == d->home) {
        departure_unlist(d);
        if (!d->hold) {
            free(d);
            return;
        }
        relays_submit(here);
        d->task.run = caught_up;
        reactor_post(d->to->reactor, &d->task);
        return;
    }
    relays_submit(here);
    visit_next(d, here);
}

static void visit_next(Departure *d, const Shard *here) {
    Broker *b = here->broker;
    d->task.run = visit;
    reactor_post(b->shards[((size_t)here->index + 1) % b->shards_n]->reactor, &d->task);
}

Departure *relay_departure(Shard *shard, const Session *s, Shard *to, uint64_t hold) {
    Departure *d = mem_grow(NULL, sizeof *d + s->client_id.len);
    *d = (Departure){ .next = shard->departures, .link = &shard->departures, .home = shard, .to = to };
    d->hold = hold;
    d->space = s->space;
    if (d->next) d->next->link = &d->next;
    shard->departures = d;
    memcpy(d->data, s->client_id.ptr, s->client_id.len);
    d->client_id = (Str){ d->data, s->client_id.len };
    for (int i = 0; i < SPACE_VERSIONS; i++) d->versions[i] = atomic_load(&s->space->versions[i]);
    d->wild_version = atomic_load(&s->space->wild_version);
    return d;
}

void relay_departed(Departure *d) {
    visit_next(d, d->home);
}

static void relay_older(Shard *shard, int to, Message *m, Str client_id, uint8_t qos);

enum { FORWARDED_MAX = 16 };
typedef struct {
    Shard *shard;
    Message *message;
    const RelayItem *item;
    const Session *to[FORWARDED_MAX]; /* whose other filters match, too */
    size_t n;
} Forward;

/* Its publisher's shard took the session for one that is still here. */
static bool routed_before(const RelayItem *item, const Departure *d, const Sub *sub) {
    Str level = tree_first_level(sub);
    if (str_eq(level, S("+")) || str_eq(level, S("#"))) return (int32_t)(item->wild_version - d->wild_version) < 0;
    return (int32_t)(item->version - d->versions[space_version(d->space, level) - d->space->versions]) < 0;
}

static void forward_sub(void *ctx, Sub *sub) {
    Forward *f = ctx;
    const Session *s = sub->session;
    int to = atomic_load(&s->shard_index);
    if (to == f->shard->index) return;
    for (size_t i = 0; i < f->n; i++)
        if (f->to[i] == s) return;
    for (const Departure *d = f->shard->departures; d; d = d->next)
        if (d->space == s->space && str_eq(d->client_id, s->client_id) && (d->hold || f->message->qos) &&
            routed_before(f->item, d, sub)) {
            if (f->n < FORWARDED_MAX) f->to[f->n++] = s;
            relay_older(f->shard, to, f->message, s->client_id, sub->qos);
            return;
        }
}

static void forward_group(void *ctx, ShareGroup *group) {
    (void)ctx, (void)group; /* its members are named one by one: deliver_member */
}

static void forward(Shard *shard, Message *m, const RelayItem *item) {
    Forward f = { .shard = shard, .message = m, .item = item };
    if (!shard->departures) return;
    pthread_rwlock_rdlock(&m->space->lock);
    tree_match(&m->space->tree, m->topic, forward_sub, forward_group, &f);
    pthread_rwlock_unlock(&m->space->lock);
}

static void deliver_member(Shard *shard, Message *m, const RelayItem *item) {
    pthread_mutex_lock(&item->space->sessions_lock);
    Session *s = map_get(&item->space->sessions, item->client_id);
    int owner = s ? atomic_load(&s->shard_index) : shard->index;
    pthread_mutex_unlock(&item->space->sessions_lock);
    if (owner != shard->index && item->older)
        relay_older(shard, owner, m, item->client_id, item->member_qos);
    else if (owner != shard->index)
        relay_member(shard, owner, m, item->client_id, item->member_qos);
    else if (s && item->older && session_may_receive(s, m->topic))
        session_deliver_older(shard, s, m, item->member_qos, false);
    else if (s && session_may_receive(s, m->topic))
        session_deliver(shard, s, m, item->member_qos, false);
}

static void deliver_topic(Shard *shard, Message *m, const RelayItem *item) {
    publish_local(shard, m, route_find(shard, m->space, m->topic));
    forward(shard, m, item);
}

static void run(Task *task, Reactor *r) {
    Relay *relay = (Relay *)task;
    Shard *shard = shard_of(r);
    for (RelayItem *item = relay->first; item; item = item->next) {
        Message m = { .space = item->space,
                      .topic = item->topic,
                      .payload = { turn_copy(r, item->payload), item->payload.len },
                      .props = item->props,
                      .qos = item->qos,
                      .retain = item->retain,
                      .has_expiry = item->has_expiry,
                      .expires_ms = item->expires_ms,
                      .wait = item->wait };
        if (item->client_id.ptr)
            deliver_member(shard, &m, item);
        else
            deliver_topic(shard, &m, item);
        ack_release(item->wait);
    }
    arena_free(&relay->arena);
    free(relay);
}

static RelayItem *add(Shard *shard, int to, Message *m) {
    Relay *r = shard->relays[to];
    if (!r) {
        r = shard->relays[to] = mem_new(sizeof *r);
        r->task.run = run;
        r->tail = &r->first;
    }
    RelayItem *item = arena_new(&r->arena, RelayItem);
    *item = (RelayItem){ .space = m->space,
                         .topic = str_dup(&r->arena, m->topic),
                         .payload = str_dup(&r->arena, m->payload),
                         .props = str_dup(&r->arena, m->props),
                         .qos = m->qos,
                         .retain = m->retain,
                         .has_expiry = m->has_expiry,
                         .expires_ms = m->expires_ms,
                         .wait = m->qos ? message_hold(m) : NULL };
    *r->tail = item;
    r->tail = &item->next;
    return item;
}

void relay_message(Shard *shard, int to, Message *m, const Route *r) {
    RelayItem *item = add(shard, to, m);
    item->version = r->tree_version;
    item->wild_version = r->tree_wild_version;
}

static RelayItem *add_member(Shard *shard, int to, Message *m, Str client_id, uint8_t qos) {
    RelayItem *item = add(shard, to, m);
    item->client_id = str_dup(&shard->relays[to]->arena, client_id);
    item->member_qos = qos;
    return item;
}

void relay_member(Shard *shard, int to, Message *m, Str client_id, uint8_t qos) {
    add_member(shard, to, m, client_id, qos);
}

static void relay_older(Shard *shard, int to, Message *m, Str client_id, uint8_t qos) {
    add_member(shard, to, m, client_id, qos)->older = true;
}

void relays_submit(Shard *shard) {
    for (size_t i = 0; i < shard->broker->shards_n; i++) {
        Relay *r = shard->relays[i];
        if (!r) continue;
        shard->relays[i] = NULL;
        reactor_post(shard->broker->shards[i]->reactor, &r->task);
    }
}
