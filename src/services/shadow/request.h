/* An update's request document, checked. */
#pragma once

#include "services/shadow/document.h"
#include "services/shadow/tree.h"

typedef struct {
    bool clears;              /* "state": null */
    Node *desired, *reported; /* an object or a null; NULL: not named */
    bool has_version;
    int64_t version;
    Str client_token;
} ShadowRequest;

/* Errors: ERR_INVALID with *fault set */
NODISCARD Err shadow_request_read(Str text, int64_t now_s, const ShadowLimits *limits, Arena *arena, ShadowRequest *out,
                                  ShadowFault *fault);

/* Sets *fault, keeping its token, and returns ERR_INVALID. */
NODISCARD Err shadow_refuse(ShadowFault *fault, int code, Str message);
