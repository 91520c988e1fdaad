#include "fuzz.h"

#include "identity/endpoint.h"
#include "identity/principal.h"
#include "identity/role.h"
#include "identity/server_certificate.h"
#include "services/query.h"

/* A host name is read whole and any prefix of it; what is somebody's is given back the same. */
static void endpoint(Str in, Arena *a) {
    AccountName account;
    if (!endpoint_account(in, &account)) {
        CHECK(account.digits[0] == 0);
        return;
    }
    CHECK(strlen(account.digits) == ACCOUNT_DIGITS);
    CHECK(str_eq_nocase(endpoint_prefix(str_c(account.digits), a), str_sub(in, 0, 14)));
}

static void trust(Str in, Arena *a) {
    Str why = STR_NONE;
    const RoleTaker taker = { .arn = S("arn:aws:iam::123456789012:user/me"), .account = S("123456789012") };
    const RoleRecord role = { .role_name = S("r"), .trust_policy = in };
    Err e = role_trust_check(in, a, &why);
    if (e != OK) CHECK(why.len > 0);
    if (e == OK) CHECK(role_trusts(&role, &taker, a) != ERR_CORRUPT);
}

static Err echo(Query *q) {
    Str text;
    StrMap tags;
    Err e = query_text(q, "Text", 1, 64, "+=,.@-", &text);
    if (e == OK) e = query_tags(q, &tags);
    if (e != OK) return e;
    query_element(q, "Text", text);
    for (size_t i = 0; i < tags.n; i++) query_element(q, "Tag", tags.items[i].key);
    for (size_t i = 0; i < query_list(q, "Keys").n; i++) query_element(q, "Key", query_list(q, "Keys").items[i]);
    return OK;
}

static void query(Str in, Arena *a) {
    static const QueryAction ACTIONS[] = { { "Echo", echo, false } };
    static const QueryService SERVICE = { .name = "x", .namespace = "x", .actions = ACTIONS, .actions_n = 1 };
    Call c = { .arena = a, .request_id = S("id") };
    ApiRequest rq = { .method = S("POST"), .path = S("/"), .body = in };
    ApiResponse rs = { 0 };
    Err e = query_handle(&SERVICE, &c, &rq, &rs);
    CHECK(e == OK ? rs.status == 200 : e == ERR_API && rs.status >= 400);
    for (size_t i = 0; i < rs.body.len; i++)
        CHECK(rs.body.ptr[i] >= ' ' || rs.body.ptr[i] == '\n' || rs.body.ptr[i] == '\t');
}

/* The first byte says which; certificate and key are parted by a zero. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena a = { 0 };
    if (size == 0) return 0;
    Str in = { data + 1, size - 1 }, why = STR_NONE;
    ServerCertificate certificate;
    switch (data[0] % 4) {
    case 0: endpoint(in, &a); break;
    case 1: trust(in, &a); break;
    case 2: query(in, &a); break;
    default: {
        Str key = in, cert = str_cut(&key, 0);
        if (server_certificate_read(cert, STR_NONE, key, &a, &certificate, &why) != OK)
            CHECK(why.len > 0);
        else
            (void)server_certificate_covers(&certificate, S("a.example.org"));
    }
    }
    arena_free(&a);
    return 0;
}
