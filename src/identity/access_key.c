/* A key is one store entry of tagged fields, tag, length, bytes; a tag keeps its meaning for ever, an unknown one is
 * skipped. Keys of all accounts lie side by side ("access-key/" id), because a request names a key before anyone knows
 * its account, and the ring reads them all at start. */
#include "identity/access_key.h"

#include <stdlib.h>

#include "base/encode.h"
#include "base/reader.h"
#include "base/writer.h"
#include "identity/policy.h"

enum {
    TAG_SECRET = 1,
    TAG_ACCOUNT = 2,
    TAG_USER = 3,
    TAG_POLICY = 4, /* once for each */
    TAG_DISABLED = 5,
    TAG_CREATED = 6,
    TAG_EXPIRES = 7,
    TAG_TOKEN = 8,
    TAG_ROLE = 9,
    TAG_CERTIFICATE = 10,
};
enum { ID_RANDOM_CHARS = 16, SECRET_BYTES = 30, TOKEN_BYTES = 120 };

#define PREFIX "access-key/"

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

static Str store_key(Arena *arena, Str id) {
    return str_format(arena, PREFIX "%.*s", PS(id));
}

static void write_field(Writer *w, uint8_t tag, Str value) {
    if (!value.ptr) return;
    writer_u8(w, tag);
    writer_varint(w, (uint32_t)value.len);
    writer_bytes(w, value);
}

static void write_number(Writer *w, uint8_t tag, int64_t v) {
    writer_u8(w, tag);
    writer_varint(w, 8);
    writer_u64(w, (uint64_t)v);
}

static Str encode(Arena *arena, const AccessKey *key) {
    Writer w = writer_in(arena);
    write_field(&w, TAG_SECRET, key->secret);
    write_field(&w, TAG_ACCOUNT, key->account);
    write_field(&w, TAG_USER, key->user);
    for (size_t i = 0; i < key->policies_n; i++) write_field(&w, TAG_POLICY, key->policies[i]);
    if (key->disabled) write_number(&w, TAG_DISABLED, 1);
    write_number(&w, TAG_CREATED, key->created_ms);
    write_number(&w, TAG_EXPIRES, key->expires_ms);
    write_field(&w, TAG_TOKEN, key->session_token);
    write_field(&w, TAG_ROLE, key->role);
    write_field(&w, TAG_CERTIFICATE, key->certificate_id);
    return writer_str(&w);
}

static int64_t number_of(Str value) {
    Reader r = reader_from(value);
    return (int64_t)reader_u64(&r);
}

/* Errors: ERR_CORRUPT */
static Err decode(Str id, Str bytes, Arena *arena, AccessKey *out) {
    AccessKey key = { .id = str_dup(arena, id), .expires_ms = INT64_MAX };
    bytes = str_dup(arena, bytes);
    Str *policies = arena_array(arena, Str, ACCESS_KEY_POLICIES_MAX);
    Reader r = reader_from(bytes);
    while (reader_left(&r) && !r.bad) {
        uint8_t tag = reader_u8(&r);
        Str value = reader_take(&r, reader_varint(&r));
        switch (tag) {
        case TAG_SECRET: key.secret = value; break;
        case TAG_ACCOUNT: key.account = value; break;
        case TAG_USER: key.user = value; break;
        case TAG_POLICY:
            if (key.policies_n == ACCESS_KEY_POLICIES_MAX) return ERR_CORRUPT;
            policies[key.policies_n++] = value;
            break;
        case TAG_DISABLED: key.disabled = number_of(value) != 0; break;
        case TAG_CREATED: key.created_ms = number_of(value); break;
        case TAG_EXPIRES: key.expires_ms = number_of(value); break;
        case TAG_TOKEN: key.session_token = value; break;
        case TAG_ROLE: key.role = value; break;
        case TAG_CERTIFICATE: key.certificate_id = value; break;
        default: break; /* of a later release */
        }
    }
    if (r.bad || !key.secret.len || !key.account.len) return ERR_CORRUPT;
    key.policies = policies;
    *out = key;
    return OK;
}

Err access_key_put(Txn *txn, const AccessKey *key) {
    Arena a = { 0 };
    Err e = txn_put(txn, store_key(&a, key->id), encode(&a, key));
    arena_free(&a);
    return e;
}

Err access_key_get(Txn *txn, Str id, Arena *arena, AccessKey *out) {
    Str bytes;
    Err e = txn_get(txn, store_key(arena, id), arena, &bytes);
    return e == OK ? decode(id, bytes, arena, out) : e;
}

Err access_key_delete(Txn *txn, Str id) {
    Arena a = { 0 };
    Err e = txn_delete(txn, store_key(&a, id));
    arena_free(&a);
    return e;
}

Err access_key_each(Txn *txn, AccessKeyFn *fn, void *ctx) {
    Arena a = { 0 };
    Scan *scan;
    Str k, v;
    Err e = scan_begin(txn, S(PREFIX), store_prefix_end(&a, S(PREFIX)), false, &scan);
    if (e != OK) return e;
    while (e == OK && scan_next(scan, &k, &v)) {
        AccessKey key;
        e = decode(str_from(k, sizeof PREFIX - 1), v, &a, &key);
        if (e == OK) e = fn(ctx, &key);
    }
    Err end = scan_end(scan);
    arena_free(&a);
    return e == OK ? end : e;
}

typedef struct {
    Str account, certificate_id;
    Arena arena;
    Str *ids;
    size_t n, cap;
} Search;

static Err of_certificate(void *ctx, const AccessKey *key) {
    Search *s = ctx;
    if (!str_eq(key->certificate_id, s->certificate_id) || !str_eq(key->account, s->account)) return OK;
    if (s->n == s->cap) s->ids = mem_grow(s->ids, (s->cap = s->cap * 2 + 8) * sizeof *s->ids);
    s->ids[s->n++] = str_dup(&s->arena, key->id);
    return OK;
}

Err access_key_delete_of_certificate(Txn *txn, Str account, Str certificate_id) {
    if (!certificate_id.len) return OK;
    Search s = { .account = account, .certificate_id = certificate_id };
    Err e = access_key_each(txn, of_certificate, &s);
    for (size_t i = 0; e == OK && i < s.n; i++) e = access_key_delete(txn, s.ids[i]);
    free(s.ids);
    arena_free(&s.arena);
    return e;
}
