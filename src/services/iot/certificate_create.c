/* Certificates that the server issues itself. */
#include "generated/iot.h"
#include "identity/issuer.h"
#include "services/env.h"
#include "services/iot/certificate.h"

static Err add_issued(Call *c, Str pem, OptBool active, Str *id) {
    CertInfo info;
    Str why;
    Err e = x509_parse(pem, c->arena, &info, &why);
    if (e != OK) return ERR_CORRUPT; /* our own work */
    e = iot_certificate_add(
        c, &(IotNewCertificate){
               .info = &info, .pem = pem, .status = active.v ? S("ACTIVE") : S("INACTIVE"), .mode = S("DEFAULT") });
    if (e == OK) *id = info.id;
    return e;
}

Err iot_create_keys_and_certificate(Call *c, const IotCreateKeysAndCertificateIn *in,
                                    IotCreateKeysAndCertificateOut *out) {
    IssuerDevice device;
    Str id;
    Err e = issuer_device_new(c->env->issuer, c->arena, &device);
    if (e == OK) e = add_issued(c, device.certificate_pem, in->set_as_active, &id);
    if (e != OK) return e;
    IotKeyPair *keys = arena_new(c->arena, IotKeyPair);
    *keys = (IotKeyPair){ .public_key = device.public_key_pem, .private_key = device.private_key_pem };
    *out = (IotCreateKeysAndCertificateOut){ .certificate_arn = iot_certificate_arn(c, id),
                                             .certificate_id = id,
                                             .certificate_pem = device.certificate_pem,
                                             .key_pair = keys };
    return OK;
}

Err iot_create_certificate_from_csr(Call *c, const IotCreateCertificateFromCsrIn *in,
                                    IotCreateCertificateFromCsrOut *out) {
    IssuerDevice device;
    Str id, why = STR_NONE;
    Err e = issuer_device_from_csr(c->env->issuer, in->certificate_signing_request, c->arena, &device, &why);
    if (e == ERR_MALFORMED || e == ERR_INVALID || e == ERR_LIMIT)
        return api_fail(c, IOT_INVALID_REQUEST, "The certificate signing request is not valid: %.*s", PS(why));
    if (e == OK) e = add_issued(c, device.certificate_pem, in->set_as_active, &id);
    if (e != OK) return e;
    *out = (IotCreateCertificateFromCsrOut){ .certificate_arn = iot_certificate_arn(c, id),
                                             .certificate_id = id,
                                             .certificate_pem = device.certificate_pem };
    return OK;
}
