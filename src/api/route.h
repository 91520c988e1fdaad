/* Routes: method and path, or a target header, to the operation of a service. Pure.
 * Labels of a path hold what stood there, percent-decoded: 'a%2Fb' and, where only a last label can have taken it,
 * raw 'a/b' give the same. */
#pragma once

#include "api/dispatch.h"

/* Shape:  label i of the operation's path is out->labels[i]
 * Errors: as api_match */
NODISCARD Err route_rest(const ApiService *s, Str method, Str path, Str query, Arena *a, ApiMatch *out);
/* Errors: ERR_NOT_FOUND */
NODISCARD Err route_target(const ApiService *s, Str target, ApiMatch *out);
/* Index of the label of that name in an operation's path, SIZE_MAX when there is none. */
size_t route_label(const ApiOp *op, Str name);
/* The raw value of a query key (still encoded), STR_NONE when it is not there; *at walks on from call to call,
 * begin with the whole query. */
Str query_next(Str *at, Str *key);
