/* Terraform and many scripts ask STS who they are before they do anything else. Its protocol is older than those of
 * AWS IoT: form parameters in body or query, XML back. One operation does not pay for a codec. */
#include "services/sts/sts.h"

#include "api/canonical.h"
#include "base/writer.h"
#include "identity/principal.h"

#define NAMESPACE "https://sts.amazonaws.com/doc/2011-06-15/"

static void write_xml(Writer *w, Str text) {
    for (size_t i = 0; i < text.len; i++) {
        uint8_t ch = text.ptr[i];
        if (ch == '<')
            writer_bytes(w, S("&lt;"));
        else if (ch == '>')
            writer_bytes(w, S("&gt;"));
        else if (ch == '&')
            writer_bytes(w, S("&amp;"));
        else if (ch >= ' ' || ch == '\n' || ch == '\t')
            writer_u8(w, ch); /* others XML cannot say */
    }
}

static void element(Writer *w, const char *name, Str text) {
    writer_format(w, "<%s>", name);
    write_xml(w, text);
    writer_format(w, "</%s>", name);
}

static void answer(Call *c, int status, Str body, ApiResponse *rs) {
    *rs = (ApiResponse){ .status = status, .body = body };
    rs->headers[rs->headers_n++] = (HttpHeader){ S("Content-Type"), S("text/xml") };
    rs->headers[rs->headers_n++] = (HttpHeader){ S("x-amzn-RequestId"), c->request_id };
}

void sts_refuse(Call *c, int status, const char *code, Str message, ApiResponse *rs) {
    Writer w = writer_in(c->arena);
    writer_bytes(&w, S("<ErrorResponse xmlns=\"" NAMESPACE "\"><Error>"));
    element(&w, "Type", status < 500 ? S("Sender") : S("Receiver"));
    element(&w, "Code", str_c(code));
    element(&w, "Message", message);
    writer_bytes(&w, S("</Error>"));
    element(&w, "RequestId", c->request_id);
    writer_bytes(&w, S("</ErrorResponse>"));
    answer(c, status, writer_str(&w), rs);
}

static Str user_id(const Principal *p) {
    for (size_t i = 0; i < p->vars_n; i++)
        if (str_eq(p->vars[i].name, S("aws:userid")) && p->vars[i].n) return p->vars[i].values[0];
    return p->id;
}

/* Needs no permission, and no policy can take it away. Source: STS API reference, GetCallerIdentity */
static void get_caller_identity(Call *c, ApiResponse *rs) {
    Writer w = writer_in(c->arena);
    writer_bytes(&w, S("<GetCallerIdentityResponse xmlns=\"" NAMESPACE "\"><GetCallerIdentityResult>"));
    element(&w, "Arn", c->principal->arn);
    element(&w, "UserId", user_id(c->principal));
    element(&w, "Account", c->principal->account);
    writer_bytes(&w, S("</GetCallerIdentityResult><ResponseMetadata>"));
    element(&w, "RequestId", c->request_id);
    writer_bytes(&w, S("</ResponseMetadata></GetCallerIdentityResponse>"));
    answer(c, 200, writer_str(&w), rs);
}

static Str parameter(Call *c, const ApiRequest *rq, Str name) {
    const Str texts[] = { rq->body, rq->query };
    for (size_t t = 0; t < 2; t++) {
        QueryParam *params;
        size_t n = canonical_params(c->arena, texts[t], &params);
        for (size_t i = 0; i < n; i++)
            if (str_eq(params[i].name, name)) return params[i].value;
    }
    return STR_NONE;
}

void sts_handle(Call *c, const ApiRequest *rq, ApiResponse *rs) {
    static const Str known[] = { STR_INIT("AssumeRole"),          STR_INIT("AssumeRoleWithSAML"),
                                 STR_INIT("AssumeRoot"),          STR_INIT("AssumeRoleWithWebIdentity"),
                                 STR_INIT("GetAccessKeyInfo"),    STR_INIT("DecodeAuthorizationMessage"),
                                 STR_INIT("GetFederationToken"),  STR_INIT("GetSessionToken"),
                                 STR_INIT("GetWebIdentityToken"), STR_INIT("GetDelegatedAccessToken") };
    Str action = parameter(c, rq, S("Action")), version = parameter(c, rq, S("Version"));
    if (str_eq(action, S("GetCallerIdentity"))) {
        get_caller_identity(c, rs);
        return;
    }
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!str_eq(action, known[i])) continue;
        sts_refuse(
            c, 501, "NotImplemented",
            str_format(c->arena, "%.*s is not implemented by Starling; of STS there is GetCallerIdentity", PS(action)),
            rs);
        return;
    }
    if (!action.len)
        sts_refuse(c, 400, "MissingAction",
                   S("The request has no Action parameter; Starling answers GetCallerIdentity"), rs);
    else
        sts_refuse(c, 400, "InvalidAction",
                   str_format(c->arena, "Could not find operation %.*s for version %.*s", PS(str_sub(action, 0, 100)),
                              PS(version.len ? str_sub(version, 0, 20) : S("NO_VERSION_SPECIFIED"))),
                   rs);
}
