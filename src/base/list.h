/* Lists and maps of text, as operations and records have them. Items are borrowed. */
#pragma once

#include "base/str.h"

/* `set` tells an empty one from one that is not there. */
typedef struct {
    Str *items;
    size_t n;
    bool set;
} StrList;
typedef struct {
    Str key, value;
} StrPair;
typedef struct {
    StrPair *items;
    size_t n;
    bool set;
} StrMap;
