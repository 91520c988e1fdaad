/* The policy variables that a certificate gives: its number, names and alternative names.
 * A value that may not be put in (policy_clean_certificate_value) is STR_NONE.
 * Source: AWS IoT developer guide, "Using X.509 certificate policy variables". */
#pragma once

#include <openssl/x509.h>

#include "identity/policy.h"

const PolicyVar *x509_vars(X509 *cert, Str certificate_id, Str serial_decimal, Arena *arena, size_t *out_n);
