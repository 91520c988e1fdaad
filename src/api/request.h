/* ApiRequest: an HTTP request as it is on the wire. All of it is borrowed. */
#pragma once

#include "net/header.h"

typedef struct {
    Str method, path, query; /* raw, as sent, still percent-encoded; query without '?' */
    const HttpHeader *headers;
    size_t headers_n;
    Str body;
} ApiRequest;
