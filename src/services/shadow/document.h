/* Shadow documents: the pure engine of Device Shadow. Texts go in, texts come out; knows no store, clock or topic.
 * Source: AWS IoT developer guide, "Device Shadow service documents" and "Device Shadow error messages". */
#pragma once

#include "base/arena.h"

typedef struct {
    size_t document_bytes_max; /* desired and reported as serialised, without metadata */
    int depth_max;             /* objects and arrays in one another below desired or reported */
    size_t token_bytes_max;
} ShadowLimits;

/* Source: AWS IoT Core quotas, "AWS IoT Core Device Shadow service" */
static const ShadowLimits SHADOW_LIMITS = { .document_bytes_max = 8192, .depth_max = 8, .token_bytes_max = 64 };

/* A shadow as it is kept. */
typedef struct {
    Str text;        /* {"state":{…},"metadata":{…}}; STR_NONE: there is none */
    int64_t version; /* its own; without text the one that is remembered of a deleted shadow, or 0 */
} ShadowStored;

/* What a request was refused for. */
typedef struct {
    int code;         /* 400, 409, 413, 415 … */
    Str message;      /* AWS's text */
    Str client_token; /* of the request, when it could be read; else STR_NONE */
} ShadowFault;

typedef struct {
    Str stored; /* the new ShadowStored.text */
    int64_t version;
    Str accepted;
    Str delta;     /* STR_NONE: nothing differs */
    Str documents; /* previous and current */
} ShadowUpdate;

/* Merges a request document into the shadow.
 * Units:  now_s since 1970, UTC
 * Errors: ERR_INVALID with *fault set; ERR_CORRUPT when the stored text is not one of ours
 * Owns:   all texts live in the arena */
NODISCARD Err shadow_update(const ShadowStored *stored, Str request, int64_t now_s, const ShadowLimits *limits,
                            Arena *arena, ShadowUpdate *out, ShadowFault *fault);

/* The answer to get: state with what differs, metadata, version, timestamp. */
NODISCARD Err shadow_get(const ShadowStored *stored, Str client_token, int64_t now_s, Arena *arena, Str *out);

/* {"version","timestamp","clientToken"?}: the answer to delete. */
Str shadow_deleted(int64_t version, Str client_token, int64_t now_s, Arena *arena);

/* {"code","message","timestamp","clientToken"?} */
Str shadow_rejected(const ShadowFault *fault, int64_t now_s, Arena *arena);

/* The client token of a get or delete request, whose payload else is not looked at.
 * Errors: ERR_INVALID with *fault set: it is no string, or too long */
NODISCARD Err shadow_token(Str request, const ShadowLimits *limits, Arena *arena, Str *out, ShadowFault *fault);
