/* Reset: empties a running server between two tests, but for its own CAs, its settings and the access keys. */
#pragma once

#include "server/wire.h"

/* Ends connections and sessions, empties the store, forgets what is cached. Waits: not on a reactor or a worker.
 * Errors: those of the store */
NODISCARD Err server_reset(Server *s);
