/* Wire: makes the parts and joins them. What must flow upward between layers is registered here and nowhere else. */
#pragma once

#include "broker/broker.h"
#include "gateway/gateway.h"
#include "server/log_ring.h"
#include "server/settings.h"

enum { REACTORS_MAX = 64 };

typedef struct Server {
    Settings settings;
    Arena arena; /* lives as long as the server */
    Log log;
    LogRing *log_lines;
    _Atomic uint32_t log_lost;
    Clock clock;
    Rng rng;
    Env env;
    Reactor *reactors[REACTORS_MAX];
    size_t reactors_n;
    TlsServer *tls;
    ApiPatterns *patterns;
    Gateway *gateway;
    struct Reached *reached; /* NULL, but in a run of tests */
    struct Lambda *lambda;
    struct Remote *lambda_remote; /* NULL: functions run here */
    struct Fetch *outward;        /* what rules' authors name */
    struct Outside *outside;      /* what rules' SQL asks of others */
    struct Fetch *fetch;          /* outward.h */
    struct AwsClient *aws;
    struct Folder *objects;
    struct Upkeep *upkeep;
    AdminSource admin;
    int mqtt_port, https_port, plain_port; /* as they are; 0: off */
    int64_t started_ms;
} Server;

/* Errors: *why says what is wrong and what to do. The reactors do not run yet. */
NODISCARD Err server_open(Server *s, const Settings *settings, Str *why);
void server_run(Server *s); /* starts the reactors */
void server_close(Server *s);
void server_abandon(Server *s); /* after server_open failed; what *why says is gone then */

/* The server certificates as the issuer has them now, for new connections. Errors: *why says what is wrong */
NODISCARD Err server_reload_tls(Server *s, Arena *arena, Str *why);

/* What /metrics and `starling status` show. Shape: as AdminFiguresFn */
size_t server_figures(Env *env, AdminFigure *out, size_t out_max);

/* /health, /metrics and, with --test, /_starling/clock and /_starling/reset. */
extern const LocalRoute LOCAL_ROUTES[];
extern const size_t LOCAL_ROUTES_N;
