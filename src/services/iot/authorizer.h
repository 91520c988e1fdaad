/* Authorizers: functions that decide who a client is and what it may do. Asked by the gateway, for clients that bring
 * neither a certificate nor a signature, and by TestInvokeAuthorizer.
 * Source: AWS IoT developer guide, "Custom authentication" */
#pragma once

#include "identity/principal.h"
#include "net/header.h"
#include "services/env.h"

/* What a client has shown of itself, in each protocol it speaks. */
typedef struct {
    Str account;
    Str name;          /* of the authorizer; STR_NONE: what the client asks for, or the default one */
    Str otherwise;     /* the domain's own default one; STR_NONE: the account's */
    bool fixed;        /* what the client names does not count */
    Str connection_id; /* UUID */
    bool test;         /* an inactive one answers, too */
    bool has_tls, has_http, has_mqtt;
    Str server_name;
    const HttpHeader *headers;
    size_t headers_n;
    Str query;                         /* without '?' */
    Str username, password, client_id; /* ptr NULL: absent */
    /* A token and signature that are given apart (TestInvokeAuthorizer); ptr NULL: the client's */
    Str token, signature;
} AuthorizerQuestion;

typedef struct {
    /* OK: it is `principal`. ERR_NOT_FOUND: no authorizer is named and none is the default one: nobody was asked.
     * ERR_INVALID: it is not there, inactive, or cannot take this token. ERR_UNAUTHENTICATED: the signature is wrong,
     * or the function says no. ERR_MALFORMED: its answer is none. Else as FunctionAnswer has it. */
    Err result;
    const Principal *principal; /* the receiver's */
    int64_t disconnect_after_s, refresh_after_s;
    bool cache_http;
    const char *reason; /* AWS's name of what is wrong: CUSTOM_AUTHORIZER_NOT_FOUND … */
    Str why;            /* in words; borrowed */
    Str principal_id;   /* as the function says; borrowed, as are the documents */
    const Str *policies;
    size_t policies_n;
} AuthorizerVerdict;

/* On any thread, once; may be before authorizer_ask returns. */
typedef void AuthorizerDone(void *ctx, const AuthorizerVerdict *verdict);
/* All of the question is copied. */
void authorizer_ask(Env *env, const AuthorizerQuestion *question, AuthorizerDone *done, void *ctx);

/* What a client names: in the query behind its MQTT user name, in the HTTP query, in a header. Pure.
 * Shape: percent-decoded; STR_NONE: nowhere */
Str authorizer_credential(const AuthorizerQuestion *q, Str key, Arena *arena);
#define AUTHORIZER_NAME S("x-amz-customauthorizer-name")
#define AUTHORIZER_SIGNATURE S("x-amz-customauthorizer-signature")

/* A function's answer. Pure.
 * Errors: ERR_MALFORMED, ERR_LIMIT; *why says what is wrong. ERR_UNAUTHENTICATED: it says no */
typedef struct {
    Str principal_id;
    Str *policies; /* JSON */
    size_t policies_n;
    int64_t disconnect_after_s, refresh_after_s;
} AuthorizerAnswer;
NODISCARD Err authorizer_answer_parse(Str json, Arena *arena, AuthorizerAnswer *out, Str *why);

/* Whether one of the keys (PEM) made this signature (base64) of the token. Source: RSA with SHA-256 */
bool authorizer_signed(Str token, Str signature, StrMap keys, Arena *arena);
/* An RSA key of 2048 bits or more. */
bool authorizer_key_ok(Str pem);
