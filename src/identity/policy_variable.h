/* The values that policy variables and condition keys have for one decision. */
#pragma once

#include "identity/policy.h"

/* Looked through in this order; the first variable of a name counts. */
typedef struct {
    const PolicyVar *bound;
    size_t bound_n;
    const PolicyVar *extra;
    size_t extra_n;
} PolicyScope;

typedef struct {
    const Str *values;
    size_t n;  /* 0: no value */
    bool list; /* asked for by the suffix .List */
} PolicyValues;

/* The name as a policy writes it: bare, or with the suffix .N (index from 0) or .List.
 * Names ignore ASCII case up to a '['. Source: AWS IoT developer guide, cert-policy-variables; IAM condition keys */
PolicyValues policy_values(const PolicyScope *scope, Str name);
/* As a condition key: all values, but of a certificate's field without .List only the first. */
PolicyValues policy_key_values(const PolicyScope *scope, Str key);
