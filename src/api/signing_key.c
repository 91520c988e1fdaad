/* A signing key holds for a day, a region and a service, so a client's requests all need the same one: four HMACs of
 * the secret are spared. The cache is a small table where a newcomer replaces whoever has its slot; a slot names its
 * owner in full, with a hash of the secret, so neither a collision nor a reused key id gives a wrong key. */
#include "api/signing_key.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>

enum { SLOTS = 512, OWNER_BYTES_MAX = 192, HMAC_BLOCK_BYTES = 64 };

typedef struct {
    uint16_t owner_bytes; /* 0: free */
    uint8_t owner[OWNER_BYTES_MAX];
    uint64_t secret_hash;
    uint8_t key[SHA256_BYTES];
} Slot;

struct SigV4Keys {
    EVP_MD *md;
    pthread_mutex_t lock;
    Slot slots[SLOTS];
};

SigV4Keys *sigv4_keys_new(void) {
    SigV4Keys *keys = mem_new(sizeof *keys);
    keys->md = EVP_MD_fetch(NULL, "SHA256", NULL);
    pthread_mutex_init(&keys->lock, NULL);
    return keys;
}

void sigv4_keys_free(SigV4Keys *keys) {
    if (!keys) return;
    EVP_MD_free(keys->md);
    pthread_mutex_destroy(&keys->lock);
    OPENSSL_cleanse(keys->slots, sizeof keys->slots);
    free(keys);
}

Hasher hasher_open(const SigV4Keys *keys) {
    Hasher h = { .ctx = EVP_MD_CTX_new(), .md = keys && keys->md ? keys->md : EVP_sha256() };
    h.bad = !h.ctx;
    return h;
}

void hasher_close(Hasher *h) {
    EVP_MD_CTX_free(h->ctx);
    h->ctx = NULL;
}

static void sha256_two(Hasher *h, Str a, Str b, uint8_t out[SHA256_BYTES]) {
    if (h->bad || !EVP_DigestInit_ex2(h->ctx, h->md, NULL) || !EVP_DigestUpdate(h->ctx, a.ptr, a.len) ||
        !EVP_DigestUpdate(h->ctx, b.ptr, b.len) || !EVP_DigestFinal_ex(h->ctx, out, NULL)) {
        h->bad = true;
        memset(out, 0, SHA256_BYTES);
    }
}

void hasher_sha256(Hasher *h, Str data, uint8_t out[SHA256_BYTES]) {
    sha256_two(h, data, STR_NONE, out);
}

/* Source: RFC 2104 */
void hasher_hmac(Hasher *h, Str key, Str data, uint8_t out[SHA256_BYTES]) {
    uint8_t pad[HMAC_BLOCK_BYTES] = { 0 }, inner[SHA256_BYTES];
    if (key.len > sizeof pad)
        hasher_sha256(h, key, pad);
    else if (key.len)
        memcpy(pad, key.ptr, key.len);
    for (size_t i = 0; i < sizeof pad; i++) pad[i] ^= 0x36;
    sha256_two(h, (Str){ pad, sizeof pad }, data, inner);
    for (size_t i = 0; i < sizeof pad; i++) pad[i] ^= 0x36 ^ 0x5c;
    sha256_two(h, (Str){ pad, sizeof pad }, (Str){ inner, sizeof inner }, out);
    OPENSSL_cleanse(pad, sizeof pad);
}

static void derive(Hasher *h, Str secret, const SigV4 *scope, uint8_t out[SHA256_BYTES]) {
    Arena a = { 0 };
    uint8_t *first = arena_bytes(&a, secret.len + 4);
    memcpy(first, "AWS4", 4);
    if (secret.len) memcpy(first + 4, secret.ptr, secret.len);
    Str key = { out, SHA256_BYTES };
    hasher_hmac(h, (Str){ first, secret.len + 4 }, scope->date, out);
    hasher_hmac(h, key, scope->region, out);
    hasher_hmac(h, key, scope->service, out);
    hasher_hmac(h, key, S("aws4_request"), out);
    OPENSSL_cleanse(first, secret.len + 4);
    arena_free(&a);
}

static size_t owner_write(uint8_t out[OWNER_BYTES_MAX], Str access_key, const SigV4 *scope) {
    const Str parts[] = { access_key, scope->date, scope->region, scope->service };
    size_t at = 0;
    for (size_t i = 0; i < 4; i++) {
        if (at + parts[i].len + 1 > OWNER_BYTES_MAX) return 0;
        if (parts[i].len) memcpy(out + at, parts[i].ptr, parts[i].len);
        at += parts[i].len;
        out[at++] = '/';
    }
    return at;
}

void signing_key(Hasher *h, SigV4Keys *keys, Str access_key, Str secret, const SigV4 *scope,
                 uint8_t out[SHA256_BYTES]) {
    uint8_t owner[OWNER_BYTES_MAX];
    size_t n = keys ? owner_write(owner, access_key, scope) : 0;
    if (n == 0) {
        derive(h, secret, scope, out);
        return;
    }
    uint64_t secret_hash = str_hash(secret);
    Slot *slot = &keys->slots[str_hash((Str){ owner, n }) % SLOTS];
    pthread_mutex_lock(&keys->lock);
    bool hit = slot->owner_bytes == n && slot->secret_hash == secret_hash && memcmp(slot->owner, owner, n) == 0;
    if (hit) memcpy(out, slot->key, SHA256_BYTES);
    pthread_mutex_unlock(&keys->lock);
    if (hit) return;
    derive(h, secret, scope, out);
    if (h->bad) return;
    pthread_mutex_lock(&keys->lock);
    slot->owner_bytes = (uint16_t)n;
    slot->secret_hash = secret_hash;
    memcpy(slot->owner, owner, n);
    memcpy(slot->key, out, SHA256_BYTES);
    pthread_mutex_unlock(&keys->lock);
}
