#include <stdlib.h>

#include "broker/client.h"
#include "broker/departure.h"
#include "broker/hold.h"

/* Messages for other shards are gathered through a turn and go over as one task with one wake-up. Only bytes cross:
 * the other shard looks the topic up in its own routes. The AckWait crosses too; it is counted atomically.
 *
 * A session may leave for another shard while messages for it are on their way here: they are sent on behind it
 * (departure.c). */

typedef struct RelayItem {
    struct RelayItem *next;
    Space *space;
    Str topic, payload, props, client_id; /* client_id: one member; STR_NONE: the topic's subscribers */
    uint8_t qos, member_qos;
    bool retain, has_expiry, older; /* older: sent on behind a session that left */
    int64_t expires_ms;
    AckWait *wait;
    RouteAge age;
} RelayItem;

struct Relay {
    Task task;
    Arena arena;
    RelayItem *first, **tail;
};

static void relay_older(Shard *shard, int to, Message *m, Str client_id, uint8_t qos, bool retain);

/* Whom a message has to be sent on to, once each, with the highest QoS of its filters that match. */
typedef struct Forwarded {
    struct Forwarded *next;
    const Session *to;
    uint8_t qos;
    bool retain;
} Forwarded;

typedef struct {
    const Shard *shard;
    const Message *message;
    Arena arena;
    Forwarded *first;
} Forward;

static void forward_sub(void *ctx, Sub *sub) {
    Forward *f = ctx;
    const Session *s = sub->session;
    if (atomic_load(&s->shard_index) == f->shard->index) return;
    Forwarded *to = f->first;
    while (to && to->to != s) to = to->next;
    if (!to) {
        const Departure *d = departure_of(f->shard, s);
        if (!d || !departure_after(d, f->message)) return;
        to = arena_new(&f->arena, Forwarded);
        *to = (Forwarded){ .next = f->first, .to = s, .retain = f->message->retain && sub->retain_as_published };
        f->first = to;
    }
    if (sub->qos > to->qos) to->qos = sub->qos;
}

static void forward_group(void *ctx, ShareGroup *group) {
    (void)ctx, (void)group; /* its members are named one by one: deliver_member */
}

static void forward(Shard *shard, Message *m) {
    Forward f = { .shard = shard, .message = m };
    if (!departures_after(shard, m)) return;
    pthread_rwlock_rdlock(&m->space->lock);
    tree_match(&m->space->tree, m->topic, forward_sub, forward_group, &f);
    for (const Forwarded *to = f.first; to; to = to->next)
        relay_older(shard, atomic_load(&to->to->shard_index), m, to->to->client_id, to->qos, to->retain);
    pthread_rwlock_unlock(&m->space->lock);
    arena_free(&f.arena);
}

/* To one session. It left after it was sent here; or it is another that has the client id now. */
static void deliver_member(Shard *shard, Message *m, const RelayItem *item) {
    pthread_mutex_lock(&item->space->sessions_lock);
    Session *s = map_get(&item->space->sessions, item->client_id);
    int owner = s ? atomic_load(&s->shard_index) : shard->index;
    pthread_mutex_unlock(&item->space->sessions_lock);
    if (owner != shard->index) {
        if (!item->older) relay_older(shard, owner, m, item->client_id, item->member_qos, false);
        return;
    }
    if (!s || !session_may_receive(s, m->topic)) return;
    if (!item->older)
        session_deliver(shard, s, m, item->member_qos, false);
    else if (session_takes_older(s))
        session_deliver_older(shard, s, m, item->member_qos, m->retain);
}

static void deliver_topic(Shard *shard, Message *m) {
    publish_local(shard, m, route_find(shard, m->space, m->topic));
    forward(shard, m);
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
        if (item->client_id.ptr) {
            deliver_member(shard, &m, item);
        } else {
            m.age = &item->age;
            deliver_topic(shard, &m);
        }
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
    item->age = r->age;
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

static void relay_older(Shard *shard, int to, Message *m, Str client_id, uint8_t qos, bool retain) {
    RelayItem *item = add_member(shard, to, m, client_id, qos);
    item->older = true;
    item->retain = retain;
}

void relays_submit(Shard *shard) {
    for (size_t i = 0; i < shard->broker->shards_n; i++) {
        Relay *r = shard->relays[i];
        if (!r) continue;
        shard->relays[i] = NULL;
        reactor_post(shard->broker->shards[i]->reactor, &r->task);
    }
}
