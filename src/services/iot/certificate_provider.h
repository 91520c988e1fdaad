/* Certificate providers: a function that signs what CreateCertificateFromCsr would sign itself.
 * Source: AWS IoT developer guide, "Self-managed certificate signing using AWS IoT Core certificate provider" */
#pragma once

#include "generated/authorizer_records.h"
#include "generated/iot.h"

/* The account's provider for that. Errors: ERR_NOT_FOUND: it has none */
NODISCARD Err certificate_provider_find(Call *c, CertificateProviderRecord *out);

/* Errors: ERR_API with the call's failure set: the function cannot be called, or its certificate is not that of the
 * request. pem lives in the call's arena. */
typedef void CertificateProviderDone(void *ctx, Err e, Str pem);
/* From an outbox; `done` on any thread, once. client_id may be STR_NONE. csr_der: the request is good. */
void certificate_provider_sign(Call *c, const CertificateProviderRecord *provider, Str csr_pem, Str csr_der,
                               Str client_id, CertificateProviderDone *done, void *ctx);
