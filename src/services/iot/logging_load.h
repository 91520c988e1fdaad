/* An account's logging settings, from the store to the service log. */
#pragma once

#include "services/env.h"
#include "store/record.h"

/* What the store holds of this account now takes effect. Changes that come at the same time from several threads end
 * with the newest.
 * Errors: the store's, ERR_CORRUPT */
NODISCARD Err logging_load(Env *env, Str account);
