#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "identity/principal.h"
#include "services/sts/sts.h"

static const Str USER_ID = STR_INIT("AIDAX");

static ApiResponse ask(Arena *a, const char *query, const char *body) {
    PolicyVar *vars = arena_new(a, PolicyVar);
    *vars = (PolicyVar){ S("aws:userid"), &USER_ID, 1 };
    Principal *p = arena_new(a, Principal);
    p->account = S("123456789012");
    p->arn = S("arn:aws:iam::123456789012:user/a<b>&");
    p->vars = vars;
    p->vars_n = 1;
    Call *c = arena_new(a, Call);
    c->arena = a;
    c->principal = p;
    c->request_id = S("id-1");
    ApiRequest rq = { .method = S("POST"), .path = S("/"), .query = str_c(query), .body = str_c(body) };
    ApiResponse rs;
    Err e = query_handle(&STS_SERVICE, c, &rq, &rs);
    assert_int_equal(e, rs.status == 200 ? OK : ERR_API);
    return rs;
}

static void who_asks_is_told_who_it_is_in_xml(void **state) {
    (void)state;
    static const char *const forms[][2] = { { "", "Action=GetCallerIdentity&Version=2011-06-15" },
                                            { "Version=2011-06-15&Action=GetCallerIdentity", "" },
                                            { "", "Version=2011-06-15&Action=GetCaller%49dentity" } };
    for (size_t i = 0; i < 3; i++) {
        Arena a = { 0 };
        ApiResponse rs = ask(&a, forms[i][0], forms[i][1]);
        assert_int_equal(rs.status, 200);
        assert_true(str_eq(rs.body, S("<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"
                                      "<GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/a&lt;b&gt;&amp;"
                                      "</Arn><UserId>AIDAX</UserId><Account>123456789012</Account>"
                                      "</GetCallerIdentityResult><ResponseMetadata><RequestId>id-1</RequestId>"
                                      "</ResponseMetadata></GetCallerIdentityResponse>")));
        arena_free(&a);
    }
}

static void what_is_not_there_says_so(void **state) {
    (void)state;
    static const struct {
        const char *body, *code;
        int status;
    } cases[] = {
        { "Action=GetSessionToken&Version=2011-06-15", "<Code>NotImplemented</Code>", 501 },
        { "Action=Nonsense&Version=2011-06-15", "<Code>InvalidAction</Code>", 400 },
        { "Action=%3Cx%3E", "operation &lt;x&gt; for version NO_VERSION_SPECIFIED", 400 },
        { "", "<Code>MissingAction</Code>", 400 },
        { "&&=&%", "<Code>MissingAction</Code>", 400 },
        { "Action", "<Code>MissingAction</Code>", 400 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Arena a = { 0 };
        ApiResponse rs = ask(&a, "", cases[i].body);
        assert_int_equal(rs.status, cases[i].status);
        assert_true(str_find_str(rs.body, str_c(cases[i].code)) != SIZE_MAX);
        assert_true(str_starts(rs.body, S("<ErrorResponse xmlns=")));
        arena_free(&a);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_asks_is_told_who_it_is_in_xml),
        cmocka_unit_test(what_is_not_there_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
