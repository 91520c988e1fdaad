/* Inside the broker: the hub that all reactors share, and each reactor's part of it, its Shard. */
#pragma once

#include "api/call.h"
#include "broker/mqtt.h"
#include "broker/limits.h"
#include "broker/space.h"
#include "identity/principal.h"
#include "net/conn.h"
#include "store/worker.h"

typedef struct Shard Shard;
typedef struct Client Client;
typedef struct Route Route;
typedef struct StoreBatch StoreBatch;
typedef struct Relay Relay;
typedef struct DelayedWill DelayedWill;
typedef struct Departure Departure;

enum { SHARDS_MAX = 64 };

typedef struct {
    _Atomic uint64_t published_in, delivered, dropped_slow, dropped_full, dropped_away, queued, acks, denied;
    _Atomic uint64_t connects, disconnects, connect_refused, throttled, moved;
} BrokerCounters;

struct Broker {
    BrokerOptions o;
    Shard *shards[SHARDS_MAX];
    size_t shards_n;
    pthread_mutex_t spaces_lock;
    Map spaces; /* account to Space */
    BrokerCounters counters;
    _Atomic uint32_t clients; /* connected */
    /* changes of principals: told of to no, or to all shards yet */
    _Atomic bool shutting; /* nobody moves any more */
    _Atomic bool ended;    /* for ever: nobody stays, either */
    _Atomic uint32_t principal_changes_begun, principal_changes_posted;
    const _Atomic uint32_t *log_version; /* service_log_version; NULL: no service log */
};

struct Shard {
    Broker *broker;
    Reactor *reactor;
    int index;
    Map routes;                /* space and topic to Route */
    uint32_t route_epoch;      /* grows when the routes are thrown away */
    uint32_t saturated_s;      /* for so long */
    uint32_t delivering;       /* routes are being gone through: none is thrown away */
    Map principals;            /* principal id to the first Client with it */
    StoreBatch *batch;         /* store work gathered in this turn; NULL: none */
    Relay *relays[SHARDS_MAX]; /* messages for other shards gathered in this turn */
    Rng rng;
    Client *clients; /* all of this shard */
    DelayedWill *wills;
    Departure *departures; /* sessions that left for another shard a moment ago */
    uint16_t packet_id;    /* of the last QoS 1 message that got one: message_packet_id */
    size_t ghosts_n;       /* sessions of which only the client id is remembered */
    uint64_t pages_asked;  /* of stored messages; tells a page from one asked for before */
    /* counted without atomics, added to the hub's once a turn */
    uint64_t published_in, delivered, acks;
};

/* ---- moving (move.c) ---- */
/* Itself, unless it is saturated and another is less busy by this much. */
Shard *shard_to_relieve(const Shard *shard, uint32_t behind_permille);
/* Gives live connections away when it is. Behind the flush. */
void shard_relieve(Shard *shard);

/* A task on a shard that somebody waits for who is not on a reactor: those never wait for workers, so the wait is short
 * and cannot lock up. Embedded, first. */
typedef struct {
    Task task;
    pthread_mutex_t lock;
    pthread_cond_t over;
    bool done;
} HubTask;
/* Returns after hub_told, which `run`, or what it posts the task on to, calls. */
void hub_ask(HubTask *t, Shard *shard, void (*run)(Task *task, Reactor *reactor));
void hub_told(HubTask *t);

Space *hub_space(Broker *b, Str account); /* made when it is not there */
static inline Shard *shard_of(const Reactor *r) {
    return r->owner;
}
