/* Certificate providers. Source: botocore's iot model; AWS IoT developer guide, "Self-managed certificate signing using
 * AWS IoT Core certificate provider" */
#include "services/iot/certificate_provider.h"

#include "generated/iot_resources.h"

static Err check(Call *c, const CertificateProviderRecord *r) {
    if (!str_starts(r->lambda_function_arn, S("arn:aws:lambda:")))
        return api_fail(c, IOT_INVALID_REQUEST, "lambdaFunctionArn '%.*s' is not the ARN of a function",
                        PS(r->lambda_function_arn));
    return OK;
}

Err iot_certificate_provider_creating(Call *c, const IotCreateCertificateProviderIn *in,
                                      CertificateProviderRecord *record) {
    (void)in;
    return check(c, record);
}

Err iot_certificate_provider_updating(Call *c, const IotUpdateCertificateProviderIn *in,
                                      const CertificateProviderRecord *old, CertificateProviderRecord *record) {
    (void)in, (void)old;
    return check(c, record);
}

Err certificate_provider_find(Call *c, CertificateProviderRecord *out) {
    RecordScan *scan;
    Err e = certificate_provider_record_scan(c->txn, call_tenant(c), STR_NONE, false, &scan);
    if (e != OK) return e;
    bool found = certificate_provider_record_next(scan, c->arena, out);
    e = record_scan_end(scan);
    return e == OK && !found ? ERR_NOT_FOUND : e;
}
