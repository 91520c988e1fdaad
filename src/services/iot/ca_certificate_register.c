/* Registering a CA: DEFAULT with a certificate that proves its key, or SNI_ONLY without.
 * Source: AWS IoT developer guide, "Register your CA certificate". */
#include "base/clock.h"
#include "generated/iot.h"
#include "identity/certificate_home.h"
#include "identity/x509.h"
#include "services/iot/ca_certificate.h"
#include "services/iot/registry.h"

enum { SAME_SUBJECT_MAX = 10 }; /* Source: AWS IoT Core quotas */

static Err parse_ca(Call *c, Str pem, CertInfo *ca) {
    Str why = STR_NONE;
    Err e = x509_parse(pem, c->arena, ca, &why);
    if (e == OK) e = x509_check_algorithms(ca, c->arena, &why);
    if (e == OK) e = x509_check_dates(ca, real_ms(), c->arena, &why);
    if (e == OK && !ca->is_ca) {
        why = S("its basic constraints do not say CA:TRUE");
        e = ERR_INVALID;
    }
    if (e != OK) return api_fail(c, IOT_CERTIFICATE_VALIDATION, "The CA certificate is not valid: %.*s", PS(why));
    return OK;
}

static Err check_verification(Call *c, Str pem, const CertInfo *ca) {
    CertInfo verification;
    Str why = STR_NONE, code;
    Err e = x509_parse(pem, c->arena, &verification, &why);
    if (e == OK) e = x509_check_dates(&verification, real_ms(), c->arena, &why);
    if (e == OK) e = x509_check_signed_by(&verification, ca, c->arena, &why);
    if (e != OK)
        return api_fail(c, IOT_CERTIFICATE_VALIDATION, "The verification certificate is not valid: %.*s", PS(why));
    e = iot_registration_code(c, &code);
    if (e == OK && !str_eq(verification.common_name, code))
        e = api_fail(c, IOT_REGISTRATION_CODE_VALIDATION,
                     "The common name of the verification certificate is '%.*s', not the registration code that "
                     "GetRegistrationCode gives",
                     PS(str_sub(verification.common_name, 0, 64)));
    return e;
}

static Err check_proof(Call *c, const IotRegisterCACertificateIn *in, const CertInfo *ca) {
    bool sni_only = str_eq(in->certificate_mode, S("SNI_ONLY")), proof = in->verification_certificate.len > 0;
    if (sni_only && proof)
        return api_fail(c, IOT_INVALID_REQUEST,
                        "verificationCertificate must be empty where certificateMode is SNI_ONLY");
    if (!sni_only && !proof)
        return api_fail(c, IOT_INVALID_REQUEST,
                        "verificationCertificate is needed where certificateMode is DEFAULT: a certificate signed by "
                        "the CA whose common name is the registration code");
    return sni_only ? OK : check_verification(c, in->verification_certificate, ca);
}

static Err check_new(Call *c, const CertInfo *ca) {
    RecordScan *scan;
    CaCertificateRecord r;
    size_t n = 0;
    Err e = ca_certificate_record_scan_by_subject(c->txn, call_tenant(c), ca->subject_der, STR_NONE, false, &scan);
    if (e != OK) return e;
    while (ca_certificate_record_next(scan, c->arena, &r)) n++;
    e = record_scan_end(scan);
    if (e == OK && n >= SAME_SUBJECT_MAX)
        e = api_fail(c, IOT_LIMIT_EXCEEDED, "%d CA certificates with the subject %.*s are registered already",
                     (int)SAME_SUBJECT_MAX, PS(ca->subject));
    return e;
}

/* Source: RegisterCACertificate: in DEFAULT mode a CA belongs to one account of a region */
static Err take_ca(Call *c, Str id) {
    Err e = ca_home_take(c->txn, c->region, id, c->account, c->arena);
    if (e != ERR_EXISTS) return e;
    c->failure.resource_id = id;
    c->failure.resource_arn = iot_ca_arn(c, id);
    return api_fail(c, IOT_RESOURCE_ALREADY_EXISTS,
                    "The CA certificate is registered in another account in DEFAULT mode; SNI_ONLY is possible");
}

Err iot_register_ca_certificate(Call *c, const IotRegisterCACertificateIn *in, IotRegisterCACertificateOut *out) {
    CertInfo ca;
    StrMap tags;
    Err e = parse_ca(c, in->ca_certificate, &ca);
    if (e == OK) e = tags_from(c, &in->tags, &tags);
    if (e == OK) e = iot_ca_check_config(c, in->registration_config);
    if (e == OK) e = check_proof(c, in, &ca);
    if (e == OK) e = check_new(c, &ca);
    if (e != OK) return e;
    CaCertificateRecord r = { .certificate_id = ca.id,
                              .certificate_pem = in->ca_certificate,
                              .status = in->set_as_active.v ? S("ACTIVE") : S("INACTIVE"),
                              .auto_registration_status = in->allow_auto_registration.v ? S("ENABLE") : S("DISABLE"),
                              .mode = in->certificate_mode.len ? in->certificate_mode : S("DEFAULT"),
                              .owned_by = c->account,
                              .created_ms = c->now_ms,
                              .modified_ms = c->now_ms,
                              .not_before_ms = ca.not_before_ms,
                              .not_after_ms = ca.not_after_ms,
                              .customer_version = 1,
                              .generation_id = rng_uuid(c->rng, c->arena),
                              .subject = ca.subject_der,
                              .tags = tags };
    e = ca_certificate_record_insert(c->txn, call_tenant(c), &r);
    if (e == ERR_EXISTS) {
        c->failure.resource_id = ca.id;
        c->failure.resource_arn = iot_ca_arn(c, ca.id);
        return api_fail(c, IOT_RESOURCE_ALREADY_EXISTS, "The CA certificate is already registered");
    }
    if (e == OK && str_eq(r.mode, S("DEFAULT"))) e = take_ca(c, ca.id);
    if (e == OK) *out = (IotRegisterCACertificateOut){ iot_ca_arn(c, ca.id), ca.id };
    return e;
}
