#include "broker/route.h"

#include <stdlib.h>

#include "broker/session.h"

/* The tree is asked once a topic; after that a message costs two loads and compares. Versions are read before the
 * tree is: a change that comes in between makes the route out of date, never wrong for long.
 *
 * A route names sessions of its own shard by pointer. They cannot go unseen: a session's end removes its
 * subscriptions, which moves the version, and both happen on this thread. */

enum { ROUTES_MAX = 65536 };

typedef struct {
    Shard *shard;
    Route *route;
    size_t subs_cap, groups_cap;
} Build;

static void *room(Arena *a, void *list, size_t n, size_t *cap, size_t size) {
    if (n < *cap) return list;
    *cap = *cap ? *cap * 2 : 4;
    void *bigger = arena_alloc_array(a, size, *cap);
    if (n) memcpy(bigger, list, n * size);
    return bigger;
}

/* Overlapping subscriptions of one session: the highest QoS counts, one copy is sent ([MQTT-3.3.5-1] allows it). */
static bool merge(Route *r, const Sub *sub) {
    if (sub->session->overlaps == 0) return false;
    for (size_t i = 0; i < r->subs_n; i++)
        if (r->subs[i].session == sub->session) {
            if (sub->qos > r->subs[i].qos) r->subs[i].qos = sub->qos;
            r->subs[i].no_local &= sub->no_local;
            return true;
        }
    return false;
}

static void add_sub(void *ctx, Sub *sub) {
    Build *b = ctx;
    Route *r = b->route;
    int shard = atomic_load_explicit(&sub->session->shard_index, memory_order_acquire);
    if (shard != b->shard->index) {
        r->remote |= UINT64_C(1) << shard;
        return;
    }
    if (merge(r, sub)) return;
    r->subs = room(&r->arena, r->subs, r->subs_n, &b->subs_cap, sizeof *r->subs);
    r->subs[r->subs_n++] = (RouteSub){ .session = sub->session,
                                       .qos = sub->qos,
                                       .no_local = sub->no_local,
                                       .retain_as_published = sub->retain_as_published };
}

static void add_group(void *ctx, ShareGroup *g) {
    Build *b = ctx;
    Route *r = b->route;
    r->groups = room(&r->arena, r->groups, r->groups_n, &b->groups_cap, sizeof *r->groups);
    RouteGroup *to = &r->groups[r->groups_n++];
    to->members = arena_array(&r->arena, RouteMember, g->members_n);
    to->n = 0;
    to->turn = (uint32_t)rng_u64(&b->shard->rng);
    for (Sub *s = g->members; s; s = s->next) {
        int shard = atomic_load_explicit(&s->session->shard_index, memory_order_acquire);
        to->members[to->n++] = (RouteMember){ .shard = shard,
                                              .online = atomic_load(&s->session->online),
                                              .persistent = atomic_load(&s->session->kept),
                                              .qos = s->qos,
                                              .session = shard == b->shard->index ? s->session : NULL,
                                              .client_id = str_dup(&r->arena, s->session->client_id) };
    }
}

static const TopicService *service_of(const Broker *b, Str topic) {
    if (topic.len == 0 || topic.ptr[0] != '$') return NULL;
    for (size_t i = 0; i < b->o.services_n; i++)
        if (b->o.services[i].takes(topic)) return &b->o.services[i];
    return NULL;
}

static void fill(Shard *shard, Route *r) {
    Build b = { .shard = shard, .route = r };
    if (r->delivering) return; /* what is published meanwhile, a will, goes the same way */
    arena_reset(&r->arena);
    r->subs = NULL;
    r->groups = NULL;
    r->subs_n = r->groups_n = 0;
    r->remote = 0;
    r->version = atomic_load_explicit(r->version_now, memory_order_acquire);
    r->wild_version = atomic_load_explicit(&r->space->wild_version, memory_order_acquire);
    rule_find(shard, r);
    if (rule_is_ingest(r->topic)) return;
    pthread_rwlock_rdlock(&r->space->lock);
    r->age.version = atomic_load_explicit(r->version_now, memory_order_acquire);
    r->age.wild_version = atomic_load_explicit(&r->space->wild_version, memory_order_acquire);
    tree_match(&r->space->tree, r->topic, add_sub, add_group, &b);
    pthread_rwlock_unlock(&r->space->lock);
    for (size_t i = 0; i < r->subs_n; i++) r->subs[i].allowed = session_may_receive(r->subs[i].session, r->topic);
    r->service = service_of(shard->broker, r->topic);
}

void route_refresh(Shard *shard, Route *r) {
    fill(shard, r);
}

static Route *route_new(Shard *shard, Space *space, Str topic) {
    Route *r = mem_new(sizeof *r + topic.len);
    memcpy(r + 1, topic.ptr, topic.len);
    r->topic = (Str){ (uint8_t *)(r + 1), topic.len };
    r->space = space;
    Str rest = r->topic;
    r->version_now = space_version(space, str_cut(&rest, '/'));
    r->arena.block_bytes = 256;
    fill(shard, r);
    return r;
}

Route route_once(Shard *shard, Space *space, Str topic) {
    Route r = { .topic = topic, .space = space };
    Str rest = topic;
    r.version_now = space_version(space, str_cut(&rest, '/'));
    r.arena.block_bytes = 256;
    fill(shard, &r);
    return r;
}

void route_once_free(const Shard *shard, Route *r) {
    rule_forget(shard, r);
    arena_free(&r->arena);
}

void routes_free(Shard *shard) {
    map_each (&shard->routes, slot) {
        for (Route *r = slot->value, *next; r; r = next) {
            next = r->next;
            route_once_free(shard, r);
            free(r);
        }
    }
    map_free(&shard->routes);
    shard->route_epoch++;
}

Route *route_find(Shard *shard, Space *space, Str topic) {
    Route *first = map_get(&shard->routes, topic), *r = first;
    while (r && r->space != space) r = r->next; /* the same topic of another account */
    if (r) {
        if (!route_current(r)) fill(shard, r);
        return r;
    }
    if (shard->routes.count >= ROUTES_MAX && !shard->delivering) {
        routes_free(shard);
        first = NULL;
    }
    r = route_new(shard, space, topic);
    r->next = first;
    map_put(&shard->routes, r->topic, r);
    return r;
}
