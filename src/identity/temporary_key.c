#include "identity/temporary_key.h"

Err temporary_key_issue(Txn *txn, const TemporaryKeySpec *spec, int64_t real_ms, Rng *rng, Arena *arena,
                        AccessKey *out) {
    AccessKey key = { .account = spec->account,
                      .user = spec->session,
                      .role = spec->role->role_name,
                      .role_id = spec->role->role_id,
                      .certificate_id = spec->certificate_id,
                      .vars = spec->vars,
                      .policies = spec->policies.items,
                      .policies_n = spec->policies.n,
                      .created_ms = real_ms,
                      .expires_ms = real_ms - real_ms % 1000 + spec->seconds * 1000 };
    access_key_generate(&key, rng, arena);
    Err e = access_key_put(txn, &key);
    if (e == OK) *out = key;
    return e;
}
