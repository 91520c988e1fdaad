/* What leaves the server by the operator's word: calls to AWS services, or the folder that stands for S3. */
#pragma once

#include "server/wire.h"

/* Errors: ERR_INVALID, ERR_IO with *why */
NODISCARD Err outward_open(Server *s, Str *why);
/* Answers what is under way, and refuses what comes. */
void outward_stop(Server *s);
void outward_close(Server *s); /* nobody calls any more */
