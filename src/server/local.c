#include "base/json.h"
#include "base/writer.h"
#include "broker/broker.h"
#include "identity/directory.h"
#include "server/reset.h"
#include "server/rules.h"
#include "services/lambda/download.h"

/* What the server says of itself without the API. */

static void answer(ApiResponse *rs, int status, const char *type, Str body) {
    rs->status = status;
    rs->headers[0] = (HttpHeader){ S("Content-Type"), str_c(type) };
    rs->headers_n = 1;
    rs->body = body;
}

static void health(void *ctx, const ApiRequest *rq, Arena *arena, ApiResponse *rs) {
    (void)ctx, (void)rq, (void)arena;
    answer(rs, 200, "application/json", S("{\"status\":\"ok\"}"));
}

size_t server_figures(Env *env, AdminFigure *out, size_t out_max) {
    Server *s = (Server *)((char *)env - offsetof(Server, env));
    BrokerFigures b = broker_figures(env->broker);
    const GatewayCounters *g = gateway_counters(s->gateway);
    const AdminFigure all[] = {
        { "uptime_seconds", (real_ms() - s->started_ms) / 1000 },
        { "connections", (int64_t)b.connections },
        { "sessions", (int64_t)b.sessions },
        { "subscriptions", (int64_t)b.subscriptions },
        { "connects_total", (int64_t)b.connects },
        { "connects_refused_total", (int64_t)b.connects_refused },
        { "publishes_received_total", (int64_t)b.published_in },
        { "publishes_delivered_total", (int64_t)b.delivered },
        { "publishes_dropped_slow_reader_total", (int64_t)b.dropped_slow },
        { "publishes_dropped_queue_full_total", (int64_t)b.dropped_full },
        { "decisions_denied_total", (int64_t)b.denied },
        { "accepted_total", (int64_t)atomic_load(&g->accepted) },
        { "accept_refused_no_files_total", (int64_t)atomic_load(&g->refused_no_files) },
        { "tls_failed_total", (int64_t)atomic_load(&g->tls_failed) },
        { "http_requests_total", (int64_t)atomic_load(&g->http_requests) },
        { "not_authenticated_total", (int64_t)atomic_load(&g->not_authenticated) },
        { "throttled_total", (int64_t)atomic_load(&g->throttled) },
        { "principals_cached", (int64_t)directory_cached(env->directory) },
        { "store_jobs_waiting", (int64_t)workers_queued(env->workers) },
        { "store_bytes", (int64_t)store_bytes(env->store) },
    };
    size_t n = sizeof all / sizeof *all < out_max ? sizeof all / sizeof *all : out_max;
    memcpy(out, all, n * sizeof *all);
    if (n + RULE_FIGURES <= out_max) n += rules_server_figures(s, out + n);
    return n;
}

typedef struct {
    const char *name;
    size_t at; /* an _Atomic uint32_t of the Reactor */
} ReactorFigure;

static const ReactorFigure REACTOR_FIGURES[] = {
    { "reactor_connections", offsetof(Reactor, conns) },
    { "reactor_handshakes", offsetof(Reactor, handshakes) },
    { "reactor_busy_permille", offsetof(Reactor, busy_permille) },
};

static void write_reactors(const Server *s, Writer *w) {
    for (size_t f = 0; f < sizeof REACTOR_FIGURES / sizeof *REACTOR_FIGURES; f++) {
        const ReactorFigure *of = &REACTOR_FIGURES[f];
        writer_format(w, "# TYPE starling_%s gauge\n", of->name);
        for (size_t i = 0; i < s->reactors_n; i++) {
            const _Atomic uint32_t *value = (const void *)((const char *)s->reactors[i] + of->at);
            writer_format(w, "starling_%s{reactor=\"%zu\"} %u\n", of->name, i, atomic_load(value));
        }
    }
}

/* Source: Prometheus' text exposition format 0.0.4 */
static void metrics(void *ctx, const ApiRequest *rq, Arena *arena, ApiResponse *rs) {
    enum { FIGURES_MAX = 64 };
    Server *s = ctx;
    Writer w = writer_in(arena);
    AdminFigure figures[FIGURES_MAX];
    size_t n = server_figures(&s->env, figures, FIGURES_MAX);
    (void)rq;
    for (size_t i = 0; i < n; i++) {
        const char *name = figures[i].name, *type = str_ends(str_c(name), S("_total")) ? "counter" : "gauge";
        writer_format(&w, "# TYPE starling_%s %s\nstarling_%s %lld\n", name, type, name, (long long)figures[i].value);
    }
    write_reactors(s, &w);
    rules_write_metrics(s, &w);
    answer(rs, 200, "text/plain; version=0.0.4", writer_str(&w));
}

/* ------------------------------------------------------------------------------------------------ --test only */

#define AHEAD_MS_MAX INT64_C(3155760000000)

static bool only_for_tests(const Server *s, ApiResponse *rs) {
    if (s->settings.test) return false;
    answer(rs, 404, "application/json",
           S("{\"message\":\"this is for test suites: start the server with --test to have it\"}"));
    return true;
}

/* POST {"ahead_ms": n}: the rules' time is n ahead of the real one; timers that are due by it fire at once. */
static void move_clock(void *ctx, const ApiRequest *rq, Arena *arena, ApiResponse *rs) {
    Server *s = ctx;
    yyjson_val *v = NULL;
    if (only_for_tests(s, rs)) return;
    if (json_read(arena, rq->body, false, &v, NULL) == OK) v = yyjson_obj_get(v, "ahead_ms");
    if (!v || !yyjson_is_int(v) || yyjson_get_sint(v) < 0 || yyjson_get_sint(v) > AHEAD_MS_MAX) {
        answer(rs, 400, "application/json",
               S("{\"message\":\"expected {\\\"ahead_ms\\\": a number from 0 to 3155760000000, a hundred years}\"}"));
        return;
    }
    atomic_store(&s->clock.ahead_ms, yyjson_get_sint(v));
    for (size_t i = 0; i < s->reactors_n; i++) reactor_clock_moved(s->reactors[i]);
    answer(rs, 200, "application/json", str_format(arena, "{\"now_ms\":%lld}", (long long)clock_ms(&s->clock)));
}

/* POST, any body: the server is as after its first start, but for CAs, access keys and the clock. */
static void reset(void *ctx, const ApiRequest *rq, Arena *arena, ApiResponse *rs) {
    (void)rq;
    if (only_for_tests(ctx, rs)) return;
    Err e = server_reset(ctx);
    if (e == OK)
        answer(rs, 200, "application/json", S("{\"message\":\"OK\"}"));
    else
        answer(rs, 500, "application/json",
               str_format(arena, "{\"message\":\"the store could not be emptied: %s\"}", err_name(e)));
}

/* A function's package, by the URL that GetFunction gave. */
static void package(void *ctx, const ApiRequest *rq, Arena *arena, ApiResponse *rs) {
    Server *s = ctx;
    Str zip;
    Err e = download_read(s->lambda, rq->path, arena, &zip);
    if (e == OK)
        answer(rs, 200, "application/octet-stream", zip);
    else if (e == ERR_NOT_FOUND)
        answer(rs, 404, "application/json", S("{\"message\":\"the package is not there any more\"}"));
    else
        answer(rs, 403, "application/json",
               S("{\"message\":\"this URL is not, or no longer, good: ask GetFunction\"}"));
}

const LocalRoute LOCAL_ROUTES[] = {
    { STR_INIT("GET"), STR_INIT("/health"), .handle = health },
    { STR_INIT("GET"), STR_INIT("/metrics"), .loopback_only = true, .handle = metrics },
    { STR_INIT("GET"), STR_INIT("/confirmdestination/"), .waits = true, .prefix = true, .handle = rules_confirm },
    { STR_INIT("GET"), STR_INIT(LAMBDA_DOWNLOAD_PATH), .waits = true, .prefix = true, .handle = package },
    { STR_INIT("POST"), STR_INIT("/_starling/clock"), .loopback_only = true, .handle = move_clock },
    { STR_INIT("POST"), STR_INIT("/_starling/reset"), .loopback_only = true, .waits = true, .handle = reset },
};
const size_t LOCAL_ROUTES_N = 6;
