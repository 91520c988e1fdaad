/* Older than the protocols of AWS IoT and used by two services only, so no codec: an action takes its parameters by
 * name and writes its elements. */
#include "services/query.h"

#include "api/page.h"
#include "api/timestamp.h"
#include "identity/authorize.h"

enum { TAGS_MAX = 50, LIST_MAX = 100, PAGE_DEFAULT = 100, PAGE_MAX = 1000 }; /* Source: IAM API reference */

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

void query_open(Query *q, const char *name) {
    writer_format(&q->w, "<%s>", name);
}

void query_close(Query *q, const char *name) {
    writer_format(&q->w, "</%s>", name);
}

void query_element(Query *q, const char *name, Str text) {
    element(&q->w, name, text);
}

/* Source: "2026-01-02T03:04:05Z", without a fraction */
void query_time(Query *q, const char *name, int64_t ms) {
    element(&q->w, name, timestamp_iso8601(q->call->arena, ms - ms % 1000));
}

/* ------------------------------------------------------------------------------------------------ answers */

static void answer(Call *c, int status, Str body, ApiResponse *rs) {
    *rs = (ApiResponse){ .status = status, .body = body };
    rs->headers[rs->headers_n++] = (HttpHeader){ S("Content-Type"), S("text/xml") };
    rs->headers[rs->headers_n++] = (HttpHeader){ S("x-amzn-RequestId"), c->request_id };
}

void query_refuse(const QueryService *s, Call *c, int status, const char *code, Str message, ApiResponse *rs) {
    Writer w = writer_in(c->arena);
    writer_format(&w, "<ErrorResponse xmlns=\"%s\"><Error>", s->namespace);
    element(&w, "Type", status < 500 ? S("Sender") : S("Receiver"));
    element(&w, "Code", str_c(code));
    element(&w, "Message", message);
    writer_bytes(&w, S("</Error>"));
    element(&w, "RequestId", c->request_id);
    writer_bytes(&w, S("</ErrorResponse>"));
    answer(c, status, writer_str(&w), rs);
}

Err query_fail(Query *q, int status, const char *code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    Str message = str_format_v(q->call->arena, format, args);
    va_end(args);
    query_refuse(q->service, q->call, status, code, message, q->rs);
    return ERR_API;
}

Err query_authorize(Query *q, const char *action, Str resource) {
    Err e = authorize_action(q->call, str_c(action), resource);
    if (e != ERR_API) return e;
    Str message = q->call->failure.message;
    q->call->failure.error = NULL;
    return query_fail(q, 403, "AccessDenied", "%.*s", PS(message));
}

static Err run(const QueryAction *action, Query *q) {
    Call *c = q->call;
    Err e = action->run(q);
    if (e != OK) return e;
    Str result = writer_str(&q->w);
    q->w = writer_in(c->arena);
    writer_format(&q->w, "<%sResponse xmlns=\"%s\">", action->name, q->service->namespace);
    if (!action->empty) {
        writer_format(&q->w, "<%sResult>", action->name);
        writer_bytes(&q->w, result);
        writer_format(&q->w, "</%sResult>", action->name);
    }
    query_open(q, "ResponseMetadata");
    query_element(q, "RequestId", c->request_id);
    query_close(q, "ResponseMetadata");
    writer_format(&q->w, "</%sResponse>", action->name);
    answer(c, 200, writer_str(&q->w), q->rs);
    return OK;
}

static Err unknown(Query *q, Str action) {
    const QueryService *s = q->service;
    Writer known = writer_in(q->call->arena);
    bool other = s->all_others;
    for (size_t i = 0; i < s->actions_n; i++) writer_format(&known, "%s%s", i ? ", " : "", s->actions[i].name);
    for (size_t i = 0; i < s->others_n; i++) other |= str_eq(action, s->others[i]);
    if (!action.len)
        return query_fail(q, 400, "MissingAction", "The request has no Action parameter; Starling answers %.*s",
                          PS(writer_str(&known)));
    if (other)
        return query_fail(q, 501, "NotImplemented", "%.*s of %s is not implemented yet; there is %.*s",
                          PS(str_sub(action, 0, 100)), s->name, PS(writer_str(&known)));
    Str version = query_param(q, "Version");
    return query_fail(q, 400, "InvalidAction", "Could not find operation %.*s for version %.*s",
                      PS(str_sub(action, 0, 100)),
                      PS(version.len ? str_sub(version, 0, 20) : S("NO_VERSION_SPECIFIED")));
}

Err query_handle(const QueryService *s, Call *c, const ApiRequest *rq, ApiResponse *rs) {
    QueryParam *body, *query;
    size_t body_n = canonical_params(c->arena, rq->body, &body);
    size_t query_n = canonical_params(c->arena, rq->query, &query);
    QueryParam *all = arena_array(c->arena, QueryParam, body_n + query_n + 1);
    if (body_n) memcpy(all, body, body_n * sizeof *all);
    if (query_n) memcpy(all + body_n, query, query_n * sizeof *all);
    Query q = {
        .call = c, .service = s, .params = all, .params_n = body_n + query_n, .w = writer_in(c->arena), .rs = rs
    };
    Str action = query_param(&q, "Action");
    for (size_t i = 0; i < s->actions_n; i++)
        if (str_eq(action, str_c(s->actions[i].name))) return run(&s->actions[i], &q);
    return unknown(&q, action);
}

/* ------------------------------------------------------------------------------------------------ parameters */

Str query_param(const Query *q, const char *name) {
    for (size_t i = 0; i < q->params_n; i++)
        if (str_eq(q->params[i].name, str_c(name))) return q->params[i].value;
    return STR_NONE;
}

static bool allowed(uint8_t c, const char *others) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) return true;
    return c && strchr(others, c);
}

Err query_text(Query *q, const char *name, size_t least, size_t most, const char *others, Str *out) {
    Str value = query_param(q, name);
    if (!value.ptr)
        return query_fail(q, 400, "ValidationError",
                          "1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must "
                          "not be null",
                          name);
    if (!str_is_utf8(value) || str_code_points(value) < least || str_code_points(value) > most)
        return query_fail(q, 400, "ValidationError",
                          "1 validation error detected: Value at '%s' failed to satisfy constraint: Member must have "
                          "length between %zu and %zu",
                          name, least, most);
    for (size_t i = 0; others && i < value.len; i++)
        if (!allowed(value.ptr[i], others))
            return query_fail(q, 400, "ValidationError",
                              "The specified value for %s is invalid. It must contain only alphanumeric characters "
                              "and/or the following: %s",
                              name, others);
    *out = value;
    return OK;
}

Err query_number(Query *q, const char *name, int64_t otherwise, int64_t least, int64_t most, int64_t *out) {
    Str value = query_param(q, name);
    int64_t n = otherwise;
    if (value.len && (str_to_i64(value, &n) != OK || n < least || n > most))
        return query_fail(q, 400, "ValidationError",
                          "1 validation error detected: Value '%.*s' at '%s' failed to satisfy constraint: Member must "
                          "have value between %lld and %lld",
                          PS(str_sub(value, 0, 40)), name, (long long)least, (long long)most);
    *out = n;
    return OK;
}

static Str numbered(const Query *q, const char *name, size_t i, const char *member) {
    Arena *a = q->call->arena;
    return query_param(q, str_dup_c(a, str_format(a, "%s.member.%zu%s", name, i, member)));
}

Err query_tags(Query *q, StrMap *out) {
    StrPair *items = arena_array(q->call->arena, StrPair, TAGS_MAX + 1);
    size_t n = 0;
    for (Str key; (key = numbered(q, "Tags", n + 1, ".Key")).ptr; n++) {
        Str value = numbered(q, "Tags", n + 1, ".Value");
        if (n == TAGS_MAX)
            return query_fail(q, 409, "LimitExceeded", "The number of tags has reached the maximum limit.");
        if (!key.len || str_code_points(key) > 128 || str_code_points(value) > 256)
            return query_fail(q, 400, "ValidationError", "A tag's key has 1 to 128 characters, its value at most 256");
        for (size_t i = 0; i < n; i++)
            if (str_eq_nocase(items[i].key, key))
                return query_fail(q, 400, "InvalidInput",
                                  "Duplicate tag keys found. Please note that Tag keys are case "
                                  "insensitive.");
        items[n] = (StrPair){ key, value.ptr ? value : S("") };
    }
    *out = (StrMap){ items, n, n > 0 };
    return OK;
}

StrList query_list(Query *q, const char *name) {
    Str *items = arena_array(q->call->arena, Str, LIST_MAX);
    size_t n = 0;
    for (Str s; n < LIST_MAX && (s = numbered(q, name, n + 1, "")).ptr; n++) items[n] = s;
    return (StrList){ items, n, n > 0 };
}

Err query_page(Query *q, QueryPage *out) {
    int64_t most;
    Str marker = query_param(q, "Marker"), after = STR_NONE;
    Err e = query_number(q, "MaxItems", PAGE_DEFAULT, 1, PAGE_MAX, &most);
    if (e != OK) return e;
    if (page_token_read(q->call->arena, str_c(q->service->name), marker, &after) != OK)
        return query_fail(q, 400, "ValidationError", "Invalid Marker.");
    *out = (QueryPage){ after, (size_t)most };
    return OK;
}

void query_page_end(Query *q, bool more, Str last) {
    query_element(q, "IsTruncated", more ? S("true") : S("false"));
    if (more) query_element(q, "Marker", page_token(q->call->arena, str_c(q->service->name), last));
}
