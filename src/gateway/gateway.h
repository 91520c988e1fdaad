/* Gateway: listens, and finds out what a connection is: TLS or not, whose certificate, MQTT or HTTP by its first
 * byte, WebSocket by its upgrade. Hands MQTT to the broker and HTTP to the operations of the API. */
#pragma once

#include "api/dispatch.h"
#include "api/pattern.h"
#include "base/log.h"
#include "identity/principal.h"
#include "net/tls.h"
#include "services/admin/admin.h"
#include "services/env.h"

typedef struct Gateway Gateway;

/* What the server itself answers under a path, without the API: /health, /metrics, test controls.
 * Shape: the answer in *rs, memory in the arena. Runs on the reactor, quick and without the store; one that `waits` on
 * a thread of its own. */
typedef struct {
    Str method, path;
    bool loopback_only, waits;
    bool prefix; /* path is only its beginning, and a request that is signed goes to the API instead */
    void (*handle)(void *ctx, const ApiRequest *rq, Arena *arena, ApiResponse *rs);
} LocalRoute;

typedef struct {
    Env *env;
    TlsServer *tls;
    const Log *log;
    const ApiPatterns *patterns;
    const AdminSource *admin;
    const LocalRoute *local;
    size_t local_n;
    void *local_ctx;
    size_t body_bytes_max;
    uint32_t first_byte_wait_s, http_idle_s;
    size_t files_kept;            /* descriptors that no connection gets */
    struct Reached *reached;      /* NULL; of a run of tests: not the gateway's */
    bool validate_replies, rates; /* rates: AWS's limits of calls a second apply */
} GatewayOptions;

Gateway *gateway_new(const GatewayOptions *options, Reactor **reactors, size_t n);
void gateway_free(Gateway *g); /* after the reactors ended */

typedef enum { LISTEN_TLS, LISTEN_PLAIN } ListenKind;
/* On every address of `host` ("localhost": both loopbacks; "*": all). Connections start on the first reactor.
 * port 0 picks a free one, the same for all addresses. Before the reactors start.
 * Errors: ERR_IO; *why says which address and what the system said */
/* Whether the port could be listened on now; nothing is kept. Errors: ERR_IO, *why as gateway_listen says it */
NODISCARD Err gateway_port_free(const char *host, int port, Arena *arena, Str *why);
NODISCARD Err gateway_listen(Gateway *g, const char *host, int port, ListenKind kind, Arena *arena, int *port_out,
                             Str *why);
/* Ends the connections that do not speak MQTT; any thread, before the reactors end. */
void gateway_shut(Gateway *g);
/* Returns when no local route is under way that waits: it may use reactors and workers. After gateway_shut, and when
 * its tasks have run. */
void gateway_wait(Gateway *g);
void gateway_close_listeners(Gateway *g); /* on the first reactor's thread */

/* The directory's listener; also for access keys. now NULL: its connections close. Any thread. */
void gateway_principal_changed(Gateway *g, Str account, Str principal_id, const Principal *now);

typedef struct {
    _Atomic uint64_t accepted, refused_no_files, tls_failed, http_requests, not_authenticated, throttled;
} GatewayCounters;
const GatewayCounters *gateway_counters(const Gateway *g);
