/* SigV4: AWS's request signatures, in the Authorization header or in the query. The same code verifies what comes
 * in and signs what goes out. Pure: knows neither sockets nor where keys are kept; time is a parameter (real_ms).
 * Source: AWS General Reference, "Signature Version 4 signing process". */
#pragma once

#include "api/request.h"
#include "base/arena.h"

/* What a request says of its signature. */
typedef struct {
    Str access_key, date, region, service; /* the scope; date: YYYYMMDD */
    Str time;                              /* YYYYMMDDTHHMMSSZ */
    Str signed_headers, signature;         /* "host;x-amz-date"; 64 hex digits */
    Str security_token;                    /* STR_NONE: none */
    int64_t time_ms;
    int64_t expires_s; /* of a presigned request */
    bool presigned;    /* in the query */
} SigV4;

/* A refusal as AWS words it. */
typedef struct {
    const char *code;       /* JSON APIs: InvalidSignatureException; data plane: ForbiddenException */
    const char *query_code; /* query protocol: SignatureDoesNotMatch */
    int status;
    Str message; /* lives in the arena given */
} SigV4Fault;

typedef enum {
    SIGV4_MISSING,      /* no signature at all */
    SIGV4_INCOMPLETE,   /* a part is missing or malformed */
    SIGV4_UNKNOWN_KEY,  /* no such access key, or not active, or a wrong session token */
    SIGV4_MISMATCH,     /* the signature, its time or its scope does not hold */
    SIGV4_TOKEN_EXPIRED /* a temporary key past its end */
} SigV4FaultKind;
SigV4Fault sigv4_fault(SigV4FaultKind kind, Str service, Arena *arena, const char *format, ...) PRINTF_LIKE(4, 5);

/* True where the request carries a signature of any kind (an Authorization header, or X-Amz-Algorithm or
 * X-Amz-Signature in the query): then it must hold. */
bool sigv4_present(const ApiRequest *rq);

/* Takes the signature's description out of a request and checks its form, its time and the scope's date.
 * Units:  real_ms since 1970; a header may be 5 minutes off, a presigned request lives X-Amz-Expires, at most 7 days
 * Errors: ERR_UNAUTHENTICATED; *fault then says why
 * Owns:   *out borrows from the request and the arena */
NODISCARD Err sigv4_parse(const ApiRequest *rq, int64_t real_ms, Arena *arena, SigV4 *out, SigV4Fault *fault);

/* The scope's region is the one that is served. STS and IAM take any, as their global endpoints do (clients sign
 * us-east-1). Errors: ERR_UNAUTHENTICATED; *fault then says why */
NODISCARD Err sigv4_check_region(const SigV4 *sig, Str region, Arena *arena, SigV4Fault *fault);

/* Signing keys derived from secrets, kept for as long as they hold (a day each), at most a few hundred.
 * Safe from every thread. */
typedef struct SigV4Keys SigV4Keys;
SigV4Keys *sigv4_keys_new(void);
void sigv4_keys_free(SigV4Keys *keys); /* accepts NULL */

/* Checks signature and payload hash against the secret. keys may be NULL.
 * Errors: ERR_UNAUTHENTICATED; *fault then says why */
NODISCARD Err sigv4_verify(const SigV4 *sig, const ApiRequest *rq, Str secret, SigV4Keys *keys, Arena *arena,
                           SigV4Fault *fault);

typedef struct {
    Str access_key, secret, security_token; /* security_token STR_NONE: none */
    Str region, service;
} SigV4Credentials;

/* Signs all headers of rq, which must hold Host. Path and query must be percent-encoded as they will be sent.
 * Shape: three headers to add: Authorization, X-Amz-Date and (ptr NULL without a token) X-Amz-Security-Token */
void sigv4_sign(const SigV4Credentials *who, const ApiRequest *rq, int64_t real_ms, Arena *arena, HttpHeader out[3]);

/* The query to send instead of rq's, with the signature in it. Signs Host alone.
 * Shape: token_after puts X-Amz-Security-Token behind the signature, as WebSocket clients of AWS IoT do */
Str sigv4_presign(const SigV4Credentials *who, const ApiRequest *rq, int64_t expires_s, bool token_after,
                  int64_t real_ms, Arena *arena);
