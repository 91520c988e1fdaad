/* Device Shadow's operations on the store, for every binding. What is refused stands in *fault (then ERR_INVALID);
 * the bindings give it their own shape. Messages go to the outbox: `accepted` is the binding's, but that of updates
 * and deletes is published whoever asked. */
#pragma once

#include "api/call.h"
#include "services/shadow/document.h"

typedef struct {
    Str thing, name; /* name empty: the classic shadow */
} ShadowKey;

/* Shape: $aws/things/THING/shadow[/name/NAME]/END */
Str shadow_topic(Call *c, ShadowKey key, const char *end);

NODISCARD Err shadow_call_get(Call *c, ShadowKey key, Str client_token, Str *out, ShadowFault *fault);
NODISCARD Err shadow_call_update(Call *c, ShadowKey key, Str request, Str *accepted, ShadowFault *fault);
NODISCARD Err shadow_call_delete(Call *c, ShadowKey key, Str client_token, Str *accepted, ShadowFault *fault);
