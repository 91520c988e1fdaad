/* Which kinds of events an account has turned on. */
#pragma once

#include "api/call.h"

/* type: of the model's EventType, "THING" … Reads without taking part in conflicts. */
NODISCARD Err event_is_on(Call *c, Str type, bool *out);
