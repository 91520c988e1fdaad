#include "identity/key_pool.h"

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

/* Most servers never make a device's key, so the thread begins with the first that is asked for: until then neither
 * a start nor an idle server pays. It fills the pool and sleeps. SCHED_IDLE keeps it behind all else; a key that
 * cannot be made ends it, and callers make their own. */

enum { RSA_BITS = 2048 };

struct KeyPool {
    pthread_mutex_t lock;
    pthread_cond_t taken, made;
    pthread_t thread;
    bool started, ended;
    _Atomic bool stopping; /* also read while a key is made */
    size_t n, max;
    EVP_PKEY *keys[];
};

KeyPool *key_pool_new(size_t keys_max) {
    KeyPool *p = mem_new(sizeof *p + keys_max * sizeof *p->keys);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->taken, NULL);
    pthread_cond_init(&p->made, NULL);
    p->max = keys_max;
    return p;
}

/* OpenSSL asks while it looks for primes; 0 gives up. */
static int go_on(EVP_PKEY_CTX *ctx) {
    const KeyPool *p = EVP_PKEY_CTX_get_app_data(ctx);
    return !atomic_load_explicit(&p->stopping, memory_order_relaxed);
}

static EVP_PKEY *make(KeyPool *p) {
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *key = NULL;
    bool ready = ctx && EVP_PKEY_keygen_init(ctx) == 1 && EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, RSA_BITS) == 1;
    if (ready) {
        EVP_PKEY_CTX_set_app_data(ctx, p);
        EVP_PKEY_CTX_set_cb(ctx, go_on);
        if (EVP_PKEY_generate(ctx, &key) != 1) key = NULL;
    }
    EVP_PKEY_CTX_free(ctx);
    ERR_clear_error();
    return key;
}

static void *fill(void *arg) {
    KeyPool *p = arg;
    struct sched_param none = { 0 };
    pthread_setschedparam(pthread_self(), SCHED_IDLE, &none); /* refused: then as all others */
    pthread_mutex_lock(&p->lock);
    while (!p->stopping) {
        if (p->n == p->max) {
            pthread_cond_wait(&p->taken, &p->lock);
            continue;
        }
        pthread_mutex_unlock(&p->lock);
        EVP_PKEY *key = make(p);
        pthread_mutex_lock(&p->lock);
        if (!key) break;
        p->keys[p->n++] = key;
        pthread_cond_broadcast(&p->made);
    }
    p->ended = true;
    pthread_cond_broadcast(&p->made);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

EVP_PKEY *key_pool_take(KeyPool *p) {
    pthread_mutex_lock(&p->lock);
    if (!p->started && !p->ended) {
        p->started = pthread_create(&p->thread, NULL, fill, p) == 0;
        p->ended = !p->started;
    }
    EVP_PKEY *key = p->n ? p->keys[--p->n] : NULL;
    pthread_cond_signal(&p->taken);
    pthread_mutex_unlock(&p->lock);
    return key;
}

void key_pool_wait_full(KeyPool *p) {
    pthread_mutex_lock(&p->lock);
    while (p->started && !p->ended && p->n < p->max) pthread_cond_wait(&p->made, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

void key_pool_free(KeyPool *p) {
    if (!p) return;
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_cond_signal(&p->taken);
    pthread_mutex_unlock(&p->lock);
    if (p->started) pthread_join(p->thread, NULL);
    while (p->n) EVP_PKEY_free(p->keys[--p->n]);
    pthread_cond_destroy(&p->made);
    pthread_cond_destroy(&p->taken);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
