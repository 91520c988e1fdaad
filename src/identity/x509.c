#include "identity/x509.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <time.h>

#include "base/encode.h"
#include "identity/pem.h"
#include "identity/x509_key.h"
#include "identity/x509_vars.h"

/* A CertInfo keeps the DER and what is asked of it often; a check that needs more decodes again. OpenSSL's
 * thread-local list of errors is left empty, as TLS code on the same thread looks at it. */

static Err refuse(Err e, Str *why, Str text) {
    ERR_clear_error();
    *why = text;
    return e;
}

Str x509_fingerprint(Arena *arena, Str der) {
    uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA256(der.ptr, der.len, digest);
    return hex_encode(arena, (Str){ digest, sizeof digest });
}

Str x509_pem(Arena *arena, Str der) {
    return pem_encode(arena, S("CERTIFICATE"), der);
}

static int64_t time_ms(const ASN1_TIME *t, bool *bad) {
    struct tm tm;
    if (ASN1_TIME_to_tm(t, &tm) != 1) {
        *bad = true;
        return 0;
    }
    return (int64_t)timegm(&tm) * 1000;
}

static Str serial_text(Arena *arena, const ASN1_INTEGER *serial) {
    BIGNUM *n = ASN1_INTEGER_to_BN(serial, NULL);
    char *text = n ? BN_bn2dec(n) : NULL;
    Str out = str_dup(arena, text ? str_c(text) : S("0"));
    OPENSSL_free(text);
    BN_free(n);
    return out;
}

static Str name_der(Arena *arena, const X509_NAME *name) {
    const unsigned char *der = NULL;
    size_t n = 0;
    if (X509_NAME_get0_der((X509_NAME *)(uintptr_t)name, &der, &n) != 1) return S("");
    return str_dup(arena, (Str){ der, n });
}

/* NULL unless der is one certificate and nothing else. */
static X509 *decode(Str der) {
    const unsigned char *at = der.ptr;
    X509 *cert = d2i_X509(NULL, &at, (long)der.len);
    if (cert && at != der.ptr + der.len) {
        X509_free(cert);
        cert = NULL;
    }
    ERR_clear_error();
    return cert;
}

static Err parse_der(Str der, Arena *arena, CertInfo *out, Str *why) {
    if (der.len > X509_DER_BYTES_MAX)
        return refuse(ERR_LIMIT, why,
                      str_format(arena, "the certificate has %zu bytes of DER, at most %d are taken", der.len,
                                 (int)X509_DER_BYTES_MAX));
    X509 *cert = decode(der);
    if (!cert) return refuse(ERR_MALFORMED, why, S("this is not one DER encoded X.509 certificate"));

    bool bad = false;
    CertInfo c = { .der = str_dup(arena, der), .id = x509_fingerprint(arena, der) };
    c.not_before_ms = time_ms(X509_get0_notBefore(cert), &bad);
    c.not_after_ms = time_ms(X509_get0_notAfter(cert), &bad);
    const EVP_PKEY *key = X509_get0_pubkey(cert);
    if (bad || !key) {
        X509_free(cert);
        return refuse(ERR_MALFORMED, why,
                      bad ? S("the certificate's validity dates cannot be read")
                          : S("the certificate's public key cannot be read"));
    }
    c.subject = x509_name_text(arena, X509_get_subject_name(cert));
    c.issuer = x509_name_text(arena, X509_get_issuer_name(cert));
    c.subject_der = name_der(arena, X509_get_subject_name(cert));
    c.issuer_der = name_der(arena, X509_get_issuer_name(cert));
    c.common_name = x509_common_name(arena, X509_get_subject_name(cert));
    c.serial = serial_text(arena, X509_get0_serialNumber(cert));
    c.key_type = x509_key_type(key);
    c.key_bits = EVP_PKEY_get_bits(key);
    int ca = X509_check_ca(cert); /* 1: basic constraints, 3: version 1 self-signed, 4: key usage alone */
    c.is_ca = ca == 1 || ca == 3 || ca == 4;
    c.self_issued = X509_NAME_cmp(X509_get_subject_name(cert), X509_get_issuer_name(cert)) == 0;
    c.vars = x509_vars(cert, c.id, c.serial, arena, &c.vars_n);
    X509_free(cert);
    ERR_clear_error();
    *out = c;
    return OK;
}

Err x509_parse(Str text, Arena *arena, CertInfo *out, Str *why) {
    if (text.len > X509_TEXT_BYTES_MAX)
        return refuse(ERR_LIMIT, why,
                      str_format(arena, "the certificate has %zu bytes, at most %d are taken", text.len,
                                 (int)X509_TEXT_BYTES_MAX));
    if (text.len && text.ptr[0] == 0x30) return parse_der(text, arena, out, why); /* a SEQUENCE; never in PEM */
    Str rest = text, der;
    Err e = pem_next(&rest, S("CERTIFICATE"), arena, &der);
    if (e != OK)
        return refuse(ERR_MALFORMED, why,
                      e == ERR_NOT_FOUND ? S("there is no '-----BEGIN CERTIFICATE-----' line")
                                         : S("the PEM block of the certificate has no end or is not base64"));
    return parse_der(der, arena, out, why);
}

Err x509_parse_chain(Str pem, Arena *arena, CertInfo **out, size_t *out_n, Str *why) {
    if (pem.len > X509_TEXT_BYTES_MAX) return refuse(ERR_LIMIT, why, S("the chain has more than 65536 bytes"));
    CertInfo *chain = arena_array(arena, CertInfo, X509_CHAIN_MAX);
    size_t n = 0;
    Str rest = pem, der;
    Err e;
    while ((e = pem_next(&rest, S("CERTIFICATE"), arena, &der)) == OK) {
        if (n == X509_CHAIN_MAX) return refuse(ERR_LIMIT, why, S("the chain has more than 8 certificates"));
        e = parse_der(der, arena, &chain[n], why);
        if (e != OK) return e;
        n++;
    }
    if (e != ERR_NOT_FOUND) return refuse(e, why, S("a PEM block has no end or is not base64"));
    if (n == 0) return refuse(ERR_MALFORMED, why, S("there is no '-----BEGIN CERTIFICATE-----' line"));
    *out = chain;
    *out_n = n;
    return OK;
}

Err x509_check_algorithms(const CertInfo *cert, Arena *arena, Str *why) {
    X509 *x = decode(cert->der);
    if (!x) return refuse(ERR_INVALID, why, S("the certificate cannot be read"));
    int digest = NID_undef, key = NID_undef;
    int known = X509_get_signature_info(x, &digest, &key, NULL, NULL);
    Str name = str_dup(arena, str_c(OBJ_nid2ln(X509_get_signature_nid(x))));
    Err e = OK;
    if (!known || !x509_signature_taken(key, digest))
        e = refuse(ERR_INVALID, why,
                   str_format(arena,
                              "the signature algorithm %.*s is not taken; these are: RSA, RSASSA-PSS and ECDSA with "
                              "SHA-256, SHA-384 or SHA-512, and DSA with SHA-256",
                              PS(name)));
    else
        e = x509_check_key(X509_get0_pubkey(x), arena, why);
    X509_free(x);
    ERR_clear_error();
    return e;
}

static Str date_text(Arena *arena, int64_t ms) {
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    char text[64] = "?";
    if (gmtime_r(&s, &tm)) strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return str_dup(arena, str_c(text));
}

Err x509_check_dates(const CertInfo *cert, int64_t now_ms, Arena *arena, Str *why) {
    if (now_ms < cert->not_before_ms)
        return refuse(ERR_INVALID, why,
                      str_format(arena, "the certificate is not valid before %.*s, now is %.*s",
                                 PS(date_text(arena, cert->not_before_ms)), PS(date_text(arena, now_ms))));
    if (now_ms > cert->not_after_ms)
        return refuse(ERR_INVALID, why,
                      str_format(arena, "the certificate has expired at %.*s, now is %.*s",
                                 PS(date_text(arena, cert->not_after_ms)), PS(date_text(arena, now_ms))));
    return OK;
}

static Err signed_by(X509 *cert, X509 *ca, const CertInfo *cert_info, const CertInfo *ca_info, Arena *arena, Str *why) {
    if (!ca_info->is_ca)
        return refuse(
            ERR_INVALID, why,
            str_format(arena, "%.*s is not a CA: its basic constraints do not say CA:TRUE", PS(ca_info->subject)));
    if (!(X509_get_key_usage(ca) & KU_KEY_CERT_SIGN)) /* all bits where there is no such extension */
        return refuse(
            ERR_INVALID, why,
            str_format(arena, "the key usage of %.*s does not allow it to sign certificates", PS(ca_info->subject)));
    if (X509_NAME_cmp(X509_get_issuer_name(cert), X509_get_subject_name(ca)) != 0)
        return refuse(ERR_INVALID, why,
                      str_format(arena, "the certificate's issuer is %.*s, the CA's subject is %.*s",
                                 PS(cert_info->issuer), PS(ca_info->subject)));
    if (X509_verify(cert, X509_get0_pubkey(ca)) != 1)
        return refuse(
            ERR_INVALID, why,
            str_format(arena, "the certificate's signature was not made by the key of %.*s", PS(ca_info->subject)));
    return OK;
}

Err x509_check_signed_by(const CertInfo *cert, const CertInfo *ca, Arena *arena, Str *why) {
    X509 *a = decode(cert->der), *b = decode(ca->der);
    Err e =
        a && b ? signed_by(a, b, cert, ca, arena, why) : refuse(ERR_INVALID, why, S("the certificate cannot be read"));
    X509_free(a);
    X509_free(b);
    ERR_clear_error();
    return e;
}

static Err check_path_length(const CertInfo *ca, size_t cas_below, Arena *arena, Str *why) {
    X509 *x = decode(ca->der);
    long most = x ? X509_get_pathlen(x) : 0; /* -1: no limit */
    X509_free(x);
    if (most < 0 || cas_below <= (size_t)most) return OK;
    return refuse(
        ERR_INVALID, why,
        str_format(arena, "%.*s allows %ld CAs below itself, here are %zu", PS(ca->subject), most, cas_below));
}

Err x509_check_chain(const CertInfo *chain, size_t n, int64_t now_ms, Arena *arena, Str *why) {
    for (size_t i = 0; i < n; i++) {
        Err e = x509_check_dates(&chain[i], now_ms, arena, why);
        if (e == OK && i > 0) e = x509_check_signed_by(&chain[i - 1], &chain[i], arena, why);
        if (e == OK && i > 0) e = check_path_length(&chain[i], i - 1, arena, why);
        if (e != OK) return e;
    }
    return OK;
}
