/* What an AWS service says when it refuses: the error's code and text out of JSON, XML or headers. Pure. */
#pragma once

#include "base/arena.h"
#include "net/header.h"

typedef struct {
    Str code;    /* "ResourceNotFoundException": without namespace and without what follows a colon; STR_NONE: none */
    Str message; /* STR_NONE: none */
} AwsError;

/* Owns: borrows from the answer and the arena */
AwsError aws_error_read(const HttpHeader *headers, size_t headers_n, Str body, Arena *arena);

typedef enum { AWS_NEVER, AWS_AGAIN, AWS_SLOWER } AwsRetry;
/* Whether it may succeed when it is tried again, or later and slower.
 * Source: the SDKs' guide, "Retry behavior", standard mode */
AwsRetry aws_error_retry(int status, Str code);

/* The first <NAME>text</NAME> of an XML text, entities decoded; STR_NONE: none. */
Str aws_xml_text(Str xml, Str name, Arena *arena);
