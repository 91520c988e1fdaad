/* Certificate providers: a function that signs what CreateCertificateFromCsr would sign itself. */
#pragma once

#include "generated/iot.h"
#include "generated/authorizer_records.h"

/* The account's provider. Errors: ERR_NOT_FOUND: it has none */
NODISCARD Err certificate_provider_find(Call *c, CertificateProviderRecord *out);
