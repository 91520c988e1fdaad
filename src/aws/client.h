/* AwsClient: signed calls to AWS services, or to what speaks their API. One request, one answer; whoever calls decides
 * on another try by what the answer says of it. Knows nothing of what the calls are for. */
#pragma once

#include "aws/credentials.h"
#include "aws/error.h"
#include "net/fetch.h"

typedef struct AwsClient AwsClient;

typedef struct {
    Fetch *fetch;
    Str region;
    Str endpoints;       /* --aws-endpoint: NAME=URL,NAME=URL */
    const char *profile; /* --aws-profile; NULL: the environment's */
    Str account;         /* the only one on whose behalf calls are signed; STR_NONE: all */
    AwsEnvironment *env; /* NULL: the process's */
} AwsClientOptions;

/* Missing credentials are no error here: the calls that need them say so.
 * Errors: ERR_INVALID with *why: an endpoint that is none
 * Owns:   the arena must outlive the client */
NODISCARD Err aws_client_new(const AwsClientOptions *options, Arena *arena, AwsClient **out, Str *why);
void aws_client_free(AwsClient *c); /* accepts NULL; after the fetch has stopped */

/* Where calls to the service go; NULL where neither an endpoint nor credentials are there, with *why. */
const AwsEndpoint *aws_client_endpoint(const AwsClient *c, const AwsService *service, Str *why);
/* An endpoint is set for it, by whatever way. False for a client that is NULL. */
bool aws_client_is_custom(const AwsClient *c, const AwsService *service);

/* What calls on behalf of this account are signed with; NULL with *why (static, or as long as the client): there is
 * nothing, or it is the operator's and not for this account. */
const AwsCredentials *aws_client_credentials(const AwsClient *c, Str account, Str *why);

/* All of it is copied. */
typedef struct {
    const AwsService *service;
    Str account;                 /* on whose behalf; STR_NONE: the operator's */
    const AwsEndpoint *endpoint; /* NULL: the service's; an OpenSearch domain's, an S3 bucket's */
    Str operation;               /* JSON protocols: "SendMessage" */
    Str method, path, query;     /* others; percent-encoded; empty: POST, "/", "" */
    const HttpHeader *headers;   /* beyond what protocol and signature need */
    size_t headers_n;
    Str content_type; /* STR_NONE: the protocol's */
    Str body;
    int64_t total_ms;        /* 0: FETCH_TOTAL_MS */
    size_t answer_bytes_max; /* 0: FETCH_ANSWER_BYTES_MAX */
} AwsRequest;

typedef struct {
    /* OK: a 2xx. ERR_DENIED: the service refused, `status` and `error` say why. ERR_NOT_FOUND: no credentials, or not
     * for this account.
     * Others as fetch has them: there is no whole answer. */
    Err result;
    AwsRetry retry; /* when not OK */
    int status;
    AwsError error;
    const HttpHeader *headers;
    size_t headers_n;
    Str body;
    Str why; /* when not OK: a sentence for people, with the error's code in it */
} AwsAnswer;

/* Exactly once, on the fetch thread or before aws_call returns; must not wait. The answer is borrowed. */
typedef void AwsDone(void *ctx, const AwsAnswer *answer);
void aws_call(AwsClient *c, const AwsRequest *request, AwsDone *done, void *ctx);
/* Waits for the answer, which is copied to the arena: on threads that may wait only. */
void aws_call_wait(AwsClient *c, const AwsRequest *request, Arena *arena, AwsAnswer *out);
