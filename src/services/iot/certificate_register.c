/* Certificates that others issued: under a CA that is registered, or without one. */
#include "generated/iot.h"
#include "services/iot/ca_certificate.h"
#include "services/iot/certificate.h"

static Err parse_device(Call *c, Str pem, CertInfo *out) {
    Str why = STR_NONE;
    Err e = x509_parse(pem, c->arena, out, &why);
    if (e == OK) e = x509_check_algorithms(out, c->arena, &why);
    if (e != OK) return api_fail(c, IOT_CERTIFICATE_VALIDATION, "The certificate is not valid: %.*s", PS(why));
    return OK;
}

/* Source: RegisterCertificate, "Valid values that you can use include ACTIVE, INACTIVE, and REVOKED" */
static Err first_status(Call *c, Str status, OptBool active, Str *out) {
    if (!status.len) {
        *out = active.v ? S("ACTIVE") : S("INACTIVE");
        return OK;
    }
    if (!str_eq(status, S("ACTIVE")) && !str_eq(status, S("INACTIVE")) && !str_eq(status, S("REVOKED")))
        return api_fail(c, IOT_INVALID_REQUEST,
                        "A certificate cannot be registered as %.*s; ACTIVE, INACTIVE and REVOKED are possible",
                        PS(status));
    *out = status;
    return OK;
}

/* The registered CA that was named, or else the only one of the issuer's name. */
static Err signing_ca(Call *c, const CertInfo *device, Str ca_pem, CaCertificateRecord *out) {
    if (!ca_pem.len) return iot_ca_of_issuer(c, device->issuer_der, out);
    CertInfo ca;
    Str why = STR_NONE;
    if (x509_parse(ca_pem, c->arena, &ca, &why) != OK)
        return api_fail(c, IOT_CERTIFICATE_VALIDATION, "The CA certificate is not valid: %.*s", PS(why));
    Err e = ca_certificate_record_get(c->txn, call_tenant(c), ca.id, c->arena, out);
    if (e == ERR_NOT_FOUND)
        return api_fail(c, IOT_CERTIFICATE_VALIDATION, "The CA certificate %.*s is not registered", PS(ca.id));
    return e;
}

static Err check_signed(Call *c, const CertInfo *device, const CaCertificateRecord *record) {
    CertInfo ca;
    Str why = STR_NONE;
    Err e = x509_parse(record->certificate_pem, c->arena, &ca, &why);
    if (e == OK) e = x509_check_signed_by(device, &ca, c->arena, &why);
    if (e != OK) return api_fail(c, IOT_CERTIFICATE_VALIDATION, "The certificate is not valid: %.*s", PS(why));
    if (!str_eq(record->status, S("ACTIVE"))) /* blocks new registrations; what is registered goes on working */
        return api_fail(c, IOT_CERTIFICATE_STATE, "The CA certificate %.*s is not ACTIVE", PS(record->certificate_id));
    return OK;
}

Err iot_register_certificate(Call *c, const IotRegisterCertificateIn *in, IotRegisterCertificateOut *out) {
    CertInfo device;
    CaCertificateRecord ca;
    Str status;
    Err e = parse_device(c, in->certificate_pem, &device);
    if (e == OK) e = first_status(c, in->status, in->set_as_active, &status);
    if (e == OK) e = signing_ca(c, &device, in->ca_certificate_pem, &ca);
    if (e == OK) e = check_signed(c, &device, &ca);
    if (e == OK)
        e = iot_certificate_add(c, &(IotNewCertificate){ .info = &device,
                                                         .pem = in->certificate_pem,
                                                         .status = status,
                                                         .mode = ca.mode,
                                                         .ca_certificate_id = ca.certificate_id });
    if (e != OK) return e;
    *out = (IotRegisterCertificateOut){ iot_certificate_arn(c, device.id), device.id };
    return OK;
}

Err iot_register_certificate_without_ca(Call *c, const IotRegisterCertificateWithoutCAIn *in,
                                        IotRegisterCertificateWithoutCAOut *out) {
    CertInfo device;
    Str status;
    Err e = parse_device(c, in->certificate_pem, &device);
    if (e == OK) e = first_status(c, in->status, (OptBool){ 0 }, &status);
    if (e == OK)
        e = iot_certificate_add(
            c, &(IotNewCertificate){
                   .info = &device, .pem = in->certificate_pem, .status = status, .mode = S("SNI_ONLY") });
    if (e != OK) return e;
    *out = (IotRegisterCertificateWithoutCAOut){ iot_certificate_arn(c, device.id), device.id };
    return OK;
}
