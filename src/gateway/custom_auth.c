#include "gateway/custom_auth.h"

#define NAME S("x-amz-customauthorizer-name")

bool custom_auth_asked(const ApiRequest *rq) {
    if (http_header(rq->headers, rq->headers_n, NAME).ptr) return true;
    for (Str rest = rq->query; rest.ptr;) {
        Str pair = str_cut(&rest, '&');
        if (str_eq_nocase(str_cut(&pair, '='), NAME)) return true;
    }
    return false;
}

SigV4Fault custom_auth_missing(void) {
    return (SigV4Fault){ .code = "NotImplementedException",
                         .query_code = "NotImplemented",
                         .status = 501,
                         .message =
                             S("custom authorizers are not implemented yet: use SigV4 or a client certificate") };
}
