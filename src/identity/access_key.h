/* Access keys: who may sign API calls, with the IAM policies of each. Kept in the store and all in memory, so that
 * checking a request reads no disk. Safe from every thread.
 * Secrets are never logged and are shown once, when the key is made. */
#pragma once

#include "api/sigv4.h"
#include "identity/principal.h"
#include "store/store.h"

typedef struct KeyRing KeyRing;

typedef struct {
    Str id; /* AKIA…, or ASIA… for a temporary key */
    Str secret;
    Str account, user;   /* user: of IAM; of a temporary key the name of its session */
    const Str *policies; /* IAM documents */
    size_t policies_n;
    bool disabled;
    int64_t created_ms;
    int64_t expires_ms; /* INT64_MAX: never. Of a temporary key: its end */
    Str session_token;  /* temporary keys: must come with each request */
    Str role;           /* temporary keys: name of the role */
    Str certificate_id; /* temporary keys issued to a certificate die with it */
} AccessKey;

/* The largest of each, for whoever checks input. Source: IAM and STS quotas */
enum { ACCESS_KEY_USER_BYTES_MAX = 64, ACCESS_KEY_POLICY_BYTES_MAX = 6144, ACCESS_KEY_POLICIES_MAX = 10 };

typedef struct {
    Store *store;
    Rng *rng;
    const char *data_dir; /* where the first key is written to `credentials`; NULL: nowhere */
    Str account, region;  /* of the first key, whose user is "root" and may do all; region goes into `config` */
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

/* Makes id and secret; and the session token where expires_ms is set below INT64_MAX. */
void access_key_generate(AccessKey *key, Rng *rng, Arena *arena);
/* Errors: ERR_MALFORMED, ERR_INVALID, ERR_LIMIT: a policy or the user's name is not allowed; *why says what */
NODISCARD Err access_key_check(const AccessKey *key, Arena *arena, Str *why);

/* In the store. After the commit, keyring_changed makes them count. */
NODISCARD Err access_key_put(Txn *txn, const AccessKey *key);
NODISCARD Err access_key_get(Txn *txn, Str id, Arena *arena, AccessKey *out);
NODISCARD Err access_key_delete(Txn *txn, Str id);
/* Every temporary key issued to the certificate. */
NODISCARD Err access_key_delete_of_certificate(Txn *txn, Str account, Str certificate_id);

/* After a commit: what the store holds under this id counts from now on. Thread: not a reactor. */
void keyring_changed(KeyRing *ring, Str id);
/* At once, and only in memory: the certificate was revoked, deactivated or deleted. */
void keyring_certificate_gone(KeyRing *ring, Str account, Str certificate_id);

/* Keys of an account in the order of their ids, STR_NONE: of all; without secrets and tokens. Returns how many. */
size_t keyring_list(KeyRing *ring, Str account, Arena *arena, AccessKey **out);
