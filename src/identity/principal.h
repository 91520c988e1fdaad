/* Principal: who asks, as an immutable snapshot that connections and calls share.
 * When a certificate, its policies or its things change, the directory makes a new snapshot. */
#pragma once

#include "identity/policy.h"

typedef enum {
    PRINCIPAL_CERTIFICATE,
    PRINCIPAL_ACCESS_KEY,
    PRINCIPAL_PLAIN,   /* the loopback listener without TLS */
    PRINCIPAL_CUSTOM,  /* a custom authorizer's word */
    PRINCIPAL_SERVICE, /* the server itself */
} PrincipalKind;

typedef struct {
    Str name;              /* of the thing */
    Str type_name;         /* STR_NONE: none */
    const Str *attributes; /* name, value, name, value, … */
    size_t attributes_n;   /* pairs */
    bool exclusive;
} PrincipalThing;

struct Principal {
    PrincipalKind kind;
    Str account;
    Str id;  /* certificate id; access key id; "plain" … */
    Str arn; /* arn:aws:iot:…:cert/ID, arn:aws:iam::…:user/NAME */
    Policy **policies;
    size_t policies_n;
    const PolicyVar *vars; /* what the certificate itself gives: iot:CertificateId, iot:Certificate.Subject.… */
    size_t vars_n;
    const PrincipalThing *things; /* that it is attached to */
    size_t things_n;
    int64_t not_before_ms; /* certificate begins; 0: always held */
    int64_t not_after_ms;  /* certificate or temporary key ends; INT64_MAX: never */
    uint64_t generation;   /* of its account when it was made */
    Arena arena;           /* holds all of the above */
    _Atomic int refs;
};
typedef struct Principal Principal;

Principal *principal_retain(const Principal *p);
void principal_release(const Principal *p); /* accepts NULL */
