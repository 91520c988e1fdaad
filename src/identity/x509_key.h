/* What certificates and requests share: which keys and signatures AWS IoT takes, and names as text.
 * Source: AWS IoT developer guide, "X.509 client certificates". */
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/arena.h"

Str x509_key_type(const EVP_PKEY *key); /* "RSA", "RSA-PSS", "EC", or OpenSSL's name; lives for ever */
/* RSA and RSA-PSS of 2048 bits or more; EC on P-256, P-384, P-521. Errors: ERR_INVALID */
NODISCARD Err x509_check_key(const EVP_PKEY *key, Arena *arena, Str *why);
bool x509_signature_taken(int key_nid, int digest_nid);

Str x509_name_text(Arena *arena, const X509_NAME *name);   /* RFC 2253 */
Str x509_common_name(Arena *arena, const X509_NAME *name); /* the first; STR_NONE: none */
