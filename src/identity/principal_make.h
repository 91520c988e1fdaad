/* Making the snapshots: a certificate's out of what was loaded, and the loopback listener's. */
#pragma once

#include "identity/directory_load.h"
#include "identity/policy_book.h"

typedef struct {
    Str account, region, id;
    const Principal *old; /* the snapshot before, whose certificate it is too: saves decoding; NULL: none */
    const Loaded *loaded;
    PolicyBook *policies;
    uint64_t generation;
} PrincipalSpec;

/* Errors: ERR_IO, ERR_CORRUPT (a certificate or policy in the store that is none: who has a policy that nobody can
 * read is let do nothing). Owns: *out has one reference, the caller's */
NODISCARD Err principal_make(const PrincipalSpec *spec, Arena *scratch, Principal **out);
/* What a custom authorizer says of a client. Takes the policies over. */
Principal *principal_make_custom(Str account, Str region, Str id, Policy **policies, size_t n);
/* Whoever has not shown who he is: may do nothing. */
Principal *principal_make_nobody(Str account);
Principal *principal_make_plain(Str account, Str region);
