/* The path carries its own permission: an HMAC by a secret of this process, so that nothing need be kept. A restart
 * ends the URLs that are out, as their ten minutes would. Source: GetFunction: "The presigned URL is valid for 10
 * minutes" */
#include "services/lambda/download.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/encode.h"
#include "services/lambda/local.h"

enum { GOOD_MS = 10 * 60 * 1000, PARTS = 6 };

static Str signature(const Lambda *l, Str what, Arena *arena) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    HMAC(EVP_sha256(), l->secret, sizeof l->secret, what.ptr, what.len, digest, &n);
    return hex_encode(arena, (Str){ digest, n });
}

Str download_url(Call *c, const LambdaFunctionRecord *f) {
    Str what = str_format(c->arena, "%.*s/%.*s/%.*s/%.*s/%lld", PS(c->account), PS(c->region), PS(f->function_name),
                          PS(f->code_sha256), (long long)(clock_ms(c->env->clock) + GOOD_MS));
    return str_format(c->arena, "https://%.*s" LAMBDA_DOWNLOAD_PATH "%.*s/%.*s", PS(c->env->endpoint), PS(what),
                      PS(signature(c->env->lambda, what, c->arena)));
}

/* Borrowed parts of a path whose signature holds. */
static Err check(const Lambda *l, Str path, Arena *arena, Str parts[PARTS]) {
    Str rest = path;
    int64_t until_ms = 0;
    size_t n = 0;
    while (rest.ptr && n < PARTS) parts[n++] = str_cut(&rest, '/');
    if (n < PARTS || rest.ptr) return ERR_DENIED;
    Str given = parts[PARTS - 1], want = signature(l, str_sub(path, 0, path.len - given.len - 1), arena);
    if (given.len != want.len || CRYPTO_memcmp(given.ptr, want.ptr, want.len)) return ERR_DENIED;
    return str_to_i64(parts[4], &until_ms) == OK && clock_ms(l->o.env->clock) < until_ms ? OK : ERR_DENIED;
}

Err download_read(Lambda *l, Str path, Arena *arena, Str *zip) {
    Str parts[PARTS];
    Txn *txn;
    LambdaCodeRecord code;
    Err e = check(l, str_from(path, sizeof LAMBDA_DOWNLOAD_PATH - 1), arena, parts);
    if (e == OK) e = txn_begin(l->o.env->store, &txn);
    if (e != OK) return e;
    e = lambda_code_record_peek(txn, (Tenant){ parts[0], parts[1] }, parts[2], parts[3], arena, &code);
    txn_abort(txn);
    if (e == OK) *zip = code.zip;
    return e;
}
