#include "identity/policy_cache.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/map.h"

/* Kept by account and name, and taken only where the document is the same text: a new default version, or a policy
 * deleted and made again under its name, is never answered with the old one, whatever order the news come in. When
 * it is full all of it is forgotten: what is in use lives on in its principals, and is compiled once more at most. */

typedef struct {
    Policy *policy;
    Str key, document;
    uint8_t bytes[]; /* of both */
} Kept;

struct PolicyCache {
    pthread_mutex_t lock;
    Map kept;
    size_t max;
};

PolicyCache *policy_cache_new(size_t policies_max) {
    PolicyCache *c = mem_new(sizeof *c);
    pthread_mutex_init(&c->lock, NULL);
    c->max = policies_max;
    return c;
}

static void kept_free(Kept *k) {
    if (!k) return;
    policy_release(k->policy);
    free(k);
}

static void forget_all(PolicyCache *c) {
    map_each (&c->kept, slot) kept_free(slot->value);
    map_free(&c->kept);
    c->kept = (Map){ 0 };
}

void policy_cache_free(PolicyCache *c) {
    if (!c) return;
    forget_all(c);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static Kept *kept_new(Str key, Str document, Policy *policy) {
    Kept *k = mem_new(sizeof *k + key.len + document.len);
    memcpy(k->bytes, key.ptr, key.len);
    memcpy(k->bytes + key.len, document.ptr, document.len);
    k->key = (Str){ k->bytes, key.len };
    k->document = (Str){ k->bytes + key.len, document.len };
    k->policy = policy_retain(policy);
    return k;
}

static Policy *find(PolicyCache *c, Str key, Str document) {
    pthread_mutex_lock(&c->lock);
    Kept *k = map_get(&c->kept, key);
    Policy *found = k && str_eq(k->document, document) ? policy_retain(k->policy) : NULL;
    pthread_mutex_unlock(&c->lock);
    return found;
}

Err policy_cache_get(PolicyCache *c, Str account, Str name, Str document, Arena *scratch, Policy **out) {
    Str key = str_format(scratch, "%.*s/%.*s", PS(account), PS(name));
    Policy *p = find(c, key, document);
    if (!p) { /* outside of the lock: two threads may both compile it, and either is right */
        PolicyFault fault;
        Err e = policy_compile(name, document, POLICY_IOT, scratch, &p, &fault);
        if (e != OK) return e;
        Kept *fresh = kept_new(key, document, p), *old;
        pthread_mutex_lock(&c->lock);
        if (c->kept.count >= c->max) forget_all(c);
        old = map_put(&c->kept, fresh->key, fresh);
        pthread_mutex_unlock(&c->lock);
        kept_free(old);
    }
    *out = p;
    return OK;
}
