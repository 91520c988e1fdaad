#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/clock.h"
#include "generated/iot.h"
#include "generated/iot_records.h"
#include "identity/x509_make.h"
#include "services/iot/first_seen.h"
#include "services/testing/fixture.h"

#define YEAR_MS INT64_C(31536000000)
static const Tenant TENANT = { STR_INIT(FIXTURE_ACCOUNT), STR_INIT(FIXTURE_REGION) };

typedef struct {
    Fixture f;
    EVP_PKEY *ca_key, *other_key, *key;
    X509 *ca, *namesake; /* of the same name and another key */
} Test;

static X509 *ca_of(EVP_PKEY *key) {
    return x509_make(&(MakeSpec){ .kind = MAKE_CA,
                                  .key = key,
                                  .common_name = S("factory"),
                                  .not_before_ms = real_ms() - YEAR_MS,
                                  .not_after_ms = real_ms() + YEAR_MS });
}

static int test_open(void **state) {
    Test *t = mem_new(sizeof *t);
    fixture_open(&t->f, &iot_service);
    t->ca_key = x509_make_key(KEY_EC_P256);
    t->other_key = x509_make_key(KEY_EC_P256);
    t->key = x509_make_key(KEY_EC_P256);
    t->ca = ca_of(t->ca_key);
    t->namesake = ca_of(t->other_key);
    *state = t;
    return 0;
}

static int test_close(void **state) {
    Test *t = *state;
    X509_free(t->ca);
    X509_free(t->namesake);
    EVP_PKEY_free(t->ca_key);
    EVP_PKEY_free(t->other_key);
    EVP_PKEY_free(t->key);
    fixture_close(&t->f);
    free(t);
    return 0;
}

static Str register_ca(Test *t, X509 *ca) {
    IotRegisterCACertificateOut out;
    assert_int_equal(FIXTURE_CALL(&t->f, "RegisterCACertificate",
                                  (&(IotRegisterCACertificateIn){ .ca_certificate = x509_pem_of(&t->f.arena, ca),
                                                                  .set_as_active = { true, true },
                                                                  .allow_auto_registration = { true, true },
                                                                  .certificate_mode = S("SNI_ONLY") }),
                                  &out),
                     OK);
    return out.certificate_id;
}

static void update_ca(Test *t, Str id, Str status, Str auto_registration) {
    IotUpdateCACertificateIn in = { .certificate_id = id,
                                    .new_status = status,
                                    .new_auto_registration_status = auto_registration };
    assert_int_equal(fixture_call(&t->f, "UpdateCACertificate", &in, NULL, 0), OK);
}

static CertInfo device_of(Test *t, X509 *ca, EVP_PKEY *ca_key, int64_t not_after_ms) {
    X509 *cert = x509_make(&(MakeSpec){ .kind = MAKE_DEVICE,
                                        .key = t->key,
                                        .common_name = S("device"),
                                        .ca = ca,
                                        .ca_key = ca_key,
                                        .not_before_ms = real_ms() - YEAR_MS,
                                        .not_after_ms = not_after_ms });
    CertInfo info;
    Str why;
    assert_int_equal(x509_parse(x509_pem_of(&t->f.arena, cert), &t->f.arena, &info, &why), OK);
    X509_free(cert);
    return info;
}

static Err see(Test *t, const CertInfo *device, FirstSeen *out, Str *why) {
    Txn *txn = fixture_txn(&t->f);
    Err e = iot_first_seen_register(txn, TENANT, device, t->f.now_ms, &t->f.rng, &t->f.arena, out, why);
    if (e == OK)
        fixture_commit(&t->f, txn);
    else
        txn_abort(txn);
    return e;
}

static bool refuses(Test *t, const CertInfo *device, const char *part) {
    FirstSeen seen;
    Str why = STR_NONE;
    return see(t, device, &seen, &why) == ERR_NOT_FOUND && str_find_str(why, str_c(part)) != SIZE_MAX;
}

static void a_device_of_an_open_ca_waits_for_activation(void **state) {
    Test *t = *state;
    Str ca = register_ca(t, t->ca), why;
    CertInfo device = device_of(t, t->ca, t->ca_key, real_ms() + YEAR_MS);
    FirstSeen seen;
    assert_int_equal(see(t, &device, &seen, &why), OK);
    assert_true(seen.fresh && str_eq(seen.ca_certificate_id, ca) && str_eq(seen.certificate_id, device.id));
    IotDescribeCertificateOut out;
    assert_int_equal(FIXTURE_CALL(&t->f, "DescribeCertificate", (&(IotDescribeCertificateIn){ device.id }), &out), OK);
    assert_true(str_eq(out.certificate_description->status, S("PENDING_ACTIVATION")));
    assert_true(str_eq(out.certificate_description->ca_certificate_id, ca));
    assert_true(str_eq(out.certificate_description->certificate_pem, x509_pem(&t->f.arena, device.der)));

    int64_t first_ms = t->f.now_ms;
    t->f.now_ms += 5000;
    assert_int_equal(see(t, &device, &seen, &why), OK); /* each attempt says so again */
    assert_true(!seen.fresh && seen.registered_ms == first_ms);
    assert_int_equal(
        fixture_call(&t->f, "UpdateCertificate", &(IotUpdateCertificateIn){ device.id, S("ACTIVE") }, NULL, 0), OK);
    assert_true(refuses(t, &device, "registered as ACTIVE"));
}

static void nothing_is_registered_without_a_ca_that_allows_it(void **state) {
    Test *t = *state;
    CertInfo device = device_of(t, t->ca, t->ca_key, real_ms() + YEAR_MS);
    assert_true(refuses(t, &device, "no registered CA"));
    Str ca = register_ca(t, t->ca);
    update_ca(t, ca, S("INACTIVE"), STR_NONE);
    assert_true(refuses(t, &device, "INACTIVE"));
    update_ca(t, ca, S("ACTIVE"), S("DISABLE"));
    assert_true(refuses(t, &device, "DISABLE"));
    update_ca(t, ca, STR_NONE, S("ENABLE"));
    CertInfo forged = device_of(t, t->ca, t->other_key, real_ms() + YEAR_MS);
    assert_true(refuses(t, &forged, "signature"));
    CertInfo expired = device_of(t, t->ca, t->ca_key, real_ms() - 1000);
    assert_true(refuses(t, &expired, "expired"));
    FirstSeen seen;
    Str why;
    assert_int_equal(see(t, &device, &seen, &why), OK);
}

static void the_signature_tells_namesakes_apart(void **state) {
    Test *t = *state;
    Str one = register_ca(t, t->ca), two = register_ca(t, t->namesake), why;
    CertInfo a = device_of(t, t->ca, t->ca_key, real_ms() + YEAR_MS);
    CertInfo b = device_of(t, t->namesake, t->other_key, real_ms() + YEAR_MS);
    FirstSeen seen;
    assert_int_equal(see(t, &a, &seen, &why), OK);
    assert_true(str_eq(seen.ca_certificate_id, one));
    assert_int_equal(see(t, &b, &seen, &why), OK);
    assert_true(str_eq(seen.ca_certificate_id, two));
    IotRegisterCertificateOut out;
    Err e = FIXTURE_CALL(&t->f, "RegisterCertificate",
                         (&(IotRegisterCertificateIn){ .certificate_pem = x509_pem(&t->f.arena, a.der) }), &out);
    assert_int_equal(e, ERR_API);
    assert_true(str_eq(t->f.error, S("CertificateConflictException"))); /* asks for caCertificatePem */
}

int main(void) {
#define FIRST_SEEN_TEST(name) cmocka_unit_test_setup_teardown(name, test_open, test_close)
    const struct CMUnitTest tests[] = {
        FIRST_SEEN_TEST(a_device_of_an_open_ca_waits_for_activation),
        FIRST_SEEN_TEST(nothing_is_registered_without_a_ca_that_allows_it),
        FIRST_SEEN_TEST(the_signature_tells_namesakes_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
