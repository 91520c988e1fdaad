#include <stdlib.h>

#include "broker/client.h"

/* A reactor that is saturated gives live connections away, so that a fleet that connected while nobody had much to do
 * does not stay on one processor for ever. When it was saturated for some seconds it picks quiet ones, once a second
 * and behind the flush: nothing of theirs is under way here, no output waits, nobody else holds them. What is not quiet
 * now may be in a second.
 *
 * Connection, client and session go over in one task. No message is lost and none overtakes another:
 * - What the client published before left in this reactor's batches, which are posted before the client is.
 * - What others publish is routed to the new reactor from now on (the versions of its subscriptions move), but may
 *   overtake what was routed here before and is sent on from here. So the new reactor holds it (session_hold) until
 *   nothing is sent on any more (departure.c). */

enum { BEHIND_PERMILLE = 250, MOVES_PER_SECOND = 256 };

Shard *shard_to_relieve(const Shard *shard, uint32_t behind_permille) {
    const Broker *b = shard->broker;
    Shard *best = b->shards[shard->index];
    uint32_t busy = atomic_load_explicit(&best->reactor->busy_permille, memory_order_relaxed), least = busy;
    if (busy < REACTOR_SATURATED_PERMILLE) return best;
    for (size_t i = 0; i < b->shards_n; i++) {
        uint32_t other = atomic_load_explicit(&b->shards[i]->reactor->busy_permille, memory_order_relaxed);
        if (other >= least || other + behind_permille > busy) continue;
        least = other;
        best = b->shards[i];
    }
    return best;
}

static bool quiet(const Client *c) {
    return c->state == CLIENT_LIVE && !c->websocket && !c->auth && !c->held && !c->owed &&
           c->acks_first == c->acks_end && c->refs == 1 && conn_quiet(c->conn, 2) && session_quiet(c->session);
}

bool client_landed(Client *c, uint32_t changes) {
    c->shard = shard_of(c->conn->reactor);
    client_enlist(c);
    if (changes == atomic_load(&c->broker->principal_changes_begun)) return true;
    return client_leave(c, LEAVE_SERVER, 0, "its principal may have changed while it was moved");
}

typedef struct {
    Client *client;
    uint32_t changes; /* as client_landed wants them */
} Move;

static void arrived(Conn *conn, void *ctx) {
    Move *m = ctx;
    Client *c = m->client;
    (void)conn;
    c->session->moving = false;
    if (client_landed(c, m->changes)) client_arm(c, c->last_ms + (int64_t)c->keepalive_s * 1500);
    free(m);
}

static void depart(Client *c, Shard *to) {
    Shard *here = c->shard;
    Move *m = mem_new(sizeof *m);
    *m = (Move){ c, atomic_load(&c->broker->principal_changes_posted) };
    client_forget_topics(c); /* their routes are this shard's */
    client_delist(c);
    session_depart(here, c->session, to);
    conn_move(c->conn, to->reactor, arrived, m); /* from here on it is the other's */
}

void shard_relieve(Shard *shard) {
    Shard *to = shard_to_relieve(shard, BEHIND_PERMILLE);
    if (to == shard || atomic_load_explicit(&shard->broker->shutting, memory_order_relaxed)) return;
    uint32_t busy = atomic_load_explicit(&shard->reactor->busy_permille, memory_order_relaxed),
             other = atomic_load_explicit(&to->reactor->busy_permille, memory_order_relaxed);
    size_t n = (size_t)atomic_load_explicit(&shard->reactor->conns, memory_order_relaxed) * (busy - other) / (2 * busy);
    if (n > MOVES_PER_SECOND) n = MOVES_PER_SECOND;
    for (Client *c = shard->clients, *next; c && n; c = next) {
        next = c->next;
        if (!quiet(c)) continue;
        depart(c, to);
        n--;
    }
}
