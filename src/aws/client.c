#include "aws/client.h"

#include <pthread.h>
#include <stdlib.h>

#include "api/sigv4.h"
#include "aws/discovery.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/writer.h"

#include <openssl/sha.h>

/* A call is signed at once and handed to fetch; error.c reads what comes back. */

enum { ENDPOINTS_MAX = 32, HEADERS_MAX = 24 };

struct AwsClient {
    AwsClientOptions o;
    AwsCredentials credentials;
    Str no_credentials; /* why there are none; STR_NONE: there are */
    const char *ca_file;
    struct {
        const AwsService *service;
        AwsEndpoint endpoint;
    } endpoints[ENDPOINTS_MAX];
    size_t endpoints_n;
    Discovery *discovery;
    bool discovers_everywhere; /* AWS_ENABLE_ENDPOINT_DISCOVERY: at endpoints that are set, too */
};

static const char *process_environment(const char *name) {
    const char *v = getenv(name);
    return v && *v ? v : NULL;
}

static Err find_endpoints(AwsClient *c, Arena *arena, Str *why) {
    Str names = aws_service_names(arena);
    Err e = aws_endpoint_settings_check(c->o.endpoints, arena, why);
    while (e == OK && names.len) {
        const AwsService *s = aws_service(str_trim(str_cut(&names, ',')));
        c->endpoints[c->endpoints_n].service = s;
        e = aws_endpoint_of(s, c->o.region, c->o.endpoints, c->o.env, arena, &c->endpoints[c->endpoints_n++].endpoint,
                            why);
        if (e != OK) *why = str_format(arena, "AWS_ENDPOINT_URL for %.*s: %.*s", PS(s->name), PS(*why));
    }
    return e;
}

Err aws_client_new(const AwsClientOptions *options, Arena *arena, AwsClient **out, Str *why) {
    AwsClient *c = mem_new(sizeof *c);
    c->o = *options;
    if (!c->o.env) c->o.env = process_environment;
    c->ca_file = c->o.env("AWS_CA_BUNDLE");
    Err e = find_endpoints(c, arena, why);
    if (e != OK) {
        free(c);
        return e;
    }
    if (aws_credentials_find(c->o.profile, c->o.env, arena, &c->credentials, &c->no_credentials) == OK)
        c->no_credentials = STR_NONE;
    const char *everywhere = c->o.env("AWS_ENABLE_ENDPOINT_DISCOVERY");
    c->discovers_everywhere = everywhere && str_eq_nocase(str_c(everywhere), S("true"));
    c->discovery = discovery_new();
    *out = c;
    return OK;
}

void aws_client_free(AwsClient *c) {
    if (!c) return;
    discovery_free(c->discovery);
    free(c);
}

static const AwsEndpoint *endpoint_of(const AwsClient *c, const AwsService *service) {
    for (size_t i = 0; i < c->endpoints_n; i++)
        if (c->endpoints[i].service == service) return &c->endpoints[i].endpoint;
    return NULL;
}

const AwsCredentials *aws_client_credentials(const AwsClient *c, Str account, Str *why) {
    bool serves = !account.ptr || !c->o.account.ptr || str_eq(c->o.account, account);
    if (serves && !c->no_credentials.ptr) return &c->credentials;
    *why = serves ? c->no_credentials
                  : S("calls to AWS are signed with the operator's credentials, which this account may not use: the "
                      "operator can allow it with --aws-for-all-accounts");
    return NULL;
}

bool aws_client_is_custom(const AwsClient *c, const AwsService *service) {
    const AwsEndpoint *e = c ? endpoint_of(c, service) : NULL;
    return e && e->custom;
}

const AwsEndpoint *aws_client_endpoint(const AwsClient *c, const AwsService *service, Str *why) {
    const AwsEndpoint *e = endpoint_of(c, service);
    if (e && !c->no_credentials.ptr) return e;
    *why = c->no_credentials;
    return NULL;
}

/* ------------------------------------------------------------------------------------------------ one call */

typedef struct {
    Arena arena;
    AwsDone *done;
    void *ctx;
    const AwsService *service;
    AwsClient *client;
    AwsRequest deferred; /* until it is known where to call */
} AwsCall;

static void finish(AwsCall *k, const AwsAnswer *a) {
    k->done(k->ctx, a);
    arena_free(&k->arena);
    free(k);
}

static Str why_of(AwsCall *k, const AwsAnswer *a) {
    Str message = a->error.message.len > 1000 ? str_sub(a->error.message, 0, 1000) : a->error.message;
    if (!a->error.code.len) return str_format(&k->arena, "%.*s answered %d", PS(k->service->name), a->status);
    return str_format(&k->arena, "%.*s answered %d %.*s%s%.*s", PS(k->service->name), a->status, PS(a->error.code),
                      message.len ? ": " : "", PS(message));
}

static void fetched(void *ctx, const FetchAnswer *f) {
    AwsCall *k = ctx;
    AwsAnswer a = {
        .result = f->result, .status = f->status, .headers = f->headers, .headers_n = f->headers_n, .body = f->body
    };
    if (f->result != OK) {
        a.why = str_format(&k->arena, "%.*s: %.*s", PS(k->service->name), PS(f->why));
        a.retry = f->result == ERR_IO || f->result == ERR_AGAIN ? AWS_AGAIN : AWS_NEVER;
    } else if (f->status < 200 || f->status > 299) {
        a.result = ERR_DENIED;
        a.error = aws_error_read(f->headers, f->headers_n, f->body, &k->arena);
        a.retry = aws_error_retry(f->status, a.error.code);
        if (str_eq(a.error.code, S("InvalidEndpointException"))) { /* it was discovered, and holds no longer */
            discovery_forget(k->client->discovery, k->service);
            a.retry = AWS_AGAIN;
        }
        a.why = why_of(k, &a);
    }
    finish(k, &a);
}

/* What the service's protocol says of the request, before its own headers. */
static size_t protocol_headers(AwsCall *k, const AwsRequest *rq, const AwsEndpoint *to, HttpHeader *h) {
    const AwsService *s = rq->service;
    Str type = rq->content_type;
    size_t n = 0;
    h[n++] = (HttpHeader){ S("Host"), to->host };
    if (!type.ptr && s->query) type = S("application/x-www-form-urlencoded; charset=utf-8");
    if (s->target.ptr) {
        type = str_format(&k->arena, "application/x-amz-json-%.*s", PS(s->version));
        h[n++] =
            (HttpHeader){ S("X-Amz-Target"), str_format(&k->arena, "%.*s.%.*s", PS(s->target), PS(rq->operation)) };
    }
    if (type.ptr) h[n++] = (HttpHeader){ S("Content-Type"), type };
    if (str_eq(s->signing, S("s3")) || str_eq(s->signing, S("es"))) { /* S3 wants it, OpenSearch reads it */
        uint8_t hash[SHA256_DIGEST_LENGTH];
        SHA256(rq->body.ptr ? rq->body.ptr : (const uint8_t *)"", rq->body.len, hash);
        h[n++] = (HttpHeader){ S("X-Amz-Content-Sha256"), hex_encode(&k->arena, (Str){ hash, sizeof hash }) };
    }
    return n;
}

static void send_signed(AwsClient *c, AwsCall *k, const AwsRequest *rq, const AwsEndpoint *to) {
    HttpHeader all[HEADERS_MAX + 8], sign[3];
    size_t n = protocol_headers(k, rq, to, all);
    for (size_t i = 0; i < rq->headers_n && i < HEADERS_MAX; i++) all[n++] = rq->headers[i];
    ApiRequest plain = { .method = rq->method.ptr ? rq->method : S("POST"),
                         .path = str_format(&k->arena, "%.*s%.*s", PS(to->path), PS(rq->path.len ? rq->path : S("/"))),
                         .query = rq->query,
                         .headers = all,
                         .headers_n = n,
                         .body = rq->body.ptr ? rq->body : S("") };
    SigV4Credentials who = { .access_key = c->credentials.access_key,
                             .secret = c->credentials.secret,
                             .security_token = c->credentials.token,
                             .region = c->o.region,
                             .service = rq->service->signing };
    sigv4_sign(&who, &plain, real_ms(), &k->arena, sign);
    for (int i = 0; i < 3; i++)
        if (sign[i].value.ptr) all[n++] = sign[i];
    Str url = str_format(&k->arena, "%.*s://%.*s%.*s%s%.*s", PS(to->scheme), PS(to->host), PS(plain.path),
                         rq->query.len ? "?" : "", PS(rq->query));
    fetch_start(c->o.fetch,
                &(FetchRequest){ .method = plain.method,
                                 .url = url,
                                 .headers = all + 1, /* Host is the URL's */
                                 .headers_n = n - 1,
                                 .body = rq->body,
                                 .ca_file = c->ca_file,
                                 .total_ms = rq->total_ms,
                                 .answer_bytes_max = rq->answer_bytes_max },
                fetched, k);
}

/* ------------------------------------------------------------------------------------------------ endpoint discovery
 */

static void send_to(AwsClient *c, AwsCall *k, const AwsRequest *rq, Str host) {
    AwsEndpoint to = *endpoint_of(c, rq->service);
    to.host = host;
    send_signed(c, k, rq, &to);
}

static void discovered(void *ctx, const AwsAnswer *a) {
    AwsCall *k = ctx;
    AwsClient *c = k->client;
    Str host;
    int64_t keep_ms;
    AwsAnswer told = *a;
    if (a->result == OK && discovery_read(a->body, &k->arena, &host, &keep_ms) == OK) {
        discovery_keep(c->discovery, k->service, host, monotonic_ns() / 1000000 + keep_ms);
        send_to(c, k, &k->deferred, host);
        return;
    }
    if (a->result == OK) {
        told.result = ERR_MALFORMED;
        told.retry = AWS_AGAIN;
        told.why = str_format(&k->arena, "%.*s: DescribeEndpoints answered no endpoint", PS(k->service->name));
    }
    finish(k, &told);
}

static AwsRequest request_dup(const AwsRequest *rq, Arena *arena) {
    AwsRequest copy = *rq;
    Str *texts[] = { &copy.account, &copy.operation,    &copy.method, &copy.path,
                     &copy.query,   &copy.content_type, &copy.body };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i]->ptr) *texts[i] = str_dup(arena, *texts[i]);
    HttpHeader *headers = arena_array(arena, HttpHeader, rq->headers_n + 1);
    for (size_t i = 0; i < rq->headers_n; i++)
        headers[i] = (HttpHeader){ str_dup(arena, rq->headers[i].name), str_dup(arena, rq->headers[i].value) };
    copy.headers = headers;
    return copy;
}

static void send_discovered(AwsClient *c, AwsCall *k, const AwsRequest *rq, const AwsEndpoint *own) {
    Str host;
    if (discovery_get(c->discovery, rq->service, monotonic_ns() / 1000000, &k->arena, &host)) {
        send_to(c, k, rq, host);
        return;
    }
    k->deferred = request_dup(rq, &k->arena);
    aws_call(c,
             &(AwsRequest){ .service = rq->service,
                            .account = rq->account,
                            .endpoint = own,
                            .operation = S("DescribeEndpoints"),
                            .body = S("{}"),
                            .total_ms = rq->total_ms },
             discovered, k);
}

void aws_call(AwsClient *c, const AwsRequest *rq, AwsDone *done, void *ctx) {
    AwsCall *k = mem_new(sizeof *k);
    *k = (AwsCall){ .done = done, .ctx = ctx, .service = rq->service, .client = c };
    Str why = STR_NONE;
    if (!aws_client_credentials(c, rq->account, &why)) {
        finish(k, &(AwsAnswer){ .result = ERR_NOT_FOUND,
                                .why = str_format(&k->arena, "%.*s: %.*s", PS(rq->service->name), PS(why)) });
        return;
    }
    const AwsEndpoint *own = endpoint_of(c, rq->service);
    if (rq->service->discovers && !rq->endpoint && (!own->custom || c->discovers_everywhere))
        send_discovered(c, k, rq, own);
    else
        send_signed(c, k, rq, rq->endpoint ? rq->endpoint : own);
}

/* ------------------------------------------------------------------------------------------------ waiting */

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t came;
    bool done;
    Arena *arena;
    AwsAnswer *out;
} Wait;

static void came(void *ctx, const AwsAnswer *a) {
    Wait *w = ctx;
    pthread_mutex_lock(&w->lock);
    *w->out = *a;
    w->out->headers = NULL;
    w->out->headers_n = 0;
    w->out->body = str_dup(w->arena, a->body);
    w->out->why = str_dup(w->arena, a->why);
    w->out->error = (AwsError){ str_dup(w->arena, a->error.code), str_dup(w->arena, a->error.message) };
    w->done = true;
    pthread_cond_signal(&w->came);
    pthread_mutex_unlock(&w->lock);
}

void aws_call_wait(AwsClient *c, const AwsRequest *request, Arena *arena, AwsAnswer *out) {
    Wait w = { .lock = PTHREAD_MUTEX_INITIALIZER, .came = PTHREAD_COND_INITIALIZER, .arena = arena, .out = out };
    aws_call(c, request, came, &w);
    pthread_mutex_lock(&w.lock);
    while (!w.done) pthread_cond_wait(&w.came, &w.lock);
    pthread_mutex_unlock(&w.lock);
    pthread_cond_destroy(&w.came);
    pthread_mutex_destroy(&w.lock);
}
