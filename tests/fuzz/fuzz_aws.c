#include "fuzz.h"

#include "aws/credentials.h"
#include "aws/discovery.h"
#include "aws/error.h"
#include "aws/folder.h"
#include "rules/attributes.h"

/* What comes from AWS's services, and what operators write of them. The first byte says which. */

static const char *no_environment(const char *name) {
    (void)name;
    return NULL;
}

static void errors(Str s, Arena *a) {
    HttpHeader h = { S("x-amzn-ErrorType"), s };
    AwsError of_body = aws_error_read(NULL, 0, s, a), of_header = aws_error_read(&h, 1, STR_NONE, a);
    CHECK(of_body.code.len <= s.len && of_header.code.len <= s.len);
    CHECK(str_find(of_body.code, ':') == SIZE_MAX && str_find(of_header.code, ':') == SIZE_MAX);
    aws_error_retry(400, of_body.code);
}

static void endpoints(Str s, Arena *a) {
    AwsEndpoint e;
    Str why = STR_NONE;
    if (aws_endpoint_settings_check(s, a, &why) != OK) {
        CHECK(why.len > 0);
        return;
    }
    for (Str names = aws_service_names(a); names.len;) {
        const AwsService *service = aws_service(str_trim(str_cut(&names, ',')));
        CHECK(service && aws_endpoint_of(service, S("us-east-1"), s, no_environment, a, &e, &why) == OK);
        CHECK(e.host.len > 0 && str_find(e.host, '/') == SIZE_MAX && str_find(e.host, '@') == SIZE_MAX);
    }
}

static void attributes(Str s, Arena *a) {
    yyjson_val *v, *again;
    yyjson_mut_val *plain;
    if (json_read(a, s, true, &v, NULL) != OK) return;
    if (attributes_plain(json_doc(a), v, &plain) != OK) return;
    CHECK(json_read(a, json_write_mut(a, plain), true, &again, NULL) == OK && yyjson_is_obj(again));
}

/* No key leaves its bucket's folder. */
static void paths(Str s, Arena *a) {
    Str path, why, rest;
    if (folder_path(S("bucket"), s, a, &path, &why) != OK) return;
    CHECK(str_starts(path, S("bucket/")));
    for (rest = str_from(path, 7); rest.ptr;) {
        Str part = str_cut(&rest, '/');
        CHECK(part.len > 0 && !str_eq(part, S(".")) && !str_eq(part, S("..")) && str_find(part, 0) == SIZE_MAX);
    }
}

static void discovered(Str s, Arena *a) {
    Str host;
    int64_t keep_ms;
    if (discovery_read(s, a, &host, &keep_ms) != OK) return;
    CHECK(host.len > 0 && str_find(host, '/') == SIZE_MAX && str_find(host, '@') == SIZE_MAX);
    CHECK(keep_ms >= 60000 && keep_ms <= 86400000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    Arena a = { 0 };
    Str s = { data + 1, size - 1 };
    AwsCredentials c;
    switch (data[0] % 6) {
    case 0: errors(s, &a); break;
    case 1: endpoints(s, &a); break;
    case 2: attributes(s, &a); break;
    case 3: paths(s, &a); break;
    case 5: discovered(s, &a); break;
    default:
        if (aws_credentials_read(s, S("default"), &c) == OK) CHECK(c.access_key.len && c.secret.len);
    }
    arena_free(&a);
    return 0;
}
