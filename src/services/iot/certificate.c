#include "services/iot/certificate.h"

#include "generated/iot.h"
#include "identity/certificate_home.h"
#include "identity/directory.h"
#include "identity/key_ring.h"
#include "identity/vars_code.h"
#include "services/env.h"

Str iot_certificate_id(Call *c, Str given) {
    if (str_starts(given, S("0x"))) given = str_from(given, 2);
    Str id = str_dup(c->arena, given);
    uint8_t *at = (uint8_t *)(uintptr_t)id.ptr;
    for (size_t i = 0; i < id.len; i++)
        if (at[i] >= 'A' && at[i] <= 'F') at[i] = (uint8_t)(at[i] + 'a' - 'A');
    return id;
}

Str iot_certificate_arn(Call *c, Str id) {
    return call_arn(c, "iot", "cert/%.*s", PS(id));
}

Err iot_certificate_get(Call *c, Str id, CertificateRecord *out) {
    Err e = certificate_record_get(c->txn, call_tenant(c), id, c->arena, out);
    if (e != ERR_NOT_FOUND) return e;
    return api_fail(c, IOT_RESOURCE_NOT_FOUND, "Certificate %.*s does not exist", PS(id));
}

/* Source: "The certificate is already provisioned or registered", observed with boto3 (moto issue 3320) */
static Err exists(Call *c, Str id) {
    c->failure.resource_id = id;
    c->failure.resource_arn = iot_certificate_arn(c, id);
    return api_fail(c, IOT_RESOURCE_ALREADY_EXISTS, "The certificate is already provisioned or registered");
}

Err iot_certificate_add(Call *c, const IotNewCertificate *n) {
    Str vars = vars_encode(n->info->vars, n->info->vars_n, c->arena);
    Err e = certificate_record_insert(c->txn, call_tenant(c),
                                      &(CertificateRecord){ .certificate_id = n->info->id,
                                                            .certificate_pem = n->pem,
                                                            .status = n->status,
                                                            .ca_certificate_id = n->ca_certificate_id,
                                                            .owned_by = c->account,
                                                            .mode = n->mode,
                                                            .created_ms = c->now_ms,
                                                            .modified_ms = c->now_ms,
                                                            .not_before_ms = n->info->not_before_ms,
                                                            .not_after_ms = n->info->not_after_ms,
                                                            .customer_version = 1,
                                                            .generation_id = rng_uuid(c->rng, c->arena),
                                                            .policy_vars = vars });
    if (e == ERR_EXISTS) return exists(c, n->info->id);
    if (e == OK) e = certificate_home_add(c->txn, &(CertificateHome){ c->region, n->info->id, c->account, n->mode });
    if (e == OK) iot_certificate_changed(c, n->info->id);
    return e;
}

typedef struct {
    Str account, id;
} Changed;

static void tell_directory(Env *env, void *arg) {
    const Changed *changed = arg;
    if (env->directory) directory_certificate_changed(env->directory, changed->account, changed->id);
}

void iot_certificate_changed(Call *c, Str id) {
    Changed *changed = arena_new(c->arena, Changed);
    *changed = (Changed){ c->account, id };
    call_after(c, tell_directory, changed);
}

static void tell_ring(Env *env, void *arg) {
    const Changed *changed = arg;
    if (env->keys) keyring_certificate_gone(env->keys, changed->account, changed->id);
}

/* Who issues such a key locks the certificate's record, which every caller of this has read: so no key is missed. */
Err iot_certificate_keys_end(Call *c, Str id) {
    Changed *changed = arena_new(c->arena, Changed);
    *changed = (Changed){ c->account, id };
    call_after(c, tell_ring, changed);
    return access_key_delete_of_certificate(c->txn, c->account, id);
}

/* Shape: us-east-1:00000000-0000-0000-0000-000000000000 */
static bool is_cognito_identity(Str principal) {
    Str rest = principal, region = str_cut(&rest, ':');
    if (!region.len || rest.len != 36) return false;
    for (size_t i = 0; i < rest.len; i++) {
        uint8_t x = rest.ptr[i];
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        bool hex = (x >= '0' && x <= '9') || (x >= 'a' && x <= 'f');
        if (dash ? x != '-' : !hex) return false;
    }
    return true;
}

Err iot_principal_certificate(Call *c, Str principal, Str *id) {
    if (is_cognito_identity(principal)) {
        *id = STR_NONE;
        return OK;
    }
    size_t at = str_starts(principal, S("arn:")) ? str_find_str(principal, S(":cert/")) : SIZE_MAX;
    if (at == SIZE_MAX)
        return api_fail(c, IOT_INVALID_REQUEST,
                        "The principal '%.*s' is neither the ARN of a certificate nor a Cognito identity",
                        PS(str_sub(principal, 0, 128)));
    Str found = iot_certificate_id(c, str_from(principal, at + 6));
    CertificateRecord certificate;
    Err e = ERR_NOT_FOUND; /* one of another account or region is not there either */
    if (str_eq(str_sub(principal, 0, at + 6), iot_certificate_arn(c, S(""))))
        e = certificate_record_get(c->txn, call_tenant(c), found, c->arena, &certificate);
    if (e == ERR_NOT_FOUND) /* Source: observed with boto3, AttachPrincipalPolicy (AWS IoT ELF's FAQ) */
        return api_fail(c, IOT_RESOURCE_NOT_FOUND, "The certificate given in the principal does not exist.");
    if (e == OK) *id = found;
    return e;
}
