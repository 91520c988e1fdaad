#include "broker/departure.h"

#include <stdlib.h>

#include "broker/client.h"
#include "broker/hold.h"

/* A task visits each shard and has it push out what it had routed. It comes home behind all that was sent here for the
 * session by routes from before, and goes on to the session's new shard, behind all that was sent on.
 *
 * Each message says by which versions it was routed. The change of shard raises those of all filters of the session, so
 * one that is lower proves that the route was from before, and where a filter of the session matches, its own is. */

struct Departure {
    Task task;               /* first */
    Departure *next, **link; /* of its home's */
    Shard *home, *to;
    Space *space;
    Str client_id;
    uint32_t versions[SPACE_VERSIONS], wild_version; /* of the first routes that know */
    uint8_t data[];
};

static void unlist(Departure *d) {
    *d->link = d->next;
    if (d->next) d->next->link = d->link;
}

void departures_free(Shard *home) {
    while (home->departures) {
        Departure *d = home->departures;
        unlist(d);
        free(d);
    }
}

Departure *departure_new(Shard *home, Session *s, Shard *to) {
    Departure *d = mem_grow(NULL, sizeof *d + s->client_id.len);
    *d = (Departure){ .next = home->departures, .link = &home->departures, .home = home, .to = to, .space = s->space };
    if (d->next) d->next->link = &d->next;
    home->departures = d;
    memcpy(d->data, s->client_id.ptr, s->client_id.len);
    d->client_id = (Str){ d->data, s->client_id.len };
    session_hold_begin(s, d);
    return d;
}

void departure_mark(Departure *d) {
    for (int i = 0; i < SPACE_VERSIONS; i++) d->versions[i] = atomic_load(&d->space->versions[i]);
    d->wild_version = atomic_load(&d->space->wild_version);
}

const Departure *departure_of(const Shard *home, const Session *s) {
    for (const Departure *d = home->departures; d; d = d->next)
        if (d->space == s->space && str_eq(d->client_id, s->client_id)) return d;
    return NULL;
}

bool departure_after(const Departure *d, const Message *m) {
    Str rest = m->topic;
    size_t slot = (size_t)(space_version(d->space, str_cut(&rest, '/')) - d->space->versions);
    return m->age && ((int32_t)(m->age->version - d->versions[slot]) < 0 ||
                      (int32_t)(m->age->wild_version - d->wild_version) < 0);
}

/* Seldom, and cheap beside a look at each subscriber: what comes was mostly routed since. */
bool departures_after(const Shard *home, const Message *m) {
    const Departure *d = home->departures;
    while (d && (d->space != m->space || !departure_after(d, m))) d = d->next;
    return d != NULL;
}

/* ------------------------------------------------------------------------------------------------ the round */

/* Its session may be gone, and another have its client id. */
static void caught_up(Task *task, Reactor *r) {
    Departure *d = (Departure *)task;
    Shard *here = shard_of(r);
    Session *s = session_here(here, d->space, d->client_id);
    if (s && session_held_by(s, d)) session_caught_up(here, s);
    free(d);
}

static void visit(Task *task, Reactor *r) {
    Departure *d = (Departure *)task;
    Shard *here = shard_of(r), *next = here->broker->shards[((size_t)here->index + 1) % here->broker->shards_n];
    relays_submit(here);
    if (here == d->home) {
        unlist(d);
        d->task.run = caught_up;
        next = d->to;
    }
    reactor_post(next->reactor, &d->task);
}

void departure_begin(Departure *d) {
    const Broker *b = d->home->broker;
    d->task.run = visit;
    reactor_post(b->shards[((size_t)d->home->index + 1) % b->shards_n]->reactor, &d->task);
}
