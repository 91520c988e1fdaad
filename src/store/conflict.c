#include "store/conflict.h"

#include <stdlib.h>

#include "base/arena.h"

/* Optimistic: reads take no lock; a commit checks that no key it depends on was committed since it was read.
 *
 * `version` counts commits. A transaction notes it before it first reads a key. A commit, under the mutex,
 * refuses when one of its keys has a later version or is claimed by a commit under way, and else claims the
 * keys it writes; it writes without the mutex (so that syncs of several threads share one write to the disk);
 * then it raises the version and stamps its keys with it. So: a key that a reader saw in its old state is
 * either claimed or stamped later than what the reader noted.
 *
 * Why not RocksDB's optimistic transactions: their C interface fixes a table of a million mutexes (57 MB and 40
 * milliseconds at each start), locks nothing that is not written, and would have to be built again for memory.
 *
 * Stamps older than every active transaction are dropped when the table is full. When one transaction stays
 * active for so long that this frees nothing, all are dropped and `floor` is raised: it will conflict. */

enum { KEYS_MIN = 1 << 10, KEYS_MAX = 1 << 18, TRACKED_MIN = 32 };
#define CLAIMED UINT64_MAX

uint64_t conflict_hash(Str key) {
    uint64_t h = str_hash(key);
    return h ? h : 1;
}

void conflicts_init(Conflicts *c) {
    *c = (Conflicts){ .cap = KEYS_MIN, .keys = mem_new(KEYS_MIN * sizeof(CommittedKey)) };
    pthread_mutex_init(&c->mutex, NULL);
    atomic_init(&c->version, 1);
}

void conflicts_free(Conflicts *c) {
    pthread_mutex_destroy(&c->mutex);
    free(c->keys);
}

void claim_begin(Conflicts *c, Claim *claim) {
    *claim = (Claim){ 0 };
    pthread_mutex_lock(&c->mutex);
    claim->begun_at = atomic_load(&c->version);
    claim->older = c->newest;
    if (c->newest)
        c->newest->newer = claim;
    else
        c->oldest = claim;
    c->newest = claim;
    pthread_mutex_unlock(&c->mutex);
}

void claim_end(Conflicts *c, Claim *claim) {
    pthread_mutex_lock(&c->mutex);
    if (claim->older)
        claim->older->newer = claim->newer;
    else
        c->oldest = claim->newer;
    if (claim->newer)
        claim->newer->older = claim->older;
    else
        c->newest = claim->older;
    pthread_mutex_unlock(&c->mutex);
    free(claim->tracked);
    free(claim->hashes);
}

static Tracked *tracked_slot(Tracked *table, size_t cap, uint64_t hash) {
    size_t i = hash & (cap - 1);
    while (table[i].hash && table[i].hash != hash) i = (i + 1) & (cap - 1);
    return &table[i];
}

static void tracked_grow(Claim *claim) {
    size_t cap = claim->cap ? claim->cap * 2 : TRACKED_MIN;
    Tracked *table = mem_new(cap * sizeof *table);
    for (size_t i = 0; i < claim->cap; i++)
        if (claim->tracked[i].hash) *tracked_slot(table, cap, claim->tracked[i].hash) = claim->tracked[i];
    free(claim->tracked);
    claim->tracked = table;
    claim->cap = cap;
}

void claim_track(Conflicts *c, Claim *claim, Str key, bool lock) {
    if ((claim->count + 1) * 2 > claim->cap) tracked_grow(claim);
    uint64_t hash = conflict_hash(key);
    Tracked *t = tracked_slot(claim->tracked, claim->cap, hash);
    if (!t->hash) {
        *t = (Tracked){ .hash = hash, .seen_at = atomic_load(&c->version) };
        claim->count++;
    }
    t->locked |= lock;
}

static CommittedKey *key_slot(CommittedKey *keys, size_t cap, uint64_t hash) {
    size_t i = hash & (cap - 1);
    while (keys[i].hash && keys[i].hash != hash) i = (i + 1) & (cap - 1);
    return &keys[i];
}

/* Room for n more stamps. */
static void make_room(Conflicts *c, size_t n) {
    if ((c->count + n) * 2 <= c->cap) return;
    uint64_t keep_after = c->oldest ? c->oldest->begun_at : atomic_load(&c->version);
    size_t kept = 0;
    for (size_t i = 0; i < c->cap; i++) kept += c->keys[i].hash && c->keys[i].version > keep_after;
    if (kept + n > KEYS_MAX / 2) {
        keep_after = c->floor = atomic_load(&c->version);
        kept = 0;
        for (size_t i = 0; i < c->cap; i++) kept += c->keys[i].hash && c->keys[i].version == CLAIMED;
    }
    size_t cap = KEYS_MIN;
    while (cap < (kept + n) * 4) cap *= 2;
    CommittedKey *keys = mem_new(cap * sizeof *keys);
    for (size_t i = 0; i < c->cap; i++)
        if (c->keys[i].hash && c->keys[i].version > keep_after) *key_slot(keys, cap, c->keys[i].hash) = c->keys[i];
    free(c->keys);
    c->keys = keys;
    c->cap = cap;
    c->count = kept;
}

static bool lost(const Conflicts *c, const Claim *claim) {
    for (size_t i = 0; i < claim->cap; i++) {
        const Tracked *t = &claim->tracked[i];
        if (!t->hash) continue;
        if (t->seen_at < c->floor) return true;
        const CommittedKey *k = key_slot(c->keys, c->cap, t->hash);
        if (k->hash && k->version > t->seen_at) return true;
    }
    return false;
}

static void claim_key(Conflicts *c, Claim *claim, uint64_t hash) {
    CommittedKey *k = key_slot(c->keys, c->cap, hash);
    if (k->hash && k->version == CLAIMED) return; /* its own: written and locked */
    if (!k->hash) c->count++;
    *k = (CommittedKey){ hash, CLAIMED };
    claim->hashes[claim->hash_count++] = hash;
}

Err conflicts_check(Conflicts *c, Claim *claim, const uint64_t *hashes, size_t n) {
    size_t locked = 0;
    for (size_t i = 0; i < claim->cap; i++) locked += claim->tracked[i].locked;
    if (n + locked) claim->hashes = mem_grow(claim->hashes, (n + locked) * sizeof *claim->hashes);
    pthread_mutex_lock(&c->mutex);
    bool conflict = lost(c, claim);
    if (!conflict && n + locked) {
        make_room(c, n + locked);
        for (size_t i = 0; i < n; i++) claim_key(c, claim, hashes[i]);
        for (size_t i = 0; i < claim->cap; i++)
            if (claim->tracked[i].locked) claim_key(c, claim, claim->tracked[i].hash);
    }
    pthread_mutex_unlock(&c->mutex);
    return conflict ? ERR_CONFLICT : OK;
}

void conflicts_done(Conflicts *c, Claim *claim) {
    if (!claim->hash_count) return;
    pthread_mutex_lock(&c->mutex);
    uint64_t version = atomic_load(&c->version) + 1;
    for (size_t i = 0; i < claim->hash_count; i++) key_slot(c->keys, c->cap, claim->hashes[i])->version = version;
    atomic_store(&c->version, version);
    claim->hash_count = 0;
    pthread_mutex_unlock(&c->mutex);
}
