/* Policies: IoT policies on certificates and IAM policies on access keys, decided by one engine.
 * A document is compiled once and shared; a connection binds its own variables once. Pure: knows no store.
 * Source: AWS IoT developer guide, "AWS IoT Core policies"; IAM user guide, "Policy evaluation logic". */
#pragma once

#include "base/arena.h"

typedef enum { POLICY_IOT, POLICY_IAM } PolicyKind;
/* Characters of a document, white space not counted. Source: AWS IoT Core quotas; IAM and STS quotas (managed policy)
 */
enum { POLICY_IOT_CHARS_MAX = 2048, POLICY_IAM_CHARS_MAX = 6144 };
typedef struct Policy Policy; /* compiled, immutable, counted */

typedef struct {
    int line;   /* from 1; 0: none */
    Str reason; /* lives in the arena given */
} PolicyFault;

/* One document of a principal's (identity) policy: Principal and NotPrincipal are refused.
 * Errors: ERR_MALFORMED (not JSON), ERR_INVALID (not a policy), ERR_LIMIT (size); *fault then says where and why.
 * Owns:   *out belongs to the caller until policy_release */
NODISCARD Err policy_compile(Str name, Str document, PolicyKind kind, Arena *arena, Policy **out, PolicyFault *fault);
/* From now on it allows nothing by itself: what other policies allow, one that narrows must allow as well. Before it is
 * shared. */
void policy_narrow(Policy *p);
Policy *policy_retain(Policy *p); /* from any thread */
void policy_release(Policy *p);   /* accepts NULL */
Str policy_name(const Policy *p);

/* One variable or condition key with its values: iot:ClientId, iot:Certificate.Subject.CommonName, aws:SourceIp … */
typedef struct {
    Str name;
    const Str *values; /* ptr NULL: there is one at this index, but it may not be substituted */
    size_t n;
} PolicyVar;

/* A value of a certificate's field as policies may use it: at most 1024 bytes, none of * $ + ? #, and
 * a backslash before each of , " \ = < > ; (else STR_NONE). A variable takes the first five values of a field.
 * Source: AWS IoT developer guide, "X.509 Certificate AWS IoT Core policy variables" */
enum { POLICY_CERTIFICATE_VALUES_MAX = 5, POLICY_CERTIFICATE_VALUE_BYTES_MAX = 1024 };
Str policy_clean_certificate_value(Str value, Arena *arena);

/* Policies with one principal's variables put in; immutable. */
typedef struct PolicyBound PolicyBound;
/* Owns: *out and all it refers to lives in the arena; the policies and variables must outlive it. */
void policy_bind(Policy *const *policies, size_t n, const PolicyVar *vars, size_t vars_n, Arena *arena,
                 PolicyBound **out);

typedef enum { POLICY_IMPLICIT_DENY, POLICY_EXPLICIT_DENY, POLICY_ALLOWED } PolicyDecision;

/* A statement that names the action and yet did not apply: what stopped it. */
typedef enum { POLICY_NEAR_RESOURCE, POLICY_NEAR_VARIABLE, POLICY_NEAR_CONDITION } PolicyNearKind;
typedef struct {
    const Policy *policy;
    int statement;
    Str statement_id;
    bool deny;
    PolicyNearKind kind;
    Str detail; /* the resources it names; the variable without a value; the condition: "StringEquals iot:ClientId" */
} PolicyNear;

/* Why a decision fell as it did. */
typedef struct {
    const Policy *policy; /* whose statement decided; NULL: none matched */
    int statement;        /* its index in the document, from 0 */
    Str statement_id;     /* its Sid */
    const Str *missing;   /* variables that statements needed and that had no value */
    size_t missing_n;
    const Policy *const *matched; /* all policies with a matching statement of the deciding effect */
    size_t matched_n;
    const PolicyNear *near;
    size_t near_n;
} PolicyWhy;

/* extra: what belongs to this request alone (iot:LastWillTopic, iot:ConnectAttributes …); a name that was bound
 * keeps its bound values. action: service:Name. resource: an ARN, or "*" for an action on none. why may be NULL, else
 * its arrays live in the arena (which may be NULL when why is). */
PolicyDecision policy_decide(const PolicyBound *bound, Str action, Str resource, const PolicyVar *extra, size_t extra_n,
                             Arena *arena, PolicyWhy *why);

/* Whether a statement has a condition on a key that begins so, or a variable: what belongs to the resource need be
 * fetched only then. */
bool policy_asks(const PolicyBound *bound, Str prefix);
/* The first key of a denying statement's conditions that no device ever has (aws:MultiFactorAuthPresent …), so that the
 * statement would never deny; STR_NONE: none. Of an IoT policy. */
Str policy_vain_deny(const Policy *p);
