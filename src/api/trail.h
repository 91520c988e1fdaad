/* Where in a value we are, kept on the stack while codec and validation walk it, for messages. */
#pragma once

#include "base/arena.h"

typedef struct ApiTrail {
    const struct ApiTrail *up; /* NULL: the input itself */
    Str name;                  /* of a member or a map's key; ptr NULL: an element of a list */
    size_t index;              /* of that element */
    bool key;                  /* name is a map's key */
} ApiTrail;

/* Shape: 'attributePayload.attributes', 'tags.2.member.key': the first letters lower, elements counted from 1
 * Source: observed in AWS's messages (moto and dynamoose issue threads) */
Str api_trail(Arena *a, const ApiTrail *t);
