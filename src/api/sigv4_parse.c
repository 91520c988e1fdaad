/* What a request says of its signature, taken apart and held against the clock, before any secret is looked up.
 * Source: the wording of refusals as AWS's services give it, in the issues of its SDKs: aws-sdk-js #254 and
 * glacier-cli #36 (expired, not yet current), cloud9-sync #10 (not a valid key=value pair), requests-aws4auth #7
 * (date in scope), aws-sdk-php #2469 (':authority'), aws-sdk-js #1710 (ForbiddenException of the data plane). */
#include <time.h>

#include "api/canonical.h"
#include "api/signing_key.h"

enum { SKEW_S = 300, EXPIRES_S_MAX = 604800, EXPIRES_S_DEFAULT = 300 };

#define ALGORITHM "AWS4-HMAC-SHA256"

static bool data_plane(Str service) {
    return str_eq(service, S("iotdata")) || str_eq(service, S("iotdevicegateway"));
}

SigV4Fault sigv4_fault(SigV4FaultKind kind, Str service, Arena *arena, const char *format, ...) {
    static const struct {
        const char *code, *query_code;
    } names[] = {
        [SIGV4_MISSING] = { "MissingAuthenticationTokenException", "MissingAuthenticationToken" },
        [SIGV4_INCOMPLETE] = { "IncompleteSignatureException", "IncompleteSignature" },
        [SIGV4_UNKNOWN_KEY] = { "UnrecognizedClientException", "InvalidClientTokenId" },
        [SIGV4_MISMATCH] = { "InvalidSignatureException", "SignatureDoesNotMatch" },
        [SIGV4_TOKEN_EXPIRED] = { "ExpiredTokenException", "ExpiredToken" },
    };
    va_list args;
    va_start(args, format);
    Str message = str_format_v(arena, format, args);
    va_end(args);
    return (SigV4Fault){ .code = data_plane(service) ? "ForbiddenException" : names[kind].code,
                         .query_code = names[kind].query_code,
                         .status = kind == SIGV4_INCOMPLETE && !data_plane(service) ? 400 : 403,
                         .message = message };
}

/* The parts of a signature before they are checked. */
typedef struct {
    Str algorithm, credential, date, expires, signed_headers, signature, token;
} Parts;

static Str authorization(const ApiRequest *rq) {
    return str_trim(http_header(rq->headers, rq->headers_n, S("Authorization")));
}

static bool in_query(const ApiRequest *rq) {
    return str_find_str(rq->query, S("X-Amz-Algorithm=")) != SIZE_MAX ||
           str_find_str(rq->query, S("X-Amz-Signature=")) != SIZE_MAX;
}

bool sigv4_present(const ApiRequest *rq) {
    return str_starts(authorization(rq), S("AWS4-")) || in_query(rq);
}

static Err parse_header(const ApiRequest *rq, Str text, Arena *arena, Parts *out, SigV4Fault *fault) {
    Str rest = text;
    Parts p = { .algorithm = str_cut(&rest, ' ') };
    while (rest.ptr) {
        Str pair = str_trim(str_cut(&rest, ','));
        /* Blanks part pairs as well as commas do. */
        size_t blank = str_find(pair, ' ');
        if (blank != SIZE_MAX) {
            rest = str_from((Str){ pair.ptr, (size_t)(text.ptr + text.len - pair.ptr) }, blank + 1);
            pair = str_sub(pair, 0, blank);
        }
        if (pair.len == 0) continue;
        Str value = pair, name = str_cut(&value, '=');
        if (!value.ptr) {
            *fault =
                sigv4_fault(SIGV4_INCOMPLETE, STR_NONE, arena,
                            "'%.*s' not a valid key=value pair (missing equal-sign) in Authorization header: '%.*s'.",
                            PS(pair), PS(text));
            return ERR_UNAUTHENTICATED;
        }
        if (str_eq(name, S("Credential")))
            p.credential = value;
        else if (str_eq(name, S("SignedHeaders")))
            p.signed_headers = value;
        else if (str_eq(name, S("Signature")))
            p.signature = value;
    }
    p.date = http_header(rq->headers, rq->headers_n, S("X-Amz-Date"));
    if (!p.date.ptr) p.date = http_header(rq->headers, rq->headers_n, S("Date"));
    p.token = http_header(rq->headers, rq->headers_n, S("X-Amz-Security-Token"));
    if (!p.credential.len || !p.signature.len || !p.signed_headers.len || !p.date.len) {
        *fault = sigv4_fault(
            SIGV4_INCOMPLETE, STR_NONE, arena, "%s%s%s%sAuthorization=%.*s",
            p.credential.len ? "" : "Authorization header requires 'Credential' parameter. ",
            p.signature.len ? "" : "Authorization header requires 'Signature' parameter. ",
            p.signed_headers.len ? "" : "Authorization header requires 'SignedHeaders' parameter. ",
            p.date.len ? "" : "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ",
            PS(p.algorithm));
        return ERR_UNAUTHENTICATED;
    }
    *out = p;
    return OK;
}

static Err parse_query(const ApiRequest *rq, Arena *arena, Parts *out, SigV4Fault *fault) {
    QueryParam *params;
    size_t n = canonical_params(arena, rq->query, &params);
    Parts p = { 0 };
    const struct {
        Str name;
        Str *into;
    } wanted[] = { { S("X-Amz-Algorithm"), &p.algorithm }, { S("X-Amz-Credential"), &p.credential },
                   { S("X-Amz-Date"), &p.date },           { S("X-Amz-SignedHeaders"), &p.signed_headers },
                   { S("X-Amz-Signature"), &p.signature }, { S("X-Amz-Expires"), &p.expires },
                   { S("X-Amz-Security-Token"), &p.token } };
    enum { NEEDED = 5 };
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < sizeof wanted / sizeof *wanted; k++)
            if (str_eq(params[i].name, wanted[k].name) && !wanted[k].into->ptr) *wanted[k].into = params[i].value;
    for (size_t k = 0; k < NEEDED; k++) {
        if (wanted[k].into->len) continue;
        *fault = sigv4_fault(SIGV4_INCOMPLETE, STR_NONE, arena,
                             "AWS query-string parameters must include '%.*s'. Re-examine the query-string parameters.",
                             PS(wanted[k].name));
        return ERR_UNAUTHENTICATED;
    }
    *out = p;
    return OK;
}

static int two_digits(Str s, size_t at) {
    return (s.ptr[at] - '0') * 10 + s.ptr[at + 1] - '0';
}

/* Shape: YYYYMMDDTHHMMSSZ */
static bool parse_iso(Str s, int64_t *out_ms) {
    if (s.len != 16 || s.ptr[8] != 'T' || s.ptr[15] != 'Z') return false;
    for (size_t i = 0; i < 15; i++)
        if (i != 8 && (s.ptr[i] < '0' || s.ptr[i] > '9')) return false;
    struct tm tm = { .tm_year = two_digits(s, 0) * 100 + two_digits(s, 2) - 1900,
                     .tm_mon = two_digits(s, 4) - 1,
                     .tm_mday = two_digits(s, 6),
                     .tm_hour = two_digits(s, 9),
                     .tm_min = two_digits(s, 11),
                     .tm_sec = two_digits(s, 13) };
    if (tm.tm_mon < 0 || tm.tm_mon > 11 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59 ||
        tm.tm_sec > 60)
        return false;
    *out_ms = (int64_t)timegm(&tm) * 1000;
    return true;
}

/* Shape: "Mon, 09 Sep 2011 23:36:00 GMT", given back as YYYYMMDDTHHMMSSZ */
static Str iso_from_http_date(Arena *arena, Str s) {
    static const char MONTHS[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    if (s.len != 29 || !str_ends(s, S(" GMT")) || s.ptr[3] != ',') return s;
    size_t month = str_find_str(str_c(MONTHS), str_sub(s, 8, 11));
    if (month == SIZE_MAX || month % 3) return s;
    return str_format(arena, "%.*s%02zu%.*sT%.*s%.*s%.*sZ", PS(str_sub(s, 12, 16)), month / 3 + 1, PS(str_sub(s, 5, 7)),
                      PS(str_sub(s, 17, 19)), PS(str_sub(s, 20, 22)), PS(str_sub(s, 23, 25)));
}

static Str time_text(Arena *arena, int64_t ms) {
    time_t t = (time_t)(ms / 1000);
    struct tm tm;
    char text[32];
    gmtime_r(&t, &tm);
    return str_dup(arena, (Str){ (uint8_t *)text, strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &tm) });
}

static Err check_time(const SigV4 *s, int64_t real_ms, Arena *arena, SigV4Fault *fault) {
    int64_t window_s = s->presigned ? s->expires_s : SKEW_S;
    int64_t oldest = real_ms - window_s * 1000, newest = real_ms + SKEW_S * 1000;
    Str now = time_text(arena, real_ms);
    if (s->time_ms < oldest) {
        *fault = sigv4_fault(SIGV4_MISMATCH, s->service, arena,
                             "Signature expired: %.*s is now earlier than %.*s (%.*s - %d min.)", PS(s->time),
                             PS(time_text(arena, oldest)), PS(now), (int)(window_s / 60));
        return ERR_UNAUTHENTICATED;
    }
    if (s->time_ms > newest) {
        *fault = sigv4_fault(SIGV4_MISMATCH, s->service, arena,
                             "Signature not yet current: %.*s is still later than %.*s (%.*s + %d min.)", PS(s->time),
                             PS(time_text(arena, newest)), PS(now), SKEW_S / 60);
        return ERR_UNAUTHENTICATED;
    }
    return OK;
}

static Err parse_scope(Str credential, Arena *arena, SigV4 *s, SigV4Fault *fault) {
    size_t slashes = 0;
    for (size_t i = 0; i < credential.len; i++) slashes += credential.ptr[i] == '/';
    Str rest = credential;
    s->access_key = str_cut(&rest, '/');
    s->date = str_cut(&rest, '/');
    s->region = str_cut(&rest, '/');
    s->service = str_cut(&rest, '/');
    if (slashes != 4 || !s->access_key.len || !s->date.len || !s->region.len || !s->service.len) {
        *fault = sigv4_fault(SIGV4_INCOMPLETE, STR_NONE, arena,
                             "Credential must have exactly 5 slash-delimited elements, e.g. "
                             "keyid/date/region/service/term, got '%.*s'",
                             PS(credential));
        return ERR_UNAUTHENTICATED;
    }
    if (!str_eq(rest, S("aws4_request"))) {
        *fault =
            sigv4_fault(SIGV4_MISMATCH, s->service, arena,
                        "Credential should be scoped with a valid terminator: 'aws4_request', not '%.*s'.", PS(rest));
        return ERR_UNAUTHENTICATED;
    }
    return OK;
}

static bool lists(Str signed_headers, Str name) {
    for (Str rest = signed_headers; rest.ptr;)
        if (str_eq(str_cut(&rest, ';'), name)) return true;
    return false;
}

/* An x-amz- header that the signature does not cover could have been put in by anyone. The token and the date are
 * held against the key and the string to sign, and the payload hash against the body, so they need no cover. */
static Str unsigned_header(const ApiRequest *rq, Str signed_headers, Arena *arena) {
    static const Str spared[] = { STR_INIT("x-amz-date"), STR_INIT("x-amz-security-token"),
                                  STR_INIT("x-amz-content-sha256"), STR_INIT("x-amz-user-agent") };
    for (size_t i = 0; i < rq->headers_n; i++) {
        Str name = canonical_header_names(arena, &rq->headers[i], 1);
        bool skip = !str_starts(name, S("x-amz-"));
        for (size_t k = 0; k < sizeof spared / sizeof *spared; k++) skip = skip || str_eq(name, spared[k]);
        if (!skip && !lists(signed_headers, name)) return name;
    }
    return STR_NONE;
}

static Err check_parts(const ApiRequest *rq, const Parts *p, Arena *arena, SigV4 *s, SigV4Fault *fault) {
    int64_t expires_s = EXPIRES_S_DEFAULT;
    if (!str_eq(p->algorithm, S(ALGORITHM))) {
        *fault = sigv4_fault(SIGV4_INCOMPLETE, s->service, arena, "Unsupported AWS 'algorithm': '%.*s', expected '%s'.",
                             PS(p->algorithm), ALGORITHM);
    } else if (!parse_iso(s->time, &s->time_ms)) {
        *fault = sigv4_fault(SIGV4_INCOMPLETE, s->service, arena,
                             "Date must be in ISO-8601 'basic format'. Got '%.*s'. See "
                             "http://en.wikipedia.org/wiki/ISO_8601",
                             PS(p->date));
    } else if (p->expires.ptr && (str_to_i64(p->expires, &expires_s) != OK || expires_s < 1)) {
        *fault = sigv4_fault(SIGV4_INCOMPLETE, s->service, arena,
                             "X-Amz-Expires must be a number of seconds of 1 or more, got '%.*s'", PS(p->expires));
    } else if (expires_s > EXPIRES_S_MAX) {
        *fault = sigv4_fault(SIGV4_INCOMPLETE, s->service, arena,
                             "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires "
                             "must be less than %d seconds",
                             EXPIRES_S_MAX);
    } else if (!str_eq(s->date, str_sub(s->time, 0, 8))) {
        *fault = sigv4_fault(SIGV4_MISMATCH, s->service, arena,
                             "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from "
                             "HTTP: '%.*s' != '%.*s', from '%.*s'.",
                             PS(s->date), PS(str_sub(s->time, 0, 8)), PS(s->time));
    } else if (!lists(s->signed_headers, S("host"))) {
        *fault = sigv4_fault(SIGV4_MISMATCH, s->service, arena,
                             "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.");
    } else {
        Str name = unsigned_header(rq, s->signed_headers, arena);
        if (!name.ptr) {
            s->expires_s = expires_s;
            return OK;
        }
        *fault = sigv4_fault(SIGV4_MISMATCH, s->service, arena,
                             "'%.*s' must be a 'SignedHeader' in the AWS Authorization.", PS(name));
    }
    return ERR_UNAUTHENTICATED;
}

Err sigv4_parse(const ApiRequest *rq, int64_t real_ms, Arena *arena, SigV4 *out, SigV4Fault *fault) {
    Str text = authorization(rq);
    bool header = text.len > 0, query = in_query(rq);
    if (!header && !query) {
        *fault = sigv4_fault(SIGV4_MISSING, STR_NONE, arena, "Missing Authentication Token");
        return ERR_UNAUTHENTICATED;
    }
    if (query && str_starts(text, S("AWS4-"))) {
        *fault = sigv4_fault(SIGV4_INCOMPLETE, STR_NONE, arena,
                             "Only one way to sign may be used: the Authorization header or the X-Amz- parameters of "
                             "the query, not both");
        return ERR_UNAUTHENTICATED;
    }
    Parts p = { 0 };
    SigV4 s = { .presigned = query };
    Err e = query ? parse_query(rq, arena, &p, fault) : parse_header(rq, text, arena, &p, fault);
    if (e == OK) e = parse_scope(p.credential, arena, &s, fault);
    if (e != OK) return e;
    s.time = iso_from_http_date(arena, str_trim(p.date));
    s.signed_headers = p.signed_headers;
    s.signature = p.signature;
    s.security_token = p.token;
    e = check_parts(rq, &p, arena, &s, fault);
    if (e == OK) e = check_time(&s, real_ms, arena, fault);
    if (e == OK) *out = s;
    return e;
}

/* Source: aws-sdk-ruby #508 */
Err sigv4_check_region(const SigV4 *s, Str region, Arena *arena, SigV4Fault *fault) {
    if (str_eq(s->region, region) || str_eq(s->service, S("sts")) || str_eq(s->service, S("iam"))) return OK;
    *fault = sigv4_fault(SIGV4_MISMATCH, s->service, arena,
                         "Credential should be scoped to a valid region, not '%.*s'. ", PS(s->region));
    return ERR_UNAUTHENTICATED;
}
