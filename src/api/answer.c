#include "api/answer.h"

#include "api/codec.h"
#include "api/error.h"
#include "api/validate.h"

static void add_header(ApiResponse *rs, Str name, Str value) {
    if (value.ptr && rs->headers_n < API_HEADERS_MAX) rs->headers[rs->headers_n++] = (HttpHeader){ name, value };
}

static Str json_type(const ApiService *s) {
    if (s && s->protocol == API_JSON_1_0) return S("application/x-amz-json-1.0");
    return s && s->protocol == API_JSON_1_1 ? S("application/x-amz-json-1.1") : S("application/json");
}

static const ApiMember *payload_of(const ApiShape *shape) {
    for (size_t i = 0; i < shape->members_n; i++)
        if (shape->members[i].where == API_IN_PAYLOAD) return &shape->members[i];
    return NULL;
}

static void put_headers(Call *c, const ApiMember *m, const void *slot, ApiResponse *rs) {
    if (m->where == API_IN_HEADER) add_header(rs, m->wire, api_encode_text(c->arena, m->shape, m->time, slot));
    if (m->where == API_IN_STATUS && ((const OptInt *)slot)->set) rs->status = (int)((const OptInt *)slot)->v;
    if (m->where != API_IN_HEADERS) return;
    const ApiItems *map = slot;
    for (size_t i = 0; i < map->n; i++) {
        const char *entry = (const char *)map->items + i * m->shape->element_size;
        Str name = str_format(c->arena, "%.*s%.*s", PS(m->wire), PS(*(const Str *)(const void *)entry));
        add_header(rs, name, api_encode_text(c->arena, m->shape->member, m->time, entry + m->shape->member_offset));
    }
}

static Err write_json(Call *c, const ApiShape *shape, const void *in, Str *body) {
    yyjson_mut_doc *d = json_doc(c->arena);
    *body = json_write_mut(c->arena, api_encode_struct(d, c->arena, shape, in));
    return body->ptr ? OK : ERR_INVALID;
}

static Err put_payload(Call *c, const ApiMember *m, const void *slot, ApiResponse *rs, Str *type) {
    bool raw = m->shape->kind != API_STRUCT;
    if (raw) {
        rs->body = *(const Str *)slot;
        /* Shadows are blobs in the model and JSON on the wire. Source: getmoto/moto issue 9237 */
        if (m->shape->kind == API_BLOB && !str_eq(m->shape->name, S("JsonDocument")))
            *type = S("application/octet-stream");
        if (m->shape->kind == API_STR || m->shape->kind == API_ENUM)
            *type = S("text/plain"); /* Source: Smithy, restJson1: the type that a string payload implies */
        return OK;
    }
    const void *inner = *(void *const *)slot;
    return inner ? write_json(c, m->shape, inner, &rs->body) : OK;
}

Err answer_output(Call *c, const void *out, bool check, ApiResponse *rs, Str *why) {
    const ApiOp *op = c->op;
    ApiResponse r = { .status = op->status };
    Err e = OK;
    if (op->out) {
        if (check) e = api_validate(c->arena, op->service, c->patterns, op->out, out, why);
        if (e != OK) return e;
        for (size_t i = 0; i < op->out->members_n; i++)
            put_headers(c, &op->out->members[i], (const char *)out + op->out->members[i].offset, &r);
        Str type = json_type(op->service);
        const ApiMember *payload = payload_of(op->out);
        e = payload ? put_payload(c, payload, (const char *)out + payload->offset, &r, &type)
                    : write_json(c, op->out, out, &r.body);
        if (!http_header(r.headers, r.headers_n, S("Content-Type")).ptr) add_header(&r, S("Content-Type"), type);
    } else if (c->traced) {
        /* Source: observed: {"message":"OK","traceId":"…"} of POST /topics, whose model has no output */
        r.body = str_format(c->arena, "{\"message\":\"OK\",\"traceId\":\"%.*s\"}", PS(c->request_id));
        add_header(&r, S("Content-Type"), S("application/json"));
    } else if (op->service->protocol != API_REST_JSON) {
        r.body = S("{}");
        add_header(&r, S("Content-Type"), json_type(op->service));
    }
    if (e != OK) {
        *why = S("a text in it is not UTF-8");
        return e;
    }
    add_header(&r, S("x-amzn-RequestId"), c->request_id);
    *rs = r;
    return OK;
}

/* The members besides the message that an error's model has and the Call can fill. */
static void put_members(Call *c, const ApiError *error, yyjson_mut_doc *d, yyjson_mut_val *body) {
    for (size_t i = 0; i < error->members_n; i++) {
        Str name = error->members[i];
        if (str_eq_nocase(name, S("resourceId")) && c->failure.resource_id.ptr)
            json_add_str(d, body, name, c->failure.resource_id);
        if (str_eq_nocase(name, S("resourceArn")) && c->failure.resource_arn.ptr)
            json_add_str(d, body, name, c->failure.resource_arn);
    }
}

void answer_failure(Call *c, ApiResponse *rs) {
    const ApiError *error = c->failure.error;
    const ApiService *s = c->op ? c->op->service : c->service;
    ApiResponse r = { .status = error->status };
    yyjson_mut_doc *d = json_doc(c->arena);
    yyjson_mut_val *body = yyjson_mut_obj(d);
    if (s && s->protocol != API_REST_JSON) json_add_str(d, body, S("__type"), error->name);
    json_add_str(d, body, error->message_member, c->failure.message);
    put_members(c, error, d, body);
    if (c->traced) json_add_str(d, body, S("traceId"), c->request_id);
    r.body = json_write_mut(c->arena, body);
    if (!r.body.ptr) r.body = S("{\"message\":\"the message quotes bytes that are not UTF-8\"}");
    add_header(&r, S("Content-Type"), json_type(s));
    add_header(&r, S("x-amzn-RequestId"), c->request_id);
    add_header(&r, S("x-amzn-ErrorType"), error->name);
    *rs = r;
}
