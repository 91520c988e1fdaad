/* Just-in-time registration: a certificate that nobody registered, presented at connect, whose signing CA is
 * registered, ACTIVE and open for auto registration. It is registered as PENDING_ACTIVATION and an event says so;
 * the connection fails all the same. Each further attempt while it is pending says so again.
 * Source: AWS IoT developer guide, "Register a client certificate when the client connects (JITR)". */
#pragma once

#include "base/rng.h"
#include "identity/x509.h"
#include "services/env.h"
#include "store/record.h"

/* registered: it is PENDING_ACTIVATION now (or was already). Called on a worker's thread. */
typedef void FirstSeenFn(void *ctx, bool registered);

/* To be called for a certificate that the directory refused as not registered or PENDING_ACTIVATION.
 * chain: DER, the client's own certificate first, as presented; copied. account: as for directory_certificate.
 * The event goes out before done is called; done is called at once, on this thread, for a chain that cannot be read. */
void iot_first_seen(Env *env, Str account, const Str *chain, size_t chain_n, FirstSeenFn *done, void *ctx);

/* The part that a transaction does. */
typedef struct {
    Str certificate_id, ca_certificate_id;
    int64_t registered_ms;
    bool fresh; /* registered by this very call */
} FirstSeen;
/* Errors: ERR_NOT_FOUND: none to register, *why says the reason */
NODISCARD Err iot_first_seen_register(Txn *txn, Tenant tenant, const CertInfo *device, int64_t now_ms, Rng *rng,
                                      Arena *arena, FirstSeen *out, Str *why);
