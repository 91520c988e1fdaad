#include "gateway/rates.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/map.h"

/* A bucket an account and operation: a second's worth of calls at most, refilled evenly. Most operations of the control
 * plane share one figure, so the table holds only those that differ.
 * Source: AWS General Reference, "AWS IoT Core endpoints and quotas" and "AWS IoT Device Management", default values of
 * large Regions; adjustable ones as they are before anybody adjusts them. */

typedef struct {
    const char *service, *op; /* op NULL: the service's other ones */
    uint32_t per_s;
} Limit;

static const Limit LIMITS[] = {
    { "iot", "AttachThingPrincipal", 100 },
    { "iot", "CreateCertificateProvider", 1 },
    { "iot", "CreateDomainConfiguration", 1 },
    { "iot", "CreateThing", 100 },
    { "iot", "CreateTopicRule", 5 },
    { "iot", "DeleteCertificateProvider", 1 },
    { "iot", "DeleteThing", 100 },
    { "iot", "DeleteV2LoggingLevel", 2 },
    { "iot", "DescribeCertificateProvider", 1 },
    { "iot", "DescribeThing", 350 },
    { "iot", "DetachThingPrincipal", 100 },
    { "iot", "GetV2LoggingOptions", 2 },
    { "iot", "ListCertificateProviders", 1 },
    { "iot", "ListV2LoggingLevels", 2 },
    { "iot", "SetV2LoggingLevel", 2 },
    { "iot", "SetV2LoggingOptions", 2 },
    { "iot", "UpdateCertificateProvider", 1 },
    { "iot", "UpdateThing", 100 },
    { "iot", NULL, 10 },
    { "iot-data", "DeleteConnection", 100 },
    { "iot-data", "DeleteThingShadow", 4000 },
    { "iot-data", "GetConnection", 100 },
    { "iot-data", "GetRetainedMessage", 500 },
    { "iot-data", "GetThingShadow", 4000 },
    { "iot-data", "ListNamedShadowsForThing", 10 },
    { "iot-data", "ListRetainedMessages", 10 },
    { "iot-data", "ListSubscriptions", 100 },
    { "iot-data", "Publish", 20000 },
    { "iot-data", "SendDirectMessage", 20000 },
    { "iot-data", "UpdateThingShadow", 4000 },
    { "iot-jobs-data", NULL, 200 },
};
enum { OTHER_PER_S = 10, TOKEN = 1000 };

typedef struct {
    int64_t tokens, last_ms; /* tokens in thousandths of a call */
    uint8_t key[];
} Bucket;

struct Rates {
    pthread_mutex_t lock;
    Map buckets; /* account and operation to Bucket */
};

uint32_t rates_limit(const ApiOp *op) {
    for (size_t i = 0; i < sizeof LIMITS / sizeof *LIMITS; i++)
        if (str_eq(op->service->name, str_c(LIMITS[i].service)) &&
            (!LIMITS[i].op || str_eq(op->name, str_c(LIMITS[i].op))))
            return LIMITS[i].per_s;
    return OTHER_PER_S;
}

Rates *rates_new(void) {
    Rates *r = mem_new(sizeof *r);
    pthread_mutex_init(&r->lock, NULL);
    return r;
}

void rates_free(Rates *r) {
    if (!r) return;
    map_each (&r->buckets, slot) free(slot->value);
    map_free(&r->buckets);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

static Bucket *bucket_new(Rates *r, Str key, int64_t full, int64_t now_ms) {
    Bucket *b = mem_new(sizeof *b + key.len);
    memcpy(b->key, key.ptr, key.len);
    b->tokens = full;
    b->last_ms = now_ms;
    map_put(&r->buckets, (Str){ b->key, key.len }, b);
    return b;
}

bool rates_take(Rates *r, Str account, const ApiOp *op, int64_t now_ms) {
    Arena arena = { .block_bytes = 256 };
    Str key = str_format(&arena, "%.*s/%.*s/%.*s", PS(account), PS(op->service->name), PS(op->name));
    int64_t per_s = rates_limit(op), full = per_s * TOKEN;
    pthread_mutex_lock(&r->lock);
    Bucket *b = map_get(&r->buckets, key);
    if (!b) b = bucket_new(r, key, full, now_ms);
    int64_t passed = now_ms - b->last_ms;
    if (passed > 0) {
        b->tokens = passed >= 1000 || b->tokens + passed * per_s > full ? full : b->tokens + passed * per_s;
        b->last_ms = now_ms;
    }
    bool ok = b->tokens >= TOKEN;
    if (ok) b->tokens -= TOKEN;
    pthread_mutex_unlock(&r->lock);
    arena_free(&arena);
    return ok;
}
