/* Roles: who may act as one (its trust policy), and what it may do (the policies in it and attached to it).
 * Kept of an account, whatever the region; read in the caller's transaction. */
#pragma once

#include "base/rng.h"
#include "base/list.h"
#include "generated/identity_records.h"
#include "identity/policy.h"

/* Where IAM keeps what is an account's. */
static inline Tenant role_tenant(Str account) {
    return (Tenant){ account, S("-") };
}
/* PREFIX ("AROA", "AIDA", "ANPA") and 17 characters, always the same for this name.
 * Source: IAM user guide, "Unique identifiers" */
Str role_unique_id(const char *prefix, Str account, Str name, Arena *arena);
/* arn:aws:iam::ACCOUNT:role/PATH/NAME */
Str role_arn(Str account, const RoleRecord *role, Arena *arena);
/* Whether it has the form arn:PARTITION:iam::ACCOUNT:role/…; *account (12 digits) is set then.
 * Source: IAM user guide, "IAM ARNs"; partitions: aws, aws-cn, aws-us-gov … */
NODISCARD bool role_arn_account(Str arn, Str *account);
/* The role that the ARN names. Errors: ERR_NOT_FOUND: none of this account */
NODISCARD Err role_of_arn(Txn *txn, Str account, Str arn, Arena *arena, RoleRecord *out);
/* As role_unique_id, but of this one alone: one made anew of the same name has another. */
Str role_new_id(Rng *rng, Arena *arena);
/* The IAM documents that say what it may do; none for a role that is not there, or has another id than role_id
 * (STR_NONE: whichever). Errors: ERR_IO, ERR_CORRUPT */
NODISCARD Err role_documents(Txn *txn, Str account, Str role_name, Str role_id, Arena *arena, StrList *out);

/* The document of a managed policy, the account's own or AWS's, as it is now. Errors: ERR_NOT_FOUND */
NODISCARD Err role_managed_document(Txn *txn, Str account, Str policy_arn, Arena *arena, Str *out);

/* Whether a trust policy is one. Errors: ERR_MALFORMED, ERR_INVALID, ERR_LIMIT; *why says what is wrong */
enum { ROLE_TRUST_CHARS_MAX = 2048 }; /* Source: IAM quotas */
NODISCARD Err role_trust_check(Str document, Arena *arena, Str *why);

/* Who wants to act as a role: a service, or a principal of some account. */
typedef struct {
    Str service;      /* "credentials.iot.amazonaws.com"; or ptr NULL: */
    Str arn, account; /* the principal's */
    const PolicyVar *vars;
    size_t vars_n;
} RoleTaker;
/* The statements of a trust policy about t (NULL: about anybody), without the principal, on "*": as the engine takes
 * them. Shape:  *n how many they are. Errors: ERR_MALFORMED, ERR_INVALID with *why */
NODISCARD Err role_plain_trust(Str document, const RoleTaker *t, Arena *arena, Str *out, size_t *n, Str *why);
/* Errors: ERR_DENIED; ERR_CORRUPT: a stored policy that is none */
NODISCARD Err role_trusts(const RoleRecord *role, const RoleTaker *taker, Arena *arena);

/* A role as one service carries it, compiled: whether it is trusted, and what the policies allow. Immutable, counted.
 */
typedef struct RoleRights RoleRights;
/* Shape:  *out: of a role that was deleted, rights that are none
 * Errors: ERR_NOT_FOUND: there never was such a role in the account; ERR_CORRUPT: a stored policy that is none */
NODISCARD Err role_rights_read(Txn *txn, Str account, Str arn, Str service, RoleRights **out);
RoleRights *role_rights_retain(RoleRights *r); /* from any thread */
void role_rights_release(RoleRights *r);       /* accepts NULL */
/* Errors: ERR_DENIED with *why, as AWS words it */
NODISCARD Err role_rights_may(const RoleRights *r, Str action, Str resource, const PolicyVar *vars, size_t vars_n,
                              Arena *arena, Str *why);

/* What rules, authorizers and whoever else carries a role ask: may this service, acting as that role, do this? */
typedef struct {
    Str account, role_arn;
    Str service;          /* that must be trusted: "iot.amazonaws.com" */
    Str action, resource; /* "sqs:SendMessage", an ARN or "*" */
    const PolicyVar *vars;
    size_t vars_n;
} RoleQuestion;
/* Errors: ERR_NOT_FOUND: there is no such role in the account; ERR_DENIED; *why says which and what to do */
NODISCARD Err role_may(Txn *txn, const RoleQuestion *q, Arena *arena, Str *why);
