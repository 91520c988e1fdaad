#include <openssl/err.h>

#include "identity/pem.h"
#include "identity/x509.h"
#include "identity/x509_key.h"

static X509_REQ *decode(Str der) {
    const unsigned char *at = der.ptr;
    X509_REQ *csr = d2i_X509_REQ(NULL, &at, (long)der.len);
    if (csr && at != der.ptr + der.len) {
        X509_REQ_free(csr);
        csr = NULL;
    }
    return csr;
}

static Err csr_der(Str text, Arena *arena, Str *out) {
    if (text.len && text.ptr[0] == 0x30) {
        *out = text;
        return OK;
    }
    Str rest = text;
    Err e = pem_next(&rest, S("CERTIFICATE REQUEST"), arena, out);
    if (e == ERR_NOT_FOUND) {
        rest = text;
        e = pem_next(&rest, S("NEW CERTIFICATE REQUEST"), arena, out);
    }
    return e;
}

Err x509_parse_csr(Str text, Arena *arena, CsrInfo *out, Str *why) {
    Str der;
    if (text.len > X509_TEXT_BYTES_MAX) {
        *why = str_format(arena, "the request has %zu bytes, at most %d are taken", text.len, (int)X509_TEXT_BYTES_MAX);
        return ERR_LIMIT;
    }
    if (csr_der(text, arena, &der) != OK) {
        *why = S("there is no whole '-----BEGIN CERTIFICATE REQUEST-----' block");
        return ERR_MALFORMED;
    }
    X509_REQ *csr = der.len <= X509_DER_BYTES_MAX ? decode(der) : NULL;
    EVP_PKEY *key = csr ? X509_REQ_get0_pubkey(csr) : NULL;
    Err e = OK;
    if (!key) {
        *why = S("this is not one DER encoded PKCS#10 request with a key that can be read");
        e = ERR_MALFORMED;
    }
    if (e == OK) e = x509_check_key(key, arena, why);
    if (e == OK && X509_REQ_verify(csr, key) != 1) {
        *why = S("the request's signature was not made by the key in it");
        e = ERR_INVALID;
    }
    if (e == OK) {
        const X509_NAME *name = X509_REQ_get_subject_name(csr);
        *out = (CsrInfo){ .der = str_dup(arena, der),
                          .subject = x509_name_text(arena, name),
                          .common_name = x509_common_name(arena, name),
                          .key_type = x509_key_type(key),
                          .key_bits = EVP_PKEY_get_bits(key) };
    }
    X509_REQ_free(csr);
    ERR_clear_error();
    return e;
}

bool x509_is_of_request(Str certificate_der, Str csr_der) {
    const unsigned char *at = certificate_der.ptr;
    X509 *cert = d2i_X509(NULL, &at, (long)certificate_der.len);
    X509_REQ *csr = decode(csr_der);
    EVP_PKEY *key = cert ? X509_get0_pubkey(cert) : NULL, *asked = csr ? X509_REQ_get0_pubkey(csr) : NULL;
    bool same = key && asked && EVP_PKEY_eq(key, asked) == 1 &&
                X509_NAME_cmp(X509_get_subject_name(cert), X509_REQ_get_subject_name(csr)) == 0;
    X509_free(cert);
    X509_REQ_free(csr);
    ERR_clear_error();
    return same;
}
