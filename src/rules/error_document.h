/* The document that an error action is given: what failed, for one message or for those of a batch. */
#pragma once

#include "rules/delivery.h"
#include "rules/sql.h"

typedef struct {
    const SqlMessageIn *in;
    const Part *parts;
    size_t parts_n;
} ErrorOf;

/* of: at least one, all of one rule; several only where a batch of them failed together.
 * Source: developer guide, "Error handling (error action)" and "HTTP action batching": the two formats */
Str error_document(Str rule_name, const ErrorOf *of, size_t n, Arena *arena);
