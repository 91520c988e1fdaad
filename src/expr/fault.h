/* Faults of a text in an expression language. */
#pragma once

#include "base/str.h"

/* Why a text does not compile. Lines and columns count from 1, columns in characters. */
typedef struct {
    int32_t line, column;
    Str found;    /* as it stands there; "the end" */
    Str expected; /* what would be right: "FROM or WHERE" */
    Str text;     /* a sentence of all that, for an error's message */
} ExprFault;
