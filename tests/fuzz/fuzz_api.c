#include "fuzz.h"

#include "api/codec.h"
#include "api/dispatch.h"
#include "api/pattern.h"
#include "api/validate.h"

/* Any request is matched or refused, any body becomes an operation's typed input or an error; what was taken goes out
 * as JSON that is taken again. */

/* Fuzzing's one process-lived value: compiling all patterns for each input would be all that is done. */
static ApiPatterns *patterns;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    Arena a = { 0 };
    size_t n;
    const ApiService *const *services = api_services(&n);
    Str why;
    CHECK(api_patterns_new(services, n, &a, &patterns, &why) == OK);
    arena_free(&a);
    return 0;
}

static void again(Arena *a, const ApiOp *op, const void *in) {
    Str why = S("");
    yyjson_val *v;
    Str json = json_write_mut(a, api_encode_struct(json_doc(a), a, op->in, in));
    void *back = arena_alloc(a, op->in->element_size);
    if (!json.ptr) return; /* a float that JSON cannot say, in a document */
    CHECK(json_read(a, json, false, &v, NULL) == OK);
    CHECK(api_decode_struct(a, op->in, v, back, &why) == OK);
    CHECK(str_eq(json, json_write_mut(a, api_encode_struct(json_doc(a), a, op->in, back))));
}

/* operation, then path, query and a header's value up to a newline each, then the body */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena a = { 0 };
    Str in = { data, size };
    size_t n, which = (size_t)fuzz_choice(&in) << 8;
    which |= fuzz_choice(&in);
    const ApiService *s = api_services(&n)[0];
    s = api_services(&n)[which % n];
    const ApiOp *op = &s->ops[which / n % s->ops_n];
    Str path = str_cut(&in, '\n'), query = str_cut(&in, '\n'), value = str_cut(&in, '\n');
    const HttpHeader headers[] = { { S("x-amz-mqtt5-user-properties"), value }, { S("X-Amz-Target"), value } };
    ApiRequest rq = {
        .method = op->method, .path = path, .query = query, .headers = headers, .headers_n = 2, .body = in
    };
    Call c = { .arena = &a, .patterns = patterns, .request_id = S("r") };
    ApiMatch m = { .op = op, .labels = { path, path, path }, .labels_n = 3 };
    ApiResponse rs = { 0 };
    void *typed;
    Err e = api_match(s, &rq, &a, &m);
    if (e != OK) {
        CHECK(api_no_match(&c, s, &rq, e) == ERR_API);
        m.op = op;
    }
    e = api_prepare(&c, &m, &rq, &typed);
    CHECK(e == OK || (e == ERR_API && c.failure.error));
    if (e == OK) again(&a, m.op, typed);
    api_answer(&c, e == OK ? ERR_NOT_FOUND : e, NULL, &rs);
    CHECK(rs.status >= 400 && rs.body.len > 0);
    arena_free(&a);
    return 0;
}
