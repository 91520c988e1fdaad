#include "net/tls_library.h"

#include <openssl/core_dispatch.h>
#include <openssl/crypto.h>
#include <openssl/provider.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

/* OpenSSL 3.0 looks for whoever can decode a certificate's public key anew each time, among all decoders and kinds of
 * keys that its providers offer: 40 % of the instructions of a mutual handshake. So TLS has a library context in which
 * only one provider is, ours, which offers what the default provider does without decoders and kinds of keys that no
 * certificate or key exchange of ours has. The algorithms are the default provider's own and run in its context.
 *
 * A provider has no place for what is its own besides that context, which the algorithms take for theirs. Therefore
 * what is offered stands in tables of this file, filled once and not changed after. */

enum { KEPT_MAX = 32 };

static struct {
    pthread_once_t once;
    OSSL_PROVIDER *original;
    OSSL_ALGORITHM keys[KEPT_MAX], decoders[KEPT_MAX];
} offered = { .once = PTHREAD_ONCE_INIT };

static const char *const KEYS[] = { "RSA",     "RSA-PSS", "EC",       "X25519", "X448",
                                    "ED25519", "ED448",   "TLS1-PRF", "HKDF",   "HMAC" };
static const char *const DECODERS[] = { "RSA", "RSA-PSS", "EC", "ED25519", "ED448" };

/* names: "EC:id-ecPublicKey:1.2.840.10045.2.1" */
static bool is_named(const char *names, const char *const *list, size_t n) {
    size_t len = strcspn(names, ":");
    for (size_t i = 0; i < n; i++)
        if (strlen(list[i]) == len && memcmp(list[i], names, len) == 0) return true;
    return false;
}

static bool of_certificates(const OSSL_ALGORITHM *a) {
    return strstr(a->property_definition, "input=der") && strstr(a->property_definition, "SubjectPublicKeyInfo");
}

static void keep(OSSL_ALGORITHM *to, int operation, const char *const *list, size_t list_n) {
    int no_cache;
    const OSSL_ALGORITHM *a = OSSL_PROVIDER_query_operation(offered.original, operation, &no_cache);
    for (size_t n = 0; a && a->algorithm_names && n + 1 < KEPT_MAX; a++)
        if (is_named(a->algorithm_names, list, list_n) && (operation != OSSL_OP_DECODER || of_certificates(a)))
            to[n++] = *a;
}

static void fill(void) {
    offered.original = OSSL_PROVIDER_load(NULL, "default");
    if (!offered.original) return;
    keep(offered.keys, OSSL_OP_KEYMGMT, KEYS, sizeof KEYS / sizeof *KEYS);
    keep(offered.decoders, OSSL_OP_DECODER, DECODERS, sizeof DECODERS / sizeof *DECODERS);
}

static const OSSL_ALGORITHM *query(void *context, int operation, int *no_cache) {
    (void)context;
    *no_cache = 0;
    switch (operation) {
    case OSSL_OP_KEYMGMT: return offered.keys;
    case OSSL_OP_DECODER: return offered.decoders;
    case OSSL_OP_ENCODER:
    case OSSL_OP_STORE: return NULL;
    default: return OSSL_PROVIDER_query_operation(offered.original, operation, no_cache);
    }
}

/* The groups of TLS. */
static int capabilities(void *context, const char *capability, OSSL_CALLBACK *told, void *arg) {
    (void)context;
    return OSSL_PROVIDER_get_capabilities(offered.original, capability, told, arg);
}

static int start(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out, void **context) {
    static const OSSL_DISPATCH FUNCTIONS[] = { { OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query },
                                               { OSSL_FUNC_PROVIDER_GET_CAPABILITIES, (void (*)(void))capabilities },
                                               { 0, NULL } };
    (void)handle, (void)in;
    pthread_once(&offered.once, fill);
    if (!offered.original) return 0;
    *out = FUNCTIONS;
    *context = OSSL_PROVIDER_get0_provider_ctx(offered.original);
    return 1;
}

OSSL_LIB_CTX *tls_library_new(void) {
    OSSL_LIB_CTX *library = OSSL_LIB_CTX_new();
    if (library && OSSL_PROVIDER_add_builtin(library, "starling", start) && OSSL_PROVIDER_load(library, "starling"))
        return library;
    OSSL_LIB_CTX_free(library);
    return NULL;
}

static int take(OSSL_PROVIDER *provider, void *arg) {
    *(OSSL_PROVIDER **)arg = provider;
    return 1;
}

/* What was loaded by hand is unloaded by hand: the context alone leaves it behind. */
void tls_library_free(OSSL_LIB_CTX *library) {
    OSSL_PROVIDER *provider = NULL;
    if (library) OSSL_PROVIDER_do_all(library, take, &provider);
    if (provider) OSSL_PROVIDER_unload(provider);
    OSSL_LIB_CTX_free(library);
}
