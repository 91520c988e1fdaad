/* HttpHeader: one header line, as sent: the name in the sender's case, the value without the white space around it. */
#pragma once

#include "base/str.h"

typedef struct {
    Str name, value;
} HttpHeader;

/* The first value of that name, in any case; STR_NONE when there is none. */
static inline Str http_header(const HttpHeader *headers, size_t n, Str name) {
    for (size_t i = 0; i < n; i++)
        if (str_eq_nocase(headers[i].name, name)) return headers[i].value;
    return STR_NONE;
}
