/* Secrets: what get_secret was told, for a while: AWS asks Secrets Manager again after 15 minutes at most. Each
 * account's are its own. Safe from every thread. */
#pragma once

#include "base/arena.h"

typedef struct Secrets Secrets;

enum { SECRETS_MAX = 256, SECRET_KEPT_MS = 15 * 60 * 1000 };

Secrets *secrets_new(void);
void secrets_free(Secrets *s); /* accepts NULL; what was kept is wiped */

/* Errors: ERR_NOT_FOUND: never told, or too long ago. Owns: *out lives in the arena */
NODISCARD Err secrets_get(Secrets *s, Str account, Str id, bool binary, int64_t now_ms, Arena *arena, Str *out);
/* Where all places are taken the oldest goes. */
void secrets_keep(Secrets *s, Str account, Str id, bool binary, int64_t now_ms, Str value);
