/* The prefix is the account's number, spread over 40 bits by a multiplication that can be undone, and a checksum: so a
 * name needs no table to be read, names of AWS's own are nobody's here, and accounts that follow each other do not
 * look alike. It hides nothing: an account's number is no secret. */
#include "identity/endpoint.h"

#include <openssl/evp.h>
#include <stdio.h>

enum { NUMBER_CHARS = 8, CHECK_CHARS = 5, PREFIX_CHARS = 1 + NUMBER_CHARS + CHECK_CHARS };
#define NUMBER_MASK ((UINT64_C(1) << 40) - 1)
#define SPREAD UINT64_C(0x9e3779b97f)
#define UNSPREAD UINT64_C(0x4c19bc067f) /* SPREAD * UNSPREAD = 1 modulo 2^40 */
#define ACCOUNTS INT64_C(1000000000000)

static const char BASE32[] = "abcdefghijklmnopqrstuvwxyz234567";

static void write_prefix(int64_t account, char out[PREFIX_CHARS]) {
    char text[64];
    uint8_t hash[EVP_MAX_MD_SIZE] = { 0 };
    uint64_t bits = ((uint64_t)account * SPREAD) & NUMBER_MASK;
    int n = snprintf(text, sizeof text, "starling endpoint %012lld", (long long)account);
    EVP_Digest(text, (size_t)n, hash, NULL, EVP_sha256(), NULL);
    out[0] = 'a';
    for (size_t i = 0; i < NUMBER_CHARS; i++) out[1 + i] = BASE32[(bits >> (5 * i)) & 31];
    for (size_t i = 0; i < CHECK_CHARS; i++) out[1 + NUMBER_CHARS + i] = BASE32[hash[i] & 31];
}

Str endpoint_prefix(Str account, Arena *arena) {
    int64_t number = 0;
    char prefix[PREFIX_CHARS];
    if (str_to_i64(account, &number) != OK) return STR_NONE;
    write_prefix(number, prefix);
    return str_dup(arena, (Str){ (const uint8_t *)prefix, sizeof prefix });
}

/* Source: the host names that DescribeEndpoint gives */
static const struct {
    const char *type, *suffix, *below;
} TYPES[] = {
    { "iot:Data-ATS", "-ats", "iot" },
    { "iot:Data", "", "iot" },
    { "iot:CredentialProvider", "", "credentials.iot" },
    { "iot:Jobs", "", "jobs.iot" },
    { "iot:DeviceAdvisor", "", "deviceadvisor.iot" },
    { "iot:Data-Beta", "-beta", "iot" },
};
enum { TYPES_N = sizeof TYPES / sizeof *TYPES };

Str endpoint_host(Str account, Str type, Str region, Str domain, Arena *arena) {
    for (size_t i = 0; i < TYPES_N; i++)
        if (str_eq(type, str_c(TYPES[i].type)))
            return str_format(arena, "%.*s%s.%s.%.*s.%.*s", PS(endpoint_prefix(account, arena)), TYPES[i].suffix,
                              TYPES[i].below, PS(region), PS(domain));
    return STR_NONE;
}

static int value_of(uint8_t c) {
    return c >= 'a' && c <= 'z' ? c - 'a' : c >= '2' && c <= '7' ? c - '2' + 26 : -1;
}

static bool read_prefix(const uint8_t prefix[PREFIX_CHARS], AccountName *out) {
    uint64_t bits = 0;
    char again[PREFIX_CHARS];
    for (size_t i = 0; i < NUMBER_CHARS; i++) {
        int v = value_of(prefix[1 + i]);
        if (v < 0) return false;
        bits |= (uint64_t)v << (5 * i);
    }
    int64_t account = (int64_t)((bits * UNSPREAD) & NUMBER_MASK);
    if (account >= ACCOUNTS) return false;
    write_prefix(account, again);
    if (memcmp(again, prefix, sizeof again) != 0) return false;
    snprintf(out->digits, sizeof out->digits, "%012lld", (long long)account);
    return true;
}

bool endpoint_account(Str host, AccountName *out) {
    uint8_t lower[64]; /* prefix, suffix and what must follow: none is longer */
    *out = (AccountName){ .digits = "" };
    size_t n = host.len < sizeof lower ? host.len : sizeof lower;
    for (size_t i = 0; i < n; i++)
        lower[i] = host.ptr[i] >= 'A' && host.ptr[i] <= 'Z' ? (uint8_t)(host.ptr[i] + 32) : host.ptr[i];
    if (n <= PREFIX_CHARS || lower[0] != 'a') return false;
    Str rest = { lower + PREFIX_CHARS, n - PREFIX_CHARS };
    for (size_t i = 0; i < TYPES_N; i++) {
        Str suffix = str_c(TYPES[i].suffix), below = str_c(TYPES[i].below);
        size_t dot = suffix.len, end = dot + 1 + below.len;
        if (rest.len <= end || rest.ptr[dot] != '.' || rest.ptr[end] != '.') continue;
        if (!str_eq(str_sub(rest, 0, dot), suffix) || !str_eq(str_sub(rest, dot + 1, end), below)) continue;
        out->type = TYPES[i].type;
        return read_prefix(lower, out);
    }
    return false;
}
