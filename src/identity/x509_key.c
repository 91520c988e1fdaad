#include "identity/x509_key.h"

#include <openssl/ec.h>
#include <openssl/objects.h>

enum { RSA_BITS_MIN = 2048 };

Str x509_key_type(const EVP_PKEY *key) {
    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA: return S("RSA");
    case EVP_PKEY_RSA_PSS: return S("RSA-PSS");
    case EVP_PKEY_EC: return S("EC");
    case EVP_PKEY_DSA: return S("DSA");
    case EVP_PKEY_ED25519: return S("ED25519");
    case EVP_PKEY_ED448: return S("ED448");
    default: return S("unknown");
    }
}

Err x509_check_key(const EVP_PKEY *key, Arena *arena, Str *why) {
    int type = EVP_PKEY_get_base_id(key), bits = EVP_PKEY_get_bits(key);
    if (type == EVP_PKEY_RSA || type == EVP_PKEY_RSA_PSS) {
        if (bits >= RSA_BITS_MIN) return OK;
        *why = str_format(arena, "the RSA key has %d bits, at least %d are needed", bits, (int)RSA_BITS_MIN);
        return ERR_INVALID;
    }
    if (type == EVP_PKEY_EC) {
        char group[64] = "unknown";
        size_t n = 0;
        if (EVP_PKEY_get_group_name(key, group, sizeof group, &n) != 1) OPENSSL_strlcpy(group, "unknown", sizeof group);
        int nid = OBJ_sn2nid(group);
        if (nid == NID_X9_62_prime256v1 || nid == NID_secp384r1 || nid == NID_secp521r1) return OK;
        *why = str_format(arena, "the curve %s of the EC key is not taken; P-256, P-384 and P-521 are", group);
        return ERR_INVALID;
    }
    *why = str_format(arena, "a key of type %.*s is not taken; RSA and EC are", PS(x509_key_type(key)));
    return ERR_INVALID;
}

bool x509_signature_taken(int key_nid, int digest_nid) {
    if (key_nid == EVP_PKEY_DSA) return digest_nid == NID_sha256;
    if (key_nid != EVP_PKEY_RSA && key_nid != EVP_PKEY_RSA_PSS && key_nid != EVP_PKEY_EC) return false;
    return digest_nid == NID_sha256 || digest_nid == NID_sha384 || digest_nid == NID_sha512;
}

Str x509_name_text(Arena *arena, const X509_NAME *name) {
    BIO *out = BIO_new(BIO_s_mem());
    char *text = NULL;
    long n = 0;
    if (out && X509_NAME_print_ex(out, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0)
        n = BIO_get_mem_data(out, &text);
    Str s = str_dup(arena, n > 0 ? (Str){ (const uint8_t *)text, (size_t)n } : S(""));
    BIO_free(out);
    return s;
}

Str x509_common_name(Arena *arena, const X509_NAME *name) {
    int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    if (at < 0) return STR_NONE;
    unsigned char *text = NULL;
    int n = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    if (n < 0) return STR_NONE;
    Str out = str_dup(arena, (Str){ text, (size_t)n });
    OPENSSL_free(text);
    return out;
}
