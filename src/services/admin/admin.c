/* A table of seven routes, each with the action that it needs. Keys and explanations change or read what the store
 * holds and run in the call's transaction; status and logs come from whoever wired the server. */
#include "services/admin/admin.h"

#include "api/canonical.h"
#include "base/encode.h"
#include "base/writer.h"
#include "identity/authorize.h"
#include "services/admin/respond.h"
#include "services/env.h"

typedef struct {
    Str method, path; /* ends in '/': an id follows */
    Str action;
    Err (*run)(Admin *a);
    bool of_all; /* it shows what all accounts do: for the server's own alone */
} Route;

static const Route ROUTES[] = {
    { STR_INIT("POST"), STR_INIT("/_starling/keys"), STR_INIT("starling:KeyCreate"), admin_key_create, false },
    { STR_INIT("GET"), STR_INIT("/_starling/keys"), STR_INIT("starling:KeyList"), admin_key_list, false },
    { STR_INIT("PUT"), STR_INIT("/_starling/keys/"), STR_INIT("starling:KeyUpdate"), admin_key_update, false },
    { STR_INIT("DELETE"), STR_INIT("/_starling/keys/"), STR_INIT("starling:KeyDelete"), admin_key_delete, false },
    { STR_INIT("POST"), STR_INIT("/_starling/policy/explain"), STR_INIT("starling:PolicyExplain"), admin_policy_explain,
      false },
    { STR_INIT("GET"), STR_INIT("/_starling/status"), STR_INIT("starling:Status"), admin_status, true },
    { STR_INIT("GET"), STR_INIT("/_starling/logs"), STR_INIT("starling:Logs"), admin_logs, true },
};

Err admin_answer(Admin *a, int status, yyjson_mut_doc *doc, yyjson_mut_val *body) {
    yyjson_mut_doc_set_root(doc, body);
    *a->rs = (ApiResponse){ .status = status, .body = json_write_mut(a->call->arena, body) };
    a->rs->headers[a->rs->headers_n++] = (HttpHeader){ S("Content-Type"), S("application/json") };
    a->rs->headers[a->rs->headers_n++] = (HttpHeader){ S("x-amzn-RequestId"), a->call->request_id };
    return OK;
}

static Err refuse(Admin *a, int status, Str code, Str message) {
    yyjson_mut_doc *doc = json_doc(a->call->arena);
    yyjson_mut_val *body = yyjson_mut_obj(doc);
    json_add_str(doc, body, S("message"), message);
    Err e = admin_answer(a, status, doc, body);
    a->rs->headers[a->rs->headers_n++] = (HttpHeader){ S("x-amzn-ErrorType"), code };
    return e == OK ? ERR_API : e;
}

Err admin_fail(Admin *a, int status, const char *code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    Str message = str_format_v(a->call->arena, format, args);
    va_end(args);
    return refuse(a, status, str_c(code), message);
}

bool admin_may_touch(const Admin *a, Str account) {
    const Principal *p = a->call->principal;
    return str_eq(account, p->account) || str_eq(p->account, a->call->env->account) || p->kind == PRINCIPAL_SERVICE;
}

Err admin_body(Admin *a, yyjson_val **out) {
    Str why;
    yyjson_val *body = NULL;
    if (json_read(a->call->arena, a->rq->body, false, &body, &why) != OK)
        return admin_fail(a, 400, "InvalidRequestException", "the body is not JSON: %.*s", PS(why));
    if (!yyjson_is_obj(body)) return admin_fail(a, 400, "InvalidRequestException", "the body is not a JSON object");
    *out = body;
    return OK;
}

Str admin_param(Admin *a, Str name) {
    QueryParam *params;
    size_t n = canonical_params(a->call->arena, a->rq->query, &params);
    for (size_t i = 0; i < n; i++)
        if (str_eq(params[i].name, name)) return params[i].value;
    return STR_NONE;
}

static bool path_matches(const Route *route, Str path) {
    if (!str_ends(route->path, S("/"))) return str_eq(path, route->path);
    return str_starts(path, route->path) && path.len > route->path.len;
}

bool admin_has(Str path) {
    for (size_t i = 0; i < sizeof ROUTES / sizeof *ROUTES; i++)
        if (path_matches(&ROUTES[i], path)) return true;
    return false;
}

Str admin_routes(Arena *arena) {
    Writer w = writer_in(arena);
    for (size_t i = 0; i < sizeof ROUTES / sizeof *ROUTES; i++)
        writer_format(&w, "%s%.*s %.*s%s", i ? ", " : "", PS(ROUTES[i].method), PS(ROUTES[i].path),
                      str_ends(ROUTES[i].path, S("/")) ? "ID" : "");
    return writer_str(&w);
}

Err admin_handle(Call *c, const AdminSource *source, const ApiRequest *rq, ApiResponse *rs) {
    Admin a = { .call = c, .source = source, .rq = rq, .rs = rs };
    bool path_known = false;
    for (size_t i = 0; i < sizeof ROUTES / sizeof *ROUTES; i++) {
        const Route *route = &ROUTES[i];
        if (!path_matches(route, rq->path)) continue;
        path_known = true;
        if (!str_eq(rq->method, route->method)) continue;
        if (percent_decode(c->arena, str_from(rq->path, route->path.len), false, &a.id) != OK)
            return admin_fail(&a, 400, "InvalidRequestException", "the path '%.*s' has a '%%' without two hex digits",
                              PS(rq->path));
        if (c->principal->kind != PRINCIPAL_ACCESS_KEY && c->principal->kind != PRINCIPAL_SERVICE)
            return admin_fail(&a, 403, "AccessDeniedException", "only requests signed with an access key may do this");
        Err e = authorize_action(c, route->action, S("*"));
        if (e == ERR_API) return refuse(&a, 403, c->failure.error->name, c->failure.message);
        if (e == OK && route->of_all && !admin_may_touch(&a, c->env->account))
            return admin_fail(&a, 403, "AccessDeniedException", "%.*s is for the server's own account %.*s",
                              PS(route->action), PS(c->env->account));
        return e == OK ? route->run(&a) : e;
    }
    return path_known ? admin_fail(&a, 405, "MethodNotAllowedException", "%.*s cannot be used on %.*s", PS(rq->method),
                                   PS(rq->path))
                      : admin_fail(&a, 404, "ResourceNotFoundException", "there is no %.*s; there are %.*s",
                                   PS(rq->path), PS(admin_routes(c->arena)));
}
