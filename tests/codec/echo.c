/* Echo: what the server reads out of a request, and what it makes of an output, for tests that hold both against an
 * SDK's own serializer and parser. A line of JSON in, a line out:
 *   {"service","method","path","query","headers":[[name,value]],"body":base64} -> {"op","input":{member:value}}
 *   {"service","op","output":{member:value}}                  -> {"status","headers":[[name,value]],"body":base64}
 * or {"error": why}. Members are called by their own names, those inside of them as they are on the wire. */
#include <stdio.h>
#include <stdlib.h>

#include "api/answer.h"
#include "api/bind.h"
#include "api/codec.h"
#include "base/encode.h"

static const ApiService *service_of(Str name) {
    size_t n;
    const ApiService *const *all = api_services(&n);
    for (size_t i = 0; i < n; i++)
        if (str_eq(all[i]->name, name)) return all[i];
    return NULL;
}

static Str text_at(yyjson_val *v, const char *key) {
    return json_str(yyjson_obj_get(v, key));
}

static Str bytes_at(Arena *a, yyjson_val *v, const char *key) {
    Str out = STR_NONE;
    return base64_decode(a, text_at(v, key), &out) == OK ? out : STR_NONE;
}

static void fail(yyjson_mut_doc *d, yyjson_mut_val *out, Str why) {
    json_add_str(d, out, S("error"), why);
}

static void read_request(Arena *a, const ApiService *s, yyjson_val *line, yyjson_mut_doc *d, yyjson_mut_val *out) {
    yyjson_val *list = yyjson_obj_get(line, "headers"), *pair;
    HttpHeader *headers = arena_array(a, HttpHeader, yyjson_arr_size(list));
    size_t i, n;
    yyjson_arr_foreach(list, i, n, pair) {
        headers[i] = (HttpHeader){ json_str(yyjson_arr_get(pair, 0)), json_str(yyjson_arr_get(pair, 1)) };
    }
    ApiRequest rq = { text_at(line, "method"), text_at(line, "path"),    text_at(line, "query"), headers,
                      yyjson_arr_size(list),   bytes_at(a, line, "body") };
    ApiMatch m;
    Str why = STR_NONE;
    if (api_match(s, &rq, a, &m) != OK) {
        fail(d, out, S("no operation"));
        return;
    }
    void *in = arena_alloc(a, m.op->in->element_size);
    if (api_bind(a, &m, &rq, in, &why) != OK) {
        fail(d, out, why);
        return;
    }
    yyjson_mut_val *input = yyjson_mut_obj(d);
    for (size_t k = 0; k < m.op->in->members_n; k++) {
        const ApiMember *member = &m.op->in->members[k];
        const void *slot = (const char *)in + member->offset;
        if (!api_present(member->shape, slot)) continue;
        Str json = api_encode_value(a, member->shape, slot);
        yyjson_mut_obj_add(input, json_mut_str(d, member->name), yyjson_mut_rawn(d, (const char *)json.ptr, json.len));
    }
    json_add_str(d, out, S("op"), m.op->name);
    yyjson_mut_obj_add_val(d, out, "input", input);
}

static void write_answer(Arena *a, const ApiService *s, yyjson_val *line, yyjson_mut_doc *d, yyjson_mut_val *out) {
    const ApiOp *op = api_op(s, text_at(line, "op"));
    yyjson_val *output = yyjson_obj_get(line, "output");
    Str why = STR_NONE;
    if (!op) {
        fail(d, out, S("no operation"));
        return;
    }
    char *made = arena_alloc(a, op->out_size);
    for (size_t i = 0; op->out && i < op->out->members_n; i++) {
        const ApiMember *m = &op->out->members[i];
        yyjson_val *v = json_get(output, m->name);
        if (!v || api_decode_value(a, m->shape, json_write(a, v), made + m->offset, &why) == OK) continue;
        fail(d, out, why);
        return;
    }
    Call c = { .op = op, .arena = a, .request_id = S("rid") };
    ApiResponse rs;
    if (answer_output(&c, made, false, &rs, &why) != OK) {
        fail(d, out, why);
        return;
    }
    yyjson_mut_val *headers = yyjson_mut_arr(d);
    for (size_t i = 0; i < rs.headers_n; i++) {
        yyjson_mut_val *pair = yyjson_mut_arr_add_arr(d, headers);
        yyjson_mut_arr_append(pair, json_mut_str(d, rs.headers[i].name));
        yyjson_mut_arr_append(pair, json_mut_str(d, rs.headers[i].value));
    }
    yyjson_mut_obj_add_int(d, out, "status", rs.status);
    yyjson_mut_obj_add_val(d, out, "headers", headers);
    json_add_str(d, out, S("body"), base64_encode(a, rs.body));
}

int main(void) {
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    while ((len = getline(&line, &cap, stdin)) > 0) {
        Arena a = { 0 };
        yyjson_mut_doc *d = json_doc(&a);
        yyjson_mut_val *out = yyjson_mut_obj(d);
        yyjson_val *v = NULL;
        Str why = STR_NONE;
        const ApiService *s = NULL;
        if (json_read(&a, (Str){ (uint8_t *)line, (size_t)len }, false, &v, &why) == OK)
            s = service_of(text_at(v, "service"));
        if (!s)
            fail(d, out, S("no JSON, or no such service"));
        else
            (yyjson_obj_get(v, "output") ? write_answer : read_request)(&a, s, v, d, out);
        Str text = json_write_mut(&a, out);
        printf("%.*s\n", PS(text));
        fflush(stdout);
        arena_free(&a);
    }
    free(line);
    return 0;
}
