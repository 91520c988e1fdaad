#include <stdlib.h>

#include "api/error.h"
#include "api/resource_tag.h"
#include "gateway/custom_auth.h"
#include "gateway/entries.h"
#include "gateway/internal.h"
#include "gateway/reached.h"
#include "generated/resources.h"
#include "identity/authorize.h"
#include "services/credentials/credentials.h"
#include "services/iam/iam.h"
#include "services/sts/sts.h"
#include "store/worker.h"

/* An API request: whose is it, which operation is it, may he, then a worker carries it out and the answer comes
 * back. A handler may run twice; its failure and outbox are reset before each run. */

/* What is no operation of a model answers by itself: queries, the credentials provider, the server's own routes. */
typedef struct HttpCall HttpCall;
typedef Err OwnAnswer(HttpCall *h);

struct HttpCall {
    Job job;
    Task task;
    Link *link; /* retained: the request lives in its parser */
    Reactor *reactor;
    Arena arena;
    Call call;
    Rng rng;
    OwnAnswer *own; /* NULL: an operation */
    const QueryService *query;
    const LocalRoute *local;
    const Principal *principal;
    ApiRequest request;
    ApiMatch match;
    void *in, *out;
    Err result;
    ApiResponse response;
    bool head, asked; /* asked: an authorizer was, and there is none */
    bool by_tags;     /* who may do it depends on tags of the resource: decided in the transaction */
};

static void call_free(HttpCall *h) {
    principal_release((Principal *)(uintptr_t)h->principal);
    arena_free(&h->arena);
    free(h);
}

/* On the reactor. */
static void respond(HttpCall *h) {
    Link *l = h->link;
    const ApiError *error = h->response.status >= 400 ? h->call.failure.error : NULL;
    reached_note(l->gateway->o.reached, h->call.op, error, &h->request);
    entries_call(l, &h->call, h->in, h->response.status);
    if (!l->gone) http_answer(l, &h->response, h->head, &h->arena);
    call_free(h);
    link_release(l);
}

static void answered(Task *task, Reactor *r) {
    (void)r;
    respond((HttpCall *)((char *)task - offsetof(HttpCall, task)));
}

/* On any thread: when the commit is done and nothing holds the answer. */
static void answer(Call *c) {
    HttpCall *h = (HttpCall *)((char *)c - offsetof(HttpCall, call));
    if (h->result == OK && c->failure.error) h->result = ERR_API; /* what came after the commit failed */
    if (!h->own) api_answer(c, h->result, h->out, &h->response);
    h->task.run = answered;
    reactor_post(h->reactor, &h->task);
}

static Err resource_tags(Call *c, Str arn, StrMap *out) {
    return resource_tags_by_arn(c, resources_all, resources_all_n, arn, out);
}

static Err run(Job *job, Txn *txn) {
    HttpCall *h = (HttpCall *)job;
    Call *c = &h->call;
    c->txn = txn;
    c->outbox = NULL;
    c->outbox_tail = &c->outbox;
    c->failure.error = NULL;
    if (h->own) return h->own(h);
    Err e = h->by_tags ? api_authorize(c, c->op, h->in, resource_tags) : OK;
    return e == OK ? api_run(c, h->in, &h->out) : e;
}

static void done(Job *job, Err e) {
    HttpCall *h = (HttpCall *)job;
    h->result = e;
    atomic_store(&h->call.holds, 1);
    if (e == OK)
        for (Outgoing *o = h->call.outbox; o; o = o->next) o->run(h->call.env, o->arg);
    if (h->own && e != OK && e != ERR_API) h->response = (ApiResponse){ .status = 500 };
    call_release(&h->call);
}

/* ------------------------------------------------------------------------------------------------ whose, which, may he
 */

static Err refuse(HttpCall *h, const ApiError *error, Str message) {
    h->call.failure.error = error;
    h->call.failure.message = message;
    return ERR_API;
}

static const QueryService *query_service(Str signing) {
    static const QueryService *const ALL[] = { &STS_SERVICE, &IAM_SERVICE };
    for (size_t i = 0; i < sizeof ALL / sizeof *ALL; i++)
        if (str_eq(signing, str_c(ALL[i]->name))) return ALL[i];
    return NULL;
}

static bool serves(const ApiService *s, Str signing) {
    for (size_t i = 0; i < s->signing_n; i++)
        if (str_eq(s->signing[i], signing)) return true;
    return false;
}

/* An authentication failure in the shape of the service that was meant. */
static Err not_authenticated(HttpCall *h, const SigV4Fault *f, Str service) {
    atomic_fetch_add(&h->link->gateway->counters.not_authenticated, 1);
    entries_bad_signature(h->link, f);
    h->call.traced = str_eq(service, S("iotdata")) || str_eq(service, S("iotdevicegateway"));
    size_t n;
    const ApiService *const *all = api_services(&n);
    for (size_t i = 0; i < n && !h->call.service; i++)
        if (serves(all[i], service)) h->call.service = all[i];
    const QueryService *query = query_service(service);
    if (query) {
        query_refuse(query, &h->call, f->status, f->query_code, f->message, &h->response);
        return ERR_CLOSED; /* answered */
    }
    ApiError *error = arena_new(&h->arena, ApiError);
    *error = (ApiError){ .name = str_c(f->code), .status = f->status, .message_member = S("message") };
    return refuse(h, error, f->message);
}

static const Str DATA_PLANES[] = { STR_INIT("iot-data"), STR_INIT("iot-jobs-data") };

static bool data_plane(const ApiService *s) {
    for (size_t i = 0; i < sizeof DATA_PLANES / sizeof *DATA_PLANES; i++)
        if (str_eq(s->name, DATA_PLANES[i])) return true;
    return false;
}

/* The first service that the name in the scope means and that has such an operation. signing STR_NONE: a
 * certificate's call, which only the data planes take. */
static Err find_operation(HttpCall *h, Str signing) {
    size_t n;
    const ApiService *const *all = api_services(&n), *meant = NULL;
    Err first = ERR_NOT_FOUND;
    for (size_t i = 0; i < n; i++) {
        if (signing.ptr ? !serves(all[i], signing) : !data_plane(all[i])) continue;
        Err e = api_match(all[i], &h->request, &h->arena, &h->match);
        if (e == OK) {
            h->call.traced = data_plane(all[i]);
            return OK;
        }
        if (!meant || (first == ERR_NOT_FOUND && e != ERR_NOT_FOUND)) {
            meant = all[i];
            first = e;
        }
    }
    h->call.traced = meant && data_plane(meant);
    if (meant) return api_no_match(&h->call, meant, &h->request, first);
    ApiError *error = arena_new(&h->arena, ApiError);
    *error = (ApiError){ .name = S("InvalidSignatureException"), .status = 403, .message_member = S("message") };
    return refuse(
        h, error,
        str_format(&h->arena, "Credential should be scoped to a service that is here, got '%.*s'.", PS(signing)));
}

/* Source: the services' ThrottlingException: 400 of the control plane, 429 of the data planes; "Rate exceeded" is the
 * text that clients show */
static Err check_rate(HttpCall *h) {
    Gateway *g = h->link->gateway;
    if (!g->rates || rates_take(g->rates, h->call.account, h->match.op, h->call.now_ms)) return OK;
    atomic_fetch_add_explicit(&g->counters.throttled, 1, memory_order_relaxed);
    h->call.op = h->match.op;
    return api_fail(&h->call, api_error_of(h->match.op->service, API_THROTTLING), "Rate exceeded");
}

static Err prepare(HttpCall *h, Str signing) {
    Call *c = &h->call;
    Err e = find_operation(h, signing);
    if (e == OK) e = check_rate(h);
    if (e == OK) e = api_prepare(c, &h->match, &h->request, &h->in);
    if (e == OK) e = api_authorize(c, c->op, h->in, NULL);
    h->by_tags = e == ERR_AGAIN;
    return h->by_tags ? OK : e;
}

static Err authenticate(HttpCall *h, Str *signing);

/* Named, or a publish of somebody who shows nothing else: there may be a default authorizer. */
static bool may_be_custom(const ApiRequest *rq) {
    if (sigv4_present(rq)) return false;
    return custom_auth_asked(rq) || str_starts(rq->path, S("/topics/"));
}

/* Everything that an authorizer may go by. */
static uint64_t credentials_of(const HttpCall *h) {
    const ApiRequest *rq = &h->request;
    uint64_t key = str_hash(rq->query);
    for (size_t i = 0; i < rq->headers_n; i++)
        if (!str_eq_nocase(rq->headers[i].name, S("content-length")))
            key = key * 31 + (str_hash(rq->headers[i].name) ^ str_hash(rq->headers[i].value));
    return key;
}

static void proceed(HttpCall *h, Err e, Str signing);

static Err plain_no(HttpCall *h) {
    static const ApiError FORBIDDEN = { STR_INIT("ForbiddenException"), 403, STR_INIT("message"), NULL, 0 };
    h->call.traced = true;
    return refuse(h, &FORBIDDEN, S("Forbidden"));
}

static void authorizer_said(void *ctx, const CustomVerdict *v) {
    HttpCall *h = ctx;
    Link *l = h->link;
    Str signing = STR_NONE;
    Err e;
    h->asked = true;
    if (v->result == OK) {
        h->principal = v->principal;
        if (v->cache_http && !l->gone) {
            principal_release(l->custom.principal);
            l->custom.principal = principal_retain(v->principal);
            l->custom.until_ms = h->call.now_ms + v->refresh_after_s * 1000;
            l->custom.credentials = credentials_of(h);
        }
        h->call.principal = h->principal;
        h->call.account = h->principal->account;
        e = OK;
    } else if (v->result == ERR_NOT_FOUND) {
        e = authenticate(h, &signing);
    } else {
        e = plain_no(h); /* counted and logged where it was said */
    }
    proceed(h, e, signing);
}

/* Errors: ERR_AGAIN: authorizer_said goes on */
static Err ask_authorizer(HttpCall *h) {
    Link *l = h->link;
    uint64_t changes = directory_authorizers(l->gateway->o.env->directory);
    if (l->custom.principal && h->call.now_ms < l->custom.until_ms && l->custom.credentials == credentials_of(h) &&
        l->custom.asked == changes) {
        h->principal = principal_retain(l->custom.principal);
        h->call.principal = h->principal;
        h->call.account = h->principal->account;
        return OK;
    }
    principal_release(l->custom.principal);
    l->custom.principal = NULL;
    l->custom.asked = changes;
    custom_auth_request(l, &h->request, authorizer_said, h);
    return ERR_AGAIN;
}

/* The domain that was named is not for this. */
static Err forbidden(HttpCall *h) {
    atomic_fetch_add(&h->link->gateway->counters.not_authenticated, 1);
    return plain_no(h);
}

static Err authenticate(HttpCall *h, Str *signing) {
    Link *l = h->link;
    SigV4 sig = { 0 };
    SigV4Fault fault;
    const ApiRequest *rq = &h->request;
    if (!sigv4_present(rq) && l->principal && l->principal->kind == PRINCIPAL_CERTIFICATE && !link_asks(l)) {
        if (link_forbids(l, VIA_HTTP, BY_CERTIFICATE)) return forbidden(h);
        h->principal = principal_retain(l->principal);
        *signing = STR_NONE;
    } else if (!h->asked && (may_be_custom(rq) || (link_asks(l) && !sigv4_present(rq)))) {
        return link_forbids(l, VIA_HTTP, BY_AUTHORIZER) ? forbidden(h) : ask_authorizer(h);
    } else {
        Err e = keyring_authenticate(l->gateway->o.env->keys, rq, real_ms(), &h->arena, &sig, &h->principal, &fault);
        if (e != OK) return not_authenticated(h, &fault, sig.service);
        *signing = sig.service;
        if (link_forbids(l, VIA_HTTP, BY_SIGNATURE)) return forbidden(h);
        if (!link_takes(l, h->principal)) {
            fault = link_foreign(l, sig.service, &h->arena);
            return not_authenticated(h, &fault, sig.service);
        }
    }
    h->call.principal = h->principal;
    h->call.account = h->principal->account;
    return OK;
}

/* Work for one thing stays in order: the path up to its second segment says whose it is. */
static uint64_t key_of(const HttpCall *h) {
    uint64_t key = str_hash(h->call.account);
    return h->match.labels_n ? key ^ str_hash(h->match.labels[0]) : key;
}

/* Operations that make an RSA key: a tenth of a second and more. */
static const Str SLOW[] = { STR_INIT("CreateKeysAndCertificate") };

static bool slow(const Call *c) {
    for (size_t i = 0; c->op && i < sizeof SLOW / sizeof *SLOW; i++)
        if (str_eq(c->op->name, SLOW[i])) return true;
    return false;
}

/* Operations that read a record or two: what memory has is answered at once, on the reactor, and the rest by a worker.
 */
static const Str QUICK[] = { STR_INIT("GetThingShadow"), STR_INIT("DescribeThing") };

static bool quick(const Call *c) {
    for (size_t i = 0; i < sizeof QUICK / sizeof *QUICK; i++)
        if (str_eq(c->op->name, QUICK[i])) return true;
    return false;
}

/* false: it has to wait for a disk. */
static bool answered_from_memory(HttpCall *h) {
    Call *c = &h->call;
    Txn *txn;
    if (!quick(c) || txn_begin_cached(h->link->gateway->o.env->store, &txn) != OK) return false;
    c->txn = txn;
    h->result = api_run(c, h->in, &h->out);
    bool waits = txn_waits(txn) || c->outbox;
    txn_abort(txn);
    c->txn = NULL;
    if (waits) return false;
    api_answer(c, h->result, h->out, &h->response);
    respond(h);
    return true;
}

static void submit(HttpCall *h) {
    Env *env = h->link->gateway->o.env;
    bool apart = env->slow_workers && slow(&h->call);
    h->job = (Job){ .key = apart ? rng_u64(&h->rng) : key_of(h), .run = run, .done = done };
    workers_submit(apart ? env->slow_workers : env->workers, &h->job);
}

static HttpCall *call_new(Link *l, const HttpRequest *rq) {
    const GatewayOptions *o = &l->gateway->o;
    HttpCall *h = mem_new(sizeof *h);
    char ip[INET6_ADDRSTRLEN];
    h->link = l;
    h->reactor = l->conn->reactor;
    h->request = (ApiRequest){ rq->method, rq->path, rq->query, rq->headers, rq->headers_n, rq->body };
    h->head = str_eq(rq->method, S("HEAD"));
    h->call = (Call){ .env = o->env,
                      .region = o->env->region,
                      .account = o->env->account,
                      .source_ip = str_dup(&h->arena, conn_address(&l->conn->peer, ip)),
                      .request_id = rng_pool_uuid(&l->gateway->ids[h->reactor->index], &h->arena),
                      .now_ms = clock_ms(o->env->clock),
                      .arena = &h->arena,
                      .rng = &h->rng,
                      .patterns = o->patterns,
                      .answer = answer,
                      .validate_replies = o->validate_replies };
    l->call = h;
    link_retain(l);
    return h;
}

static Err own_query(HttpCall *h) {
    return query_handle(h->query, &h->call, &h->request, &h->response);
}

static Err own_admin(HttpCall *h) {
    return admin_handle(&h->call, h->link->gateway->o.admin, &h->request, &h->response);
}

static Err own_credentials(HttpCall *h) {
    return credentials_handle(&h->call, &h->request, &h->response);
}

static OwnAnswer *own_answer(HttpCall *h, Str signing) {
    h->query = query_service(signing);
    if (h->query) return own_query;
    if (str_eq(signing, S(ADMIN_SERVICE))) return own_admin;
    bool certificate = h->principal->kind == PRINCIPAL_CERTIFICATE;
    return certificate && credentials_asked(&h->request) ? own_credentials : NULL;
}

static void proceed(HttpCall *h, Err e, Str signing) {
    if (e == ERR_AGAIN) return; /* somebody is asked */
    if (e == OK) {
        h->own = own_answer(h, signing);
        if (!h->own) e = prepare(h, signing);
    }
    if (e == OK && !h->own && answered_from_memory(h)) return;
    if (e == OK) {
        submit(h);
        return;
    }
    if (e != ERR_CLOSED) api_answer(&h->call, e, NULL, &h->response);
    respond(h);
}

void http_call_start(Link *l, const HttpRequest *rq) {
    HttpCall *h = call_new(l, rq);
    Str signing = STR_NONE;
    Err e = authenticate(h, &signing);
    proceed(h, e, signing);
}

/* ------------------------------------------------------------------------------------------------ local, waiting */

static void thread_begun(Gateway *g) {
    pthread_mutex_lock(&g->threads_lock);
    g->threads++;
    pthread_mutex_unlock(&g->threads_lock);
}

static void thread_over(Gateway *g) {
    pthread_mutex_lock(&g->threads_lock);
    if (--g->threads == 0) pthread_cond_signal(&g->threads_over);
    pthread_mutex_unlock(&g->threads_lock);
}

void gateway_wait(Gateway *g) {
    pthread_mutex_lock(&g->threads_lock);
    while (g->threads) pthread_cond_wait(&g->threads_over, &g->threads_lock);
    pthread_mutex_unlock(&g->threads_lock);
}

static void *run_local(void *arg) {
    HttpCall *h = arg;
    Gateway *g = h->link->gateway;
    h->local->handle(g->o.local_ctx, &h->request, &h->arena, &h->response);
    h->task.run = answered;
    reactor_post(h->reactor, &h->task);
    thread_over(g);
    return NULL;
}

/* Rare: a thread each is cheap enough. */
void http_call_local(Link *l, const HttpRequest *rq, const LocalRoute *route) {
    HttpCall *h = call_new(l, rq);
    pthread_attr_t detached;
    pthread_t thread;
    h->local = route;
    thread_begun(l->gateway);
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &detached, run_local, h)) {
        thread_over(l->gateway);
        h->response = (ApiResponse){ .status = 503 };
        respond(h);
    }
    pthread_attr_destroy(&detached);
}
