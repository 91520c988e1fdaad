/* Thousands of lookups a second, a change now and then: one reader-writer lock over a map. Signatures are checked under
 * the read lock, so that no secret is copied. A key's Principal is made when the key is loaded and shared by all its
 * requests. Changes are read from the store one at a time, so that a newer one cannot be overwritten by an older. */
#include "identity/key_ring.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/map.h"
#include "identity/role.h"

#define ALLOW_ALL                                                                                                      \
    "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}]}"

typedef struct {
    AccessKey key;
    Principal *principal;
    Arena arena; /* holds key */
} Entry;

struct KeyRing {
    Store *store;
    SigV4Keys *signing;
    KeyRingListener *listener;
    void *listener_ctx;
    pthread_mutex_t changing;
    pthread_rwlock_t lock;
    Map entries; /* by id */
    Str region;  /* borrowed from who opened; ptr NULL: any */
};

static void entry_free(Entry *entry) {
    if (!entry) return;
    if (entry->key.secret.ptr) OPENSSL_cleanse((uint8_t *)(uintptr_t)entry->key.secret.ptr, entry->key.secret.len);
    principal_release(entry->principal);
    arena_free(&entry->arena);
    free(entry);
}

static void set_vars(Principal *p, const AccessKey *key) {
    enum { VARS = 5 };
    bool role = key->role.len > 0;
    Str user_id = role ? str_format(&p->arena, "%.*s:%.*s",
                                    PS(key->role_id.ptr ? key->role_id
                                                        : role_unique_id("AROA", key->account, key->role, &p->arena)),
                                    PS(key->user))
                       : role_unique_id("AIDA", key->account, key->user, &p->arena);
    const Str names[VARS] = { S("aws:userid"), S("aws:PrincipalArn"), S("aws:PrincipalAccount"), S("aws:PrincipalType"),
                              S("aws:username") };
    const Str values[VARS] = { user_id, p->arn, p->account, role ? S("AssumedRole") : S("User"),
                               str_dup(&p->arena, key->user) };
    PolicyVar *vars = arena_array(&p->arena, PolicyVar, VARS + key->vars.n);
    Str *kept = arena_array(&p->arena, Str, VARS + key->vars.n);
    size_t fixed = role ? VARS - 1 : VARS; /* a role has no user name */
    p->vars_n = fixed + key->vars.n;
    for (size_t i = 0; i < p->vars_n; i++) {
        const StrPair *own = i < fixed ? NULL : &key->vars.items[i - fixed];
        kept[i] = own ? str_dup(&p->arena, own->value) : values[i];
        vars[i] = (PolicyVar){ own ? str_dup(&p->arena, own->key) : names[i], &kept[i], 1 };
    }
    p->vars = vars;
}

/* session_n: how many of the key's policies, the last ones, narrow what the others allow.
 * Errors: those of policy_compile: a stored document that no longer compiles */
static Err principal_of(const AccessKey *key, size_t session_n, Principal **out) {
    Principal *p = mem_new(sizeof *p);
    p->kind = PRINCIPAL_ACCESS_KEY;
    p->refs = 1;
    p->account = str_dup(&p->arena, key->account);
    p->id = str_dup(&p->arena, key->id);
    p->arn = key->role.len ? str_format(&p->arena, "arn:aws:sts::%.*s:assumed-role/%.*s/%.*s", PS(key->account),
                                        PS(key->role), PS(key->user))
                           : str_format(&p->arena, "arn:aws:iam::%.*s:user/%.*s", PS(key->account), PS(key->user));
    p->not_after_ms = key->expires_ms;
    set_vars(p, key);
    p->policies = arena_array(&p->arena, PolicySlot *, key->policies_n + 1);
    Err e = OK;
    for (size_t i = 0; e == OK && i < key->policies_n; i++) {
        Policy *policy;
        PolicyFault fault;
        e = policy_compile(key->user, key->policies[i], POLICY_IAM, &p->arena, &policy, &fault);
        if (e != OK) break;
        if (i >= key->policies_n - session_n) policy_narrow(policy);
        p->policies[p->policies_n++] = policy_slot_fixed(policy);
    }
    if (e != OK) {
        principal_release(p);
        return e;
    }
    *out = p;
    return OK;
}

/* Errors: as principal_of, ERR_IO */
static Err entry_new(Txn *txn, const AccessKey *from, Entry **out) {
    Entry *entry = mem_new(sizeof *entry);
    Arena *a = &entry->arena;
    AccessKey key = *from;
    size_t session_n = key.role.len ? key.policies_n : 0;
    if (key.role.len) {
        StrList documents;
        Err e = role_documents(txn, key.account, key.role, key.role_id, a, &documents);
        if (e != OK) {
            entry_free(entry);
            return e;
        }
        Str *all = arena_array(a, Str, documents.n + session_n + 1);
        if (documents.n) memcpy(all, documents.items, documents.n * sizeof *all);
        if (session_n) memcpy(all + documents.n, key.policies, session_n * sizeof *all);
        key.policies = all;
        key.policies_n = documents.n + session_n;
    }
    Str *texts[] = { &key.id,   &key.secret,  &key.account,       &key.user, &key.session_token,
                     &key.role, &key.role_id, &key.certificate_id };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i]->ptr) *texts[i] = str_dup(a, *texts[i]);
    Str *policies = arena_array(a, Str, key.policies_n + 1);
    for (size_t i = 0; i < key.policies_n; i++) policies[i] = str_dup(a, key.policies[i]);
    key.policies = policies;
    StrPair *vars = arena_array(a, StrPair, key.vars.n + 1);
    for (size_t i = 0; i < key.vars.n; i++)
        vars[i] = (StrPair){ str_dup(a, key.vars.items[i].key), str_dup(a, key.vars.items[i].value) };
    key.vars.items = vars;
    entry->key = key;
    Err e = principal_of(&key, session_n, &entry->principal);
    if (e != OK) {
        entry_free(entry);
        return e;
    }
    *out = entry;
    return OK;
}

/* entry NULL: removes. Returns what was there; the caller's. */
static Entry *replace(KeyRing *ring, Str id, Entry *entry) {
    pthread_rwlock_wrlock(&ring->lock);
    Entry *old = entry ? map_put(&ring->entries, entry->key.id, entry) : map_remove(&ring->entries, id);
    pthread_rwlock_unlock(&ring->lock);
    return old;
}

void keyring_listen(KeyRing *ring, KeyRingListener *listener, void *ctx) {
    ring->listener = listener;
    ring->listener_ctx = ctx;
}

/* With `changing` held, which keeps both entries alive. */
static void tell(KeyRing *ring, const Entry *old, const Entry *now) {
    const AccessKey *key = now ? &now->key : old ? &old->key : NULL;
    if (!ring->listener || !key) return;
    ring->listener(ring->listener_ctx, key->account, key->id, now && !key->disabled ? now->principal : NULL);
}

typedef struct {
    KeyRing *ring;
    Txn *txn;
} Loading;

static Err load_one(void *ctx, const AccessKey *key) {
    const Loading *l = ctx;
    Entry *entry;
    Err e = entry_new(l->txn, key, &entry);
    if (e == OK) entry_free(replace(l->ring, key->id, entry));
    return e == OK ? OK : ERR_CORRUPT;
}

/* Whole or not at all: written beside, then renamed. Errors: ERR_IO, *why says which file and why */
static Err write_credentials(const char *dir, const AccessKey *key, Arena *arena, Str *why) {
    Str path = str_format(arena, "%s/credentials", dir), beside = str_format(arena, "%s/credentials.new", dir);
    Str text = str_format(arena, "[default]\naws_access_key_id = %.*s\naws_secret_access_key = %.*s\n", PS(key->id),
                          PS(key->secret));
    const char *from = str_dup_c(arena, beside), *to = str_dup_c(arena, path);
    unlink(from);
    int fd = open(from, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && write(fd, text.ptr, text.len) == (ssize_t)text.len && fsync(fd) == 0;
    if (fd >= 0) ok = close(fd) == 0 && ok;
    if (ok && rename(from, to) == 0) return OK;
    *why = str_format(arena, "%s cannot be written: %s", to, strerror(errno));
    return ERR_IO;
}

/* The file comes before the commit: a key in the store that nobody knows would lock its owner out. */
static Err make_first(KeyRing *ring, const KeyRingOptions *options, Arena *arena, Str *why) {
    Str policy = S(ALLOW_ALL);
    AccessKey key = { .account = options->account,
                      .user = S("admin"),
                      .policies = &policy,
                      .policies_n = 1,
                      .created_ms = options->now_ms,
                      .expires_ms = INT64_MAX };
    access_key_generate(&key, options->rng, arena);
    Err e = options->data_dir ? write_credentials(options->data_dir, &key, arena, why) : OK;
    if (e != OK) return e;
    Txn *txn;
    e = txn_begin(ring->store, &txn);
    if (e == OK) {
        e = access_key_put(txn, &key);
        if (e == OK)
            e = txn_commit(txn, true);
        else
            txn_abort(txn);
    }
    if (e == OK) e = load_one(&(Loading){ ring, NULL }, &key); /* which has no role to read */
    if (e != OK) *why = str_format(arena, "the first access key cannot be stored: %s", err_name(e));
    return e;
}

Err keyring_open(const KeyRingOptions *options, Arena *arena, KeyRing **out, Str *why) {
    KeyRing *ring = mem_new(sizeof *ring);
    ring->store = options->store;
    ring->region = options->region;
    ring->signing = sigv4_keys_new();
    pthread_mutex_init(&ring->changing, NULL);
    pthread_rwlock_init(&ring->lock, NULL);
    Txn *txn;
    Err e = txn_begin(ring->store, &txn);
    if (e == OK) {
        e = access_key_each(txn, load_one, &(Loading){ ring, txn });
        txn_abort(txn);
    }
    if (e != OK) *why = str_format(arena, "the access keys in the store cannot be read: %s", err_name(e));
    if (e == OK && ring->entries.count == 0) e = make_first(ring, options, arena, why);
    if (e != OK) {
        keyring_close(ring);
        return e;
    }
    *out = ring;
    return OK;
}

void keyring_close(KeyRing *ring) {
    if (!ring) return;
    map_each (&ring->entries, slot) entry_free(slot->value);
    map_free(&ring->entries);
    sigv4_keys_free(ring->signing);
    pthread_rwlock_destroy(&ring->lock);
    pthread_mutex_destroy(&ring->changing);
    free(ring);
}

static bool token_matches(const AccessKey *key, Str token) {
    return key->session_token.len == token.len &&
           (token.len == 0 || CRYPTO_memcmp(key->session_token.ptr, token.ptr, token.len) == 0);
}

/* Under the read lock. Source: the answers are those of AWS STS and IoT for unknown, inactive and expired keys. */
static Err check(KeyRing *ring, const Entry *entry, const SigV4 *sig, const ApiRequest *rq, int64_t real_ms,
                 Arena *arena, SigV4Fault *fault) {
    if (!entry || entry->key.disabled || !token_matches(&entry->key, sig->security_token)) {
        *fault = sigv4_fault(SIGV4_UNKNOWN_KEY, sig->service, arena,
                             "The security token included in the request is invalid.");
        return ERR_UNAUTHENTICATED;
    }
    if (entry->key.expires_ms <= real_ms) {
        *fault = sigv4_fault(SIGV4_TOKEN_EXPIRED, sig->service, arena,
                             "The security token included in the request is expired");
        return ERR_UNAUTHENTICATED;
    }
    return sigv4_verify(sig, rq, entry->key.secret, ring->signing, arena, fault);
}

Err keyring_authenticate(KeyRing *ring, const ApiRequest *rq, int64_t real_ms, Arena *arena, SigV4 *sig,
                         const Principal **out, SigV4Fault *fault) {
    SigV4 s;
    Err e = sigv4_parse(rq, real_ms, arena, &s, fault);
    if (e != OK) return e;
    *sig = s;
    if (ring->region.ptr && (e = sigv4_check_region(&s, ring->region, arena, fault)) != OK) return e;
    pthread_rwlock_rdlock(&ring->lock);
    const Entry *entry = map_get(&ring->entries, s.access_key);
    e = check(ring, entry, &s, rq, real_ms, arena, fault);
    if (e == OK) *out = principal_retain(entry->principal);
    pthread_rwlock_unlock(&ring->lock);
    return e;
}

bool keyring_alive(KeyRing *ring, Str id, int64_t real_ms) {
    pthread_rwlock_rdlock(&ring->lock);
    const Entry *entry = map_get(&ring->entries, id);
    bool alive = entry && !entry->key.disabled && entry->key.expires_ms > real_ms;
    pthread_rwlock_unlock(&ring->lock);
    return alive;
}

const Principal *keyring_principal(KeyRing *ring, Str id) {
    pthread_rwlock_rdlock(&ring->lock);
    const Entry *entry = map_get(&ring->entries, id);
    const Principal *p = entry ? principal_retain(entry->principal) : NULL;
    pthread_rwlock_unlock(&ring->lock);
    return p;
}

void keyring_changed(KeyRing *ring, Str id) {
    Arena arena = { 0 };
    AccessKey key;
    Entry *entry = NULL;
    Txn *txn;
    pthread_mutex_lock(&ring->changing);
    Err e = txn_begin(ring->store, &txn);
    if (e == OK) {
        e = access_key_get(txn, id, &arena, &key);
        if (e == OK) e = entry_new(txn, &key, &entry);
        txn_abort(txn);
    }
    Entry *now = e == OK ? entry : NULL, *old = replace(ring, id, now); /* what cannot be read admits nobody */
    tell(ring, old, now);
    pthread_mutex_unlock(&ring->changing);
    entry_free(old);
    arena_free(&arena);
}

void keyring_role_changed(KeyRing *ring, Str account, Str role_name) {
    Arena a = { 0 };
    pthread_rwlock_rdlock(&ring->lock);
    Str *ids = arena_array(&a, Str, ring->entries.count + 1);
    size_t n = 0;
    map_each (&ring->entries, slot) {
        const AccessKey *key = &((const Entry *)slot->value)->key;
        if (str_eq(key->role, role_name) && str_eq(key->account, account)) ids[n++] = str_dup(&a, key->id);
    }
    pthread_rwlock_unlock(&ring->lock);
    for (size_t i = 0; i < n; i++) keyring_changed(ring, ids[i]);
    arena_free(&a);
}

/* Which entries go. */
typedef struct {
    Str account, certificate_id; /* ptr NULL: by time */
    int64_t real_ms;
} Doomed;

static bool doomed(const AccessKey *key, const Doomed *d) {
    if (!d->certificate_id.ptr) return key->expires_ms <= d->real_ms;
    return str_eq(key->certificate_id, d->certificate_id) && str_eq(key->account, d->account);
}

static void remove_all(KeyRing *ring, const Doomed *d) {
    Arena a = { 0 };
    pthread_mutex_lock(&ring->changing);
    pthread_rwlock_wrlock(&ring->lock);
    Entry **found = arena_array(&a, Entry *, ring->entries.count + 1);
    size_t n = 0;
    map_each (&ring->entries, slot) {
        Entry *entry = slot->value;
        if (doomed(&entry->key, d)) found[n++] = entry;
    }
    for (size_t i = 0; i < n; i++) map_remove(&ring->entries, found[i]->key.id);
    pthread_rwlock_unlock(&ring->lock);
    for (size_t i = 0; i < n; i++) tell(ring, found[i], NULL);
    pthread_mutex_unlock(&ring->changing);
    for (size_t i = 0; i < n; i++) entry_free(found[i]);
    arena_free(&a);
}

void keyring_certificate_gone(KeyRing *ring, Str account, Str certificate_id) {
    if (certificate_id.len) remove_all(ring, &(Doomed){ .account = account, .certificate_id = certificate_id });
}

void keyring_forget_ended(KeyRing *ring, int64_t real_ms) {
    remove_all(ring, &(Doomed){ .real_ms = real_ms });
}

static int by_id(const void *a, const void *b) {
    return str_cmp(((const AccessKey *)a)->id, ((const AccessKey *)b)->id);
}

size_t keyring_list(KeyRing *ring, Str account, Arena *arena, AccessKey **out) {
    pthread_rwlock_rdlock(&ring->lock);
    AccessKey *keys = arena_array(arena, AccessKey, ring->entries.count + 1);
    size_t n = 0;
    map_each (&ring->entries, slot) {
        const AccessKey *key = &((const Entry *)slot->value)->key;
        if (account.ptr && !str_eq(key->account, account)) continue;
        AccessKey *k = &keys[n++];
        *k = (AccessKey){ .id = str_dup(arena, key->id),
                          .account = str_dup(arena, key->account),
                          .user = str_dup(arena, key->user),
                          .disabled = key->disabled,
                          .created_ms = key->created_ms,
                          .expires_ms = key->expires_ms,
                          .certificate_id = str_dup(arena, key->certificate_id),
                          .role = str_dup(arena, key->role),
                          .policies_n = key->policies_n };
        Str *policies = arena_array(arena, Str, key->policies_n + 1);
        for (size_t i = 0; i < key->policies_n; i++) policies[i] = str_dup(arena, key->policies[i]);
        k->policies = policies;
    }
    pthread_rwlock_unlock(&ring->lock);
    qsort(keys, n, sizeof *keys, by_id);
    *out = keys;
    return n;
}
