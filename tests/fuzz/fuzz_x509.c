#include "fuzz.h"

#include "identity/x509.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena a = { 0 };
    Str in = { data, size }, why = STR_NONE;
    CertInfo *chain;
    size_t n;
    CsrInfo csr;
    CertInfo one;
    if (x509_parse(in, &a, &one, &why) == OK) {
        if (x509_check_algorithms(&one, &a, &why) != OK) CHECK(why.len > 0);
        if (x509_check_signed_by(&one, &one, &a, &why) != OK) CHECK(why.len > 0);
    } else {
        CHECK(why.len > 0);
    }
    if (x509_parse_chain(in, &a, &chain, &n, &why) == OK) {
        CHECK(n > 0 && n <= X509_CHAIN_MAX);
        if (x509_check_chain(chain, n, INT64_C(1700000000000), &a, &why) != OK) CHECK(why.len > 0);
    }
    why = STR_NONE;
    if (x509_parse_csr(in, &a, &csr, &why) != OK) CHECK(why.len > 0);
    arena_free(&a);
    return 0;
}
