#include "base/json.h"
#include "base/writer.h"
#include "broker/broker.h"
#include "identity/directory.h"
#include "server/wire.h"

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

static void figure(Writer *w, const char *name, const char *type, uint64_t value) {
    writer_format(w, "# TYPE starling_%s %s\nstarling_%s %llu\n", name, type, name, (unsigned long long)value);
}

/* Source: Prometheus' text exposition format 0.0.4 */
static void metrics(void *ctx, const ApiRequest *rq, Arena *arena, ApiResponse *rs) {
    Server *s = ctx;
    BrokerFigures b = broker_figures(s->env.broker);
    const GatewayCounters *g = gateway_counters(s->gateway);
    Writer w = writer_in(arena);
    (void)rq;
    figure(&w, "uptime_seconds", "gauge", (uint64_t)(real_ms() - s->started_ms) / 1000);
    figure(&w, "connections", "gauge", b.connections);
    figure(&w, "sessions", "gauge", b.sessions);
    figure(&w, "subscriptions", "gauge", b.subscriptions);
    figure(&w, "connects_total", "counter", b.connects);
    figure(&w, "connects_refused_total", "counter", b.connects_refused);
    figure(&w, "publishes_received_total", "counter", b.published_in);
    figure(&w, "publishes_delivered_total", "counter", b.delivered);
    figure(&w, "publishes_dropped_slow_reader_total", "counter", b.dropped_slow);
    figure(&w, "publishes_dropped_queue_full_total", "counter", b.dropped_full);
    figure(&w, "decisions_denied_total", "counter", b.denied);
    figure(&w, "accepted_total", "counter", atomic_load(&g->accepted));
    figure(&w, "accept_refused_no_files_total", "counter", atomic_load(&g->refused_no_files));
    figure(&w, "tls_failed_total", "counter", atomic_load(&g->tls_failed));
    figure(&w, "http_requests_total", "counter", atomic_load(&g->http_requests));
    figure(&w, "not_authenticated_total", "counter", atomic_load(&g->not_authenticated));
    figure(&w, "principals_cached", "gauge", directory_cached(s->env.directory));
    figure(&w, "store_jobs_waiting", "gauge", workers_queued(s->env.workers));
    figure(&w, "store_bytes", "gauge", store_bytes(s->env.store));
    answer(rs, 200, "text/plain; version=0.0.4", writer_str(&w));
}

/* ------------------------------------------------------------------------------------------------ --test only */

/* POST {"ahead_ms": n}: the rules' time is n ahead of the real one; timers that are due by it fire at once. */
static void move_clock(void *ctx, const ApiRequest *rq, Arena *arena, ApiResponse *rs) {
    Server *s = ctx;
    yyjson_val *v = NULL;
    if (json_read(arena, rq->body, false, &v, NULL) == OK) v = yyjson_obj_get(v, "ahead_ms");
    if (!v || !yyjson_is_int(v) || yyjson_get_sint(v) < 0) {
        answer(rs, 400, "application/json", S("{\"message\":\"expected {\\\"ahead_ms\\\": a number, 0 or more}\"}"));
        return;
    }
    atomic_store(&s->clock.ahead_ms, yyjson_get_sint(v));
    for (size_t i = 0; i < s->reactors_n; i++) reactor_clock_moved(s->reactors[i]);
    answer(rs, 200, "application/json", str_format(arena, "{\"now_ms\":%lld}", (long long)clock_ms(&s->clock)));
}

const LocalRoute LOCAL_ROUTES[] = {
    { STR_INIT("GET"), STR_INIT("/health"), false, health },
    { STR_INIT("GET"), STR_INIT("/metrics"), true, metrics },
    { STR_INIT("POST"), STR_INIT("/_starling/clock"), true, move_clock },
};
const size_t LOCAL_ROUTES_N = 3, LOCAL_TEST_ROUTES_N = 1;
