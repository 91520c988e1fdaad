/* Verifying is signing again and comparing. Clients differ in details that AWS lets pass (whether the session token
 * in a query, the port in Host, and dots in the path were signed), so a mismatch is tried again in the forms that
 * the request makes possible; every one is a signature of this very request with the right secret. */
#include <openssl/crypto.h>
#include <time.h>

#include "api/canonical.h"
#include "api/signing_key.h"
#include "base/encode.h"
#include "base/writer.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
#define UNSIGNED "UNSIGNED-PAYLOAD"
#define HASH_OF_NOTHING "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

enum { STRING_TO_SIGN_BYTES = 256 }; /* usually */

static Str string_to_sign(Hasher *h, Arena *arena, const SigV4 *s, Str canonical) {
    uint8_t hash[SHA256_BYTES];
    hasher_sha256(h, canonical, hash);
    Writer w = writer_sized(arena, STRING_TO_SIGN_BYTES);
    const Str parts[] = { S(ALGORITHM "\n"),
                          s->time,
                          S("\n"),
                          s->date,
                          S("/"),
                          s->region,
                          S("/"),
                          s->service,
                          S("/aws4_request\n"),
                          hex_encode(arena, (Str){ hash, sizeof hash }) };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) writer_bytes(&w, parts[i]);
    return writer_str(&w);
}

static bool encodes_path(Str service) {
    return !str_eq(service, S("s3"));
}

static Str signature(Hasher *h, const uint8_t key[SHA256_BYTES], Arena *arena, const SigV4 *s, Str canonical) {
    uint8_t mac[SHA256_BYTES];
    hasher_hmac(h, (Str){ key, SHA256_BYTES }, string_to_sign(h, arena, s, canonical), mac);
    return hex_encode(arena, (Str){ mac, sizeof mac });
}

/* The hash that stands in the canonical request: of the body that came, whatever the client says it is.
 * Source: UNSIGNED-PAYLOAD is for S3 alone; other services sign what they get. */
static Err payload_hash(Hasher *h, const SigV4 *s, const ApiRequest *rq, Arena *arena, Str *out, SigV4Fault *fault) {
    Str said = str_trim(http_header(rq->headers, rq->headers_n, S("X-Amz-Content-Sha256")));
    bool s3 = str_eq(s->service, S("s3"));
    if (s3 && (str_eq(said, S(UNSIGNED)) || s->presigned)) {
        *out = S(UNSIGNED);
        return OK;
    }
    uint8_t hash[SHA256_BYTES];
    Str is = S(HASH_OF_NOTHING);
    if (rq->body.len) {
        hasher_sha256(h, rq->body, hash);
        is = hex_encode(arena, (Str){ hash, sizeof hash });
    }
    if (said.ptr && !str_eq_nocase(said, is)) {
        *fault = sigv4_fault(SIGV4_MISMATCH, s->service, arena,
                             "The value of 'x-amz-content-sha256', '%.*s', is not the SHA-256 of the body, '%.*s'%s",
                             PS(str_sub(said, 0, 80)), PS(is),
                             str_eq(said, S(UNSIGNED)) ? " (" UNSIGNED " is allowed for S3 only)" : "");
        return ERR_UNAUTHENTICATED;
    }
    *out = said.ptr ? said : is;
    return OK;
}

/* A bit of the number picks each deviation; false where the request has nothing to deviate in. */
static bool form_applies(const SigV4 *s, const ApiRequest *rq, unsigned bits, CanonicalForm *out) {
    CanonicalForm f = { .without_token = bits & 1, .host_bare = bits & 2, .path_as_sent = bits & 4 };
    bool gateway = str_eq(s->service, S("iotdevicegateway")) || str_eq(s->service, S("iotdata"));
    if (f.without_token && !(s->presigned && s->security_token.ptr && gateway)) return false;
    if (f.host_bare && str_find(http_header(rq->headers, rq->headers_n, S("Host")), ':') == SIZE_MAX) return false;
    if (f.path_as_sent && str_find_str(rq->path, S("//")) == SIZE_MAX && str_find_str(rq->path, S("/.")) == SIZE_MAX)
        return false;
    *out = f;
    return true;
}

static SigV4Fault mismatch(Hasher *h, const SigV4 *s, Arena *arena, Str canonical) {
    static const char TEXT[] = "The request signature we calculated does not match the signature you provided. Check "
                               "your AWS Secret Access Key and signing method. Consult the service documentation for "
                               "details.";
    return sigv4_fault(SIGV4_MISMATCH, s->service, arena,
                       "%s\n\nThe Canonical String for this request should have been\n'%.*s'\n\n"
                       "The String-to-Sign should have been\n'%.*s'\n",
                       TEXT, PS(canonical), PS(string_to_sign(h, arena, s, canonical)));
}

Err sigv4_verify(const SigV4 *s, const ApiRequest *rq, Str secret, SigV4Keys *keys, Arena *arena, SigV4Fault *fault) {
    enum { FORMS = 8 };
    Hasher h = hasher_open(keys);
    uint8_t key[SHA256_BYTES];
    Str hash, first = STR_NONE;
    Err e = payload_hash(&h, s, rq, arena, &hash, fault);
    if (e == OK) {
        signing_key(&h, keys, s->access_key, secret, s, key);
        e = ERR_UNAUTHENTICATED;
        for (unsigned bits = 0; bits < FORMS && e != OK; bits++) {
            CanonicalForm form;
            if (!form_applies(s, rq, bits, &form)) continue;
            Str canonical = canonical_request(arena, rq, s->signed_headers, hash, encodes_path(s->service), form);
            Str want = signature(&h, key, arena, s, canonical);
            if (!h.bad && want.len == s->signature.len && CRYPTO_memcmp(want.ptr, s->signature.ptr, want.len) == 0)
                e = OK;
            if (!first.ptr) first = canonical;
        }
        OPENSSL_cleanse(key, sizeof key);
        if (e != OK) *fault = mismatch(&h, s, arena, first);
    }
    hasher_close(&h);
    return e;
}

static SigV4 scope_of(const SigV4Credentials *who, int64_t real_ms, Arena *arena) {
    time_t t = (time_t)(real_ms / 1000);
    struct tm tm;
    char text[32];
    gmtime_r(&t, &tm);
    Str time = str_dup(arena, (Str){ (uint8_t *)text, strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &tm) });
    return (SigV4){ .access_key = who->access_key,
                    .region = who->region,
                    .service = who->service,
                    .time = time,
                    .date = str_sub(time, 0, 8),
                    .time_ms = real_ms };
}

static Str sign(const SigV4Credentials *who, const SigV4 *s, const ApiRequest *rq, Arena *arena) {
    Hasher h = hasher_open(NULL);
    uint8_t hash[SHA256_BYTES], key[SHA256_BYTES];
    hasher_sha256(&h, rq->body, hash);
    Str canonical = canonical_request(arena, rq, s->signed_headers, hex_encode(arena, (Str){ hash, sizeof hash }),
                                      encodes_path(s->service), (CanonicalForm){ 0 });
    signing_key(&h, NULL, s->access_key, who->secret, s, key);
    Str result = signature(&h, key, arena, s, canonical);
    OPENSSL_cleanse(key, sizeof key);
    hasher_close(&h);
    return result;
}

void sigv4_sign(const SigV4Credentials *who, const ApiRequest *rq, int64_t real_ms, Arena *arena, HttpHeader out[3]) {
    SigV4 s = scope_of(who, real_ms, arena);
    HttpHeader *all = arena_array(arena, HttpHeader, rq->headers_n + 2);
    size_t n = rq->headers_n;
    if (n) memcpy(all, rq->headers, n * sizeof *all);
    out[1] = all[n++] = (HttpHeader){ S("X-Amz-Date"), s.time };
    out[2] = (HttpHeader){ S("X-Amz-Security-Token"), who->security_token };
    if (who->security_token.ptr) all[n++] = out[2];
    ApiRequest signed_rq = *rq;
    signed_rq.headers = all;
    signed_rq.headers_n = n;
    s.signed_headers = canonical_header_names(arena, all, n);
    Str value = sign(who, &s, &signed_rq, arena);
    out[0] = (HttpHeader){ S("Authorization"),
                           str_format(arena,
                                      ALGORITHM " Credential=%.*s/%.*s/%.*s/%.*s/aws4_request, SignedHeaders=%.*s, "
                                                "Signature=%.*s",
                                      PS(who->access_key), PS(s.date), PS(s.region), PS(s.service),
                                      PS(s.signed_headers), PS(value)) };
}

Str sigv4_presign(const SigV4Credentials *who, const ApiRequest *rq, int64_t expires_s, bool token_after,
                  int64_t real_ms, Arena *arena) {
    SigV4 s = scope_of(who, real_ms, arena);
    s.signed_headers = S("host");
    Str credential = str_format(arena, "%.*s/%.*s/%.*s/%.*s/aws4_request", PS(who->access_key), PS(s.date),
                                PS(s.region), PS(s.service));
    Str token = STR_NONE;
    if (who->security_token.ptr)
        token = str_format(arena, "&X-Amz-Security-Token=%.*s", PS(percent_encode(arena, who->security_token, false)));
    ApiRequest signed_rq = *rq;
    signed_rq.query = str_format(arena,
                                 "%.*s%sX-Amz-Algorithm=" ALGORITHM "&X-Amz-Credential=%.*s&X-Amz-Date=%.*s"
                                 "&X-Amz-Expires=%lld&X-Amz-SignedHeaders=host%.*s",
                                 PS(rq->query), rq->query.len ? "&" : "", PS(percent_encode(arena, credential, false)),
                                 PS(s.time), (long long)expires_s, PS(token_after ? STR_NONE : token));
    Str value = sign(who, &s, &signed_rq, arena);
    return str_format(arena, "%.*s&X-Amz-Signature=%.*s%.*s", PS(signed_rq.query), PS(value),
                      PS(token_after ? token : STR_NONE));
}
