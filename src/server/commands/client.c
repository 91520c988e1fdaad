#include "server/commands/client.h"

#include <stdlib.h>

#include "api/sigv4.h"
#include "base/clock.h"
#include "base/writer.h"
#include "net/curl_library.h"

enum { ANSWER_BYTES_MAX = 16 << 20, CONNECT_TIMEOUT_S = 10, TIMEOUT_S = 60 };

struct Client {
    Arena *arena;
    ClientPlace place;
    CurlLibrary curl;
    CURL *easy;
    char fault[CURL_ERROR_SIZE];
};

Err client_open(const char *data_dir, Arena *arena, Client **out, Str *why) {
    Client *c = mem_new(sizeof *c);
    c->arena = arena;
    Err e = client_place(data_dir, arena, &c->place, why);
    if (e == OK) e = curl_library_load(arena, &c->curl, why);
    if (e == OK && !(c->easy = c->curl.easy_init())) {
        *why = S("libcurl could not be started");
        e = ERR_IO;
    }
    if (e != OK) {
        client_close(c);
        return e;
    }
    *out = c;
    return OK;
}

void client_close(Client *c) {
    if (!c) return;
    if (c->easy) c->curl.easy_cleanup(c->easy);
    free(c);
}

const ClientPlace *client_at(const Client *c) {
    return &c->place;
}

static size_t take_body(char *bytes, size_t size, size_t n, void *ctx) {
    Writer *w = ctx;
    if (w->len + size * n > ANSWER_BYTES_MAX) return 0;
    writer_bytes(w, (Str){ (const uint8_t *)bytes, size * n });
    return size * n;
}

typedef struct {
    Arena *arena;
    ClientAnswer *answer;
} HeaderSink;

static size_t take_header(char *bytes, size_t size, size_t n, void *ctx) {
    HeaderSink *sink = ctx;
    Str value = { (const uint8_t *)bytes, size * n }, name = str_cut(&value, ':');
    if (value.ptr && str_eq_nocase(name, S("x-amzn-errortype"))) {
        Str type = str_trim(value);
        sink->answer->error_type = str_dup(sink->arena, str_cut(&type, ':'));
    }
    return size * n;
}

static struct curl_slist *add_header(const Client *c, struct curl_slist *list, HttpHeader h) {
    if (!h.value.ptr) return list;
    return c->curl.slist_append(list, str_dup_c(c->arena, str_format(c->arena, "%.*s: %.*s", PS(h.name), PS(h.value))));
}

/* The headers to send, signed. curl's own Host is the same text as the one that is signed here. */
static struct curl_slist *signed_headers(Client *c, const ClientRequest *rq) {
    Str host = str_from(c->place.url, sizeof "https://" - 1);
    HttpHeader headers[3] = { { S("Host"), host }, { S("Content-Type"), S("application/json") }, rq->header };
    ApiRequest request = { str_c(rq->method), rq->path, rq->query, headers, rq->header.name.ptr ? 3 : 2, rq->body };
    SigV4Credentials who = { c->place.access_key, c->place.secret, STR_NONE, c->place.region, str_c(rq->service) };
    HttpHeader added[3];
    sigv4_sign(&who, &request, real_ms(), c->arena, added);
    struct curl_slist *list = NULL;
    for (size_t i = 0; i < request.headers_n; i++) list = add_header(c, list, headers[i]);
    for (size_t i = 0; i < 3; i++) list = add_header(c, list, added[i]);
    return c->curl.slist_append(list, "Expect:");
}

static void set_up(Client *c, const ClientRequest *rq, struct curl_slist *headers, Writer *body, HeaderSink *sink) {
    const CurlLibrary *curl = &c->curl;
    CURL *easy = c->easy;
    Str url =
        str_format(c->arena, "%.*s%.*s%s%.*s", PS(c->place.url), PS(rq->path), rq->query.len ? "?" : "", PS(rq->query));
    curl->easy_reset(easy);
    curl->easy_setopt(easy, CURLOPT_ERRORBUFFER, c->fault);
    curl->easy_setopt(easy, CURLOPT_URL, str_dup_c(c->arena, url));
    curl->easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl->easy_setopt(easy, CURLOPT_CAINFO, str_dup_c(c->arena, c->place.ca_file));
    curl->easy_setopt(easy, CURLOPT_PROXY, ""); /* the server is here: no proxy of the environment's */
    curl->easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl->easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
    curl->easy_setopt(easy, CURLOPT_TIMEOUT, (long)TIMEOUT_S);
    curl->easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl->easy_setopt(easy, CURLOPT_CUSTOMREQUEST, rq->method);
    if (rq->body.ptr || strcmp(rq->method, "GET") != 0) {
        curl->easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)rq->body.len);
        curl->easy_setopt(easy, CURLOPT_POSTFIELDS, rq->body.len ? (const char *)rq->body.ptr : "");
    }
    curl->easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl->easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl->easy_setopt(easy, CURLOPT_WRITEDATA, body);
    curl->easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl->easy_setopt(easy, CURLOPT_HEADERDATA, sink);
}

Err client_send(Client *c, const ClientRequest *rq, ClientAnswer *out, Str *why) {
    ClientAnswer answer = { 0 };
    Writer body = writer_in(c->arena);
    HeaderSink sink = { c->arena, &answer };
    struct curl_slist *headers = signed_headers(c, rq);
    set_up(c, rq, headers, &body, &sink);
    c->fault[0] = 0;
    CURLcode code = c->curl.easy_perform(c->easy);
    long status = 0;
    c->curl.easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
    c->curl.slist_free_all(headers);
    if (code != CURLE_OK) {
        *why =
            str_format(c->arena, "%.*s: %s%s", PS(c->place.url), c->fault[0] ? c->fault : c->curl.easy_strerror(code),
                       code == CURLE_COULDNT_CONNECT ? "; is the server up?" : "");
        return ERR_IO;
    }
    Str reason;
    answer.status = (int)status;
    answer.body = writer_str(&body);
    if (json_read(c->arena, answer.body, false, &answer.json, &reason) != OK) answer.json = NULL;
    *out = answer;
    return OK;
}

Err client_ask(Client *c, const ClientRequest *rq, ClientAnswer *out, Str *why) {
    ClientAnswer answer;
    Err e = client_send(c, rq, &answer, why);
    if (e != OK) return e;
    *out = answer;
    if (answer.status >= 200 && answer.status < 300) return OK;
    Str message = json_str(json_get(answer.json, S("message")));
    if (!message.len) message = str_sub(answer.body, 0, 500);
    *why = str_format(c->arena, "%s %.*s: %d %.*s: %.*s", rq->method, PS(rq->path), answer.status,
                      PS(answer.error_type), PS(message));
    return ERR_API;
}
