/* Opening: the store is opened on a thread of its own, as it mostly waits for the disk, while the parts of a start that
 * do not need it are made. */
#pragma once

#include "server/wire.h"

typedef struct Opening Opening;

/* Errors: ERR_IO: the data folder cannot be made, or no thread */
NODISCARD Err opening_begin(Server *s, Opening **out, Str *why);
/* Waits. With OK the store and its workers are there. *why lives in the server's arena.
 * Errors: as store_open */
NODISCARD Err opening_end(Opening *opening, Str *why);
