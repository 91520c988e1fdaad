#include "identity/server_certificate.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "identity/x509.h"
#include "identity/x509_key.h"

static int64_t time_ms(const ASN1_TIME *t) {
    struct tm tm;
    if (ASN1_TIME_to_tm(t, &tm) != 1) return 0;
    return (int64_t)timegm(&tm) * 1000;
}

static Str serial_text(X509 *x, Arena *arena) {
    BIGNUM *n = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);
    char *hex = n ? BN_bn2hex(n) : NULL;
    Str digits = str_c(hex);
    uint8_t *out = arena_bytes(arena, digits.len * 2 + 1);
    size_t len = 0;
    for (size_t i = 0; i < digits.len; i++) {
        if (i && i % 2 == 0) out[len++] = ':';
        out[len++] = digits.ptr[i] >= 'A' ? digits.ptr[i] | 0x20 : digits.ptr[i];
    }
    OPENSSL_free(hex);
    BN_free(n);
    return (Str){ out, len };
}

static Str key_text(EVP_PKEY *key, Arena *arena) {
    char group[64] = "";
    size_t n = 0;
    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC) return str_format(arena, "RSA-%d", EVP_PKEY_get_bits(key));
    if (!EVP_PKEY_get_group_name(key, group, sizeof group, &n)) n = 0;
    return str_format(arena, "EC-%.*s", (int)n, group);
}

static void take_names(X509 *x, Arena *arena, ServerCertificate *out) {
    GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    int n = all ? sk_GENERAL_NAME_num(all) : 0;
    Str common = x509_common_name(arena, X509_get_subject_name(x));
    out->names = arena_array(arena, Str, (size_t)n + 1);
    for (int i = 0; i < n; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);
        if (name->type != GEN_DNS) continue;
        const ASN1_IA5STRING *s = name->d.dNSName;
        out->names[out->names_n++] = str_dup(arena, (Str){ ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s) });
    }
    GENERAL_NAMES_free(all);
    if (!out->names_n && common.len) out->names[out->names_n++] = common;
    out->domain_name = common.len ? common : out->names_n ? out->names[0] : STR_NONE;
}

static bool is_for_servers(X509 *x) {
    return !(X509_get_extension_flags(x) & EXFLAG_XKUSAGE) || X509_get_extended_key_usage(x) & XKU_SSL_SERVER;
}

static Err read_pair(X509 *x, EVP_PKEY *key, Arena *arena, ServerCertificate *out, Str *why) {
    if (!x || !key) {
        *why = x ? S("the private key is not an unencrypted PEM key") : S("the certificate is not PEM");
        return ERR_MALFORMED;
    }
    if (X509_check_private_key(x, key) != 1) {
        *why = S("the private key is not the certificate's");
        return ERR_INVALID;
    }
    Err e = x509_check_key(key, arena, why);
    if (e != OK) return e;
    take_names(x, arena, out);
    out->serial = serial_text(x, arena);
    out->subject = x509_name_text(arena, X509_get_subject_name(x));
    out->issuer = x509_name_text(arena, X509_get_issuer_name(x));
    out->key_algorithm = key_text(key, arena);
    out->signature_algorithm = str_dup(arena, str_c(OBJ_nid2ln(X509_get_signature_nid(x))));
    out->not_before_ms = time_ms(X509_get0_notBefore(x));
    out->not_after_ms = time_ms(X509_get0_notAfter(x));
    out->for_servers = is_for_servers(x);
    return OK;
}

static Err check_chain(Str certificate, Str chain, Arena *arena, ServerCertificate *out, Str *why) {
    CertInfo *all;
    size_t n;
    Str text = str_format(arena, "%.*s\n%.*s", PS(certificate), PS(chain));
    if (text.len > SERVER_CHAIN_BYTES_MAX) {
        *why = str_format(arena, "certificate and chain have %zu bytes; at most %d are allowed", text.len,
                          SERVER_CHAIN_BYTES_MAX);
        return ERR_LIMIT;
    }
    Err e = x509_parse_chain(text, arena, &all, &n, why);
    if (e == OK && n > SERVER_CHAIN_MAX) {
        *why = str_format(arena, "the chain has %zu certificates; at most %d are allowed", n, SERVER_CHAIN_MAX);
        e = ERR_LIMIT;
    }
    for (size_t i = 0; e == OK && i + 1 < n; i++) e = x509_check_signed_by(&all[i], &all[i + 1], arena, why);
    out->chain_n = n;
    return e;
}

Err server_certificate_read(Str certificate, Str chain, Str key, Arena *arena, ServerCertificate *out, Str *why) {
    ServerCertificate c = { 0 };
    if (certificate.len > X509_TEXT_BYTES_MAX || key.len > X509_TEXT_BYTES_MAX) {
        *why = S("the certificate or its key is too long");
        return ERR_LIMIT;
    }
    BIO *cert_bio = BIO_new_mem_buf(certificate.ptr, (int)certificate.len);
    BIO *key_bio = BIO_new_mem_buf(key.ptr, (int)key.len);
    X509 *x = PEM_read_bio_X509(cert_bio, NULL, NULL, NULL);
    EVP_PKEY *k = PEM_read_bio_PrivateKey(key_bio, NULL, NULL, (void *)(uintptr_t) ""); /* no terminal is asked */
    Err e = read_pair(x, k, arena, &c, why);
    X509_free(x);
    EVP_PKEY_free(k);
    BIO_free(cert_bio);
    BIO_free(key_bio);
    ERR_clear_error();
    if (e == OK) e = check_chain(certificate, chain, arena, &c, why);
    if (e == OK) *out = c;
    return e;
}

bool server_certificate_covers(const ServerCertificate *c, Str host) {
    for (size_t i = 0; i < c->names_n; i++) {
        if (str_eq_nocase(c->names[i], host)) return true;
        size_t dot = str_find(host, '.');
        if (str_starts(c->names[i], S("*.")) && dot != SIZE_MAX && dot > 0 &&
            str_eq_nocase(str_from(c->names[i], 1), str_from(host, dot)))
            return true;
    }
    return false;
}
