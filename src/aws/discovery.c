#include "aws/discovery.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/json.h"

enum { KEPT_MAX = 4, HOST_BYTES_MAX = 255, MINUTE_MS = 60000, KEEP_MINUTES_MAX = 1440 };

typedef struct {
    const AwsService *service; /* NULL: free */
    char host[HOST_BYTES_MAX + 1];
    size_t len;
    int64_t until_ms;
} Kept;

struct Discovery {
    pthread_mutex_t lock;
    Kept kept[KEPT_MAX]; /* as many as services that discover, at least */
};

Discovery *discovery_new(void) {
    Discovery *d = mem_new(sizeof *d);
    pthread_mutex_init(&d->lock, NULL);
    return d;
}

void discovery_free(Discovery *d) {
    if (!d) return;
    pthread_mutex_destroy(&d->lock);
    free(d);
}

/* Under the lock. service NULL: a free place */
static Kept *find(Discovery *d, const AwsService *service) {
    for (size_t i = 0; i < KEPT_MAX; i++)
        if (d->kept[i].service == service) return &d->kept[i];
    return NULL;
}

bool discovery_get(Discovery *d, const AwsService *service, int64_t now_ms, Arena *arena, Str *host) {
    pthread_mutex_lock(&d->lock);
    const Kept *k = find(d, service);
    bool good = k && now_ms < k->until_ms;
    if (good) *host = str_dup(arena, (Str){ (const uint8_t *)k->host, k->len });
    pthread_mutex_unlock(&d->lock);
    return good;
}

void discovery_keep(Discovery *d, const AwsService *service, Str host, int64_t until_ms) {
    if (host.len > HOST_BYTES_MAX) return;
    pthread_mutex_lock(&d->lock);
    Kept *k = find(d, service);
    if (!k) k = find(d, NULL);
    if (k) {
        k->service = service;
        memcpy(k->host, host.ptr, host.len);
        k->len = host.len;
        k->until_ms = until_ms;
    }
    pthread_mutex_unlock(&d->lock);
}

void discovery_forget(Discovery *d, const AwsService *service) {
    pthread_mutex_lock(&d->lock);
    Kept *k = find(d, service);
    if (k) k->until_ms = 0;
    pthread_mutex_unlock(&d->lock);
}

Err discovery_read(Str body, Arena *arena, Str *host, int64_t *keep_ms) {
    yyjson_val *o;
    AwsEndpoint parsed;
    Str why;
    if (json_read(arena, body, false, &o, NULL) != OK) return ERR_MALFORMED;
    yyjson_val *first = yyjson_arr_get_first(json_get(o, S("Endpoints")));
    Str address = json_str(json_get(first, S("Address")));
    int64_t minutes = yyjson_get_sint(json_get(first, S("CachePeriodInMinutes")));
    if (!address.len || address.len > HOST_BYTES_MAX) return ERR_MALFORMED;
    Str url = str_format(arena, "https://%.*s", PS(address));
    if (aws_endpoint_parse(url, arena, &parsed, &why) != OK || parsed.path.len) return ERR_MALFORMED;
    *host = parsed.host;
    *keep_ms = (minutes < 1 ? 1 : minutes > KEEP_MINUTES_MAX ? KEEP_MINUTES_MAX : minutes) * MINUTE_MS;
    return OK;
}
