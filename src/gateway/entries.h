/* What the gateway tells the service log: calls of the data plane over HTTPS, and who was not let in. */
#pragma once

#include "gateway/internal.h"

/* A call that is answered. in: its operation's input, NULL where it was not read. status: of the answer */
void entries_call(const Link *l, const Call *c, const void *in, int status);
/* type: AWS_X509, AWS_SIGV4 or CUSTOM_AUTH; reason: DEVICE_CERTIFICATE_REVOKED, SECURITY_TOKEN_EXPIRED …
 * Source: AWS IoT developer guide, "Connection.AuthNError log entry" */
void entries_not_let_in(const Link *l, Str type, Str reason, Str details);
/* The same of a client whom a custom authorizer does not let in; it may be gone. Any thread. */
typedef struct {
    Str account, client_id, source_ip, server_name; /* client_id STR_NONE: not known */
    Str reason, details;
} AuthorizerRefusal;
void entries_authorizer_refused(const Gateway *g, const AuthorizerRefusal *r);
/* The same, by what was wrong with a signature. */
void entries_bad_signature(const Link *l, const SigV4Fault *fault);
