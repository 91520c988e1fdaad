/* Policies: IoT policies on certificates and IAM policies on access keys, decided by one engine.
 * A document is compiled once and shared; a connection binds its own variables once. Pure: knows no store.
 * Source: AWS IoT developer guide, "AWS IoT Core policies"; IAM user guide, "Policy evaluation logic". */
#pragma once

#include "base/arena.h"

typedef enum { POLICY_IOT, POLICY_IAM } PolicyKind;
typedef struct Policy Policy; /* compiled, immutable, counted */

typedef struct {
    int line;   /* from 1; 0: none */
    Str reason; /* lives in the arena given */
} PolicyFault;

/* Errors: ERR_MALFORMED (not JSON), ERR_INVALID (not a policy), ERR_LIMIT (size); *fault then says where and why.
 * Owns:   *out belongs to the caller until policy_release */
NODISCARD Err policy_compile(Str name, Str document, PolicyKind kind, Arena *arena, Policy **out, PolicyFault *fault);
Policy *policy_retain(Policy *p); /* from any thread */
void policy_release(Policy *p);   /* accepts NULL */
Str policy_name(const Policy *p);

/* One variable or condition key with its values: iot:ClientId, iot:Certificate.Subject.CommonName, aws:SourceIp … */
typedef struct {
    Str name;
    const Str *values;
    size_t n;
} PolicyVar;

/* Policies with one principal's variables put in; immutable. */
typedef struct PolicyBound PolicyBound;
/* Owns: *out and all it refers to lives in the arena; the policies and variables must outlive it. */
void policy_bind(Policy *const *policies, size_t n, const PolicyVar *vars, size_t vars_n, Arena *arena, PolicyBound **out);

typedef enum { POLICY_IMPLICIT_DENY, POLICY_EXPLICIT_DENY, POLICY_ALLOWED } PolicyDecision;

/* Why a decision fell as it did. */
typedef struct {
    const Policy *policy;   /* whose statement decided; NULL: none matched */
    int statement;          /* its index in the document, from 0 */
    Str statement_id;       /* its Sid */
    const Str *missing;     /* variables that statements needed and that had no value */
    size_t missing_n;
    const Policy *const *matched; /* all policies with a matching statement of the deciding effect */
    size_t matched_n;
} PolicyWhy;

/* extra: what belongs to this request alone (iot:LastWillTopic, iot:ConnectAttributes …). why may be NULL, else its
 * arrays live in the arena (which may be NULL when why is). */
PolicyDecision policy_decide(const PolicyBound *bound, Str action, Str resource, const PolicyVar *extra, size_t extra_n,
                             Arena *arena, PolicyWhy *why);
