/* Signing keys and the hashes of SigV4, over OpenSSL. A Hasher keeps one digest context for the many short hashes
 * of one verification. */
#pragma once

#include <openssl/evp.h>

#include "api/sigv4.h"

#define SHA256_BYTES 32

typedef struct {
    EVP_MD_CTX *ctx;
    const EVP_MD *md;
    bool bad; /* OpenSSL failed: no result of it counts */
} Hasher;

Hasher hasher_open(const SigV4Keys *keys); /* keys may be NULL */
void hasher_close(Hasher *h);
void hasher_sha256(Hasher *h, Str data, uint8_t out[SHA256_BYTES]);
void hasher_hmac(Hasher *h, Str key, Str data, uint8_t out[SHA256_BYTES]);

/* HMAC(HMAC(HMAC(HMAC("AWS4" secret, date), region), service), "aws4_request"), from the cache where it is there. */
void signing_key(Hasher *h, SigV4Keys *keys, Str access_key, Str secret, const SigV4 *scope, uint8_t out[SHA256_BYTES]);
