/* The part of OpenSSL that TLS needs, as a library context of its own. */
#pragma once

#include <openssl/types.h>

/* NULL: OpenSSL refuses. */
OSSL_LIB_CTX *tls_library_new(void);
void tls_library_free(OSSL_LIB_CTX *library); /* after all that was made in it; accepts NULL */
