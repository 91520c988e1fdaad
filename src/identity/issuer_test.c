#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ftw.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "identity/issuer.h"
#include "identity/x509.h"
#include "identity/x509_make.h"

typedef struct {
    Arena arena;
    char dir[64];
    Issuer *issuer;
} Fixture;

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static IssuerOptions options_of(const Fixture *f) {
    return (IssuerOptions){ .dir = f->dir, .region = S("us-east-1") };
}

static int fixture_make(void **state) {
    Fixture *f = mem_new(sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/tmp/issuer-test-XXXXXX");
    if (!mkdtemp(f->dir)) return -1;
    Str why = STR_NONE;
    IssuerOptions o = options_of(f);
    *state = f;
    return issuer_open(&o, &f->arena, &f->issuer, &why) == OK ? 0 : -1;
}

static int fixture_free(void **state) {
    Fixture *f = *state;
    issuer_close(f->issuer);
    nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    arena_free(&f->arena);
    free(f);
    return 0;
}

static X509 *first_cert(Str pem) {
    BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    assert_non_null(cert);
    return cert;
}

static int mode_of(Fixture *f, const char *file) {
    struct stat st;
    assert_int_equal(stat((const char *)str_format(&f->arena, "%s/%s%c", f->dir, file, 0).ptr, &st), 0);
    return st.st_mode & 0777;
}

static void servers_are_signed_by_the_roots_in_ca_pem(void **state) {
    Fixture *f = *state;
    IssuerServer servers[ISSUER_SERVERS];
    CertInfo *roots;
    size_t roots_n;
    Str why = STR_NONE;
    assert_int_equal(issuer_servers(f->issuer, &f->arena, servers), 2);
    assert_int_equal(x509_parse_chain(issuer_ca_pem(f->issuer), &f->arena, &roots, &roots_n, &why), OK);
    assert_int_equal(roots_n, 2);
    static const char *const kinds[] = { "EC", "RSA" };
    for (size_t i = 0; i < 2; i++) {
        CertInfo server;
        assert_int_equal(x509_parse(servers[i].chain_pem, &f->arena, &server, &why), OK);
        assert_true(str_eq(server.key_type, str_c(kinds[i])) && str_eq(roots[i].key_type, server.key_type));
        assert_int_equal(x509_check_signed_by(&server, &roots[i], &f->arena, &why), OK);
        assert_int_equal(x509_check_signed_by(&server, &roots[1 - i], &f->arena, &why), ERR_INVALID);
        assert_int_equal(x509_check_algorithms(&server, &f->arena, &why), OK);
    }
}

static void servers_answer_to_every_name_that_clients_use(void **state) {
    Fixture *f = *state;
    IssuerServer servers[ISSUER_SERVERS];
    issuer_servers(f->issuer, &f->arena, servers);
    X509 *cert = first_cert(servers[0].chain_pem);
    static const char *const names[] = { "localhost", "api.localhost", "x-ats.iot.us-east-1.amazonaws.com",
                                         "x.iot.us-east-1.amazonaws.localhost" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(X509_check_host(cert, names[i], 0, 0, NULL), 1);
    assert_int_equal(X509_check_ip_asc(cert, "127.0.0.1", 0), 1);
    assert_int_equal(X509_check_ip_asc(cert, "::1", 0), 1);
    assert_int_equal(X509_check_host(cert, "x.iot.eu-west-1.amazonaws.com", 0, 0, NULL), 0);
    X509_free(cert);
}

static void files_are_for_their_owner_alone(void **state) {
    Fixture *f = *state;
    assert_int_equal(mode_of(f, "pki"), 0700);
    assert_int_equal(mode_of(f, "ca.pem"), 0644);
    static const char *const secret[] = { "pki/ca-ecdsa.pem", "pki/ca-rsa.pem", "pki/server-ecdsa.pem",
                                          "pki/server-rsa.pem" };
    for (size_t i = 0; i < 4; i++) assert_int_equal(mode_of(f, secret[i]), 0600);
}

static void a_second_start_finds_all_as_it_was(void **state) {
    Fixture *f = *state;
    IssuerServer before[ISSUER_SERVERS], after[ISSUER_SERVERS];
    issuer_servers(f->issuer, &f->arena, before);
    IssuerOptions o = options_of(f);
    Issuer *again;
    Str why = STR_NONE;
    bool changed = true;
    assert_int_equal(issuer_open(&o, &f->arena, &again, &why), OK);
    issuer_servers(again, &f->arena, after);
    for (size_t i = 0; i < 2; i++) {
        assert_true(str_eq(before[i].chain_pem, after[i].chain_pem));
        assert_true(str_eq(before[i].key_pem, after[i].key_pem));
    }
    assert_true(str_eq(issuer_ca_pem(again), issuer_ca_pem(f->issuer)));
    assert_int_equal(issuer_renew(again, &f->arena, &changed, &why), OK);
    assert_false(changed);
    issuer_close(again);
}

static void another_host_name_makes_server_certificates_again_and_no_ca(void **state) {
    Fixture *f = *state;
    Str hosts[] = { S("broker.example.org"), S("10.1.2.3") };
    IssuerOptions o = options_of(f);
    o.hosts = hosts;
    o.hosts_n = 2;
    Issuer *again;
    Str why = STR_NONE;
    IssuerServer servers[ISSUER_SERVERS];
    assert_int_equal(issuer_open(&o, &f->arena, &again, &why), OK);
    assert_true(str_eq(issuer_ca_pem(again), issuer_ca_pem(f->issuer)));
    issuer_servers(again, &f->arena, servers);
    X509 *cert = first_cert(servers[1].chain_pem);
    assert_int_equal(X509_check_host(cert, "broker.example.org", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(cert, "data.broker.example.org", 0, 0, NULL), 1);
    assert_int_equal(X509_check_ip_asc(cert, "10.1.2.3", 0), 1);
    X509_free(cert);
    issuer_close(again);
    Str bad[] = { S("no such,DNS:evil") };
    o.hosts = bad;
    o.hosts_n = 1;
    assert_int_equal(issuer_open(&o, &f->arena, &again, &why), ERR_INVALID);
    assert_true(str_find_str(why, S("evil")) != SIZE_MAX);
}

static void a_device_gets_what_aws_gives(void **state) {
    Fixture *f = *state;
    IssuerDevice d;
    CertInfo c, *roots;
    size_t n;
    Str why = STR_NONE;
    assert_int_equal(issuer_device_new(f->issuer, &f->arena, &d), OK);
    assert_true(str_starts(d.private_key_pem, S("-----BEGIN RSA PRIVATE KEY-----")));
    assert_true(str_starts(d.public_key_pem, S("-----BEGIN PUBLIC KEY-----")));
    assert_int_equal(x509_parse(d.certificate_pem, &f->arena, &c, &why), OK);
    assert_true(str_eq(c.subject, S("CN=AWS IoT Certificate")));
    assert_true(c.not_after_ms == INT64_C(2524607999000)); /* 2049-12-31T23:59:59Z */
    assert_true(str_eq(c.key_type, S("RSA")) && c.key_bits == 2048 && !c.is_ca);
    assert_int_equal(x509_parse_chain(issuer_ca_pem(f->issuer), &f->arena, &roots, &n, &why), OK);
    assert_int_equal(x509_check_signed_by(&c, &roots[1], &f->arena, &why), OK);
}

static void a_request_gets_a_certificate_for_its_key_and_name(void **state) {
    Fixture *f = *state;
    EVP_PKEY *key = x509_make_key(KEY_EC_P256);
    X509_REQ *csr = X509_REQ_new();
    X509_REQ_set_pubkey(csr, key);
    X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(csr), "CN", MBSTRING_UTF8, (const uint8_t *)"pump-7", -1, -1,
                               0);
    assert_true(X509_REQ_sign(csr, key, EVP_sha256()) > 0);
    BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    PEM_write_bio_X509_REQ(bio, csr);
    long n = BIO_get_mem_data(bio, &text);
    IssuerDevice d, twin;
    Str why = STR_NONE, pem = { (const uint8_t *)text, (size_t)n };
    assert_int_equal(issuer_device_from_csr(f->issuer, pem, &f->arena, &d, &why), OK);
    assert_null(d.private_key_pem.ptr);
    X509 *cert = first_cert(d.certificate_pem);
    assert_int_equal(X509_check_private_key(cert, key), 1);
    CertInfo c;
    assert_int_equal(x509_parse(d.certificate_pem, &f->arena, &c, &why), OK);
    assert_true(str_eq(c.common_name, S("pump-7")));
    /* Reusing a request results in a distinct certificate. Source: CreateCertificateFromCsr */
    assert_int_equal(issuer_device_from_csr(f->issuer, pem, &f->arena, &twin, &why), OK);
    assert_false(str_eq(d.certificate_pem, twin.certificate_pem));
    assert_int_equal(issuer_device_from_csr(f->issuer, S("nonsense"), &f->arena, &d, &why), ERR_MALFORMED);
    X509_free(cert);
    BIO_free(bio);
    X509_REQ_free(csr);
    EVP_PKEY_free(key);
}

static void overwrite(Fixture *f, const char *file, Str text) {
    FILE *out = fopen((const char *)str_format(&f->arena, "%s/%s%c", f->dir, file, 0).ptr, "w");
    assert_non_null(out);
    assert_int_equal(fwrite(text.ptr, 1, text.len, out), text.len);
    fclose(out);
}

static void the_operators_certificate_must_be_that_of_its_key(void **state) {
    Fixture *f = *state;
    IssuerServer servers[ISSUER_SERVERS], given[ISSUER_SERVERS];
    issuer_servers(f->issuer, &f->arena, servers);
    overwrite(f, "mine.pem", servers[0].chain_pem);
    overwrite(f, "mine.key", servers[0].key_pem);
    overwrite(f, "other.key", servers[1].key_pem);
    char chain[96], key[96];
    snprintf(chain, sizeof chain, "%s/mine.pem", f->dir);
    snprintf(key, sizeof key, "%s/mine.key", f->dir);
    IssuerOptions o = options_of(f);
    o.server_chain_file = chain;
    Issuer *is;
    Str why = STR_NONE;
    assert_int_equal(issuer_open(&o, &f->arena, &is, &why), ERR_INVALID); /* no key file */
    o.server_key_file = key;
    assert_int_equal(issuer_open(&o, &f->arena, &is, &why), OK);
    assert_int_equal(issuer_servers(is, &f->arena, given), 1);
    assert_true(str_eq(given[0].chain_pem, servers[0].chain_pem));
    issuer_close(is);
    snprintf(key, sizeof key, "%s/other.key", f->dir);
    assert_int_equal(issuer_open(&o, &f->arena, &is, &why), ERR_INVALID);
    assert_true(str_find_str(why, S("other.key")) != SIZE_MAX);
    snprintf(key, sizeof key, "%s/none.key", f->dir);
    assert_int_equal(issuer_open(&o, &f->arena, &is, &why), ERR_IO);
}

static void a_file_that_is_broken_is_named_and_kept(void **state) {
    Fixture *f = *state;
    overwrite(f, "pki/ca-rsa.pem", S("not a key"));
    IssuerOptions o = options_of(f);
    Issuer *is;
    Str why = STR_NONE;
    assert_int_equal(issuer_open(&o, &f->arena, &is, &why), ERR_CORRUPT);
    assert_true(str_find_str(why, S("pki/ca-rsa.pem")) != SIZE_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(servers_are_signed_by_the_roots_in_ca_pem),
        cmocka_unit_test(servers_answer_to_every_name_that_clients_use),
        cmocka_unit_test(files_are_for_their_owner_alone),
        cmocka_unit_test(a_second_start_finds_all_as_it_was),
        cmocka_unit_test(another_host_name_makes_server_certificates_again_and_no_ca),
        cmocka_unit_test(a_device_gets_what_aws_gives),
        cmocka_unit_test(a_request_gets_a_certificate_for_its_key_and_name),
        cmocka_unit_test(the_operators_certificate_must_be_that_of_its_key),
        cmocka_unit_test(a_file_that_is_broken_is_named_and_kept),
    };
    return cmocka_run_group_tests(tests, fixture_make, fixture_free);
}
