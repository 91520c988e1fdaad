/* HTTP: the result is POSTed to a URL whose owner confirmed that he wants it. Several messages to one URL may go as one
 * JSON array.
 * Source: AWS IoT developer guide, "HTTP" (limits, which answers are tried again) and "HTTP action batching"; AWS IoT
 * Core quotas */
#include "api/sigv4.h"
#include "base/writer.h"
#include "aws/client.h"
#include "generated/iot.h"
#include "net/fetch.h"
#include "net/http.h"
#include "rules/actions/kinds.h"
#include "rules/destination.h"

enum {
    TRIES_MAX = 3,
    TOTAL_MS = 3000,
    ANSWER_BYTES_MAX = 16384,
    BATCH_OPEN_MS = 20,
    BATCH_SIZE = 10,
    BATCH_BYTES = 5120,
    HEADERS_MAX = 100,
    OWN_HEADERS = 6, /* Content-Type, Host, three of a signature */
};

static bool has_template(Str s) {
    return str_find_str(s, S("${")) != SIZE_MAX;
}

/* ------------------------------------------------------------------------------------------------ at the save */

static bool is_name(Str s) {
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] <= ' ' || s.ptr[i] >= 127 || strchr("()<>@,;:\\\"/[]?={}", s.ptr[i])) return false;
    return s.len > 0;
}

static Err check_urls(ActionCheck *c, const IotHttpAction *a) {
    Str why;
    if (!destination_url_ok(a->url, c->plain_http, c->arena, &why)) return action_refuse(c, "%.*s", PS(why));
    if (!a->confirmation_url.len && has_template(a->url))
        return action_refuse(c, "The url '%.*s' has a substitution template: a confirmationUrl is needed", PS(a->url));
    if (!a->confirmation_url.len) return OK;
    if (!destination_url_ok(a->confirmation_url, c->plain_http, c->arena, &why))
        return action_refuse(c, "%.*s", PS(why));
    if (!has_template(a->confirmation_url) && !str_starts(a->url, a->confirmation_url))
        return action_refuse(c, "The url '%.*s' does not begin with the confirmationUrl '%.*s'", PS(a->url),
                             PS(a->confirmation_url));
    return OK;
}

static Err check_between(ActionCheck *c, const char *name, OptInt v, int64_t least, int64_t most) {
    if (!v.set || (v.v >= least && v.v <= most)) return OK;
    return action_refuse(c, "%s is %lld to %lld, got %lld", name, (long long)least, (long long)most, (long long)v.v);
}

static Err check_batch(ActionCheck *c, const IotHttpAction *a) {
    const IotBatchConfig *b = a->batch_config;
    if (c->error_action && (b || a->enable_batching.v))
        return action_refuse(c, "An error action is not batched: neither enableBatching nor batchConfig");
    if (!b) return OK;
    if (!a->enable_batching.v) return action_refuse(c, "batchConfig is given, but enableBatching is not true");
    Err e = check_between(c, "maxBatchOpenMs", b->max_batch_open_ms, 5, 200);
    if (e == OK) e = check_between(c, "maxBatchSize", b->max_batch_size, 2, 10);
    return e == OK ? check_between(c, "maxBatchSizeBytes", b->max_batch_size_bytes, 100, 131072) : e;
}

static Err check(ActionCheck *c, const void *action) {
    const IotHttpAction *a = action;
    Err e = check_urls(c, a);
    for (size_t i = 0; e == OK && i < a->headers.n; i++)
        if (!is_name(a->headers.items[i].key))
            e = action_refuse(c, "'%.*s' is no name of a header", PS(a->headers.items[i].key));
    return e == OK ? check_batch(c, a) : e;
}

/* ------------------------------------------------------------------------------------------------ what is sent */

static Str resource(Arena *arena, const void *action) {
    (void)arena;
    return ((const IotHttpAction *)action)->url;
}

/* https://host:port: a path that is slow stands for its host. */
static Str destination(Arena *arena, const void *action) {
    Str url = resource(arena, action), rest = url;
    size_t slashes = str_find_str(url, S("//")), end = slashes == SIZE_MAX ? 0 : slashes + 2;
    while (end < rest.len && !strchr("/?#", rest.ptr[end])) end++;
    return str_format(arena, "http %.*s", PS(str_sub(url, 0, end)));
}

static ActionBatch batch(const void *action) {
    static const IotBatchConfig none = { 0 };
    const IotHttpAction *a = action;
    const IotBatchConfig *b = a->batch_config ? a->batch_config : &none;
    if (!a->enable_batching.v) return (ActionBatch){ 0 };
    return (ActionBatch){ .n_max = b->max_batch_size.set ? (uint32_t)b->max_batch_size.v : BATCH_SIZE,
                          .bytes_max = b->max_batch_size_bytes.set ? (size_t)b->max_batch_size_bytes.v : BATCH_BYTES,
                          .open_ms = b->max_batch_open_ms.set ? b->max_batch_open_ms.v : BATCH_OPEN_MS,
                          .across_topics = b->batch_across_topics.v };
}

/* Each JSON as it is, text as a string. Errors: ERR_INVALID: bytes that are no text */
static Err array_of(ActionRun *run, Str *out) {
    Writer w = writer_in(run->arena);
    for (size_t i = 0; i < run->n; i++) {
        const ActionItem *item = &run->items[i];
        writer_u8(&w, i ? ',' : '[');
        if (item->json) {
            writer_bytes(&w, item->payload.len ? item->payload : S("null"));
            continue;
        }
        if (!str_is_utf8(item->payload)) return ERR_INVALID;
        yyjson_mut_doc *doc = json_doc(run->arena);
        writer_bytes(&w, json_write_mut(run->arena, json_mut_str(doc, item->payload)));
    }
    writer_u8(&w, ']');
    *out = writer_str(&w);
    return OK;
}

static bool is_one_line(Str s) {
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] < ' ' && s.ptr[i] != '\t') return false;
    return true;
}

typedef struct {
    HttpHeader items[HEADERS_MAX + OWN_HEADERS];
    size_t n;
} Headers;

/* Of a batch those of the last message. NULL, or what is wrong. */
static const char *fill_headers(const ActionRun *run, bool batched, Headers *out) {
    const ActionItem *last = &run->items[run->n - 1];
    const IotHttpAction *a = last->action;
    bool typed = false;
    for (size_t i = 0; i < a->headers.n && i < HEADERS_MAX; i++) {
        const IotHttpActionHeader *h = &a->headers.items[i];
        if (!is_one_line(h->value)) return "a header's value holds a control character";
        bool type = str_eq_nocase(h->key, S("Content-Type"));
        typed |= type && !batched;
        if (type && batched) continue;
        out->items[out->n++] = (HttpHeader){ h->key, h->value };
    }
    if (!typed)
        out->items[out->n++] = (HttpHeader){ S("Content-Type"), batched || last->json ? S("application/json")
                                                                                      : S("application/octet-stream") };
    return NULL;
}

static const char *sign(const ActionRun *run, const IotSigV4Authorization *auth, Str url, Str body, Headers *h) {
    Str why = S("calls to AWS are not set up here");
    const AwsCredentials *key = run->env->aws ? aws_client_credentials(run->env->aws, run->account, &why) : NULL;
    if (!key) return str_dup_c(run->arena, why);
    Str rest = str_from(url, str_find_str(url, S("//")) + 2), host = rest;
    size_t end = 0;
    while (end < rest.len && !strchr("/?#", rest.ptr[end])) end++;
    host = str_sub(rest, 0, end);
    Str target = str_from(rest, end), query = target;
    Str path = str_cut(&query, '?');
    h->items[h->n++] = (HttpHeader){ S("Host"), host };
    const ApiRequest rq = { .method = S("POST"),
                            .path = path.len ? path : S("/"),
                            .query = query.ptr ? query : STR_NONE,
                            .headers = h->items,
                            .headers_n = h->n,
                            .body = body };
    const SigV4Credentials who = { .access_key = key->access_key,
                                   .secret = key->secret,
                                   .security_token = key->token,
                                   .region = auth->signing_region,
                                   .service = auth->service_name };
    HttpHeader made[3];
    sigv4_sign(&who, &rq, real_ms(), run->arena, made);
    h->n--; /* Host is written from the URL */
    for (int i = 0; i < 3; i++)
        if (made[i].name.ptr && made[i].value.ptr) h->items[h->n++] = made[i];
    return NULL;
}

/* ------------------------------------------------------------------------------------------------ the try */

static void answered(void *ctx, const FetchAnswer *answer) {
    ActionRun *run = ctx;
    ActionResult r = { .outcome = ACTION_DONE };
    if (answer->result != OK) {
        bool again = answer->result == ERR_IO || answer->result == ERR_AGAIN;
        r.outcome = again ? ACTION_AGAIN : ACTION_FAILED;
        r.why = str_format(run->arena, "HttpAction failed to make a request to the specified endpoint. %.*s",
                           PS(answer->why));
    } else if (answer->status / 100 != 2) {
        r.outcome = answer->status == 429 ? ACTION_SLOWER : answer->status / 100 == 5 ? ACTION_AGAIN : ACTION_FAILED;
        r.why = str_format(
            run->arena, "HttpAction failed to make a request to the specified endpoint. StatusCode: %d. Reason: %.*s.",
            answer->status, PS(http_reason_phrase(answer->status)));
    }
    action_done(run, r);
}

static const char *ready(ActionRun *run, const IotHttpAction *a, Str *body, Headers *headers) {
    const char *why = NULL;
    Str wrong;
    bool batched = a->enable_batching.v;
    if (!run->env->outward) return "this server sends nothing outward";
    if (!destination_url_ok(a->url, run->env->plain_http, run->arena, &wrong)) return str_dup_c(run->arena, wrong);
    if (!destination_allows_url(run->env->rules, run->account, a->url, &why)) return why;
    if (batched && array_of(run, body) != OK) return "only text can be batched, this payload is not UTF-8";
    if (!batched) *body = run->items[0].payload;
    why = fill_headers(run, batched, headers);
    if (!why && a->auth && a->auth->sigv4) why = sign(run, a->auth->sigv4, a->url, *body, headers);
    return why;
}

static void start(ActionRun *run) {
    const IotHttpAction *a = run->items[run->n - 1].action;
    Headers headers = { .n = 0 };
    Str body = STR_NONE;
    const char *why = ready(run, a, &body, &headers);
    if (why) {
        action_failed(run, "HttpAction failed to make a request to the specified endpoint. %s", why);
        return;
    }
    fetch_start(run->env->outward,
                &(FetchRequest){ .method = S("POST"),
                                 .url = a->url,
                                 .headers = headers.items,
                                 .headers_n = headers.n,
                                 .body = body,
                                 .ca_file = run->env->ca_file,
                                 .total_ms = run->left_ms,
                                 .answer_bytes_max = ANSWER_BYTES_MAX },
                answered, run);
}

static const char *const LITERAL[] = { "key", "signingRegion", "serviceName", NULL };

const ActionKind ACTION_HTTP = {
    .member = STR_INIT("http"),
    .failed = STR_INIT("HttpAction"),
    .literal = LITERAL,
    .check = check,
    .resource = resource,
    .destination = destination,
    .start = start,
    .tries_max = TRIES_MAX,
    .total_ms = TOTAL_MS,
    .batch = batch,
};
