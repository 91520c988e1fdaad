/* The policy variables that a certificate gives: its number, names and alternative names.
 * A value that AWS IoT would not put in (a wildcard in it, or over 1024 characters) is STR_NONE; at most five
 * values a variable. Source: AWS IoT developer guide, "Using X.509 certificate policy variables". */
#pragma once

#include <openssl/x509.h>

#include "identity/policy.h"

enum { X509_VAR_VALUES_MAX = 5, X509_VAR_CHARS_MAX = 1024 };

const PolicyVar *x509_vars(X509 *cert, Str certificate_id, Str serial_decimal, Arena *arena, size_t *out_n);
