#include <stdlib.h>

#include "broker/client.h"

/* Messages for other shards are gathered through a turn and go over as one task with one wake-up. Only bytes cross:
 * the other shard looks the topic up in its own routes. The AckWait crosses too; it is counted atomically. */

typedef struct RelayItem {
    struct RelayItem *next;
    Space *space;
    Str topic, payload, props, client_id; /* client_id: one member; STR_NONE: the topic's subscribers */
    uint8_t qos, member_qos;
    bool retain, has_expiry;
    int64_t expires_ms;
    AckWait *wait;
} RelayItem;

struct Relay {
    Task task;
    Arena arena;
    RelayItem *first, **tail;
};

static void deliver_member(Shard *shard, Message *m, const RelayItem *item) {
    Session *s = session_here(shard, item->space, item->client_id);
    if (s && session_may_receive(s, m->topic)) session_deliver(shard, s, m, item->member_qos, false, true);
}

static void deliver_topic(Shard *shard, Message *m) {
    Route *r = route_find(shard, m->space, m->topic);
    for (size_t i = 0; i < r->subs_n; i++)
        if (r->subs[i].allowed)
            session_deliver(shard, r->subs[i].session, m, r->subs[i].qos, m->retain && r->subs[i].retain_as_published,
                            i + 1 == r->subs_n);
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
            deliver_topic(shard, &m);
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

void relay_message(Shard *shard, int to, Message *m) {
    add(shard, to, m);
}

void relay_member(Shard *shard, int to, Message *m, Str client_id, uint8_t qos) {
    RelayItem *item = add(shard, to, m);
    item->client_id = str_dup(&shard->relays[to]->arena, client_id);
    item->member_qos = qos;
}

void relays_submit(Shard *shard) {
    for (size_t i = 0; i < shard->broker->shards_n; i++) {
        Relay *r = shard->relays[i];
        if (!r) continue;
        shard->relays[i] = NULL;
        reactor_post(shard->broker->shards[i]->reactor, &r->task);
    }
}
