#include "fuzz.h"

#include "services/iot/authorizer.h"

/* What a client says of itself, and what an authorizer's function answers. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Str in = { data, size }, why = STR_NONE;
    Arena a = { 0 };
    if (fuzz_choice(&in) & 1) {
        Str rest = in, user = str_cut(&rest, '\n');
        const AuthorizerQuestion q = { .username = user, .query = rest };
        Str name = authorizer_credential(&q, AUTHORIZER_NAME, &a);
        CHECK(name.len <= in.len);
        (void)authorizer_signed(name, authorizer_credential(&q, AUTHORIZER_SIGNATURE, &a), (StrMap){ 0 }, &a);
    } else {
        AuthorizerAnswer answer = { 0 };
        Err e = authorizer_answer_parse(in, &a, &answer, &why);
        CHECK(e == OK ? answer.principal_id.len > 0 && answer.policies_n <= 10 : why.len > 0);
    }
    arena_free(&a);
    return 0;
}
