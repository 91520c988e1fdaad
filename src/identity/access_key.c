/* Keys of all accounts are kept together, under no account's name, because a request names a key before anyone knows
 * its account, and the ring reads them all at start. */
#include "identity/access_key.h"

#include <stdlib.h>

#include "base/encode.h"
#include "generated/identity_records.h"
#include "generated/iot_records.h"
#include "identity/policy.h"

enum { ID_RANDOM_CHARS = 16, SECRET_BYTES = 30, TOKEN_BYTES = 120 };

static const Tenant EVERYONE = { STR_INIT("-"), STR_INIT("-") };

/* Source: IAM user guide, "IAM identifiers": AKIA and ASIA, then base32. */
static Str random_id(const char *prefix, Rng *rng, Arena *arena) {
    static const char BASE32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    uint8_t random[ID_RANDOM_CHARS], text[ID_RANDOM_CHARS];
    rng_fill(rng, random, sizeof random);
    for (size_t i = 0; i < sizeof text; i++) text[i] = (uint8_t)BASE32[random[i] & 31];
    return str_format(arena, "%s%.*s", prefix, (int)sizeof text, (const char *)text);
}

static Str random_base64(size_t n, Rng *rng, Arena *arena) {
    uint8_t *bytes = arena_bytes(arena, n);
    rng_fill(rng, bytes, n);
    return base64_encode(arena, (Str){ bytes, n });
}

void access_key_generate(AccessKey *key, Rng *rng, Arena *arena) {
    bool temporary = key->expires_ms != INT64_MAX;
    key->id = random_id(temporary ? "ASIA" : "AKIA", rng, arena);
    key->secret = random_base64(SECRET_BYTES, rng, arena);
    key->session_token = temporary ? random_base64(TOKEN_BYTES, rng, arena) : STR_NONE;
}

/* Source: IAM API reference, CreateUser: [\w+=,.@-]+ */
static bool user_char(uint8_t c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c && strchr("_+=,.@-", c));
}

static bool all_of(Str s, bool (*allowed)(uint8_t)) {
    for (size_t i = 0; i < s.len; i++)
        if (!allowed(s.ptr[i])) return false;
    return true;
}

static bool digit(uint8_t c) {
    return c >= '0' && c <= '9';
}

static Err check_policy(const AccessKey *key, size_t i, Arena *arena, Str *why) {
    if (key->policies[i].len > ACCESS_KEY_POLICY_BYTES_MAX) {
        *why = str_format(arena, "a policy has at most %d bytes, policy %zu has %zu", ACCESS_KEY_POLICY_BYTES_MAX,
                          i + 1, key->policies[i].len);
        return ERR_LIMIT;
    }
    Policy *policy = NULL;
    PolicyFault fault = { 0 };
    Err e = policy_compile(key->user, key->policies[i], POLICY_IAM, arena, &policy, &fault);
    policy_release(policy);
    if (e != OK) *why = str_format(arena, "policy %zu, line %d: %.*s", i + 1, fault.line, PS(fault.reason));
    return e;
}

Err access_key_check(const AccessKey *key, Arena *arena, Str *why) {
    Err e = OK;
    if (key->account.len != 12 || !all_of(key->account, digit)) {
        *why = str_format(arena, "an account is 12 digits, got '%.*s'", PS(str_sub(key->account, 0, 100)));
        e = ERR_INVALID;
    } else if (!key->user.len || key->user.len > ACCESS_KEY_USER_BYTES_MAX || !all_of(key->user, user_char)) {
        *why = str_format(arena, "a user's name is 1 to %d of A-Z a-z 0-9 _+=,.@-, got '%.*s'",
                          ACCESS_KEY_USER_BYTES_MAX, PS(str_sub(key->user, 0, 100)));
        e = ERR_INVALID;
    } else if (key->policies_n > ACCESS_KEY_POLICIES_MAX) {
        *why = str_format(arena, "a key has at most %d policies, got %zu", ACCESS_KEY_POLICIES_MAX, key->policies_n);
        e = ERR_LIMIT;
    }
    for (size_t i = 0; e == OK && i < key->policies_n; i++) e = check_policy(key, i, arena, why);
    return e;
}

static AccessKeyRecord to_record(const AccessKey *key) {
    return (AccessKeyRecord){ .access_key_id = key->id,
                              .secret = key->secret,
                              .account = key->account,
                              .user_name = key->user,
                              .policies = { (Str *)(uintptr_t)key->policies, key->policies_n, true },
                              .disabled = key->disabled,
                              .created_ms = key->created_ms,
                              .expires_ms = key->expires_ms,
                              .session_token = key->session_token,
                              .role_name = key->role,
                              .role_id = key->role_id,
                              .certificate_id = key->certificate_id,
                              .vars = key->vars };
}

static AccessKey from_record(const AccessKeyRecord *r) {
    return (AccessKey){ .id = r->access_key_id,
                        .secret = r->secret,
                        .account = r->account,
                        .user = r->user_name,
                        .policies = r->policies.items,
                        .policies_n = r->policies.n,
                        .disabled = r->disabled,
                        .created_ms = r->created_ms,
                        .expires_ms = r->expires_ms,
                        .session_token = r->session_token,
                        .role = r->role_name,
                        .role_id = r->role_id,
                        .certificate_id = r->certificate_id,
                        .vars = r->vars };
}

static Err note_account(Txn *txn, const AccessKey *key) {
    Arena a = { .block_bytes = 256 };
    AccountRecord had;
    Err e = account_record_peek(txn, EVERYONE, key->account, &a, &had);
    if (e == ERR_NOT_FOUND)
        e = account_record_put(txn, EVERYONE,
                               &(AccountRecord){ .account = key->account, .created_ms = key->created_ms });
    arena_free(&a);
    return e;
}

Err access_key_put(Txn *txn, const AccessKey *key) {
    AccessKeyRecord record = to_record(key);
    Err e = access_key_record_put(txn, EVERYONE, &record);
    return e == OK ? note_account(txn, key) : e;
}

Err access_key_each_account(Txn *txn, AccountFn *fn, void *ctx) {
    Arena a = { 0 };
    RecordScan *scan;
    AccountRecord record;
    Err e = account_record_scan(txn, EVERYONE, STR_NONE, false, &scan);
    if (e != OK) return e;
    while (e == OK && account_record_next(scan, &a, &record)) e = fn(ctx, record.account);
    Err end = record_scan_end(scan);
    arena_free(&a);
    return e == OK ? end : e;
}

Err access_key_get(Txn *txn, Str id, Arena *arena, AccessKey *out) {
    AccessKeyRecord record;
    Err e = access_key_record_get(txn, EVERYONE, id, arena, &record);
    if (e == OK) *out = from_record(&record);
    return e;
}

Err access_key_delete(Txn *txn, Str id) {
    return access_key_record_delete(txn, EVERYONE, id);
}

Err access_key_each(Txn *txn, AccessKeyFn *fn, void *ctx) {
    Arena a = { 0 };
    RecordScan *scan;
    AccessKeyRecord record;
    Err e = access_key_record_scan(txn, EVERYONE, STR_NONE, false, &scan);
    if (e != OK) return e;
    while (e == OK && access_key_record_next(scan, &a, &record)) {
        AccessKey key = from_record(&record);
        e = fn(ctx, &key);
        arena_reset(&a);
    }
    Err end = record_scan_end(scan);
    arena_free(&a);
    return e == OK ? end : e;
}

/* Walks first and deletes afterwards: a walk over what changes is no walk. Takes over the scan; stops at the first
 * record that `wanted` declines, or at n_max. */
static Err delete_found(Txn *txn, RecordScan *scan, bool (*wanted)(const AccessKeyRecord *, int64_t), int64_t arg,
                        size_t n_max, size_t *deleted) {
    Arena a = { 0 };
    AccessKeyRecord record;
    Str *ids = NULL;
    size_t n = 0, cap = 0;
    while (n < n_max && access_key_record_next(scan, &a, &record) && wanted(&record, arg)) {
        if (n == cap) ids = mem_grow(ids, (cap = cap * 2 + 8) * sizeof *ids);
        ids[n++] = record.access_key_id;
    }
    Err e = record_scan_end(scan);
    for (size_t i = 0; e == OK && i < n; i++) e = access_key_delete(txn, ids[i]);
    free(ids);
    arena_free(&a);
    if (e == OK && deleted) *deleted = n;
    return e;
}

static bool any(const AccessKeyRecord *record, int64_t arg) {
    (void)record;
    (void)arg;
    return true;
}

static bool ended(const AccessKeyRecord *record, int64_t before_ms) {
    return record->expires_ms < before_ms;
}

Err access_key_delete_of_certificate(Txn *txn, Str account, Str certificate_id) {
    RecordScan *scan;
    Err e = access_key_record_scan_by_certificate(txn, EVERYONE, account, certificate_id, STR_NONE, false, &scan);
    return e == OK ? delete_found(txn, scan, any, 0, SIZE_MAX, NULL) : e;
}

Err access_key_delete_ended(Txn *txn, int64_t before_ms, size_t n_max, size_t *deleted) {
    RecordScan *scan;
    Err e = access_key_record_scan_all_by_expiry(txn, EVERYONE, STR_NONE, false, &scan);
    return e == OK ? delete_found(txn, scan, ended, before_ms, n_max, deleted) : e;
}
