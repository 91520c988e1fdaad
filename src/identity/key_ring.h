/* KeyRing: every access key in memory, so that checking a request reads no disk. Safe from every thread. */
#pragma once

#include "api/sigv4.h"
#include "identity/access_key.h"
#include "identity/principal.h"

typedef struct KeyRing KeyRing;

typedef struct {
    Store *store;
    Rng *rng;
    const char *data_dir; /* where the first key is written to `credentials`; NULL: nowhere */
    Str account;          /* of the first key, whose user is "admin" and may do all */
    Str region;           /* that signatures must be scoped to; STR_NONE: any */
    int64_t now_ms;
} KeyRingOptions;

/* Loads every key; makes the first one when there is none, in DIR/credentials (mode 0600).
 * Errors: ERR_IO, ERR_CORRUPT; *why says what to do */
NODISCARD Err keyring_open(const KeyRingOptions *options, Arena *arena, KeyRing **out, Str *why);
void keyring_close(KeyRing *ring); /* accepts NULL */

/* Whose signed request this is.
 * Shape:  *sig as sigv4_parse gives it: its service names the API; *out retained for the caller
 * Errors: ERR_UNAUTHENTICATED; *fault then is AWS's answer. *sig is set also when only the key or signature is bad */
NODISCARD Err keyring_authenticate(KeyRing *ring, const ApiRequest *rq, int64_t real_ms, Arena *arena, SigV4 *sig,
                                   const Principal **out, SigV4Fault *fault);

/* Whether a key that a long-lived connection came with still stands: not deleted, disabled, expired or dead with its
 * certificate. */
bool keyring_alive(KeyRing *ring, Str id, int64_t real_ms);

/* The principal of a key whatever its state, retained for the caller; NULL: there is no such key. For explanations. */
const Principal *keyring_principal(KeyRing *ring, Str id);

/* Told once a change of a key counts: `now` (borrowed) is its principal, or NULL where it may not be used any more: its
 * long-lived connections close. Calls for one key come in order, on the thread that changed it. */
typedef void KeyRingListener(void *ctx, Str account, Str id, const Principal *now);
void keyring_listen(KeyRing *ring, KeyRingListener *listener, void *ctx); /* one; before the first request */

/* After a commit: what the store holds under this id counts from now on. Thread: not a reactor. */
void keyring_changed(KeyRing *ring, Str id);
/* After a commit: the policies of a role have changed, so its temporary keys may do something else. Not a reactor. */
void keyring_role_changed(KeyRing *ring, Str account, Str role_name);
/* Forgets temporary keys that have ended (access_key_delete_ended does it in the store). */
void keyring_forget_ended(KeyRing *ring, int64_t real_ms);
/* At once, and only in memory: the certificate was revoked, deactivated or deleted. */
void keyring_certificate_gone(KeyRing *ring, Str account, Str certificate_id);

/* Keys of an account in the order of their ids, STR_NONE: of all; without secrets and tokens. Returns how many. */
size_t keyring_list(KeyRing *ring, Str account, Arena *arena, AccessKey **out);
