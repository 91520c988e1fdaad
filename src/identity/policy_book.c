#include "identity/policy_book.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/map.h"
#include "generated/iot_records.h"

/* One policy may be that of every device, so a new version is read and compiled once and exchanged in its slot,
 * whoever many hold it.
 *
 * A slot must end with the newest version, whichever way fills and changes cross. So it stands in the map before it is
 * filled, and each fill reads in a transaction that begins after it has the entry's `fill` lock: what was committed
 * before the entry could be found is seen by its first fill, what is committed later finds the entry and fills again,
 * and of two fills the one that comes later reads later.
 *
 * The map holds a reference to each slot. New ones are only given out under the lock, so a count of one seen there
 * says that nobody else has it, nor its entry. */

typedef struct {
    PolicySlot *slot;
    pthread_mutex_t fill;
    bool filled; /* under fill */
    Str key, account, name;
    uint8_t bytes[]; /* account, '/', name */
} Entry;

struct PolicyBook {
    Store *store;
    Str region;
    size_t idle_max, sweep_at;
    pthread_mutex_t lock; /* guards the map */
    Map entries;
};

PolicyBook *policy_book_new(Store *store, Str region, size_t idle_max) {
    PolicyBook *b = mem_new(sizeof *b);
    *b = (PolicyBook){ .store = store, .region = region, .idle_max = idle_max, .sweep_at = idle_max };
    pthread_mutex_init(&b->lock, NULL);
    return b;
}

static void entry_free(Entry *x) {
    policy_slot_release(x->slot);
    pthread_mutex_destroy(&x->fill);
    free(x);
}

void policy_book_free(PolicyBook *b) {
    if (!b) return;
    map_each (&b->entries, slot) entry_free(slot->value);
    map_free(&b->entries);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

static Entry *entry_new(Str key, size_t account_len) {
    Entry *x = mem_new(sizeof *x + key.len);
    memcpy(x->bytes, key.ptr, key.len);
    x->key = (Str){ x->bytes, key.len };
    x->account = str_sub(x->key, 0, account_len);
    x->name = str_from(x->key, account_len + 1);
    x->slot = policy_slot_new();
    pthread_mutex_init(&x->fill, NULL);
    return x;
}

/* Under the lock. Those that nobody holds go. */
static void forget_idle(PolicyBook *b) {
    Map kept = { 0 };
    map_each (&b->entries, slot) {
        Entry *x = slot->value;
        if (policy_slot_refs(x->slot) == 1)
            entry_free(x);
        else
            map_put(&kept, x->key, x);
    }
    map_free(&b->entries);
    b->entries = kept;
}

/* Under the lock. Once there are many; after that no sooner than there are twice as many as were left. */
static void sweep(PolicyBook *b) {
    if (b->entries.count < b->sweep_at) return;
    forget_idle(b);
    b->sweep_at = b->entries.count * 2 > b->idle_max ? b->entries.count * 2 : b->idle_max;
}

static Err read_document(PolicyBook *b, const Entry *x, Arena *arena, Str *out) {
    Tenant tenant = { x->account, b->region };
    PolicyRecord policy;
    PolicyVersionRecord version;
    Txn *txn;
    Err e = txn_begin(b->store, &txn);
    if (e != OK) return e;
    e = policy_record_peek(txn, tenant, x->name, arena, &policy);
    if (e == OK) e = policy_version_record_peek(txn, tenant, x->name, policy.default_version_id, arena, &version);
    txn_abort(txn);
    if (e == OK) *out = version.document;
    return e;
}

static void fill(PolicyBook *b, Entry *x, bool again) {
    pthread_mutex_lock(&x->fill);
    if (again || !x->filled) {
        Arena arena = { .block_bytes = 4096 };
        Str document;
        Policy *policy = NULL;
        PolicyFault fault;
        Err e = read_document(b, x, &arena, &document);
        if (e == OK && policy_compile(x->name, document, POLICY_IOT, &arena, &policy, &fault) != OK) e = ERR_CORRUPT;
        policy_slot_set(x->slot, policy, e);
        x->filled = e == OK || e == ERR_NOT_FOUND; /* else the next to take it tries again */
        arena_free(&arena);
    }
    pthread_mutex_unlock(&x->fill);
}

static Str key_of(Str account, Str name, Arena *arena) {
    return str_format(arena, "%.*s/%.*s", PS(account), PS(name));
}

Err policy_book_take(PolicyBook *b, Str account, Str name, PolicySlot **out) {
    Arena arena = { .block_bytes = 256 };
    Str key = key_of(account, name, &arena);
    pthread_mutex_lock(&b->lock);
    Entry *x = map_get(&b->entries, key);
    if (!x) {
        sweep(b);
        x = entry_new(key, account.len);
        map_put(&b->entries, x->key, x);
    }
    PolicySlot *s = policy_slot_retain(x->slot);
    pthread_mutex_unlock(&b->lock);
    arena_free(&arena);
    fill(b, x, false);
    Policy *policy = NULL;
    Err e = policy_slot_get(s, &policy);
    policy_release(policy);
    if (e != OK && e != ERR_NOT_FOUND) {
        policy_slot_release(s);
        return e;
    }
    *out = s;
    return OK;
}

bool policy_book_changed(PolicyBook *b, Str account, Str name) {
    Arena arena = { .block_bytes = 256 };
    Str key = key_of(account, name, &arena);
    pthread_mutex_lock(&b->lock);
    Entry *x = map_get(&b->entries, key);
    bool held = x && policy_slot_refs(x->slot) > 1;
    PolicySlot *s = held ? policy_slot_retain(x->slot) : NULL;
    if (x && !held) {
        map_remove(&b->entries, key);
        entry_free(x);
    }
    pthread_mutex_unlock(&b->lock);
    arena_free(&arena);
    if (!held) return false;
    fill(b, x, true);
    policy_slot_release(s);
    return true;
}

void policy_book_all_changed(PolicyBook *b, void (*told)(void *ctx, Str account), void *ctx) {
    pthread_mutex_lock(&b->lock);
    forget_idle(b);
    size_t n = 0;
    Entry **held = mem_new((b->entries.count + 1) * sizeof *held);
    map_each (&b->entries, slot) {
        held[n++] = slot->value;
        policy_slot_retain(held[n - 1]->slot);
    }
    pthread_mutex_unlock(&b->lock);
    for (size_t i = 0; i < n; i++) {
        fill(b, held[i], true);
        if (told) told(ctx, held[i]->account);
        policy_slot_release(held[i]->slot);
    }
    free(held);
}
