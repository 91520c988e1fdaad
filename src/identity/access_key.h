/* Access keys: who may sign API calls, with the IAM policies of each, as the store keeps them.
 * Secrets are never logged and are shown once, when the key is made. */
#pragma once

#include "base/list.h"
#include "base/rng.h"
#include "store/store.h"

typedef struct {
    Str id; /* AKIA…, or ASIA… for a temporary key */
    Str secret;
    Str account, user;   /* user: of IAM; of a temporary key the name of its session */
    const Str *policies; /* IAM documents; of a temporary key those of its session, which narrow what its role may */
    size_t policies_n;
    bool disabled;
    int64_t created_ms;
    int64_t expires_ms; /* INT64_MAX: never. Of a temporary key: its end */
    Str session_token;  /* temporary keys: must come with each request */
    Str role;           /* temporary keys: name of the role, whose policies are theirs, as they are at each time */
    Str role_id;        /* temporary keys: with a role of another id they may do nothing; STR_NONE: not known */
    StrMap vars;        /* temporary keys: of the session, for policies: credentials-iot:ThingName … */
    Str certificate_id; /* temporary keys issued to a certificate die with it */
} AccessKey;

/* The largest of each, for whoever checks input. Source: IAM and STS quotas */
enum { ACCESS_KEY_USER_BYTES_MAX = 64, ACCESS_KEY_POLICY_BYTES_MAX = 6144, ACCESS_KEY_POLICIES_MAX = 10 };

/* Makes id and secret; and the session token where expires_ms is set below INT64_MAX. */
void access_key_generate(AccessKey *key, Rng *rng, Arena *arena);
/* Errors: ERR_MALFORMED, ERR_INVALID, ERR_LIMIT: a policy or the user's name is not allowed; *why says what */
NODISCARD Err access_key_check(const AccessKey *key, Arena *arena, Str *why);

/* In the store. After the commit, keyring_changed (key_ring.h) makes them count. */
NODISCARD Err access_key_put(Txn *txn, const AccessKey *key);
NODISCARD Err access_key_get(Txn *txn, Str id, Arena *arena, AccessKey *out);
NODISCARD Err access_key_delete(Txn *txn, Str id); /* Errors: ERR_NOT_FOUND */
/* Every temporary key issued to the certificate. */
NODISCARD Err access_key_delete_of_certificate(Txn *txn, Str account, Str certificate_id);
/* Temporary keys that ended before `before_ms`, at most n_max of them; *deleted says how many. */
NODISCARD Err access_key_delete_ended(Txn *txn, int64_t before_ms, size_t n_max, size_t *deleted);

/* Every key there is, in the order of their ids. fn's key lives until it returns. Errors: fn's, too, which stops it */
typedef Err AccessKeyFn(void *ctx, const AccessKey *key);
NODISCARD Err access_key_each(Txn *txn, AccessKeyFn *fn, void *ctx);

/* Every account that ever had a key: whoever has sessions and messages here. Errors: fn's, too, which stops it */
typedef Err AccountFn(void *ctx, Str account);
NODISCARD Err access_key_each_account(Txn *txn, AccountFn *fn, void *ctx);
