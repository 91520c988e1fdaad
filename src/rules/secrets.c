#include "rules/secrets.h"

#include <pthread.h>
#include <stdlib.h>

/* A few secrets, asked for once a message at most: a walk over the table costs less than what the statement does
 * besides. */

typedef struct {
    uint8_t *bytes; /* the account, the id, then the value; NULL: free */
    size_t account_len, id_len, value_len;
    int64_t at_ms;
    bool binary;
} Secret;

struct Secrets {
    pthread_mutex_t lock;
    Secret kept[SECRETS_MAX];
};

static void drop(Secret *k) {
    if (k->bytes) explicit_bzero(k->bytes, k->account_len + k->id_len + k->value_len);
    free(k->bytes);
    *k = (Secret){ 0 };
}

static Secret *find(Secrets *s, Str account, Str id, bool binary) {
    for (size_t i = 0; i < SECRETS_MAX; i++) {
        Secret *k = &s->kept[i];
        if (k->bytes && k->binary == binary && str_eq((Str){ k->bytes, k->account_len }, account) &&
            str_eq((Str){ k->bytes + k->account_len, k->id_len }, id))
            return k;
    }
    return NULL;
}

static Secret *place(Secrets *s) {
    Secret *oldest = &s->kept[0];
    for (size_t i = 0; i < SECRETS_MAX; i++) {
        if (!s->kept[i].bytes) return &s->kept[i];
        if (s->kept[i].at_ms < oldest->at_ms) oldest = &s->kept[i];
    }
    return oldest;
}

Secrets *secrets_new(void) {
    Secrets *s = mem_new(sizeof *s);
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

void secrets_free(Secrets *s) {
    if (!s) return;
    for (size_t i = 0; i < SECRETS_MAX; i++) drop(&s->kept[i]);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* A clock that went back makes everything old. */
Err secrets_get(Secrets *s, Str account, Str id, bool binary, int64_t now_ms, Arena *arena, Str *out) {
    pthread_mutex_lock(&s->lock);
    Secret *k = find(s, account, id, binary);
    if (k && (now_ms - k->at_ms >= SECRET_KEPT_MS || now_ms < k->at_ms)) {
        drop(k);
        k = NULL;
    }
    if (k) *out = str_dup(arena, (Str){ k->bytes + k->account_len + k->id_len, k->value_len });
    pthread_mutex_unlock(&s->lock);
    return k ? OK : ERR_NOT_FOUND;
}

void secrets_keep(Secrets *s, Str account, Str id, bool binary, int64_t now_ms, Str value) {
    pthread_mutex_lock(&s->lock);
    Secret *k = find(s, account, id, binary);
    if (!k) k = place(s);
    drop(k);
    *k = (Secret){ mem_new(account.len + id.len + value.len + 1), account.len, id.len, value.len, now_ms, binary };
    if (account.len) memcpy(k->bytes, account.ptr, account.len);
    if (id.len) memcpy(k->bytes + account.len, id.ptr, id.len);
    if (value.len) memcpy(k->bytes + account.len + id.len, value.ptr, value.len);
    pthread_mutex_unlock(&s->lock);
}
