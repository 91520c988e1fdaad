/* Shadows in the store: one record each, so that an update is one read and one write. */
#pragma once

#include "services/shadow/shadow.h"

typedef struct {
    ShadowStored stored; /* text STR_NONE: none, or deleted */
    int64_t deleted_s;   /* deleted: when; else 0 */
} ShadowKept;

/* A shadow that never was is all zeros. */
NODISCARD Err shadow_kept_read(Call *c, ShadowKey key, ShadowKept *out);
NODISCARD Err shadow_kept_write(Call *c, ShadowKey key, const ShadowKept *kept);
/* Names of a thing's named shadows after `after`, in order, at most n_max. */
NODISCARD Err shadow_kept_names(Call *c, Str thing, Str after, size_t n_max, Str *names, size_t *n);
