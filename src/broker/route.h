/* Route: where messages on one topic go from this shard, with the receivers' verdicts. Kept until a subscription or
 * a principal that it depends on changes. A publisher keeps pointers to its last few; `route_epoch` says whether they
 * hold. */
#pragma once

#include "broker/hub.h"
#include "broker/tree.h"

typedef struct Message Message;

typedef struct {
    Session *session;
    uint8_t qos;
    bool no_local, retain_as_published, allowed;
} RouteSub;

typedef struct {
    int shard;
    bool online, persistent, allowed;
    uint8_t qos;
    Session *session; /* only where shard is this one */
    Str client_id;
} RouteMember;

typedef struct {
    RouteMember *members;
    size_t n;
    uint32_t turn;
} RouteGroup;

struct Route {
    Str topic;
    Space *space;
    uint64_t hash;
    _Atomic uint32_t *version_now;
    uint32_t version, wild_version;
    RouteAge age; /* the same when the tree was asked, which is later */
    RouteSub *subs;
    size_t subs_n;
    RouteGroup *groups;
    size_t groups_n;
    uint64_t remote;             /* bit n: shard n has subscribers */
    const TopicService *service; /* carries out what is published here; NULL: none */
    void *rules;                 /* the rules' own: who takes what is published here; NULL: none */
    Route *next;                 /* of the same hash */
    uint32_t delivering;         /* its lists are being gone through: they stay as they are */
    Arena arena;                 /* holds the lists */
};

/* The shard's route for a topic, current. */
Route *route_find(Shard *shard, Space *space, Str topic);
static inline bool route_current(const Route *r) {
    return atomic_load_explicit(r->version_now, memory_order_acquire) == r->version &&
           atomic_load_explicit(&r->space->wild_version, memory_order_acquire) == r->wild_version;
}
/* Makes an out-of-date one current again, in its place. */
void route_refresh(Shard *shard, Route *r);
/* One that is not kept: for a topic that hardly comes again. */
Route route_once(Shard *shard, Space *space, Str topic);
void route_once_free(const Shard *shard, Route *r);
void routes_free(Shard *shard);

/* ---- rules (rule.c) ---- */

/* Where a message comes from, as rules may ask. All zeros: the server itself. */
typedef struct {
    Str client_id, source_ip;
    const Principal *principal;
    uint32_t depth;
} RuleOrigin;
bool rule_is_ingest(Str topic); /* $aws/rules/NAME/…: for the rule alone, nobody can subscribe to it */
void rule_find(const Shard *shard, Route *r);
void rule_forget(const Shard *shard, Route *r);
/* Only where r->rules is there. */
void rule_run(Shard *shard, Message *m, const Route *r, const RuleOrigin *from);
