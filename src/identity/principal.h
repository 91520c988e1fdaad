/* Principal: who asks, as an immutable snapshot that connections and calls share.
 * When a certificate, what is attached to it or its things change, the directory makes a new snapshot. What a policy's
 * name stands for may change meanwhile: principal_bind has it as it is then. */
#pragma once

#include "base/list.h"
#include "identity/policy_slot.h"

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
    /* its groups: each before its parent and so on to the root, an absent name behind each root */
    const Str *groups;
    size_t groups_n;
    /* what its type adds to its publishes as user properties; the client's id where a value is absent */
    const StrPair *properties;
    size_t properties_n;
} PrincipalThing;

struct Principal {
    PrincipalKind kind;
    Str account;
    Str id;  /* certificate id; access key id; "plain" … */
    Str arn; /* arn:aws:iot:…:cert/ID, arn:aws:iam::…:user/NAME */
    PolicySlot **policies;
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

/* Its policies as they are now, with variables put in. */
typedef struct {
    PolicyBound *policies;
    Policy **held;
    size_t held_n;
} PrincipalBound;
/* vars: the connection's or the call's, the principal's own with them (connection_vars), or p->vars.
 * One policy that cannot be read leaves nothing allowed: it may be the one that denies.
 * Owns: *out lives in the arena until principal_unbind, which comes before its reset; vars must outlive it */
void principal_bind(const Principal *p, const PolicyVar *vars, size_t vars_n, Arena *arena, PrincipalBound *out);
void principal_unbind(PrincipalBound *b); /* accepts all zeros, and leaves it so */
