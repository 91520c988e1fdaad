/* Space: the topics, subscriptions and sessions of one account. Its locks are held for moments and never while
 * another is taken. Versions say, by a topic's first level, when a kept route is out of date. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "broker/tree.h"

enum { SPACE_VERSIONS = 256 };

typedef struct Space {
    Str account;
    pthread_rwlock_t lock; /* of the tree */
    Tree tree;
    _Atomic uint32_t versions[SPACE_VERSIONS]; /* of filters whose first level hashes there */
    _Atomic uint32_t wild_version;             /* of filters that begin with a wildcard */
    _Atomic bool timed;                        /* somebody's policies ask what time it is */
    _Atomic uint32_t policy_version;           /* grows when a policy of the account becomes another */
    _Atomic uint32_t connections;              /* live ones */
    _Atomic int64_t retained_n;                /* retained messages, those counted that are on their way to the store */
    pthread_mutex_t sessions_lock;
    Map sessions; /* client id to Session */
} Space;

/* The versions by which a topic was routed. */
typedef struct {
    uint32_t version, wild_version;
} RouteAge;

Space *space_new(Str account);
void space_free(Space *s); /* without sessions left */

static inline _Atomic uint32_t *space_version(Space *s, Str first_level) {
    return &s->versions[str_hash(first_level) % SPACE_VERSIONS];
}
/* Routes that a filter with this first level belongs to are out of date. */
void space_touch(Space *s, Str first_level);
