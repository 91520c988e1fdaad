/* Making keys and certificates. Pure but for randomness, which is OpenSSL's own. */
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/arena.h"

typedef enum { KEY_EC_P256, KEY_RSA_2048 } KeyKind;
typedef enum { MAKE_CA, MAKE_SERVER, MAKE_DEVICE } MakeKind;

EVP_PKEY *x509_make_key(KeyKind kind); /* NULL: OpenSSL failed */

typedef struct {
    MakeKind kind;
    EVP_PKEY *key;            /* whose certificate it is */
    const X509_NAME *subject; /* NULL: organization and common_name */
    Str organization, common_name;
    X509 *ca; /* NULL: signs itself */
    EVP_PKEY *ca_key;
    int64_t not_before_ms, not_after_ms;
    const Str *hosts; /* MAKE_SERVER: subject alternative names, DNS names or addresses */
    size_t hosts_n;
} MakeSpec;

/* Signed with SHA-256, a random serial of 159 bits. NULL: OpenSSL failed. */
X509 *x509_make(const MakeSpec *spec);

Str x509_pem_of(Arena *arena, X509 *cert);
Str x509_private_pem(Arena *arena, EVP_PKEY *key); /* PKCS#1 for RSA, SEC1 for EC: what small TLS stacks read. Secret */
Str x509_public_pem(Arena *arena, EVP_PKEY *key);
/* Whether the certificate's DNS names and addresses are exactly these. */
bool x509_has_hosts(X509 *cert, const Str *hosts, size_t hosts_n);
/* A name as certificates may carry: letters, digits, '-', '.', '_', a leading "*."; or an IP address. */
bool x509_host_taken(Str host);
