#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <openssl/conf.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/rng.h"
#include "identity/pem.h"
#include "identity/x509.h"
#include "identity/x509_make.h"

#define YEAR_MS INT64_C(31536000000)

/* A root, a CA below it, a device below that; made once. */
typedef struct {
    Arena arena;
    EVP_PKEY *root_key, *ca_key, *device_key;
    X509 *root, *ca, *device;
    Str root_pem, ca_pem, device_pem;
} Pki;

static X509 *made(MakeKind kind, EVP_PKEY *key, Str name, X509 *ca, EVP_PKEY *ca_key) {
    X509 *cert = x509_make(&(MakeSpec){ .kind = kind,
                                        .key = key,
                                        .common_name = name,
                                        .ca = ca,
                                        .ca_key = ca_key,
                                        .not_before_ms = real_ms() - YEAR_MS,
                                        .not_after_ms = real_ms() + YEAR_MS });
    assert_non_null(cert);
    return cert;
}

static int pki_make(void **state) {
    Pki *p = mem_new(sizeof *p);
    p->root_key = x509_make_key(KEY_EC_P256);
    p->ca_key = x509_make_key(KEY_RSA_2048);
    p->device_key = x509_make_key(KEY_EC_P256);
    p->root = made(MAKE_CA, p->root_key, S("root"), NULL, NULL);
    p->ca = made(MAKE_CA, p->ca_key, S("ca"), p->root, p->root_key);
    p->device = made(MAKE_DEVICE, p->device_key, S("device"), p->ca, p->ca_key);
    p->root_pem = x509_pem_of(&p->arena, p->root);
    p->ca_pem = x509_pem_of(&p->arena, p->ca);
    p->device_pem = x509_pem_of(&p->arena, p->device);
    *state = p;
    return 0;
}

static int pki_free(void **state) {
    Pki *p = *state;
    EVP_PKEY_free(p->root_key);
    EVP_PKEY_free(p->ca_key);
    EVP_PKEY_free(p->device_key);
    X509_free(p->root);
    X509_free(p->ca);
    X509_free(p->device);
    arena_free(&p->arena);
    free(p);
    return 0;
}

static bool says(Str why, const char *part) {
    return str_find_str(why, str_c(part)) != SIZE_MAX;
}

static void a_certificate_is_the_same_from_pem_and_from_der(void **state) {
    Pki *p = *state;
    Arena a = { 0 };
    CertInfo from_pem, from_der;
    Str why = STR_NONE;
    Str noisy = str_format(&a, "subject=x\n%.*strailing words", PS(p->device_pem));
    assert_int_equal(x509_parse(noisy, &a, &from_pem, &why), OK);
    assert_int_equal(x509_parse(from_pem.der, &a, &from_der, &why), OK);
    assert_true(str_eq(from_pem.id, from_der.id));
    assert_int_equal(from_pem.id.len, 64);
    assert_true(str_eq(from_pem.subject, S("CN=device")));
    assert_true(str_eq(from_pem.issuer, S("CN=ca")));
    assert_true(str_eq(from_pem.common_name, S("device")));
    assert_true(str_eq(from_pem.key_type, S("EC")));
    assert_int_equal(from_pem.key_bits, 256);
    assert_false(from_pem.is_ca);
    assert_true(from_pem.not_before_ms < real_ms() && real_ms() < from_pem.not_after_ms);
    assert_true(str_eq(x509_pem(&a, from_pem.der), p->device_pem));
    arena_free(&a);
}

static void every_truncation_and_every_flip_is_refused_or_harmless(void **state) {
    Pki *p = *state;
    Arena a = { 0 };
    CertInfo whole, c;
    Str why = STR_NONE;
    assert_int_equal(x509_parse(p->device_pem, &a, &whole, &why), OK);
    for (size_t n = 0; n < whole.der.len; n++) {
        Arena step = { 0 };
        assert_int_not_equal(x509_parse(str_sub(whole.der, 0, n), &step, &c, &why), OK);
        assert_true(why.len > 0);
        arena_free(&step);
    }
    CertInfo ca;
    assert_int_equal(x509_parse(p->ca_pem, &a, &ca, &why), OK);
    for (size_t n = 0; n < whole.der.len; n++) {
        Arena step = { 0 };
        Str bent = str_dup(&step, whole.der);
        ((uint8_t *)(uintptr_t)bent.ptr)[n] ^= 1;
        if (x509_parse(bent, &step, &c, &why) == OK) {
            assert_false(str_eq(c.id, whole.id));
            assert_int_equal(x509_check_signed_by(&c, &ca, &step, &why), ERR_INVALID);
        }
        arena_free(&step);
    }
    uint8_t *longer = arena_bytes(&a, whole.der.len + 1);
    memcpy(longer, whole.der.ptr, whole.der.len);
    longer[whole.der.len] = 0;
    assert_int_equal(x509_parse((Str){ longer, whole.der.len + 1 }, &a, &c, &why), ERR_MALFORMED);
    arena_free(&a);
}

static void what_is_no_certificate_says_so(void **state) {
    (void)state;
    Arena a = { 0 };
    CertInfo c = { .key_bits = 99 };
    Str why = STR_NONE;
    assert_int_equal(x509_parse(STR_NONE, &a, &c, &why), ERR_MALFORMED);
    assert_int_equal(x509_parse(S("hello"), &a, &c, &why), ERR_MALFORMED);
    assert_true(says(why, "BEGIN CERTIFICATE"));
    assert_int_equal(x509_parse(S("-----BEGIN CERTIFICATE-----\nAAAA\n"), &a, &c, &why), ERR_MALFORMED);
    assert_true(says(why, "no end"));
    assert_int_equal(x509_parse(S("-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----"), &a, &c, &why),
                     ERR_MALFORMED);
    assert_int_equal(x509_parse(S("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"), &a, &c, &why),
                     ERR_MALFORMED);
    Str big = { mem_new(X509_TEXT_BYTES_MAX + 1), X509_TEXT_BYTES_MAX + 1 };
    assert_int_equal(x509_parse(big, &a, &c, &why), ERR_LIMIT);
    ((uint8_t *)(uintptr_t)big.ptr)[0] = 0x30;
    assert_int_equal(x509_parse(str_sub(big, 0, X509_DER_BYTES_MAX + 1), &a, &c, &why), ERR_LIMIT);
    free((void *)(uintptr_t)big.ptr);
    assert_int_equal(c.key_bits, 99); /* out untouched */
    arena_free(&a);
}

static void a_signature_is_only_that_of_the_ca_that_made_it(void **state) {
    Pki *p = *state;
    Arena a = { 0 };
    CertInfo root, ca, device, other;
    Str why = STR_NONE;
    assert_int_equal(x509_parse(p->root_pem, &a, &root, &why), OK);
    assert_int_equal(x509_parse(p->ca_pem, &a, &ca, &why), OK);
    assert_int_equal(x509_parse(p->device_pem, &a, &device, &why), OK);
    assert_true(root.is_ca && root.self_issued && ca.is_ca && !ca.self_issued);
    assert_int_equal(x509_check_signed_by(&device, &ca, &a, &why), OK);
    assert_int_equal(x509_check_signed_by(&root, &root, &a, &why), OK);
    assert_int_equal(x509_check_signed_by(&device, &root, &a, &why), ERR_INVALID);
    assert_true(says(why, "issuer is CN=ca"));
    assert_int_equal(x509_check_signed_by(&device, &device, &a, &why), ERR_INVALID);
    assert_true(says(why, "not a CA"));
    X509 *same_name = made(MAKE_CA, p->root_key, S("ca"), NULL, NULL); /* the name is right, the key is not */
    assert_int_equal(x509_parse(x509_pem_of(&a, same_name), &a, &other, &why), OK);
    X509_free(same_name);
    assert_int_equal(x509_check_signed_by(&device, &other, &a, &why), ERR_INVALID);
    assert_true(says(why, "signature"));
    arena_free(&a);
}

static void a_chain_holds_only_in_order_and_in_time(void **state) {
    Pki *p = *state;
    Arena a = { 0 };
    CertInfo *chain;
    size_t n;
    Str why = STR_NONE;
    Str pem = str_format(&a, "%.*s%.*s", PS(p->device_pem), PS(p->ca_pem));
    assert_int_equal(x509_parse_chain(pem, &a, &chain, &n, &why), OK);
    assert_int_equal(n, 2);
    assert_int_equal(x509_check_chain(chain, n, real_ms(), &a, &why), OK);
    assert_int_equal(x509_check_chain(chain, n, real_ms() + 2 * YEAR_MS, &a, &why), ERR_INVALID);
    assert_true(says(why, "expired"));
    assert_int_equal(x509_check_chain(chain, n, real_ms() - 2 * YEAR_MS, &a, &why), ERR_INVALID);
    assert_true(says(why, "not valid before"));
    pem = str_format(&a, "%.*s%.*s", PS(p->ca_pem), PS(p->device_pem));
    assert_int_equal(x509_parse_chain(pem, &a, &chain, &n, &why), OK);
    assert_int_equal(x509_check_chain(chain, n, real_ms(), &a, &why), ERR_INVALID);
    /* the root says pathlen:0, and there is a CA below it that signed the device */
    pem = str_format(&a, "%.*s%.*s%.*s", PS(p->device_pem), PS(p->ca_pem), PS(p->root_pem));
    assert_int_equal(x509_parse_chain(pem, &a, &chain, &n, &why), OK);
    assert_int_equal(x509_check_chain(chain, n, real_ms(), &a, &why), ERR_INVALID);
    assert_true(says(why, "allows 0 CAs"));
    Str many = S("");
    for (int i = 0; i <= X509_CHAIN_MAX; i++) many = str_format(&a, "%.*s%.*s", PS(many), PS(p->device_pem));
    assert_int_equal(x509_parse_chain(many, &a, &chain, &n, &why), ERR_LIMIT);
    assert_int_equal(x509_parse_chain(S(""), &a, &chain, &n, &why), ERR_MALFORMED);
    arena_free(&a);
}

static Err algorithms_of(EVP_PKEY *key, const EVP_MD *digest, Str *why, Arena *a) {
    X509 *cert = made(MAKE_DEVICE, key, S("x"), NULL, NULL);
    assert_true(X509_sign(cert, key, digest) > 0);
    CertInfo c;
    assert_int_equal(x509_parse(x509_pem_of(a, cert), a, &c, why), OK);
    X509_free(cert);
    return x509_check_algorithms(&c, a, why);
}

static void weak_keys_and_signatures_are_not_taken(void **state) {
    Pki *p = *state;
    Arena a = { 0 };
    Str why = STR_NONE;
    assert_int_equal(algorithms_of(p->ca_key, EVP_sha256(), &why, &a), OK);
    assert_int_equal(algorithms_of(p->ca_key, EVP_sha512(), &why, &a), OK);
    assert_int_equal(algorithms_of(p->device_key, EVP_sha384(), &why, &a), OK);
    assert_int_equal(algorithms_of(p->ca_key, EVP_sha1(), &why, &a), ERR_INVALID);
    assert_true(says(why, "sha1"));
    assert_int_equal(algorithms_of(p->ca_key, EVP_sha224(), &why, &a), ERR_INVALID);
    EVP_PKEY *small = EVP_RSA_gen(1024), *odd = EVP_EC_gen("secp256k1"), *large = EVP_EC_gen("P-521");
    assert_int_equal(algorithms_of(small, EVP_sha256(), &why, &a), ERR_INVALID);
    assert_true(says(why, "1024 bits"));
    assert_int_equal(algorithms_of(odd, EVP_sha256(), &why, &a), ERR_INVALID);
    assert_true(says(why, "secp256k1"));
    assert_int_equal(algorithms_of(large, EVP_sha512(), &why, &a), OK);
    EVP_PKEY_free(small);
    EVP_PKEY_free(odd);
    EVP_PKEY_free(large);
    arena_free(&a);
}

static Str csr_pem(Arena *a, EVP_PKEY *key, EVP_PKEY *signer) {
    X509_REQ *csr = X509_REQ_new();
    assert_true(X509_REQ_set_pubkey(csr, key) == 1);
    X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(csr), "CN", MBSTRING_UTF8, (const uint8_t *)"mine", -1, -1, 0);
    assert_true(X509_REQ_sign(csr, signer, EVP_sha256()) > 0);
    uint8_t *der = NULL;
    int n = i2d_X509_REQ(csr, &der);
    Str pem = pem_encode(a, S("CERTIFICATE REQUEST"), (Str){ der, (size_t)n });
    OPENSSL_free(der);
    X509_REQ_free(csr);
    return pem;
}

static void a_request_proves_its_key(void **state) {
    Pki *p = *state;
    Arena a = { 0 };
    CsrInfo csr;
    Str why = STR_NONE;
    assert_int_equal(x509_parse_csr(csr_pem(&a, p->device_key, p->device_key), &a, &csr, &why), OK);
    assert_true(str_eq(csr.common_name, S("mine")) && str_eq(csr.key_type, S("EC")));
    assert_int_equal(x509_parse_csr(csr.der, &a, &csr, &why), OK);
    for (size_t n = 0; n < csr.der.len; n++) {
        CsrInfo c;
        assert_int_not_equal(x509_parse_csr(str_sub(csr.der, 0, n), &a, &c, &why), OK);
    }
    assert_int_equal(x509_parse_csr(csr_pem(&a, p->device_key, p->root_key), &a, &csr, &why), ERR_INVALID);
    assert_true(says(why, "signature"));
    EVP_PKEY *small = EVP_RSA_gen(1024);
    assert_int_equal(x509_parse_csr(csr_pem(&a, small, small), &a, &csr, &why), ERR_INVALID);
    EVP_PKEY_free(small);
    assert_int_equal(x509_parse_csr(p->device_pem, &a, &csr, &why), ERR_MALFORMED);
    arena_free(&a);
}

static const PolicyVar *var(const CertInfo *c, const char *name) {
    for (size_t i = 0; i < c->vars_n; i++)
        if (str_eq(c->vars[i].name, str_c(name))) return &c->vars[i];
    return NULL;
}
static bool var_is(const CertInfo *c, const char *name, size_t at, const char *value) {
    const PolicyVar *v = var(c, name);
    return v && at < v->n && str_eq(v->values[at], str_c(value));
}

static void add_part(X509 *cert, int nid, const char *value) {
    assert_int_equal(
        X509_NAME_add_entry_by_NID(X509_get_subject_name(cert), nid, MBSTRING_UTF8, (const uint8_t *)value, -1, -1, 0),
        1);
}

static void add_ext(X509 *cert, int nid, const char *value) {
    const char text[] = "[dn]\nC=US\nO=IoT\nOU=SmartHome\nCN=LightBulbCert\n";
    CONF *conf = NCONF_new(NULL);
    BIO *bio = BIO_new_mem_buf(text, -1);
    long line;
    assert_true(NCONF_load_bio(conf, bio, &line) > 0);
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
    X509V3_set_nconf(&ctx, conf);
    X509_EXTENSION *ext = X509V3_EXT_nconf_nid(conf, &ctx, nid, value);
    assert_non_null(ext);
    assert_int_equal(X509_add_ext(cert, ext, -1), 1);
    X509_EXTENSION_free(ext);
    BIO_free(bio);
    NCONF_free(conf);
}

/* Source: AWS IoT developer guide, "Using X.509 certificate policy variables": its example certificate and table. */
static void variables_are_those_of_the_guides_example(void **state) {
    Pki *p = *state;
    Arena a = { 0 };
    X509 *x = made(MAKE_DEVICE, p->device_key, S("LightBulb Device Cert"), NULL, NULL);
    BIGNUM *serial = NULL;
    BN_hex2bn(&serial, "921285cbb7a5e086");
    BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(x));
    BN_free(serial);
    add_part(x, NID_countryName, "US");
    add_part(x, NID_stateOrProvinceName, "NY");
    add_part(x, NID_dnQualifier, "Bulb001");
    add_part(x, NID_pseudonym, "RGB Device");
    add_part(x, NID_generationQualifier, "4");
    add_part(x, NID_initials, "ZZ");
    add_part(x, NID_serialNumber, "123");
    add_part(x, NID_organizationName, "a=b, c");
    for (int i = 0; i < 7; i++) add_part(x, NID_organizationalUnitName, i == 1 ? "un*safe" : "unit");
    add_ext(x, NID_subject_alt_name,
            "DNS:example.com,IP:1.2.3.4,IP:::1,URI:ResourceIdentifier001,email:device1@example.com,dirName:dn");
    add_ext(x, NID_issuer_alt_name, "DNS:issuer.com");
    assert_true(X509_sign(x, p->device_key, EVP_sha256()) > 0);
    CertInfo c;
    Str why;
    assert_int_equal(x509_parse(x509_pem_of(&a, x), &a, &c, &why), OK);
    X509_free(x);

    assert_true(str_eq(var(&c, "iot:CertificateId")->values[0], c.id));
    assert_true(var_is(&c, "iot:Certificate.SerialNumber", 0, "10525622389124227206"));
    assert_true(var_is(&c, "iot:Certificate.Subject.CommonName", 0, "LightBulb Device Cert"));
    assert_true(var_is(&c, "iot:Certificate.Subject.Country", 0, "US"));
    assert_true(var_is(&c, "iot:Certificate.Subject.State", 0, "NY"));
    assert_true(var_is(&c, "iot:Certificate.Subject.DistinguishedNameQualifier", 0, "Bulb001"));
    assert_true(var_is(&c, "iot:Certificate.Subject.Pseudonym", 0, "RGB Device"));
    assert_true(var_is(&c, "iot:Certificate.Subject.GenerationQualifier", 0, "4"));
    assert_true(var_is(&c, "iot:Certificate.Subject.Initials", 0, "ZZ"));
    assert_true(var_is(&c, "iot:Certificate.Subject.SerialNumber", 0, "123"));
    assert_true(var_is(&c, "iot:Certificate.Subject.Organization", 0, "a\\=b\\, c"));
    const PolicyVar *units = var(&c, "iot:Certificate.Subject.OrganizationalUnit");
    assert_int_equal(units->n, 5);     /* more are ignored */
    assert_null(units->values[1].ptr); /* a wildcard is not put in */
    assert_true(str_eq(units->values[4], S("unit")));
    assert_true(var_is(&c, "iot:Certificate.Subject.AlternativeName.DNSName", 0, "example.com"));
    assert_true(var_is(&c, "iot:Certificate.Subject.AlternativeName.IPAddress", 0, "1.2.3.4"));
    assert_true(var_is(&c, "iot:Certificate.Subject.AlternativeName.IPAddress", 1, "::1"));
    assert_true(var_is(&c, "iot:Certificate.Subject.AlternativeName.RFC822Name", 0, "device1@example.com"));
    assert_true(
        var_is(&c, "iot:Certificate.Subject.AlternativeName.UniformResourceIdentifier", 0, "ResourceIdentifier001"));
    assert_true(var_is(&c, "iot:Certificate.Subject.AlternativeName.DirectoryName", 0,
                       "cn=LightBulbCert,ou=SmartHome,o=IoT,c=US"));
    assert_true(var_is(&c, "iot:Certificate.Issuer.AlternativeName.DNSName", 0, "issuer.com"));
    assert_null(var(&c, "iot:Certificate.Subject.Title"));
    assert_null(var(&c, "iot:Certificate.Issuer.Country"));
    arena_free(&a);
}

static void random_bytes_never_pass(void **state) {
    (void)state;
    Rng rng = { 42 };
    for (int i = 0; i < 3000; i++) {
        Arena a = { 0 };
        uint8_t bytes[200] = { 0x30, 0x81, 0xC5 };
        rng_fill(&rng, bytes + 3, sizeof bytes - 3);
        CertInfo c;
        CsrInfo r;
        Str why;
        assert_int_not_equal(x509_parse((Str){ bytes, sizeof bytes }, &a, &c, &why), OK);
        assert_int_not_equal(x509_parse_csr((Str){ bytes, sizeof bytes }, &a, &r, &why), OK);
        arena_free(&a);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_is_the_same_from_pem_and_from_der),
        cmocka_unit_test(every_truncation_and_every_flip_is_refused_or_harmless),
        cmocka_unit_test(what_is_no_certificate_says_so),
        cmocka_unit_test(a_signature_is_only_that_of_the_ca_that_made_it),
        cmocka_unit_test(a_chain_holds_only_in_order_and_in_time),
        cmocka_unit_test(weak_keys_and_signatures_are_not_taken),
        cmocka_unit_test(a_request_proves_its_key),
        cmocka_unit_test(variables_are_those_of_the_guides_example),
        cmocka_unit_test(random_bytes_never_pass),
    };
    return cmocka_run_group_tests(tests, pki_make, pki_free);
}
