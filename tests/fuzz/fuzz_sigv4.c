#include "fuzz.h"

#include "api/sigv4.h"
#include "net/http.h"

/* A whole HTTP request, so that headers come as they do from outside. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena a = { 0 };
    HttpParser *p = http_parser_new(HTTP_LIMITS(4096));
    HttpRequest http;
    size_t used;
    if (http_parser_feed(p, (Str){ data, size }, &used, &http) == OK) {
        ApiRequest rq = { http.method, http.path, http.query, http.headers, http.headers_n, http.body };
        SigV4 sig;
        SigV4Fault fault = { 0 };
        int64_t now_ms = INT64_C(1767323045000); /* 20260102T030405Z, as the seeds have it */
        if (sigv4_present(&rq)) {
            Err e = sigv4_parse(&rq, now_ms, &a, &sig, &fault);
            if (e == OK) e = sigv4_verify(&sig, &rq, S("secret"), NULL, &a, &fault);
            CHECK(e == OK || (fault.code && fault.status >= 400 && fault.message.len > 0));
        }
    }
    http_parser_free(p);
    arena_free(&a);
    return 0;
}
