/* The policy variables of one connection or call: what its principal gives, and what it brings itself. */
#pragma once

#include "identity/principal.h"

typedef struct {
    Str client_id;   /* STR_NONE: not MQTT, so no thing either */
    Str source_ip;   /* STR_NONE: unknown */
    Str domain_name; /* that the client asked for by SNI or Host; STR_NONE: unknown */
    Str secure;      /* "true": by TLS, "false": without; STR_NONE: unknown */
} ConnectionFacts;

/* The thing that the connection is: the principal's exclusive one, else the attached one whose name is the client id.
 * NULL: none. Source: AWS IoT developer guide, thing-policy-variables and exclusive-thing */
const PrincipalThing *connection_thing(const Principal *p, Str client_id);

/* For policy_bind: iot:ClientId, aws:SourceIp, aws:SecureTransport, iot:DomainName, iot:Connection.Thing.…, and the
 * principal's own. Owns: *out lives in the arena and borrows from the principal and the facts */
void connection_vars(const Principal *p, const ConnectionFacts *facts, Arena *arena, const PolicyVar **out,
                     size_t *out_n);

/* What a decision's moment gives: aws:CurrentTime and aws:EpochTime. They belong to a request, never to a connection:
 * what was decided by them holds for that moment. Borrow from *keep. */
enum { MOMENT_VARS = 2, MOMENT_TEXT_BYTES = 32 };
typedef struct {
    char text[MOMENT_VARS][MOMENT_TEXT_BYTES];
    Str values[MOMENT_VARS];
} Moment;
void moment_vars(int64_t now_ms, Moment *keep, PolicyVar out[MOMENT_VARS]);
/* Whether any of these policies may decide otherwise at another moment. */
bool moment_matters(const PolicyBound *bound);
