/* Aliases: names of a function that mean one of its versions, or two by weight. */
#pragma once

#include "generated/lambda_alias_records.h"
#include "services/lambda/shared.h"

/* The version that a qualifier means: itself where it is a number or $LATEST, else what the alias says, by chance
 * where it has weights.
 * Errors: ERR_NOT_FOUND: there is no such alias */
NODISCARD Err alias_version(Txn *txn, Tenant tenant, Str function, Str qualifier, Rng *rng, Arena *arena, Str *out);
/* Errors: ERR_NOT_FOUND */
NODISCARD Err alias_revision(Call *c, Str function, Str name, Str *out);
/* Another revision. Errors: ERR_NOT_FOUND */
NODISCARD Err alias_touch(Call *c, Str function, Str name);
/* Errors: ERR_API: ResourceConflictException: an alias means this version */
NODISCARD Err alias_none_means(Call *c, Str function, Str version);
NODISCARD Err alias_delete_all(Call *c, Str function);
