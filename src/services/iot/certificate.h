/* What the operations on device certificates share. A certificate is registered by the SHA-256 of its DER: that is
 * its certificateId. */
#pragma once

#include "api/page.h"
#include "generated/iot_records.h"
#include "identity/x509.h"

/* Source: PageSize of iot's model; ListCertificates, ListCACertificates */
#define CERTIFICATE_PAGE ((PageSize){ .otherwise = 25, .most = 250 })

/* Lower case, without the "0x" that the model's pattern lets through. */
Str iot_certificate_id(Call *c, Str given);
Str iot_certificate_arn(Call *c, Str id);
/* Errors: ERR_API, ResourceNotFoundException */
NODISCARD Err iot_certificate_get(Call *c, Str id, CertificateRecord *out);

typedef struct {
    const CertInfo *info;
    Str pem, status, mode;
    Str ca_certificate_id; /* STR_NONE: none that is registered */
} IotNewCertificate;
/* Registers it. Errors: ERR_API, ResourceAlreadyExistsException with the certificate's id and ARN */
NODISCARD Err iot_certificate_add(Call *c, const IotNewCertificate *certificate);

/* It may not be used any more: the temporary keys issued to it end in this transaction. */
NODISCARD Err iot_certificate_keys_end(Call *c, Str id);
/* The directory hears of it after the commit. */
void iot_certificate_changed(Call *c, Str id);

/* The certificate that a principal's ARN names.
 * Shape:  *id = STR_NONE for a Cognito identity, which is taken as it is
 * Errors: ERR_API, InvalidRequestException (neither) or ResourceNotFoundException (no such certificate) */
NODISCARD Err iot_principal_certificate(Call *c, Str principal, Str *id);
