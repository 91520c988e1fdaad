/* Server certificates that an operator brings: certificate, chain and key as PEM, taken apart and held against what AWS
 * IoT asks of them. Pure.
 * Source: ACM user guide, "Prerequisites for importing"; AWS IoT developer guide, "Creating and configuring domains" */
#pragma once

#include "base/arena.h"

typedef struct {
    Str domain_name; /* the common name, else the first alternative name; STR_NONE: neither */
    Str *names;      /* DNS names among the alternative names; without any the common name */
    size_t names_n;
    Str serial; /* hex pairs with colons */
    Str subject, issuer;
    Str key_algorithm; /* "RSA-2048", "EC-prime256v1" … as ACM writes it */
    Str signature_algorithm;
    int64_t not_before_ms, not_after_ms;
    bool for_servers; /* its extended key usage has serverAuth, or there is none */
    size_t chain_n;   /* certificates, its own with them */
} ServerCertificate;

enum { SERVER_CHAIN_MAX = 5, SERVER_CHAIN_BYTES_MAX = 16 << 10 }; /* Source: custom domains: 5 certificates, 16 KB */

/* The key is the certificate's. chain may be STR_NONE.
 * Errors: ERR_MALFORMED, ERR_INVALID, ERR_LIMIT; *why says what is wrong. Owns: all of *out lives in the arena */
NODISCARD Err server_certificate_read(Str certificate, Str chain, Str key, Arena *arena, ServerCertificate *out,
                                      Str *why);
/* Whether it is good for the host: a wildcard stands for one label. */
bool server_certificate_covers(const ServerCertificate *c, Str host);
