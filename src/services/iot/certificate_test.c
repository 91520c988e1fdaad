#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <ftw.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "generated/iot.h"
#include "generated/iot_records.h"
#include "identity/issuer.h"
#include "identity/x509.h"
#include "identity/x509_make.h"
#include "services/testing/cases.h"

#define YEAR_MS INT64_C(31536000000)
static const Tenant TENANT = { STR_INIT(FIXTURE_ACCOUNT), STR_INIT(FIXTURE_REGION) };

/* Made once: the server's CAs, a CA of somebody's own, keys. */
typedef struct {
    Arena arena;
    char dir[64];
    Issuer *issuer;
    EVP_PKEY *ca_key, *key;
    X509 *ca;
    Str ca_pem;
} Pki;

typedef struct {
    Fixture f;
    Pki *pki;
} Test;

static Str cert_by(Pki *p, Arena *a, MakeKind kind, Str name, X509 *ca, EVP_PKEY *ca_key, EVP_PKEY *key) {
    (void)p;
    X509 *cert = x509_make(&(MakeSpec){ .kind = kind,
                                        .key = key,
                                        .common_name = name,
                                        .ca = ca,
                                        .ca_key = ca_key,
                                        .not_before_ms = real_ms() - YEAR_MS,
                                        .not_after_ms = real_ms() + YEAR_MS });
    assert_non_null(cert);
    Str pem = x509_pem_of(a, cert);
    X509_free(cert);
    return pem;
}

static Str device_pem(Test *t, Str name) {
    return cert_by(t->pki, &t->f.arena, MAKE_DEVICE, name, t->pki->ca, t->pki->ca_key, t->pki->key);
}

static int pki_make(void **state) {
    Pki *p = mem_new(sizeof *p);
    snprintf(p->dir, sizeof p->dir, "/tmp/certificate-test-XXXXXX");
    if (!mkdtemp(p->dir)) return -1;
    Str why;
    IssuerOptions o = { .dir = p->dir, .region = S(FIXTURE_REGION) };
    if (issuer_open(&o, &p->arena, &p->issuer, &why) != OK) return -1;
    p->ca_key = x509_make_key(KEY_EC_P256);
    p->key = x509_make_key(KEY_EC_P256);
    p->ca = x509_make(&(MakeSpec){ .kind = MAKE_CA,
                                   .key = p->ca_key,
                                   .common_name = S("my ca"),
                                   .not_before_ms = real_ms() - YEAR_MS,
                                   .not_after_ms = real_ms() + YEAR_MS });
    p->ca_pem = x509_pem_of(&p->arena, p->ca);
    *state = p;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static int pki_free(void **state) {
    Pki *p = *state;
    issuer_close(p->issuer);
    EVP_PKEY_free(p->ca_key);
    EVP_PKEY_free(p->key);
    X509_free(p->ca);
    nftw(p->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    arena_free(&p->arena);
    free(p);
    return 0;
}

static int test_open(void **state) {
    Test *t = mem_new(sizeof *t);
    t->pki = *state;
    fixture_open(&t->f, &iot_service);
    t->f.env.issuer = t->pki->issuer;
    *state = t;
    return 0;
}

static int test_close(void **state) {
    Test *t = *state;
    *state = t->pki;
    fixture_close(&t->f);
    free(t);
    return 0;
}

static Err register_ca(Test *t, bool active, Str mode, Str proof, IotRegisterCACertificateOut *out) {
    return FIXTURE_CALL(&t->f, "RegisterCACertificate",
                        (&(IotRegisterCACertificateIn){ .ca_certificate = t->pki->ca_pem,
                                                        .verification_certificate = proof,
                                                        .set_as_active = { true, active },
                                                        .allow_auto_registration = { true, true },
                                                        .certificate_mode = mode }),
                        out);
}

static Str must_register_ca(Test *t) {
    IotRegisterCACertificateOut out;
    assert_int_equal(register_ca(t, true, S("SNI_ONLY"), STR_NONE, &out), OK);
    return out.certificate_id;
}

static Str must_create(Test *t, bool active) {
    IotCreateKeysAndCertificateOut out;
    assert_int_equal(
        FIXTURE_CALL(&t->f, "CreateKeysAndCertificate", (&(IotCreateKeysAndCertificateIn){ { true, active } }), &out),
        OK);
    return out.certificate_id;
}

/* As must_create, without the time that an RSA key takes. */
static Str must_register(Test *t, Str name, Str status) {
    IotRegisterCertificateWithoutCAOut out;
    assert_int_equal(FIXTURE_CALL(&t->f, "RegisterCertificateWithoutCA",
                                  (&(IotRegisterCertificateWithoutCAIn){ device_pem(t, name), status }), &out),
                     OK);
    t->f.now_ms += 1000;
    return out.certificate_id;
}

static IotCertificateDescription describe(Test *t, Str id) {
    IotDescribeCertificateOut out;
    assert_int_equal(FIXTURE_CALL(&t->f, "DescribeCertificate", (&(IotDescribeCertificateIn){ id }), &out), OK);
    return *out.certificate_description;
}

static Err update(Test *t, Str id, Str status) {
    return fixture_call(&t->f, "UpdateCertificate", &(IotUpdateCertificateIn){ id, status }, NULL, 0);
}
static Err delete_certificate(Test *t, Str id, bool force) {
    return fixture_call(&t->f, "DeleteCertificate", &(IotDeleteCertificateIn){ id, { true, force } }, NULL, 0);
}

static void keys_and_certificate_belong_together(void **state) {
    Test *t = *state;
    IotCreateKeysAndCertificateOut out;
    assert_int_equal(
        FIXTURE_CALL(&t->f, "CreateKeysAndCertificate", (&(IotCreateKeysAndCertificateIn){ { true, true } }), &out),
        OK);
    assert_int_equal(t->f.outbox_n, 1); /* the directory is told */
    CertInfo info;
    Str why;
    assert_int_equal(x509_parse(out.certificate_pem, &t->f.arena, &info, &why), OK);
    assert_true(str_eq(info.id, out.certificate_id));
    assert_true(str_ends(out.certificate_arn, out.certificate_id));
    assert_true(str_starts(out.certificate_arn, S("arn:aws:iot:us-east-1:123456789012:cert/")));
    IotCertificateDescription d = describe(t, out.certificate_id);
    assert_true(str_eq(d.status, S("ACTIVE")) && str_eq(d.certificate_mode, S("DEFAULT")));
    assert_true(str_eq(d.certificate_pem, out.certificate_pem));
    assert_true(d.validity->not_after.v == INT64_C(2524607999000));
    assert_true(d.creation_date.v == FIXTURE_NOW_MS && d.customer_version.v == 1);
    BIO *bio = BIO_new_mem_buf(out.key_pair->private_key.ptr, (int)out.key_pair->private_key.len);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    assert_int_equal(EVP_PKEY_get_bits(key), 2048);
    EVP_PKEY_free(key);
    BIO_free(bio);
    assert_true(str_eq(describe(t, must_create(t, false)).status, S("INACTIVE")));
}

static void a_request_that_is_none_is_refused(void **state) {
    Test *t = *state;
    IotCreateCertificateFromCsrOut out;
    Err e = FIXTURE_CALL(&t->f, "CreateCertificateFromCsr",
                         (&(IotCreateCertificateFromCsrIn){ S("-----BEGIN nothing"), { 0 } }), &out);
    expect_error(&t->f, e, "InvalidRequestException", "BEGIN CERTIFICATE REQUEST");
}

static void a_certificate_is_registered_once(void **state) {
    Test *t = *state;
    Str pem = device_pem(t, S("d"));
    IotRegisterCertificateWithoutCAIn in = { pem, S("ACTIVE") };
    IotRegisterCertificateWithoutCAOut out;
    assert_int_equal(FIXTURE_CALL(&t->f, "RegisterCertificateWithoutCA", &in, &out), OK);
    IotCertificateDescription d = describe(t, out.certificate_id);
    assert_true(str_eq(d.certificate_mode, S("SNI_ONLY")) && str_eq(d.status, S("ACTIVE")));
    Err e = FIXTURE_CALL(&t->f, "RegisterCertificateWithoutCA", &in, &out);
    expect_error(&t->f, e, "ResourceAlreadyExistsException", "The certificate is already provisioned or registered");
    assert_true(str_eq(t->f.resource_arn, out.certificate_arn));
    in.status = S("PENDING_TRANSFER");
    e = FIXTURE_CALL(&t->f, "RegisterCertificateWithoutCA", &in, &out);
    expect_error(&t->f, e, "InvalidRequestException", "PENDING_TRANSFER");
    in.certificate_pem = S("nonsense");
    in.status = STR_NONE;
    e = FIXTURE_CALL(&t->f, "RegisterCertificateWithoutCA", &in, &out);
    expect_error(&t->f, e, "CertificateValidationException", "BEGIN CERTIFICATE");
}

static void registering_needs_an_active_ca_that_signed(void **state) {
    Test *t = *state;
    IotRegisterCertificateIn in = { .certificate_pem = device_pem(t, S("d")), .set_as_active = { true, true } };
    IotRegisterCertificateOut out;
    Err e = FIXTURE_CALL(&t->f, "RegisterCertificate", &in, &out);
    expect_error(&t->f, e, "CertificateValidationException", "No registered CA");
    in.ca_certificate_pem = t->pki->ca_pem;
    e = FIXTURE_CALL(&t->f, "RegisterCertificate", &in, &out);
    expect_error(&t->f, e, "CertificateValidationException", "not registered");

    IotRegisterCACertificateOut ca;
    assert_int_equal(register_ca(t, false, S("SNI_ONLY"), STR_NONE, &ca), OK);
    e = FIXTURE_CALL(&t->f, "RegisterCertificate", &in, &out);
    expect_error(&t->f, e, "CertificateStateException", "not ACTIVE");
    assert_int_equal(
        fixture_call(&t->f, "UpdateCACertificate",
                     &(IotUpdateCACertificateIn){ .certificate_id = ca.certificate_id, .new_status = S("ACTIVE") },
                     NULL, 0),
        OK);
    in.ca_certificate_pem = STR_NONE;
    assert_int_equal(FIXTURE_CALL(&t->f, "RegisterCertificate", &in, &out), OK);
    IotCertificateDescription d = describe(t, out.certificate_id);
    assert_true(str_eq(d.ca_certificate_id, ca.certificate_id) && str_eq(d.status, S("ACTIVE")));

    /* The issuer's name is the CA's, the signature is another's. */
    EVP_PKEY *other = x509_make_key(KEY_EC_P256);
    in.certificate_pem = cert_by(t->pki, &t->f.arena, MAKE_DEVICE, S("x"), t->pki->ca, other, t->pki->key);
    EVP_PKEY_free(other);
    e = FIXTURE_CALL(&t->f, "RegisterCertificate", &in, &out);
    expect_error(&t->f, e, "CertificateValidationException", "signature");
}

static void a_status_goes_only_where_it_may(void **state) {
    Test *t = *state;
    Str id = must_register(t, S("d"), S("INACTIVE"));
    assert_int_equal(update(t, id, S("ACTIVE")), OK);
    assert_int_equal(t->f.outbox_n, 1);
    IotCertificateDescription d = describe(t, id);
    assert_true(str_eq(d.status, S("ACTIVE")) && d.customer_version.v == 2);
    assert_true(d.last_modified_date.v == t->f.now_ms);
    expect_error(&t->f, update(t, id, S("PENDING_ACTIVATION")), "InvalidRequestException", "PENDING_ACTIVATION");
    assert_int_equal(update(t, id, S("REVOKED")), OK);
    assert_int_equal(update(t, id, S("REVOKED")), OK);
    expect_error(&t->f, update(t, id, S("ACTIVE")), "CertificateStateException", "revoked");
    Str none = S("0000000000000000000000000000000000000000000000000000000000000000");
    expect_error(&t->f, update(t, none, S("ACTIVE")), "ResourceNotFoundException", "does not exist");
    expect_error(&t->f, update(t, id, S("ODD")), "InvalidRequestException", "");
}

static void put_thing(Test *t, Str name) {
    Txn *txn = fixture_txn(&t->f);
    assert_int_equal(thing_record_put(txn, TENANT, &(ThingRecord){ .thing_name = name, .version = 1 }), OK);
    fixture_commit(&t->f, txn);
}
static Str arn_of(Test *t, Str id) {
    return str_format(&t->f.arena, "arn:aws:iot:us-east-1:123456789012:cert/%.*s", PS(id));
}
static Err attach(Test *t, Str thing, Str principal, Str type) {
    return fixture_call(&t->f, "AttachThingPrincipal", &(IotAttachThingPrincipalIn){ thing, principal, type }, NULL, 0);
}
static Err detach(Test *t, Str thing, Str principal) {
    return fixture_call(&t->f, "DetachThingPrincipal", &(IotDetachThingPrincipalIn){ thing, principal }, NULL, 0);
}

static void deleting_wants_it_inactive_and_unused(void **state) {
    Test *t = *state;
    Str id = must_register(t, S("d"), S("ACTIVE"));
    expect_error(&t->f, delete_certificate(t, id, true), "CertificateStateException",
                 "Certificate must be deactivated (not ACTIVE) before deletion. Id: ");
    put_thing(t, S("pump"));
    assert_int_equal(attach(t, S("pump"), arn_of(t, id), STR_NONE), OK);
    assert_int_equal(update(t, id, S("INACTIVE")), OK);
    expect_error(&t->f, delete_certificate(t, id, true), "DeleteConflictException",
                 "Things must be detached before deletion");
    assert_int_equal(detach(t, S("pump"), arn_of(t, id)), OK);
    Txn *txn = fixture_txn(&t->f);
    for (int i = 0; i < 3; i++)
        assert_int_equal(
            policy_attachment_record_put(
                txn, TENANT,
                &(PolicyAttachmentRecord){ .target = arn_of(t, id), .policy_name = str_format(&t->f.arena, "p%d", i) }),
            OK);
    fixture_commit(&t->f, txn);
    expect_error(&t->f, delete_certificate(t, id, false), "DeleteConflictException", "policies must be detached");
    assert_int_equal(delete_certificate(t, id, true), OK);
    assert_int_equal(t->f.outbox_n, 2); /* the key ring and the directory */
    expect_error(&t->f, delete_certificate(t, id, true), "ResourceNotFoundException", "");
    txn = fixture_txn(&t->f);
    RecordScan *scan;
    PolicyAttachmentRecord left;
    assert_int_equal(policy_attachment_record_scan(txn, TENANT, STR_NONE, false, &scan), OK);
    assert_false(policy_attachment_record_next(scan, &t->f.arena, &left));
    assert_int_equal(record_scan_end(scan), OK);
    txn_abort(txn);
}

static void lists_are_in_order_of_creation_page_by_page(void **state) {
    Test *t = *state;
    enum { N = 7 };
    Str ids[N];
    for (int i = 0; i < N; i++) ids[i] = must_register(t, str_format(&t->f.arena, "d%d", i), S("INACTIVE"));
    for (int up = 0; up < 2; up++) {
        IotListCertificatesIn in = { .page_size = { true, 3 }, .ascending_order = { true, up } };
        int seen = 0, pages = 0;
        do {
            IotListCertificatesOut out;
            assert_int_equal(FIXTURE_CALL(&t->f, "ListCertificates", &in, &out), OK);
            for (size_t i = 0; i < out.certificates.n; i++, seen++)
                assert_true(str_eq(out.certificates.items[i].certificate_id, ids[up ? seen : N - 1 - seen]));
            in.marker = out.next_marker;
            pages++;
        } while (in.marker.len);
        assert_int_equal(seen, N);
        assert_int_equal(pages, 3);
    }
    IotListCertificatesOut out;
    Err e = FIXTURE_CALL(&t->f, "ListCertificates", (&(IotListCertificatesIn){ .marker = S("bogus") }), &out);
    assert_int_equal(e, ERR_API);
}

static void certificates_are_listed_by_their_ca(void **state) {
    Test *t = *state;
    Str ca = must_register_ca(t);
    must_register(t, S("without"), S("INACTIVE"));
    for (int i = 0; i < 3; i++) {
        IotRegisterCertificateOut out;
        assert_int_equal(FIXTURE_CALL(&t->f, "RegisterCertificate",
                                      (&(IotRegisterCertificateIn){
                                          .certificate_pem = device_pem(t, str_format(&t->f.arena, "d%d", i)) }),
                                      &out),
                         OK);
    }
    IotListCertificatesByCAOut out;
    assert_int_equal(
        FIXTURE_CALL(&t->f, "ListCertificatesByCA", (&(IotListCertificatesByCAIn){ .ca_certificate_id = ca }), &out),
        OK);
    assert_int_equal(out.certificates.n, 3);
    assert_int_equal(out.next_marker.len, 0);
}

static Str code_of(Test *t) {
    IotGetRegistrationCodeOut out;
    assert_int_equal(FIXTURE_CALL(&t->f, "GetRegistrationCode", (&(IotGetRegistrationCodeIn){ 0 }), &out), OK);
    return out.registration_code;
}

static void a_default_ca_needs_the_registration_code_signed(void **state) {
    Test *t = *state;
    Pki *p = t->pki;
    IotRegisterCACertificateOut out;
    Str code = code_of(t);
    assert_int_equal(code.len, 64);
    assert_true(str_eq(code, code_of(t)));
    Err e = register_ca(t, true, STR_NONE, STR_NONE, &out);
    expect_error(&t->f, e, "InvalidRequestException", "verificationCertificate is needed");
    e = register_ca(t, true, STR_NONE, device_pem(t, S("not the code")), &out);
    expect_error(&t->f, e, "RegistrationCodeValidationException", "not the code");
    EVP_PKEY *other = x509_make_key(KEY_EC_P256);
    e = register_ca(t, true, STR_NONE, cert_by(p, &t->f.arena, MAKE_DEVICE, code, p->ca, other, p->key), &out);
    EVP_PKEY_free(other);
    expect_error(&t->f, e, "CertificateValidationException", "signature");
    e = register_ca(t, true, S("SNI_ONLY"), device_pem(t, code), &out);
    expect_error(&t->f, e, "InvalidRequestException", "must be empty");
    assert_int_equal(register_ca(t, true, STR_NONE, device_pem(t, code), &out), OK);
    assert_true(str_find_str(out.certificate_arn, S(":cacert/")) != SIZE_MAX);
    e = register_ca(t, true, STR_NONE, device_pem(t, code), &out);
    expect_error(&t->f, e, "ResourceAlreadyExistsException", "already registered");
    assert_int_equal(fixture_call(&t->f, "DeleteRegistrationCode", &(IotDeleteRegistrationCodeIn){ 0 }, NULL, 0), OK);
    e = fixture_call(&t->f, "DeleteRegistrationCode", &(IotDeleteRegistrationCodeIn){ 0 }, NULL, 0);
    expect_error(&t->f, e, "ResourceNotFoundException", "");
    assert_false(str_eq(code, code_of(t)));
}

static void what_is_no_ca_is_not_registered_as_one(void **state) {
    Test *t = *state;
    IotRegisterCACertificateOut out;
    IotRegisterCACertificateIn in = { .ca_certificate = device_pem(t, S("d")), .certificate_mode = S("SNI_ONLY") };
    Err e = FIXTURE_CALL(&t->f, "RegisterCACertificate", &in, &out);
    expect_error(&t->f, e, "CertificateValidationException", "CA:TRUE");
    IotRegistrationConfig provision = { .template_body = S("{}") };
    in.ca_certificate = t->pki->ca_pem;
    in.registration_config = &provision;
    e = FIXTURE_CALL(&t->f, "RegisterCACertificate", &in, &out);
    expect_error(&t->f, e, "NotImplementedException", "JITP");
}

static IotDescribeCACertificateOut describe_ca(Test *t, Str id) {
    IotDescribeCACertificateOut out;
    assert_int_equal(FIXTURE_CALL(&t->f, "DescribeCACertificate", (&(IotDescribeCACertificateIn){ id }), &out), OK);
    return out;
}
static Err update_ca(Test *t, IotUpdateCACertificateIn in) {
    return fixture_call(&t->f, "UpdateCACertificate", &in, NULL, 0);
}

static void a_ca_is_described_updated_listed_and_deleted(void **state) {
    Test *t = *state;
    Str id = must_register_ca(t);
    IotDescribeCACertificateOut d = describe_ca(t, id);
    assert_true(str_eq(d.certificate_description->status, S("ACTIVE")));
    assert_true(str_eq(d.certificate_description->auto_registration_status, S("ENABLE")));
    assert_true(str_eq(d.certificate_description->certificate_mode, S("SNI_ONLY")));
    assert_null(d.registration_config);
    IotRegistrationConfig config = { .role_arn = S("arn:aws:iam::123456789012:role/r"), .template_name = S("t") };
    Err e = update_ca(t, (IotUpdateCACertificateIn){ .certificate_id = id, .registration_config = &config });
    expect_error(&t->f, e, "NotImplementedException", "JITP");
    IotListCACertificatesOut list;
    assert_int_equal(
        FIXTURE_CALL(&t->f, "ListCACertificates", (&(IotListCACertificatesIn){ .template_name = S("u") }), &list), OK);
    assert_int_equal(list.certificates.n, 0);
    assert_int_equal(
        FIXTURE_CALL(&t->f, "ListCACertificates", (&(IotListCACertificatesIn){ .page_size = { 0 } }), &list), OK);
    assert_int_equal(list.certificates.n, 1);
    assert_int_equal(
        update_ca(t, (IotUpdateCACertificateIn){ .certificate_id = id, .remove_auto_registration = { true, true } }),
        OK);
    d = describe_ca(t, id);
    assert_null(d.registration_config);
    assert_true(str_eq(d.certificate_description->auto_registration_status, S("DISABLE")));
    IotDeleteCACertificateIn del = { id };
    expect_error(&t->f, fixture_call(&t->f, "DeleteCACertificate", &del, NULL, 0), "CertificateStateException",
                 "not ACTIVE");
    assert_int_equal(update_ca(t, (IotUpdateCACertificateIn){ .certificate_id = id, .new_status = S("INACTIVE") }), OK);
    assert_int_equal(fixture_call(&t->f, "DeleteCACertificate", &del, NULL, 0), OK);
    expect_error(&t->f, fixture_call(&t->f, "DeleteCACertificate", &del, NULL, 0), "ResourceNotFoundException", "");
}

static void things_and_principals_find_each_other(void **state) {
    Test *t = *state;
    Str arn = arn_of(t, must_register(t, S("d"), S("ACTIVE")));
    put_thing(t, S("a"));
    put_thing(t, S("b"));
    expect_error(&t->f, attach(t, S("none"), arn, STR_NONE), "ResourceNotFoundException", "none");
    Str missing = arn_of(t, S("0000000000000000000000000000000000000000000000000000000000000000"));
    expect_error(&t->f, attach(t, S("a"), missing, STR_NONE), "ResourceNotFoundException",
                 "The certificate given in the principal does not exist.");
    expect_error(&t->f, attach(t, S("a"), S("arn:aws:iot:us-east-1:123456789012:thing/a"), STR_NONE),
                 "InvalidRequestException", "neither");
    Str cognito = S("us-east-1:01234567-89ab-cdef-0123-456789abcdef");
    assert_int_equal(attach(t, S("a"), cognito, STR_NONE), OK);
    assert_int_equal(attach(t, S("a"), arn, STR_NONE), OK);
    assert_int_equal(t->f.outbox_n, 1);
    assert_int_equal(attach(t, S("a"), arn, STR_NONE), OK); /* again */
    assert_int_equal(t->f.outbox_n, 0);
    assert_int_equal(attach(t, S("b"), arn, STR_NONE), OK);

    IotListPrincipalThingsOut things;
    IotListPrincipalThingsIn first = { .max_results = { true, 1 }, .principal = arn };
    assert_int_equal(FIXTURE_CALL(&t->f, "ListPrincipalThings", &first, &things), OK);
    assert_true(things.things.n == 1 && str_eq(things.things.items[0], S("a")) && things.next_token.len);
    first.next_token = things.next_token;
    assert_int_equal(FIXTURE_CALL(&t->f, "ListPrincipalThings", &first, &things), OK);
    assert_true(things.things.n == 1 && str_eq(things.things.items[0], S("b")) && !things.next_token.len);
    IotListThingPrincipalsOut principals;
    assert_int_equal(
        FIXTURE_CALL(&t->f, "ListThingPrincipals", (&(IotListThingPrincipalsIn){ .thing_name = S("a") }), &principals),
        OK);
    assert_int_equal(principals.principals.n, 2);
    Err e = FIXTURE_CALL(&t->f, "ListThingPrincipals", (&(IotListThingPrincipalsIn){ .thing_name = S("none") }),
                         &principals);
    expect_error(&t->f, e, "ResourceNotFoundException", "Failed to list principals for thing none");
    assert_int_equal(detach(t, S("a"), arn), OK);
    expect_error(&t->f, detach(t, S("a"), arn), "ResourceNotFoundException", "not attached");
}

static void an_exclusive_certificate_has_one_thing(void **state) {
    Test *t = *state;
    Str arn = arn_of(t, must_register(t, S("d"), S("ACTIVE"))), exclusive = S("EXCLUSIVE_THING");
    put_thing(t, S("a"));
    put_thing(t, S("b"));
    assert_int_equal(attach(t, S("a"), arn, exclusive), OK);
    assert_int_equal(attach(t, S("a"), arn, exclusive), OK);
    expect_error(&t->f, attach(t, S("b"), arn, STR_NONE), "InvalidRequestException", "exclusively");
    expect_error(&t->f, attach(t, S("a"), arn, STR_NONE), "InvalidRequestException", "already");
    IotListPrincipalThingsV2Out v2;
    IotListPrincipalThingsV2In in = { .principal = arn };
    assert_int_equal(FIXTURE_CALL(&t->f, "ListPrincipalThingsV2", &in, &v2), OK);
    assert_true(v2.principal_thing_objects.n == 1 &&
                str_eq(v2.principal_thing_objects.items[0].thing_principal_type, exclusive));
    in.thing_principal_type = S("NON_EXCLUSIVE_THING");
    assert_int_equal(FIXTURE_CALL(&t->f, "ListPrincipalThingsV2", &in, &v2), OK);
    assert_int_equal(v2.principal_thing_objects.n, 0);
    assert_int_equal(detach(t, S("a"), arn), OK);
    assert_int_equal(attach(t, S("b"), arn, STR_NONE), OK);
    expect_error(&t->f, attach(t, S("a"), arn, exclusive), "InvalidRequestException", "cannot be exclusive");
    IotListThingPrincipalsV2Out of_thing;
    assert_int_equal(FIXTURE_CALL(&t->f, "ListThingPrincipalsV2",
                                  (&(IotListThingPrincipalsV2In){ .thing_name = S("b") }), &of_thing),
                     OK);
    assert_true(of_thing.thing_principal_objects.n == 1 &&
                str_eq(of_thing.thing_principal_objects.items[0].principal, arn));
}

static void every_endpoint_is_this_host(void **state) {
    Test *t = *state;
    IotDescribeEndpointOut out;
    static const char *const types[] = { "iot:Data", "iot:Data-ATS", "iot:CredentialProvider", "iot:Jobs" };
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(FIXTURE_CALL(&t->f, "DescribeEndpoint", (&(IotDescribeEndpointIn){ str_c(types[i]) }), &out),
                         OK);
        assert_true(str_eq(out.endpoint_address, S("localhost")));
    }
    assert_int_equal(FIXTURE_CALL(&t->f, "DescribeEndpoint", (&(IotDescribeEndpointIn){ STR_NONE }), &out), OK);
    Err e = FIXTURE_CALL(&t->f, "DescribeEndpoint", (&(IotDescribeEndpointIn){ S("iot:Dat") }), &out);
    expect_error(&t->f, e, "InvalidRequestException", "iot:Dat");
}

int main(void) {
#define CERTIFICATE_TEST(name) cmocka_unit_test_setup_teardown(name, test_open, test_close)
    const struct CMUnitTest tests[] = {
        CERTIFICATE_TEST(keys_and_certificate_belong_together),
        CERTIFICATE_TEST(a_request_that_is_none_is_refused),
        CERTIFICATE_TEST(a_certificate_is_registered_once),
        CERTIFICATE_TEST(registering_needs_an_active_ca_that_signed),
        CERTIFICATE_TEST(a_status_goes_only_where_it_may),
        CERTIFICATE_TEST(deleting_wants_it_inactive_and_unused),
        CERTIFICATE_TEST(lists_are_in_order_of_creation_page_by_page),
        CERTIFICATE_TEST(certificates_are_listed_by_their_ca),
        CERTIFICATE_TEST(a_default_ca_needs_the_registration_code_signed),
        CERTIFICATE_TEST(what_is_no_ca_is_not_registered_as_one),
        CERTIFICATE_TEST(a_ca_is_described_updated_listed_and_deleted),
        CERTIFICATE_TEST(things_and_principals_find_each_other),
        CERTIFICATE_TEST(an_exclusive_certificate_has_one_thing),
        CERTIFICATE_TEST(every_endpoint_is_this_host),
    };
    return cmocka_run_group_tests(tests, pki_make, pki_free);
}
