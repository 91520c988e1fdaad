/* Functions as the server has them: run here, or behind another Lambda endpoint. */
#pragma once

#include "server/wire.h"

/* After outward.h's part. Errors: *why */
NODISCARD Err open_functions(Server *s, Str *why);
void stop_functions(Server *s);  /* before the workers end: calls under way are answered */
void close_functions(Server *s); /* after they ended */
