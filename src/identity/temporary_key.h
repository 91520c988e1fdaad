/* Temporary keys: what acting as a role gives. They do what the role may, as its policies are at each time, until they
 * end, and die with the certificate that they were issued to. */
#pragma once

#include "identity/access_key.h"
#include "identity/role.h"

typedef struct {
    Str account; /* the role's */
    const RoleRecord *role;
    Str session;        /* its name: the last part of the principal's ARN */
    int64_t seconds;    /* that it lives */
    Str certificate_id; /* that it dies with; STR_NONE: none */
    StrMap vars;        /* of the session, for the role's policies */
    StrList
        policies; /* IAM documents of the session: it may what the role may and one of these allows; n 0: the role's */
} TemporaryKeySpec;

/* Makes one and stores it; after the commit keyring_changed makes it count. Real time, as signatures go by it.
 * Owns: *out lives in the arena. Secret: all of it */
NODISCARD Err temporary_key_issue(Txn *txn, const TemporaryKeySpec *spec, int64_t real_ms, Rng *rng, Arena *arena,
                                  AccessKey *out);
