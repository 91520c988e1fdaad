/* The canonical request of SigV4: the text both sides hash. Pure.
 * Source: AWS General Reference, "Create a canonical request". */
#pragma once

#include "api/sigv4.h"

/* Where clients are known to differ, and each way is a faithful signature of the same request. */
typedef struct {
    bool path_as_sent;  /* '.', '..' and '//' left in the path: Go's SDK; else taken out, as the others do */
    bool without_token; /* X-Amz-Security-Token was appended after signing: WebSocket clients of AWS IoT */
    bool host_bare;     /* signed the host without the port that Host carries: AWSIoTPythonSDK */
} CanonicalForm;

/* Shape: method, path, query, headers, signed headers and payload hash, a line each.
 * The path is encoded once more than it was sent, unless encode_path is false (S3). X-Amz-Signature is left out. */
Str canonical_request(Arena *arena, const ApiRequest *rq, Str signed_headers, Str payload_hash, bool encode_path,
                      CanonicalForm form);

/* A query's parameters, decoded; those without '=' have an empty value. '+' is a space. */
typedef struct {
    Str name, value;
} QueryParam;
size_t canonical_params(Arena *arena, Str query, QueryParam **out);
/* The names in lower case, sorted, each once, joined by ';'. */
Str canonical_header_names(Arena *arena, const HttpHeader *headers, size_t n);
