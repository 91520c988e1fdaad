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

/* The pair of that key, or NULL. */
StrPair *str_map_find(const StrMap *m, Str key);
bool str_map_same(StrMap a, StrMap b); /* in any order */
bool str_list_same(StrList a, StrList b);
