/* Upkeep: what has to be done now and then while a server runs: keys that ended are forgotten, server certificates that
 * will end soon are made again and offered to new connections. */
#pragma once

#include "server/wire.h"

typedef struct Upkeep Upkeep;

Upkeep *upkeep_start(Server *s);
void upkeep_stop(Upkeep *u); /* accepts NULL; before anything of the server is closed */
