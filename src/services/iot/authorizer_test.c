/* What goes to an authorizer's function and what comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/encode.h"
#include "services/iot/authorizer.h"

static Str credential(const char *user, const char *query, const char *header, Str key, Arena *a) {
    HttpHeader h = { S("AuthToken"), str_c(header) };
    const AuthorizerQuestion q = {
        .username = str_c(user), .query = str_c(query), .headers = &h, .headers_n = header ? 1 : 0
    };
    return authorizer_credential(&q, key, a);
}

static void a_credential_is_found_in_user_name_query_and_header(void **state) {
    (void)state;
    Arena a = { 0 };
    Str key = S("AuthToken");
    assert_true(str_eq(credential("me?AuthToken=a%2Fb%3D&x=y", NULL, NULL, key, &a), S("a/b=")));
    assert_true(str_eq(credential("?x=y&authtoken=c", NULL, NULL, key, &a), S("c")));
    assert_true(str_eq(credential("me?AuthToken=1", "AuthToken=2", "3", key, &a), S("1")));
    assert_true(str_eq(credential("me", "x&AuthToken=2", "3", key, &a), S("2")));
    assert_true(str_eq(credential(NULL, NULL, "3", key, &a), S("3")));
    assert_true(str_eq(credential("me?AuthToken", NULL, NULL, key, &a), S("")));
    assert_true(str_eq(credential("me?AuthToken=a+b", NULL, NULL, key, &a), S("a+b"))); /* base64 has it */
    assert_null(credential("AuthToken=1", NULL, NULL, key, &a).ptr);                    /* the name itself */
    assert_null(credential("me?AuthToken=%zz", NULL, NULL, key, &a).ptr);
    assert_null(credential(NULL, NULL, NULL, key, &a).ptr);
    arena_free(&a);
}

static void an_answer_is_taken_only_when_all_of_it_is_right(void **state) {
    static const char GOOD[] =
        "{\"isAuthenticated\":true,\"principalId\":\"Person1\",\"disconnectAfterInSeconds\":86400,"
        "\"refreshAfterInSeconds\":300.0,\"policyDocuments\":[{\"Version\":\"2012-10-17\"},\"{}\"]}";
    static const char *const BAD[] = {
        "",
        "[]",
        "\"{}\"",
        "{}",
        "{\"isAuthenticated\":\"true\"}",
        "{\"isAuthenticated\":1}",
        "{\"isAuthenticated\":true}",
        "{\"isAuthenticated\":false,\"principalId\":\"a\",\"policyDocuments\":[],\"isAuthenticated\":true}",
        "{\"isAuthenticated\":true,\"principalId\":\"\",\"policyDocuments\":[]}",
        "{\"isAuthenticated\":true,\"principalId\":\"a-b\",\"policyDocuments\":[]}",
        "{\"isAuthenticated\":true,\"principalId\":7,\"policyDocuments\":[]}",
        "{\"isAuthenticated\":true,\"principalId\":\"a\"}",
        "{\"isAuthenticated\":true,\"principalId\":\"a\",\"policyDocuments\":{}}",
        "{\"isAuthenticated\":true,\"principalId\":\"a\",\"policyDocuments\":[1]}",
        "{\"isAuthenticated\":true,\"principalId\":\"a\",\"policyDocuments\":[],\"refreshAfterInSeconds\":299}",
        "{\"isAuthenticated\":true,\"principalId\":\"a\",\"policyDocuments\":[],\"refreshAfterInSeconds\":300.5}",
        "{\"isAuthenticated\":true,\"principalId\":\"a\",\"policyDocuments\":[],\"disconnectAfterInSeconds\":86401}",
        "{\"isAuthenticated\":true,\"principalId\":\"a\",\"policyDocuments\":[],\"disconnectAfterInSeconds\":\"400\"}",
    };
    (void)state;
    Arena a = { 0 };
    AuthorizerAnswer answer = { 0 };
    Str why = S("");
    assert_int_equal(authorizer_answer_parse(str_c(GOOD), &a, &answer, &why), OK);
    assert_true(str_eq(answer.principal_id, S("Person1")) && answer.policies_n == 2);
    assert_true(str_eq(answer.policies[0], S("{\"Version\":\"2012-10-17\"}")) && str_eq(answer.policies[1], S("{}")));
    assert_int_equal(answer.disconnect_after_s, 86400);
    assert_int_equal(answer.refresh_after_s, 300);
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        AuthorizerAnswer untouched = { .refresh_after_s = 99 };
        if (authorizer_answer_parse(str_c(BAD[i]), &a, &untouched, &why) != ERR_MALFORMED) fail_msg("%s", BAD[i]);
        assert_int_equal(untouched.refresh_after_s, 99);
        assert_true(why.len > 0);
    }
    assert_int_equal(authorizer_answer_parse(S("{\"isAuthenticated\":false}"), &a, &answer, &why), ERR_UNAUTHENTICATED);
    Str many =
        S("{\"isAuthenticated\":true,\"principalId\":\"a\",\"policyDocuments\":[{},{},{},{},{},{},{},{},{},{},{}]}");
    assert_int_equal(authorizer_answer_parse(many, &a, &answer, &why), ERR_LIMIT);
    arena_free(&a);
}

static Str public_pem(EVP_PKEY *key, Arena *a) {
    BIO *b = BIO_new(BIO_s_mem());
    char *text;
    assert_int_equal(PEM_write_bio_PUBKEY(b, key), 1);
    long n = BIO_get_mem_data(b, &text);
    Str pem = str_dup(a, (Str){ (uint8_t *)text, (size_t)n });
    BIO_free(b);
    return pem;
}

static Str sign(EVP_PKEY *key, Str token, Arena *a) {
    uint8_t bytes[512];
    size_t n = sizeof bytes;
    EVP_MD_CTX *m = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(m, NULL, EVP_sha256(), NULL, key), 1);
    assert_int_equal(EVP_DigestSign(m, bytes, &n, token.ptr, token.len), 1);
    EVP_MD_CTX_free(m);
    return base64_encode(a, (Str){ bytes, n });
}

static void a_signature_is_one_of_the_keys_over_this_very_token(void **state) {
    (void)state;
    Arena a = { 0 };
    EVP_PKEY *mine = EVP_RSA_gen(2048), *other = EVP_RSA_gen(2048), *curve = EVP_EC_gen("P-256");
    StrPair pairs[] = { { S("other"), public_pem(other, &a) }, { S("mine"), public_pem(mine, &a) } };
    StrMap both = { pairs, 2, true }, one = { pairs, 1, true };
    Str good = sign(mine, S("token"), &a);
    assert_true(authorizer_signed(S("token"), good, both, &a));
    assert_false(authorizer_signed(S("token"), good, one, &a));
    assert_false(authorizer_signed(S("tokem"), good, both, &a));
    assert_false(authorizer_signed(S("token"), str_sub(good, 0, good.len - 4), both, &a));
    assert_false(authorizer_signed(S("token"), S(""), both, &a));
    assert_false(authorizer_signed(S(""), good, both, &a));
    assert_false(authorizer_signed(S("token"), S("%%%"), both, &a));
    assert_true(authorizer_key_ok(pairs[0].value));
    assert_false(authorizer_key_ok(public_pem(curve, &a)));
    assert_false(authorizer_key_ok(S("no key")));
    EVP_PKEY_free(mine);
    EVP_PKEY_free(other);
    EVP_PKEY_free(curve);
    arena_free(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_credential_is_found_in_user_name_query_and_header),
        cmocka_unit_test(an_answer_is_taken_only_when_all_of_it_is_right),
        cmocka_unit_test(a_signature_is_one_of_the_keys_over_this_very_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
