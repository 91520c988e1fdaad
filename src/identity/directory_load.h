/* What the store holds about one certificate, gathered for the directory. Reads only, nothing that a commit would
 * conflict on. */
#pragma once

#include "identity/principal.h"
#include "store/store.h"

typedef struct {
    const char *status;                  /* NULL: not registered */
    Str pem, vars;                       /* vars: as vars_encode made them when it was registered; empty: not */
    int64_t not_before_ms, not_after_ms; /* set where vars are */
    Str *policies;                       /* names: the certificate's own, then those of its things' groups; each once */
    size_t policies_n;
    PrincipalThing *things;
    size_t things_n;
    Str *groups; /* of its things, with all their ancestors; each once */
    size_t groups_n;
    Str *types; /* of its things; each once */
    size_t types_n;
} Loaded;

/* Errors: ERR_IO, ERR_CORRUPT. Owns: all of *out lives in the arena */
NODISCARD Err directory_load(Txn *txn, Str account, Str region, Str certificate_id, Arena *arena, Loaded *out);
