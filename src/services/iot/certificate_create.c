/* Certificates that the server issues itself. */
#include "generated/iot.h"
#include "identity/issuer.h"
#include "services/env.h"
#include "services/iot/certificate.h"
#include "services/iot/certificate_provider.h"
#include "store/worker.h"

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

/* ------------------------------------------------------------------------------------------------ from a request */

/* Signed by the account's own function: the answer waits for it, and then for a transaction that registers what it
 * signed. */
typedef struct {
    Job job; /* first */
    Call *call;
    IotCreateCertificateFromCsrOut *out;
    CertificateProviderRecord provider;
    Str csr_pem, csr_der, certificate_pem, id;
    OptBool active;
} Provided;

static Err provided_run(Job *job, Txn *txn) {
    Provided *p = (Provided *)job;
    Call *c = p->call;
    c->txn = txn;
    c->outbox = NULL;
    c->outbox_tail = &c->outbox;
    memset(&c->failure, 0, sizeof c->failure);
    return add_issued(c, p->certificate_pem, p->active, &p->id);
}

static void answer_with(IotCreateCertificateFromCsrOut *out, Call *c, Str id, Str pem) {
    *out = (IotCreateCertificateFromCsrOut){ .certificate_arn = iot_certificate_arn(c, id),
                                             .certificate_id = id,
                                             .certificate_pem = pem };
}

static void provided_done(Job *job, Err e) {
    Provided *p = (Provided *)job;
    Call *c = p->call;
    for (Outgoing *o = e == OK ? c->outbox : NULL; o; o = o->next) o->run(c->env, o->arg);
    if (e == OK)
        answer_with(p->out, c, p->id, p->certificate_pem);
    else if (!c->failure.error)
        e = api_fail(c, IOT_INTERNAL_FAILURE, "The certificate could not be registered: %s", err_name(e));
    call_release(c);
}

static void provided_signed(void *ctx, Err e, Str pem) {
    Provided *p = ctx;
    if (e != OK) {
        call_release(p->call);
        return;
    }
    p->certificate_pem = pem;
    p->job = (Job){ .key = str_hash(pem), .run = provided_run, .done = provided_done };
    workers_submit(p->call->env->workers, &p->job);
}

static void sign_now(Env *env, void *arg) {
    Provided *p = arg;
    (void)env;
    call_hold(p->call);
    certificate_provider_sign(p->call, &p->provider, p->csr_pem, p->csr_der, STR_NONE, provided_signed, p);
}

static Err bad_request(Call *c, Str why) {
    return api_fail(c, IOT_INVALID_REQUEST, "The certificate signing request is not valid: %.*s", PS(why));
}

static Err by_provider(Call *c, const IotCreateCertificateFromCsrIn *in, const CertificateProviderRecord *provider,
                       IotCreateCertificateFromCsrOut *out) {
    Provided *p = arena_new(c->arena, Provided);
    CsrInfo csr;
    Str why = S("");
    if (x509_parse_csr(in->certificate_signing_request, c->arena, &csr, &why) != OK) return bad_request(c, why);
    *p = (Provided){ .call = c,
                     .out = out,
                     .provider = *provider,
                     .csr_pem = in->certificate_signing_request,
                     .csr_der = csr.der,
                     .active = in->set_as_active };
    call_after(c, sign_now, p);
    return OK;
}

Err iot_create_certificate_from_csr(Call *c, const IotCreateCertificateFromCsrIn *in,
                                    IotCreateCertificateFromCsrOut *out) {
    IssuerDevice device;
    CertificateProviderRecord provider;
    Str id, why = STR_NONE;
    Err e = certificate_provider_find(c, &provider);
    if (e == OK) return by_provider(c, in, &provider, out);
    if (e == ERR_NOT_FOUND)
        e = issuer_device_from_csr(c->env->issuer, in->certificate_signing_request, c->arena, &device, &why);
    if (e == ERR_MALFORMED || e == ERR_INVALID || e == ERR_LIMIT) return bad_request(c, why);
    if (e == OK) e = add_issued(c, device.certificate_pem, in->set_as_active, &id);
    if (e == OK) answer_with(out, c, id, device.certificate_pem);
    return e;
}
