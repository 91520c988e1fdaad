/* Conflicts: which keys were committed when, so that a transaction learns that it lost to another.
 * Safe from every thread. Keys are known by their 64-bit hash: two keys with the same one conflict needlessly. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/str.h"

/* One key that a transaction depends on. */
typedef struct {
    uint64_t hash;    /* 0: free slot of the table */
    uint64_t seen_at; /* the version when it was first read or written */
    bool locked;
} Tracked;

/* What one transaction depends on: the part of it that Conflicts knows. */
typedef struct Claim Claim;
struct Claim {
    Claim *older, *newer; /* active ones, by when they began */
    uint64_t begun_at;
    Tracked *tracked; /* open addressing */
    size_t count, cap;
    uint64_t *hashes; /* claimed for writing */
    size_t hash_count;
};

typedef struct {
    uint64_t hash;    /* 0: free */
    uint64_t version; /* of its last commit; CLAIMED while one is under way */
} CommittedKey;

typedef struct {
    pthread_mutex_t mutex;
    _Atomic uint64_t version; /* commits so far */
    uint64_t floor;           /* commits up to here may be forgotten: whoever read before it conflicts */
    Claim *oldest, *newest;
    CommittedKey *keys;
    size_t count, cap;
} Conflicts;

void conflicts_init(Conflicts *c);
void conflicts_free(Conflicts *c);

void claim_begin(Conflicts *c, Claim *claim);
void claim_end(Conflicts *c, Claim *claim);
/* The transaction depends on key from now on. */
void claim_track(Conflicts *c, Claim *claim, Str key, bool lock);
/* hashes: of the keys that will be written, besides the locked ones; they are claimed until conflicts_done.
 * Errors: ERR_CONFLICT, nothing is claimed then */
NODISCARD Err conflicts_check(Conflicts *c, Claim *claim, const uint64_t *hashes, size_t n);
/* The write that was checked is done, well or not. */
void conflicts_done(Conflicts *c, Claim *claim);
uint64_t conflict_hash(Str key); /* never 0 */
