#include "identity/directory.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "identity/certificate_home.h"
#include "identity/directory_entry.h"
#include "identity/directory_load.h"
#include "identity/policy_book.h"
#include "identity/principal_make.h"

/* The workload: a lookup at each connect and resumption, mostly of certificates seen before; changes are rare beside
 * it, but one group may be that of every device. So: a map from certificate to entry under one mutex, held only to
 * look and to link; loading runs on workers without it.
 *
 * Each entry is linked to the names that it is made of (its certificate, things, groups: interest.h), so a
 * change finds exactly the entries that it is about. The entry then is `loading`: it is not handed out any more, who
 * asks waits for the new snapshot.
 *
 * A load must not miss a change that is committed while it reads, even one to a name that it learns only by reading.
 * Every change gets a number and its name's hash is kept in a ring; a load notes the number when it is given to the
 * workers (its transaction begins after that), and when it is done and one of the names that it read stands in the
 * ring with a later number, it loads again. When the ring has gone round meanwhile, it does so to be sure.
 *
 * Policies are apart from this: what a name stands for is in a slot that principals share (policy_book.h), so a new
 * version is one exchange, and no snapshot is made for it. */

enum { RING = 1024, IDLE_DEFAULT = 10000, POLICIES_KEPT = 4096, TRIES = 4 };

struct Directory {
    DirectoryOptions options;
    PolicyBook *policies;
    Principal *plain;
    DirectoryListener *listener;
    DirectoryPolicyListener *policy_listener;
    void *listener_ctx;
    _Atomic uint64_t generation; /* the number of the last change */
    _Atomic uint64_t authorizers;
    pthread_mutex_t lock; /* guards what follows, and the entries but for what a load makes */
    Entries entries;
    uint64_t ring[RING];
};

static Err entry_run(Job *job, Txn *txn);
static void entry_done(Job *job, Err e);

static Entry *entry_new(Directory *d, Str account, Str id) {
    Entry *x = entries_add(&d->entries, account, id);
    x->d = d;
    x->job = (Job){ .key = str_hash(x->key), .run = entry_run, .done = entry_done };
    return x;
}

/* Loading */

static const struct {
    const char *status, *reason;
} REFUSALS[] = {
    { "REVOKED", "DEVICE_CERTIFICATE_REVOKED" },
    { NULL, "DEVICE_CERTIFICATE_INACTIVE" }, /* INACTIVE, PENDING_TRANSFER, PENDING_ACTIVATION, REGISTER_INACTIVE */
};

static DirectoryAnswer refused(Err e, const char *reason, const char *status) {
    return (DirectoryAnswer){ .error = e, .reason = reason, .status = status };
}

static DirectoryAnswer judge(const Loaded *loaded, Err e, Principal *fresh) {
    if (e != OK) return refused(e, "INTERNAL_SERVER_ERROR", NULL);
    if (!loaded->status) return refused(ERR_NOT_FOUND, "DEVICE_CERTIFICATE_NOT_REGISTERED", NULL);
    if (strcmp(loaded->status, "ACTIVE") != 0) {
        size_t i = 0;
        while (REFUSALS[i].status && strcmp(REFUSALS[i].status, loaded->status) != 0) i++;
        return refused(ERR_DENIED, REFUSALS[i].reason, loaded->status);
    }
    if (fresh->not_before_ms > real_ms())
        return refused(ERR_DENIED, "DEVICE_CERTIFICATE_NOT_YET_VALID", loaded->status);
    if (fresh->not_after_ms < real_ms()) return refused(ERR_DENIED, "DEVICE_CERTIFICATE_EXPIRED", loaded->status);
    return (DirectoryAnswer){ .error = OK, .principal = fresh, .status = loaded->status };
}

/* May run twice. principal is not changed by others while it is loading. */
static Err entry_run(Job *job, Txn *txn) {
    Entry *x = (Entry *)job;
    Directory *d = x->d;
    principal_release(x->made.principal);
    x->made = (DirectoryAnswer){ 0 };
    x->home = STR_NONE;
    arena_reset(&x->scratch);
    Loaded loaded = { 0 };
    Principal *fresh = NULL;
    Err e = directory_load(txn, x->account, d->options.region, x->id, &x->scratch, &loaded);
    if (e == OK && loaded.status)
        e = principal_make(&(PrincipalSpec){ .account = x->account,
                                             .region = d->options.region,
                                             .id = x->id,
                                             .old = x->principal,
                                             .loaded = &loaded,
                                             .policies = d->policies,
                                             .generation = x->since },
                           &x->scratch, &fresh);
    if (e == OK && !loaded.status && str_eq(x->account, d->options.account)) {
        e = certificate_home_find(txn, d->options.region, x->id, &x->scratch, &x->home);
        if (e == ERR_NOT_FOUND) e = OK;
    }
    x->made = judge(&loaded, e, fresh);
    if (x->made.error != OK) principal_release(fresh);
    x->names = interest_names(x->account, x->id, &loaded, &x->scratch);
    return OK; /* what went wrong is in made; there is nothing to undo */
}

/* Whether one of these names was changed after `since`. */
static bool changed_since(const Directory *d, const Names *names, uint64_t since) {
    uint64_t now = atomic_load_explicit(&d->generation, memory_order_relaxed);
    if (now - since > RING) return true;
    for (uint64_t n = since + 1; n <= now; n++)
        for (size_t i = 0; i < names->n; i++)
            if (d->ring[n % RING] == names->items[i].hash) return true;
    return false;
}

/* Entries on their way to the workers, once the lock is given back. */
typedef struct {
    Entry *first;
} Batch;

/* Under the lock. Nobody else touches the job of an entry that is loading and not with the workers. */
static void load_begin(Directory *d, Entry *x, Batch *batch) {
    x->loading = true;
    x->since = atomic_load_explicit(&d->generation, memory_order_relaxed);
    x->job.next = batch->first ? &batch->first->job : NULL;
    batch->first = x;
}

static void load_later(Directory *d, Entry *x) {
    x->loading = true;
    entries_wait(&d->entries, x);
}

static void pending_take(Directory *d, Entry *x, Batch *batch) {
    entries_unwait(&d->entries, x);
    load_begin(d, x, batch);
}

static void pending_fill(Directory *d, Batch *batch) {
    for (Entry *x; (x = entries_turn(&d->entries));) load_begin(d, x, batch);
}

/* Without the lock. */
static void batch_submit(Directory *d, Batch *batch) {
    for (Entry *x = batch->first, *next; x; x = next) {
        next = (Entry *)x->job.next;
        x->job.next = NULL;
        workers_submit(d->options.workers, &x->job);
    }
}

/* Who named no account asks again, in the one that has it. */
static void send_home(Directory *d, const Entry *x, Str home, Waiter *waiters) {
    for (Waiter *w = waiters, *next; w; w = next) {
        DirectoryAnswer answer = { .error = OK, .status = "ACTIVE" };
        next = w->next;
        if (directory_certificate(d, home, x->id, w->done, w->ctx, &answer.principal) == OK) w->done(w->ctx, &answer);
        free(w);
    }
}

static void entry_done(Job *job, Err e) {
    Entry *x = (Entry *)job;
    Directory *d = x->d;
    pthread_mutex_lock(&d->lock);
    bool again = e == OK ? changed_since(d, &x->names, x->since) : ++x->tries < TRIES;
    Batch batch = { 0 };
    if (again) {
        load_begin(d, x, &batch);
        pthread_mutex_unlock(&d->lock);
        batch_submit(d, &batch);
        return;
    }
    d->entries.bulk_loading -= x->bulk;
    x->bulk = false;
    pending_fill(d, &batch);
    if (e != OK) {
        principal_release(x->made.principal);
        x->made = refused(e, "INTERNAL_SERVER_ERROR", NULL);
    }
    DirectoryAnswer answer = x->made;
    x->made = (DirectoryAnswer){ 0 };
    Principal *old = x->principal;
    Waiter *waiters = x->waiters;
    Arena scratch = x->scratch;
    Str home = answer.error == ERR_NOT_FOUND ? x->home : STR_NONE;
    Waiter *strays = home.len ? waiters_any_account(&waiters) : NULL;
    x->principal = (Principal *)(uintptr_t)answer.principal;
    x->waiters = NULL;
    x->scratch = (Arena){ 0 };
    x->loading = false;
    x->tries = 0;
    if (answer.principal) {
        principal_retain(answer.principal);     /* ours, until the listener has been told */
        if (!links_are(&x->links, &x->names)) { /* mostly they are: what changed is what a name stands for */
            interests_unlink(&d->entries.interests, &x->links);
            interests_link(&d->entries.interests, &x->links, &x->names, x);
        }
        if (!old) entries_evict(&d->entries, d->options.idle_max);
    } else {
        entries_remove(&d->entries, x);
    }
    pthread_mutex_unlock(&d->lock);
    batch_submit(d, &batch);

    if (old && d->listener) d->listener(d->listener_ctx, x->account, x->id, answer.principal);
    waiters_answer(waiters, &answer);
    send_home(d, x, home, strays);
    principal_release(old);
    arena_free(&scratch);
    if (!answer.principal) entry_free(x);
    principal_release(answer.principal);
}

/* Lookups */

Err directory_certificate(Directory *d, Str account, Str fingerprint, DirectoryDoneFn *done, void *ctx,
                          const Principal **out) {
    bool any_account = !account.ptr;
    if (any_account) account = d->options.account;
    uint8_t bytes[256];
    bool fits = account.len + fingerprint.len < sizeof bytes; /* 12 digits and 64; anything else is not there */
    Str key = fits ? entry_key(account, fingerprint, bytes) : STR_NONE;
    pthread_mutex_lock(&d->lock);
    Entry *x = fits ? map_get(&d->entries.map, key) : NULL;
    if (x && !x->loading && x->principal->not_after_ms >= real_ms()) {
        entries_used(&d->entries, x);
        *out = principal_retain(x->principal);
        pthread_mutex_unlock(&d->lock);
        return OK;
    }
    if (!x) x = entry_new(d, account, fingerprint);
    entry_add_waiter(x, done, ctx, any_account);
    Batch batch = { 0 };
    if (x->pending)
        pending_take(d, x, &batch);
    else if (!x->loading)
        load_begin(d, x, &batch);
    pthread_mutex_unlock(&d->lock);
    batch_submit(d, &batch);
    return ERR_AGAIN;
}

const Principal *directory_plain(Directory *d) {
    return principal_retain(d->plain);
}

/* Changes */

/* Under the lock. */
static void count_change(Directory *d, uint64_t hash) {
    uint64_t number = atomic_load_explicit(&d->generation, memory_order_relaxed) + 1;
    d->ring[number % RING] = hash;
    atomic_store_explicit(&d->generation, number, memory_order_release);
}

static void changed(Directory *d, InterestKind kind, Str account, Str name) {
    Arena arena = { .block_bytes = 512 };
    Name n = interest_name(kind, account, name, &arena);
    Batch batch = { 0 };
    pthread_mutex_lock(&d->lock);
    count_change(d, n.hash);
    for (Link *l = interests_find(&d->entries.interests, &n); l; l = l->next) {
        Entry *x = l->owner;
        if (x->pending && kind == INTEREST_CERTIFICATE) pending_take(d, x, &batch);
        if (x->loading) continue; /* it looks at the ring when it is done */
        if (kind == INTEREST_CERTIFICATE)
            load_begin(d, x, &batch);
        else
            load_later(d, x);
    }
    pending_fill(d, &batch);
    pthread_mutex_unlock(&d->lock);
    batch_submit(d, &batch);
    arena_free(&arena);
}

void directory_certificate_changed(Directory *d, Str account, Str certificate_id) {
    changed(d, INTEREST_CERTIFICATE, account, certificate_id);
}
void directory_policy_changed(Directory *d, Str account, Str policy_name) {
    if (!policy_book_changed(d->policies, account, policy_name)) return;
    pthread_mutex_lock(&d->lock);
    count_change(d, 0);
    pthread_mutex_unlock(&d->lock);
    if (d->policy_listener) d->policy_listener(d->listener_ctx, account);
}
void directory_group_changed(Directory *d, Str account, Str group_name) {
    changed(d, INTEREST_GROUP, account, group_name);
}
void directory_thing_changed(Directory *d, Str account, Str thing_name) {
    changed(d, INTEREST_THING, account, thing_name);
}

void directory_type_changed(Directory *d, Str account, Str type_name) {
    changed(d, INTEREST_TYPE, account, type_name);
}

void directory_all_changed(Directory *d) {
    Batch batch = { 0 };
    policy_book_all_changed(d->policies, d->policy_listener, d->listener_ctx);
    pthread_mutex_lock(&d->lock);
    atomic_fetch_add_explicit(&d->generation, RING + 1, memory_order_release); /* loads under way read again */
    for (Entry *x = d->entries.newest; x; x = x->older)
        if (!x->loading) load_later(d, x);
    pending_fill(d, &batch);
    pthread_mutex_unlock(&d->lock);
    batch_submit(d, &batch);
}

void directory_listen(Directory *d, DirectoryListener *listener, DirectoryPolicyListener *policies, void *ctx) {
    d->listener = listener;
    d->policy_listener = policies;
    d->listener_ctx = ctx;
}

void directory_authorizers_changed(Directory *d) {
    atomic_fetch_add_explicit(&d->authorizers, 1, memory_order_release);
}

uint64_t directory_authorizers(const Directory *d) {
    return atomic_load_explicit(&d->authorizers, memory_order_acquire);
}

uint64_t directory_generation(const Directory *d) {
    return atomic_load_explicit(&d->generation, memory_order_acquire);
}

size_t directory_cached(Directory *d) {
    pthread_mutex_lock(&d->lock);
    size_t n = d->entries.map.count;
    pthread_mutex_unlock(&d->lock);
    return n;
}

/* Opening */

Directory *directory_open(const DirectoryOptions *options) {
    Directory *d = mem_new(sizeof *d);
    d->options = *options;
    if (!d->options.idle_max) d->options.idle_max = IDLE_DEFAULT;
    pthread_mutex_init(&d->lock, NULL);
    d->plain = principal_make_plain(options->account, options->region);
    d->options.account = d->plain->account; /* a copy that lives as long */
    d->options.region = str_dup(&d->plain->arena, options->region);
    d->policies = policy_book_new(options->store, d->options.region, POLICIES_KEPT);
    return d;
}

void directory_close(Directory *d) {
    if (!d) return;
    while (d->entries.newest) {
        Entry *x = d->entries.newest;
        entries_remove(&d->entries, x);
        entry_free(x);
    }
    map_free(&d->entries.map);
    interests_free(&d->entries.interests);
    policy_book_free(d->policies);
    principal_release(d->plain);
    pthread_mutex_destroy(&d->lock);
    free(d);
}
