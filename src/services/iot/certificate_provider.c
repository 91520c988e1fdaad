#include "services/iot/certificate_provider.h"

#include "api/function.h"
#include "base/json.h"
#include "generated/iot_resources.h"
#include "identity/principal.h"
#include "identity/x509.h"
#include "services/env.h"

enum { PATIENCE_MS = 5000 }; /* Source: the guide: the function must answer within 5 seconds */

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

/* ------------------------------------------------------------------------------------------------ signing */

typedef struct {
    Call *call;
    Str csr_der;
    CertificateProviderDone *done;
    void *ctx;
} Sign;

static Err read_answer(Sign *s, const FunctionAnswer *said, Str *pem) {
    Call *c = s->call;
    yyjson_val *o;
    CertInfo info;
    Str why = S("");
    if (said->result != OK)
        return api_fail(c, IOT_SERVICE_UNAVAILABLE, "The certificate provider's function was not called: %.*s",
                        PS(said->payload));
    if (said->error.len)
        return api_fail(c, IOT_INVALID_REQUEST, "The certificate provider's function failed: %.*s",
                        PS(str_sub(said->payload, 0, 512)));
    if (json_read(c->arena, said->payload, false, &o, NULL) != OK || !json_str(json_get(o, S("certificatePem"))).len)
        return api_fail(c, IOT_INVALID_REQUEST, "The certificate provider's function answered no certificatePem");
    *pem = str_dup(c->arena, json_str(json_get(o, S("certificatePem"))));
    if (x509_parse(*pem, c->arena, &info, &why) != OK || x509_check_algorithms(&info, c->arena, &why) != OK)
        return api_fail(c, IOT_INVALID_REQUEST, "The certificate provider's certificate is not valid: %.*s", PS(why));
    if (!x509_is_of_request(info.der, s->csr_der))
        return api_fail(c, IOT_INVALID_REQUEST,
                        "The certificate provider's certificate does not have the key and the subject of the request");
    return OK;
}

static void answered(void *ctx, const FunctionAnswer *said) {
    Sign *s = ctx;
    Str pem = STR_NONE;
    Err e = read_answer(s, said, &pem);
    s->done(s->ctx, e, pem);
}

void certificate_provider_sign(Call *c, const CertificateProviderRecord *provider, Str csr_pem, Str csr_der,
                               Str client_id, CertificateProviderDone *done, void *ctx) {
    Sign *s = arena_new(c->arena, Sign);
    *s = (Sign){ c, csr_der, done, ctx };
    yyjson_mut_doc *d = json_doc(c->arena);
    yyjson_mut_val *o = yyjson_mut_obj(d);
    json_add_str(d, o, S("certificateSigningRequest"), csr_pem);
    json_add_str(d, o, S("principalId"), c->principal->id);
    if (client_id.ptr) json_add_str(d, o, S("clientId"), client_id);
    const FunctionCall call = { .account = c->account,
                                .region = c->region,
                                .function = provider->lambda_function_arn,
                                .payload = json_write_mut(c->arena, o),
                                .principal = S("iot.amazonaws.com"),
                                .source_arn = iot_certificate_provider_arn(c, provider->certificate_provider_name),
                                .patience_ms = PATIENCE_MS };
    function_call(c->env->functions, &call, answered, s);
}
