#include <stdlib.h>

#include "broker/client.h"
#include "broker/departure.h"

/* A session goes to another shard: with its connection (move.c), or because a new one of its client id is there. Which
 * shard asks for it, and which has it, may change while a question is on its way: it goes after the session. */

/* A route is made before the lock or after it, and its age says which. Without subscriptions nothing is routed. */
static void depart(Shard *shard, Session *s, Shard *to) {
    s->moving = true;
    relays_submit(shard);    /* what it published comes before what it will publish there */
    store_ops_submit(shard); /* and its last operations run before what the other shard will add */
    if (!s->subs) {
        atomic_store(&s->shard_index, to->index);
        return;
    }
    Departure *d = departure_new(shard, s, to);
    pthread_rwlock_wrlock(&s->space->lock);
    atomic_store(&s->shard_index, to->index);
    session_touch(s);
    departure_mark(d);
    pthread_rwlock_unlock(&s->space->lock);
    departure_begin(d);
}

bool session_quiet(const Session *s) {
    if (s->moving || s->hold || s->backlog || s->reading) return false;
    for (size_t i = 0; i < s->inflight_n; i++)
        if (s->inflight[i].confirm || !store_message_told(s->inflight[i].op)) return false;
    return true;
}

void session_depart(Shard *shard, Session *s, Shard *to) {
    for (size_t i = 0; i < s->inflight_n; i++) {
        store_message_forget(s->inflight[i].op); /* written long since: an acknowledgement deletes it */
        s->inflight[i].op = NULL;
    }
    atomic_fetch_add(&shard->broker->counters.moved, 1);
    depart(shard, s, to);
}

bool session_in_transit(const Shard *shard, Space *space, Str client_id) {
    pthread_mutex_lock(&space->sessions_lock);
    const Session *s = map_get(&space->sessions, client_id);
    bool yes = s && atomic_load(&s->shard_index) == shard->index && s->moving;
    pthread_mutex_unlock(&space->sessions_lock);
    return yes;
}

/* ------------------------------------------------------------------------------------------------ take-over */

typedef struct {
    Task task;
    Shard *from; /* who asked */
    Client *client;
    Session *session;
    SessionGotFn *got;
} Take;

static void take(Take *t, Shard *here);

static void take_task(Task *task, Reactor *r) {
    take((Take *)task, shard_of(r));
}

static void finish(Take *t) {
    Session *s = t->session;
    s->moving = false;
    timer_disarm(&s->expiry);
    t->got(t->client, s);
    client_release(t->client);
    free(t);
}

static void arrived(Task *task, Reactor *r) {
    (void)r;
    finish((Take *)task);
}

/* On the shard that owned the session: its connection goes, then the session. */
static void give(Take *t, Shard *here, Session *s) {
    timer_disarm(&s->expiry);
    if (s->client)
        client_leave(s->client, LEAVE_DUPLICATE, MQTT_SESSION_TAKEN_OVER, "another connection has its client id");
    session_ghost(here, s, false);
    timer_disarm(&s->expiry);
    t->session = s;
    if (here == t->from) {
        finish(t);
        return;
    }
    depart(here, s, t->from);
    t->task.run = arrived;
    reactor_post(t->from->reactor, &t->task);
}

static void take(Take *t, Shard *here) {
    Space *space = t->client->space;
    pthread_mutex_lock(&space->sessions_lock);
    Session *s = map_get(&space->sessions, t->client->client_id);
    int owner = s ? atomic_load(&s->shard_index) : t->from->index;
    if (!s && here == t->from) s = session_add(here, space, t->client->client_id);
    pthread_mutex_unlock(&space->sessions_lock);
    if (owner == here->index && s && !s->moving && !s->hold) {
        give(t, here, s);
        return;
    }
    t->task.run = take_task; /* elsewhere, or it has just come here: ask (again) */
    reactor_post(here->broker->shards[owner]->reactor, &t->task);
}

void session_take(Shard *shard, Client *client, SessionGotFn *got) {
    Take *t = mem_new(sizeof *t);
    *t = (Take){ .from = shard, .client = client, .got = got };
    client_retain(client);
    take(t, shard);
}
