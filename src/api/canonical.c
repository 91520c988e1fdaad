/* One pass over the request, parts sorted where AWS sorts them. Decoding and encoding again makes every spelling of a
 * query the same ("%7e" and "~"); the path is not decoded, because "a/b" and "a%2Fb" are different resources. */
#include "api/canonical.h"

#include <stdlib.h>

#include "base/encode.h"
#include "base/writer.h"

static Str lower(Arena *arena, Str s) {
    uint8_t *p = arena_bytes(arena, s.len);
    for (size_t i = 0; i < s.len; i++) p[i] = s.ptr[i] >= 'A' && s.ptr[i] <= 'Z' ? s.ptr[i] + 32 : s.ptr[i];
    return (Str){ p, s.len };
}

/* Empty and "." segments go, ".." takes the one before it. */
static Str path_normal(Arena *arena, Str path) {
    if (path.ptr[0] != '/') return path; /* an authority or "*": not a path to tidy */
    Str *kept = arena_array(arena, Str, path.len + 1);
    size_t n = 0;
    for (Str rest = path; rest.ptr;) {
        Str part = str_cut(&rest, '/');
        if (part.len == 0 || str_eq(part, S("."))) continue;
        if (str_eq(part, S(".."))) {
            if (n > 0) n--;
            continue;
        }
        kept[n++] = part;
    }
    Writer w = writer_in(arena);
    for (size_t i = 0; i < n; i++) {
        writer_u8(&w, '/');
        writer_bytes(&w, kept[i]);
    }
    if (n == 0 || path.ptr[path.len - 1] == '/') writer_u8(&w, '/');
    return writer_str(&w);
}

size_t canonical_params(Arena *arena, Str query, QueryParam **out) {
    size_t cap = query.len > 0;
    for (size_t i = 0; i < query.len; i++) cap += query.ptr[i] == '&';
    QueryParam *params = arena_array(arena, QueryParam, cap + 1);
    size_t n = 0;
    for (Str rest = query; rest.ptr && rest.len;) {
        Str value = str_cut(&rest, '&');
        if (value.len == 0) continue;
        Str name = str_cut(&value, '=');
        if (percent_decode(arena, name, true, &params[n].name) != OK) params[n].name = name;
        if (percent_decode(arena, value, true, &params[n].value) != OK) params[n].value = value;
        n++;
    }
    *out = params;
    return n;
}

static int by_name_then_value(const void *a, const void *b) {
    const QueryParam *x = a, *y = b;
    int c = str_cmp(x->name, y->name);
    return c ? c : str_cmp(x->value, y->value);
}

static void write_query(Writer *w, Arena *arena, Str query, CanonicalForm form) {
    QueryParam *params;
    size_t all = canonical_params(arena, query, &params), n = 0;
    for (size_t i = 0; i < all; i++) {
        if (str_eq(params[i].name, S("X-Amz-Signature"))) continue;
        if (form.without_token && str_eq(params[i].name, S("X-Amz-Security-Token"))) continue;
        params[n].name = percent_encode(arena, params[i].name, false);
        params[n++].value = percent_encode(arena, params[i].value, false);
    }
    qsort(params, n, sizeof *params, by_name_then_value);
    for (size_t i = 0; i < n; i++) {
        if (i) writer_u8(w, '&');
        writer_bytes(w, params[i].name);
        writer_u8(w, '=');
        writer_bytes(w, params[i].value);
    }
}

static bool is_space(uint8_t c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Trimmed, and each run of white space one space. */
static void write_folded(Writer *w, Str value) {
    value = str_trim(value);
    for (size_t i = 0; i < value.len; i++) {
        size_t from = i;
        while (i < value.len && !is_space(value.ptr[i])) i++;
        writer_bytes(w, str_sub(value, from, i));
        if (i < value.len && i > from) writer_u8(w, ' ');
    }
}

static Str without_port(Str host) {
    size_t n = host.len;
    while (n > 0 && host.ptr[n - 1] >= '0' && host.ptr[n - 1] <= '9') n--;
    return n > 0 && n < host.len && host.ptr[n - 1] == ':' ? str_sub(host, 0, n - 1) : host;
}

static void write_header(Writer *w, const ApiRequest *rq, Str name, CanonicalForm form) {
    writer_bytes(w, name);
    writer_u8(w, ':');
    bool first = true;
    for (size_t i = 0; i < rq->headers_n; i++) {
        if (!str_eq_nocase(rq->headers[i].name, name)) continue;
        Str value = rq->headers[i].value;
        if (form.host_bare && str_eq(name, S("host"))) value = without_port(str_trim(value));
        if (!first) writer_u8(w, ',');
        first = false;
        write_folded(w, value);
    }
    writer_u8(w, '\n');
}

Str canonical_request(Arena *arena, const ApiRequest *rq, Str signed_headers, Str payload_hash, bool encode_path,
                      CanonicalForm form) {
    enum { USUAL_BYTES = 512 };
    Writer w = writer_sized(arena, USUAL_BYTES);
    writer_bytes(&w, rq->method);
    writer_u8(&w, '\n');
    Str path = rq->path.len == 0 ? S("/") : rq->path;
    if (encode_path && !form.path_as_sent) path = path_normal(arena, path);
    writer_bytes(&w, encode_path ? percent_encode(arena, path, true) : path);
    writer_u8(&w, '\n');
    write_query(&w, arena, rq->query, form);
    writer_u8(&w, '\n');
    for (Str rest = signed_headers; rest.ptr;) write_header(&w, rq, str_cut(&rest, ';'), form);
    writer_u8(&w, '\n');
    writer_bytes(&w, signed_headers);
    writer_u8(&w, '\n');
    writer_bytes(&w, payload_hash);
    return writer_str(&w);
}

static int by_bytes(const void *a, const void *b) {
    return str_cmp(*(const Str *)a, *(const Str *)b);
}

Str canonical_header_names(Arena *arena, const HttpHeader *headers, size_t n) {
    Str *names = arena_array(arena, Str, n + 1);
    for (size_t i = 0; i < n; i++) names[i] = lower(arena, headers[i].name);
    qsort(names, n, sizeof *names, by_bytes);
    Writer w = writer_in(arena);
    for (size_t i = 0; i < n; i++) {
        if (i && str_eq(names[i], names[i - 1])) continue;
        if (i) writer_u8(&w, ';');
        writer_bytes(&w, names[i]);
    }
    return writer_str(&w);
}
