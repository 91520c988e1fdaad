/* What goes to an authorizer's function and what comes back, without the asking. Pure. */
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/encode.h"
#include "base/json.h"
#include "services/iot/authorizer.h"

/* Source: AWS IoT developer guide, "Defining your Lambda function" */
enum { POLICIES_MAX = 10, PRINCIPAL_ID_MAX = 128, SECONDS_MIN = 300, SECONDS_MAX = 86400 };

static Str in_query(Str query, Str key, Arena *arena) {
    while (query.len) {
        Str pair = str_cut(&query, '&'), name = str_cut(&pair, '='), value;
        Str plain;
        if (percent_decode(arena, name, false, &plain) != OK || !str_eq_nocase(plain, key)) continue;
        if (percent_decode(arena, pair.ptr ? pair : S(""), false, &value) == OK) return value;
    }
    return STR_NONE;
}

Str authorizer_credential(const AuthorizerQuestion *q, Str key, Arena *arena) {
    Str rest = q->username, found = STR_NONE;
    if (rest.ptr) {
        str_cut(&rest, '?'); /* the user name itself */
        found = in_query(rest, key, arena);
    }
    if (!found.ptr) found = in_query(q->query, key, arena);
    for (size_t i = 0; !found.ptr && i < q->headers_n; i++)
        if (str_eq_nocase(q->headers[i].name, key)) found = q->headers[i].value;
    return found;
}

/* ------------------------------------------------------------------------------------------------ signatures */

static EVP_PKEY *key_from(Str pem) {
    BIO *b = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    EVP_PKEY *key = b ? PEM_read_bio_PUBKEY(b, NULL, NULL, NULL) : NULL;
    BIO_free(b);
    return key;
}

bool authorizer_key_ok(Str pem) {
    EVP_PKEY *key = key_from(pem);
    bool ok = key && EVP_PKEY_is_a(key, "RSA") && EVP_PKEY_get_bits(key) >= 2048;
    EVP_PKEY_free(key);
    return ok;
}

static bool made_by(EVP_PKEY *key, Str token, Str signature) {
    EVP_MD_CTX *m = EVP_MD_CTX_new();
    bool ok = key && m && EVP_DigestVerifyInit(m, NULL, EVP_sha256(), NULL, key) == 1 &&
              EVP_DigestVerify(m, signature.ptr, signature.len, token.ptr, token.len) == 1;
    EVP_MD_CTX_free(m);
    return ok;
}

bool authorizer_signed(Str token, Str signature, StrMap keys, Arena *arena) {
    Str bytes;
    if (!token.len || !signature.len || base64_decode(arena, signature, &bytes) != OK) return false;
    bool ok = false;
    for (size_t i = 0; !ok && i < keys.n; i++) {
        EVP_PKEY *key = key_from(keys.items[i].value);
        ok = made_by(key, token, bytes);
        EVP_PKEY_free(key);
    }
    return ok;
}

/* ------------------------------------------------------------------------------------------------ the function's word
 */

static Err bad(Str *why, Arena *arena, const char *text) {
    *why = str_format(arena, "the function's answer: %s", text);
    return ERR_MALFORMED;
}

static bool seconds(yyjson_val *o, Str key, int64_t *out) {
    yyjson_val *v = json_get(o, key);
    *out = SECONDS_MAX;
    if (!v || yyjson_is_null(v)) return true;
    if (!yyjson_is_num(v)) return false;
    double n = yyjson_get_num(v);
    if (!(n >= SECONDS_MIN && n <= SECONDS_MAX) || n != (double)(int64_t)n) return false;
    *out = (int64_t)n;
    return true;
}

/* Whoever reads a member that is there twice may take either for the one that counts. */
static bool said_twice(yyjson_val *o) {
    static const char *const MEMBERS[] = { "isAuthenticated", "principalId", "disconnectAfterInSeconds",
                                           "refreshAfterInSeconds", "policyDocuments" };
    size_t seen[sizeof MEMBERS / sizeof *MEMBERS] = { 0 };
    yyjson_val *key;
    yyjson_obj_iter at = yyjson_obj_iter_with(o);
    while ((key = yyjson_obj_iter_next(&at)))
        for (size_t i = 0; i < sizeof MEMBERS / sizeof *MEMBERS; i++)
            if (str_eq(json_str(key), str_c(MEMBERS[i])) && ++seen[i] > 1) return true;
    return false;
}

static bool principal_id_ok(Str s) {
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.ptr[i];
        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))) return false;
    }
    return s.len > 0 && s.len <= PRINCIPAL_ID_MAX;
}

static Err policies(yyjson_val *list, Arena *arena, AuthorizerAnswer *a, Str *why) {
    if (!yyjson_is_arr(list)) return bad(why, arena, "policyDocuments is no list");
    if (yyjson_arr_size(list) > POLICIES_MAX) {
        *why = str_format(arena, "the function's answer: %zu policyDocuments are more than %d", yyjson_arr_size(list),
                          POLICIES_MAX);
        return ERR_LIMIT;
    }
    a->policies = arena_array(arena, Str, yyjson_arr_size(list));
    yyjson_val *v;
    yyjson_arr_iter at = yyjson_arr_iter_with(list);
    while ((v = yyjson_arr_iter_next(&at))) {
        if (!yyjson_is_str(v) && !yyjson_is_obj(v))
            return bad(why, arena, "a policy document is neither an object nor a text");
        a->policies[a->policies_n++] = yyjson_is_str(v) ? json_str(v) : json_write(arena, v);
    }
    return OK;
}

Err authorizer_answer_parse(Str json, Arena *arena, AuthorizerAnswer *out, Str *why) {
    AuthorizerAnswer a = { 0 };
    yyjson_val *o;
    if (json_read(arena, json, false, &o, NULL) != OK || !yyjson_is_obj(o))
        return bad(why, arena, "it is no JSON object");
    if (said_twice(o)) return bad(why, arena, "a member is there twice");
    yyjson_val *yes = json_get(o, S("isAuthenticated"));
    if (!yyjson_is_bool(yes)) return bad(why, arena, "isAuthenticated is neither true nor false");
    if (!yyjson_get_bool(yes)) {
        *why = S("the function says that it is not authenticated");
        return ERR_UNAUTHENTICATED;
    }
    a.principal_id = json_str(json_get(o, S("principalId")));
    if (!principal_id_ok(a.principal_id)) return bad(why, arena, "principalId is not 1 to 128 of a-z A-Z 0-9");
    if (!seconds(o, S("disconnectAfterInSeconds"), &a.disconnect_after_s))
        return bad(why, arena, "disconnectAfterInSeconds is not 300 to 86400");
    if (!seconds(o, S("refreshAfterInSeconds"), &a.refresh_after_s))
        return bad(why, arena, "refreshAfterInSeconds is not 300 to 86400");
    Err e = policies(json_get(o, S("policyDocuments")), arena, &a, why);
    if (e == OK) *out = a;
    return e;
}
