#include "api/bind.h"

#include "api/codec.h"
#include "api/route.h"
#include "api/trail.h"
#include "base/encode.h"

typedef struct {
    Arena *arena;
    const ApiMatch *match;
    const ApiRequest *rq;
    Str *why;
} Binder;

/* One text into a slot of a member's kind. */
static Err bind_text(Binder *b, const ApiMember *m, const ApiShape *shape, Str text, void *slot) {
    Str reason;
    Err e = api_decode_text(b->arena, shape, text, slot, &reason);
    if (e == OK) return OK;
    ApiTrail here = { .name = m->name };
    *b->why = str_format(b->arena, "Value '%.*s' at '%.*s' %.*s", PS(str_sub(text, 0, 128)),
                         PS(api_trail(b->arena, &here)), PS(reason));
    return e;
}

static Err undecodable(Binder *b, Str text) {
    *b->why =
        str_format(b->arena, "'%.*s' in the query has a %% without two hexadecimal digits", PS(str_sub(text, 0, 128)));
    return ERR_MALFORMED;
}

static Err bind_path(Binder *b, const ApiMember *m, void *slot) {
    size_t i = route_label(b->match->op, m->wire);
    return i < b->match->labels_n ? bind_text(b, m, m->shape, b->match->labels[i], slot) : OK;
}

static Err bind_query_value(Binder *b, const ApiMember *m, void *slot) {
    Str at = b->rq->query, key, value, name, text;
    while ((value = query_next(&at, &key)).ptr) {
        if (percent_decode(b->arena, key, true, &name) != OK) return undecodable(b, key);
        if (!str_eq(name, m->wire)) continue;
        if (percent_decode(b->arena, value, true, &text) != OK) return undecodable(b, value);
        return bind_text(b, m, m->shape, text, slot);
    }
    return OK;
}

static size_t query_pairs(Str query) {
    Str key;
    size_t n = 0;
    while (query_next(&query, &key).ptr) n++;
    return n;
}

static Err bind_query_list(Binder *b, const ApiMember *m, ApiItems *slot) {
    Str at = b->rq->query, key, value, name, text;
    ApiItems list = { .items = arena_alloc_array(b->arena, m->shape->element_size, query_pairs(at)) };
    while ((value = query_next(&at, &key)).ptr) {
        if (percent_decode(b->arena, key, true, &name) != OK) return undecodable(b, key);
        if (!str_eq(name, m->wire)) continue;
        if (percent_decode(b->arena, value, true, &text) != OK) return undecodable(b, value);
        Err e = bind_text(b, m, m->shape->member, text, (char *)list.items + list.n++ * m->shape->element_size);
        if (e != OK) return e;
    }
    list.set = list.n > 0;
    if (list.set) *slot = list;
    return OK;
}

static bool is_bound(const ApiOp *op, Str key) {
    for (size_t i = 0; i < op->in->members_n; i++) {
        const ApiMember *m = &op->in->members[i];
        if (m->where == API_IN_QUERY && m->shape->kind != API_MAP && str_eq(m->wire, key)) return true;
    }
    return false;
}

static Err bind_query_map(Binder *b, const ApiMember *m, ApiItems *slot) {
    Str at = b->rq->query, key, value, name, text;
    ApiItems map = { .items = arena_alloc_array(b->arena, m->shape->element_size, query_pairs(at)) };
    while ((value = query_next(&at, &key)).ptr) {
        if (percent_decode(b->arena, key, true, &name) != OK) return undecodable(b, key);
        if (is_bound(b->match->op, name)) continue;
        if (percent_decode(b->arena, value, true, &text) != OK) return undecodable(b, value);
        char *entry = (char *)map.items + map.n++ * m->shape->element_size;
        Err e = bind_text(b, m, m->shape->key, name, entry);
        if (e == OK) e = bind_text(b, m, m->shape->member, text, entry + m->shape->member_offset);
        if (e != OK) return e;
    }
    map.set = map.n > 0;
    if (map.set) *slot = map;
    return OK;
}

/* A JSON value travels as base64 in a header. Source: botocore's jsonvalue header trait */
static Err bind_json_header(Binder *b, const ApiMember *m, Str value, Str *slot) {
    Str text;
    yyjson_val *v;
    if (base64_decode(b->arena, value, &text) == OK && json_read(b->arena, text, true, &v, NULL) == OK) {
        *slot = text;
        return OK;
    }
    *b->why =
        str_format(b->arena, "Header %.*s must be base64 of JSON, not '%.*s'", PS(m->wire), PS(str_sub(value, 0, 128)));
    return ERR_MALFORMED;
}

static Err bind_header(Binder *b, const ApiMember *m, void *slot) {
    Str value = http_header(b->rq->headers, b->rq->headers_n, m->wire);
    if (!value.ptr) return OK;
    return m->json ? bind_json_header(b, m, value, slot) : bind_text(b, m, m->shape, value, slot);
}

static Err bind_prefix_headers(Binder *b, const ApiMember *m, ApiItems *slot) {
    ApiItems map = { .items = arena_alloc_array(b->arena, m->shape->element_size, b->rq->headers_n) };
    for (size_t i = 0; i < b->rq->headers_n; i++) {
        const HttpHeader *h = &b->rq->headers[i];
        if (h->name.len <= m->wire.len || !str_eq_nocase(str_sub(h->name, 0, m->wire.len), m->wire)) continue;
        char *entry = (char *)map.items + map.n++ * m->shape->element_size;
        Err e = bind_text(b, m, m->shape->key, str_from(h->name, m->wire.len), entry);
        if (e == OK) e = bind_text(b, m, m->shape->member, h->value, entry + m->shape->member_offset);
        if (e != OK) return e;
    }
    map.set = map.n > 0;
    if (map.set) *slot = map;
    return OK;
}

static Err bind_json(Binder *b, const ApiShape *shape, void *out) {
    yyjson_val *v;
    Str reason;
    if (json_read(b->arena, b->rq->body, false, &v, &reason) != OK) {
        *b->why = str_format(b->arena, "The body is not JSON: %.*s", PS(reason));
        return ERR_MALFORMED;
    }
    return api_decode_struct(b->arena, shape, v, out, b->why);
}

static Err bind_payload(Binder *b, const ApiMember *m, void *slot) {
    Str body = b->rq->body.ptr ? b->rq->body : S("");
    switch ((ApiKind)m->shape->kind) {
    case API_BLOB: *(Str *)slot = body; return OK;
    case API_STRUCT: break;
    default: return body.len ? bind_text(b, m, m->shape, body, slot) : OK;
    }
    if (!str_trim(body).len) return OK;
    void *inner = arena_alloc(b->arena, m->shape->element_size);
    Err e = bind_json(b, m->shape, inner);
    if (e == OK) *(void **)slot = inner;
    return e;
}

static Err bind_member(Binder *b, const ApiMember *m, void *slot) {
    switch ((ApiWhere)m->where) {
    case API_IN_PATH: return bind_path(b, m, slot);
    case API_IN_QUERY:
        if (m->shape->kind == API_LIST) return bind_query_list(b, m, slot);
        return m->shape->kind == API_MAP ? bind_query_map(b, m, slot) : bind_query_value(b, m, slot);
    case API_IN_HEADER: return bind_header(b, m, slot);
    case API_IN_HEADERS: return bind_prefix_headers(b, m, slot);
    case API_IN_PAYLOAD: return bind_payload(b, m, slot);
    case API_IN_BODY: /* all at once, in api_bind */
    case API_IN_STATUS: /* of outputs */ break;
    }
    return OK;
}

Err api_bind(Arena *a, const ApiMatch *m, const ApiRequest *rq, void *in, Str *why) {
    Binder b = { a, m, rq, why };
    const ApiShape *shape = m->op->in;
    bool has_body = false;
    for (size_t i = 0; i < shape->members_n; i++) {
        Err e = bind_member(&b, &shape->members[i], (char *)in + shape->members[i].offset);
        if (e != OK) return e;
        if (shape->members[i].where == API_IN_BODY) has_body = true;
    }
    /* AWS reads no body where an operation has none, and an empty one as {}. */
    return has_body && str_trim(rq->body).len ? bind_json(&b, shape, in) : OK;
}
