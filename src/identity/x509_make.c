#include "identity/x509_make.h"

#include <arpa/inet.h>
#include <openssl/bn.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

enum { SERIAL_BITS = 159, HOST_BYTES_MAX = 253, COMMON_NAME_BYTES_MAX = 64 };

EVP_PKEY *x509_make_key(KeyKind kind) {
    return kind == KEY_RSA_2048 ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
}

/* 4 or 16 bytes of a textual address; 0: it is none. */
static int address_bytes(Str host, uint8_t out[16]) {
    char text[INET6_ADDRSTRLEN];
    if (host.len >= sizeof text) return 0;
    memcpy(text, host.ptr, host.len);
    text[host.len] = 0;
    if (inet_pton(AF_INET, text, out) == 1) return 4;
    return inet_pton(AF_INET6, text, out) == 1 ? 16 : 0;
}

bool x509_host_taken(Str host) {
    uint8_t address[16];
    if (host.len == 0 || host.len > HOST_BYTES_MAX) return false;
    if (address_bytes(host, address)) return true;
    Str name = str_starts(host, S("*.")) ? str_from(host, 2) : host;
    bool in_label = false;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.ptr[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
        if (!word && !(c == '.' && in_label)) return false;
        in_label = word;
    }
    return in_label;
}

static GENERAL_NAME *general_name(Str host) {
    uint8_t address[16];
    int n = address_bytes(host, address);
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_STRING *value = n ? (ASN1_STRING *)ASN1_OCTET_STRING_new() : (ASN1_STRING *)ASN1_IA5STRING_new();
    if (!name || !value || !ASN1_STRING_set(value, n ? (const void *)address : host.ptr, n ? n : (int)host.len)) {
        GENERAL_NAME_free(name);
        ASN1_STRING_free(value);
        return NULL;
    }
    GENERAL_NAME_set0_value(name, n ? GEN_IPADD : GEN_DNS, value);
    return name;
}

static bool add_hosts(X509 *cert, const Str *hosts, size_t n) {
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    bool ok = names != NULL;
    for (size_t i = 0; ok && i < n; i++) {
        GENERAL_NAME *name = general_name(hosts[i]);
        ok = name && sk_GENERAL_NAME_push(names, name) > 0;
        if (!ok) GENERAL_NAME_free(name);
    }
    ok = ok && X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1;
    GENERAL_NAMES_free(names);
    return ok;
}

bool x509_has_hosts(X509 *cert, const Str *hosts, size_t hosts_n) {
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    size_t found = 0;
    for (size_t i = 0; i < hosts_n; i++) {
        GENERAL_NAME *want = general_name(hosts[i]);
        for (int j = 0; want && j < sk_GENERAL_NAME_num(names); j++)
            if (GENERAL_NAME_cmp(sk_GENERAL_NAME_value(names, j), want) == 0) {
                found++;
                break;
            }
        GENERAL_NAME_free(want);
    }
    bool same = names && found == hosts_n && (size_t)sk_GENERAL_NAME_num(names) == hosts_n;
    GENERAL_NAMES_free(names);
    return same;
}

static bool add_text(X509 *cert, X509 *ca, int nid, const char *value) {
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, ca ? ca : cert, cert, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = ext && X509_add_ext(cert, ext, -1) == 1;
    X509_EXTENSION_free(ext);
    return ok;
}

static bool add_extensions(X509 *cert, const MakeSpec *s) {
    bool rsa = EVP_PKEY_get_base_id(s->key) == EVP_PKEY_RSA;
    bool ok = add_text(cert, s->ca, NID_subject_key_identifier, "hash") &&
              add_text(cert, s->ca, NID_authority_key_identifier, "keyid:always");
    switch (s->kind) {
    case MAKE_CA:
        return ok && add_text(cert, s->ca, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
               add_text(cert, s->ca, NID_key_usage, "critical,keyCertSign,cRLSign");
    case MAKE_SERVER:
        return ok && add_text(cert, s->ca, NID_basic_constraints, "critical,CA:FALSE") &&
               add_text(cert, s->ca, NID_key_usage,
                        rsa ? "critical,digitalSignature,keyEncipherment" : "critical,digitalSignature") &&
               add_text(cert, s->ca, NID_ext_key_usage, "serverAuth") && add_hosts(cert, s->hosts, s->hosts_n);
    case MAKE_DEVICE:
        return ok && add_text(cert, s->ca, NID_basic_constraints, "critical,CA:FALSE") &&
               add_text(cert, s->ca, NID_key_usage, "critical,digitalSignature");
    }
    return false;
}

static bool add_name_part(X509_NAME *name, int nid, Str value) {
    if (value.len == 0) return true;
    if (value.len > COMMON_NAME_BYTES_MAX) value.len = COMMON_NAME_BYTES_MAX;
    return X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8, value.ptr, (int)value.len, -1, 0) == 1;
}

static bool set_subject(X509 *cert, const MakeSpec *s) {
    if (s->subject) return X509_set_subject_name(cert, s->subject) == 1;
    X509_NAME *name = X509_NAME_new();
    bool ok = name && add_name_part(name, NID_organizationName, s->organization) &&
              add_name_part(name, NID_commonName, s->common_name) && X509_set_subject_name(cert, name) == 1;
    X509_NAME_free(name);
    return ok;
}

static bool set_serial(X509 *cert) {
    BIGNUM *n = BN_new();
    bool ok = n && BN_rand(n, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
              BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert)) != NULL;
    BN_free(n);
    return ok;
}

X509 *x509_make(const MakeSpec *s) {
    X509 *cert = X509_new();
    bool ok = cert && X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) && set_subject(cert, s) &&
              X509_set_issuer_name(cert, X509_get_subject_name(s->ca ? s->ca : cert)) == 1 &&
              ASN1_TIME_set(X509_getm_notBefore(cert), s->not_before_ms / 1000) &&
              ASN1_TIME_set(X509_getm_notAfter(cert), s->not_after_ms / 1000) && X509_set_pubkey(cert, s->key) == 1 &&
              add_extensions(cert, s) && X509_sign(cert, s->ca ? s->ca_key : s->key, EVP_sha256()) > 0;
    if (ok) return cert;
    X509_free(cert);
    return NULL;
}

static Str bio_text(Arena *arena, BIO *bio, bool ok) {
    char *text = NULL;
    long n = ok ? BIO_get_mem_data(bio, &text) : 0;
    Str s = n > 0 ? str_dup(arena, (Str){ (const uint8_t *)text, (size_t)n }) : STR_NONE;
    BIO_free(bio);
    return s;
}

Str x509_pem_of(Arena *arena, X509 *cert) {
    BIO *bio = BIO_new(BIO_s_mem());
    return bio_text(arena, bio, bio && PEM_write_bio_X509(bio, cert) == 1);
}

Str x509_private_pem(Arena *arena, EVP_PKEY *key) {
    BIO *bio = BIO_new(BIO_s_secmem());
    return bio_text(arena, bio, bio && PEM_write_bio_PrivateKey_traditional(bio, key, NULL, NULL, 0, NULL, NULL) == 1);
}

Str x509_public_pem(Arena *arena, EVP_PKEY *key) {
    BIO *bio = BIO_new(BIO_s_mem());
    return bio_text(arena, bio, bio && PEM_write_bio_PUBKEY(bio, key) == 1);
}
