/* What the operations on CA certificates share. A registered CA admits nobody; it permits registration. */
#pragma once

#include "api/call.h"
#include "generated/iot.h"
#include "generated/iot_records.h"

/* The one registered CA whose subject is this name (DER).
 * Errors: ERR_API, CertificateValidationException (none) or CertificateConflictException (more than one) */
NODISCARD Err iot_ca_of_issuer(Call *c, Str issuer_der, CaCertificateRecord *out);
/* The code that a verification certificate must carry; made when there is none. */
NODISCARD Err iot_registration_code(Call *c, Str *out);

Str iot_ca_arn(Call *c, Str id);
/* A provisioning template for what registers just in time: there is no provisioning yet, so none is taken.
 * Errors: ERR_API, NotImplementedException */
NODISCARD Err iot_ca_check_config(Call *c, const IotRegistrationConfig *config);
