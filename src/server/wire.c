#include "server/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "gateway/reached.h"
#include "identity/directory.h"
#include "identity/domain_book.h"
#include "identity/endpoint.h"
#include "identity/issuer.h"
#include "identity/key_ring.h"
#include "identity/role_book.h"
#include "net/fetch.h"
#include "rules/rules.h"
#include "server/functions.h"
#include "server/opening.h"
#include "server/outward.h"
#include "server/rules.h"
#include "server/upkeep.h"
#include "services/absent.h"
#include "services/iot/logging_load.h"
#include "services/lambda/lambda.h"
#include "services/shadow/topic.h"
#include "store/settle.h"

/* ------------------------------------------------------------------------------------------------ upward */

static bool is_shadow_topic(Str topic) {
    ShadowTopic parsed;
    return shadow_topic_parse(topic, &parsed);
}

/* Who carries out what clients publish on reserved topics. */
static const TopicService TOPIC_SERVICES[] = { { is_shadow_topic, shadow_topic_run },
                                               { absent_topic_takes, absent_topic_run } };

/* Who is told when a certificate, its policies or its things change: live connections. */
static void principal_changed(void *ctx, Str account, Str principal_id, const Principal *now) {
    Server *s = ctx;
    if (!now) keyring_certificate_gone(s->env.keys, account, principal_id);
    gateway_principal_changed(s->gateway, account, principal_id, now);
}

static void policies_changed(void *ctx, Str account) {
    Server *s = ctx;
    broker_policies_changed(s->env.broker, account);
}

/* Who is told when an access key changes: the WebSockets that came with it. */
static void key_changed(void *ctx, Str account, Str id, const Principal *now) {
    Server *s = ctx;
    gateway_principal_changed(s->gateway, account, id, now);
}

static void on_event(void *ctx, const BrokerEvent *e) {
    Server *s = ctx;
    LogLevel level = e->success ? LOG_DEBUG : e->level == LOG_INFO ? LOG_INFO : LOG_WARN;
    if (level < s->log.least) return;
    log_line(&s->log, level, "event=%s status=%s account=%.*s client=%.*s principal=%.*s ip=%.*s topic=%.*s reason=%s",
             e->event, e->success ? "Success" : "Failure", PS(e->account), PS(e->client_id), PS(e->principal_id),
             PS(e->source_ip), PS(e->topic), e->reason ? e->reason : "-");
}

/* Entries of the service log go where the server's own lines go. What `starling logs` keeps is the operator's, so
 * others' entries are not in it. */
static void service_log_line(void *ctx, Str account, Str line) {
    Server *s = ctx;
    Log log = s->log;
    if (!str_eq(account, s->env.account)) log.also = NULL;
    log_raw(&log, line);
}

enum { LOG_BYTES_KEPT = 1 << 20 }; /* some thousand lines */

static Str newest_logs(Env *env, uint64_t from, Arena *arena, uint64_t *next) {
    Server *s = (Server *)((char *)env - offsetof(Server, env));
    return log_ring_read(s->log_lines, from, arena, next);
}

/* ------------------------------------------------------------------------------------------------ parts */

static Err open_issuer(Server *s, Str *why) {
    const Settings *o = &s->settings;
    Str host = str_c(o->hostname);
    IssuerOptions io = { .dir = o->data,
                         .region = s->env.region,
                         .hosts = &host,
                         .hosts_n = o->hostname ? 1 : 0,
                         .server_chain_file = o->tls_chain,
                         .server_key_file = o->tls_key };
    Err e = issuer_open(&io, &s->arena, &s->env.issuer, why);
    if (e == OK) s->env.endpoint_domain = issuer_domain(s->env.issuer);
    return e;
}

/* What --require-sni takes. localhost: the commands of `starling` call the server by it. */
static bool knows_name(void *ctx, Str name) {
    const Server *s = ctx;
    AccountName account;
    if (str_eq_nocase(name, S("localhost")) || endpoint_account(name, &account)) return true;
    bool named = false;
    const Domain *d = domain_book_find(s->env.domains, name, &named);
    domain_release(d);
    if (d && named) return true;
    return s->settings.hostname && str_eq_nocase(name, str_c(s->settings.hostname));
}

/* reload: s->tls is there already. */
static Err offer_certificates(Server *s, bool reload, Arena *arena, Str *why) {
    const Settings *o = &s->settings;
    IssuerServer pems[ISSUER_SERVERS];
    TlsPair pairs[ISSUER_SERVERS];
    size_t n = issuer_servers(s->env.issuer, arena, pems);
    for (size_t i = 0; i < n; i++) pairs[i] = (TlsPair){ pems[i].chain_pem, pems[i].key_pem };
    TlsOptions to = { .min_version = o->tls_min,
                      .max_version = o->tls_max,
                      .ciphers = o->tls_ciphers,
                      .ciphersuites = o->tls_ciphersuites,
                      .sessions_max = (size_t)o->tls_sessions_max,
                      .pairs = pairs,
                      .n = n,
                      .require_name = o->require_sni,
                      .knows_name = knows_name,
                      .ctx = s };
    return reload ? tls_server_reload(s->tls, &to, arena, why) : tls_server_new(&to, arena, &s->tls, why);
}

/* Server names with something of their own: told at the start and whenever one changes. What cannot be served leaves
 * those of before. */
static void domains_changed(void *ctx, const DomainSite *sites, size_t n) {
    Server *s = ctx;
    Arena arena = { 0 };
    Str why;
    TlsSite *to = arena_array(&arena, TlsSite, n + 1);
    for (size_t i = 0; i < n; i++) {
        const Domain *d = sites[i].domain;
        to[i] = (TlsSite){ sites[i].host, { d->chain_pem, d->key_pem }, d->tls_min, d->tls_max };
    }
    if (tls_server_sites(s->tls, to, n, &arena, &why) != OK)
        log_line(&s->log, LOG_ERROR, "event=DomainConfiguration reason=\"%.*s\"", PS(why));
    arena_free(&arena);
}

static Err open_identity(Server *s, Str *why) {
    const Settings *o = &s->settings;
    KeyRingOptions ko = { .store = s->env.store,
                          .rng = &s->rng,
                          .data_dir = o->data,
                          .account = s->env.account,
                          .region = s->env.region,
                          .now_ms = real_ms() };
    Err e = keyring_open(&ko, &s->arena, &s->env.keys, why);
    if (e != OK) return e;
    DirectoryOptions dopt = {
        .store = s->env.store, .workers = s->env.workers, .account = s->env.account, .region = s->env.region
    };
    s->env.directory = directory_open(&dopt);
    s->env.roles = role_book_new(s->env.store, S("iot.amazonaws.com"));
    DomainBookOptions bo = { s->env.store, s->env.account, s->env.region, s->env.endpoint_domain };
    e = domain_book_open(&bo, &s->arena, &s->env.domains, why);
    if (e == OK) domain_book_listen(s->env.domains, domains_changed, s);
    return e;
}

Err server_reload_tls(Server *s, Arena *arena, Str *why) {
    return offer_certificates(s, true, arena, why);
}

static void open_reactors(Server *s) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    s->reactors_n = (size_t)(s->settings.reactors ? s->settings.reactors : cores);
    if (s->reactors_n > REACTORS_MAX) s->reactors_n = REACTORS_MAX;
    for (size_t i = 0; i < s->reactors_n; i++) s->reactors[i] = reactor_new((int)i, &s->clock);
}

static Err load_own_account(Server *s, Str account) {
    Err e = broker_load_account(s->env.broker, account);
    if (e == OK) e = lambda_load_account(s->lambda, account);
    if (e == OK) e = logging_load(&s->env, account);
    return e == OK ? rules_load_account(s->env.rules, account) : e;
}

static Err load_account(void *ctx, Str account) {
    Server *s = ctx;
    return str_eq(account, s->env.account) ? OK : load_own_account(s, account);
}

/* Who has an access key, or had one, may have sessions and retained messages here. */
static Err load_accounts(Server *s) {
    Txn *txn;
    Err e = load_own_account(s, s->env.account);
    if (e == OK) e = txn_begin(s->env.store, &txn);
    if (e != OK) return e;
    e = access_key_each_account(txn, load_account, s);
    txn_abort(txn);
    return e;
}

static Err open_broker(Server *s) {
    BrokerOptions bo = { .limits = s->settings.limits,
                         .clock = &s->clock,
                         .store = s->env.store,
                         .workers = s->env.workers,
                         .env = &s->env,
                         .account = s->env.account,
                         .region = s->env.region,
                         .services = TOPIC_SERVICES,
                         .services_n = sizeof TOPIC_SERVICES / sizeof *TOPIC_SERVICES,
                         .rules = rules_hook(s->env.rules),
                         .on_event = on_event,
                         .on_event_ctx = s,
                         .service_log = s->env.service_log };
    s->env.broker = broker_new(&bo, s->reactors, s->reactors_n);
    connect_rules(s);
    return load_accounts(s);
}

enum { OTHER_FILES = 32 }; /* logs of the store, files of the server's own */

static Err open_gateway(Server *s, Str *why) {
    const Settings *o = &s->settings;
    if (o->reached && reached_open(o->reached, &s->reached) != OK) {
        *why = str_format(&s->arena, "test-reached: cannot write '%s': %s", o->reached, strerror(errno));
        return ERR_IO;
    }
    GatewayOptions go = { .env = &s->env,
                          .tls = s->tls,
                          .log = &s->log,
                          .patterns = s->patterns,
                          .admin = &s->admin,
                          .local = LOCAL_ROUTES,
                          .local_n = LOCAL_ROUTES_N,
                          .local_ctx = s,
                          .body_bytes_max = (size_t)o->body_bytes_max,
                          .first_byte_wait_s = o->limits.connect_wait_s,
                          .http_idle_s = (uint32_t)o->http_idle_s,
                          .files_kept = (size_t)o->store_files_max + OTHER_FILES,
                          .reached = s->reached,
                          .validate_replies = o->test,
                          .rates = o->aws_quotas };
    s->gateway = gateway_new(&go, s->reactors, s->reactors_n);
    directory_listen(s->env.directory, principal_changed, policies_changed, s);
    keyring_listen(s->env.keys, key_changed, s);
    return OK;
}

static Err listen_all(Server *s, Str *why) {
    const Settings *o = &s->settings;
    Err e = OK;
    if (o->mqtt_port >= 0)
        e = gateway_listen(s->gateway, o->listen, (int)o->mqtt_port, LISTEN_TLS, &s->arena, &s->mqtt_port, why);
    if (e == OK && o->https_port == -2) {
        e = gateway_listen(s->gateway, o->listen, 443, LISTEN_TLS, &s->arena, &s->https_port, why);
        if (e != OK) e = gateway_listen(s->gateway, o->listen, 8443, LISTEN_TLS, &s->arena, &s->https_port, why);
    } else if (e == OK && o->https_port >= 0) {
        e = gateway_listen(s->gateway, o->listen, (int)o->https_port, LISTEN_TLS, &s->arena, &s->https_port, why);
    }
    if (e == OK && o->plain_port >= 0)
        e = gateway_listen(s->gateway, "localhost", (int)o->plain_port, LISTEN_PLAIN, &s->arena, &s->plain_port, why);
    const char *host = o->hostname ? o->hostname : "localhost";
    s->env.endpoint_port = s->https_port == 443 ? S("") : str_format(&s->arena, ":%d", s->https_port);
    s->env.endpoint = str_format(&s->arena, "%s%.*s", host, PS(s->env.endpoint_port));
    return e;
}

/* Told before a first start makes keys. */
static Err check_ports(Server *s, Str *why) {
    const Settings *o = &s->settings;
    Err e = OK;
    if (o->mqtt_port > 0) e = gateway_port_free(o->listen, (int)o->mqtt_port, &s->arena, why);
    if (e == OK && o->https_port == -2) {
        e = gateway_port_free(o->listen, 443, &s->arena, why);
        if (e != OK) e = gateway_port_free(o->listen, 8443, &s->arena, why);
    } else if (e == OK && o->https_port > 0) {
        e = gateway_port_free(o->listen, (int)o->https_port, &s->arena, why);
    }
    if (e == OK && o->plain_port > 0) e = gateway_port_free("localhost", (int)o->plain_port, &s->arena, why);
    return e;
}

/* What needs no store. */
static Err open_beside_store(Server *s, Str *why) {
    size_t n;
    const ApiService *const *services = api_services(&n);
    Err e = check_ports(s, why);
    if (e == OK) e = open_issuer(s, why);
    if (e == OK) e = offer_certificates(s, false, &s->arena, why);
    return e == OK ? api_patterns_new(services, n, &s->arena, &s->patterns, why) : e;
}

/* The store's error counts more: a server on the same data may run already. */
static Err open_store_and_more(Server *s, Str *why) {
    Opening *opening;
    Err e = opening_begin(s, &opening, why);
    if (e != OK) return e;
    Err more = open_beside_store(s, why);
    e = opening_end(opening, why);
    return e == OK ? more : e;
}

Err server_open(Server *s, const Settings *settings, Str *why) {
    *why = S("out of order");
    s->settings = *settings;
    s->log.fd = STDERR_FILENO;
    s->log.lost = &s->log_lost;
    s->log_lines = log_ring_new(LOG_BYTES_KEPT);
    s->log.also = log_ring_add;
    s->log.also_ctx = s->log_lines;
    s->admin.logs = newest_logs;
    s->admin.figures = server_figures;
    s->env.clock = &s->clock;
    s->env.service_log = service_log_new(service_log_line, s);
    s->env.account = str_c(settings->account);
    s->env.region = str_c(settings->region);
    s->env.data_dir = str_c(settings->data);
    s->started_ms = real_ms();
    s->admin.started_ms = s->started_ms;
    Err e = log_level_parse(str_c(settings->log_level), &s->log.least);
    if (e == OK) e = open_store_and_more(s, why);
    if (e == OK) e = open_identity(s, why);
    if (e == OK) open_reactors(s);
    if (e == OK) e = outward_open(s, why);
    if (e == OK) e = open_functions(s, why);
    if (e == OK) e = open_rules(s, why);
    if (e == OK) {
        e = open_broker(s);
        if (e != OK) *why = str_format(&s->arena, "the sessions in the store cannot be read: %s", err_name(e));
    }
    if (e == OK) e = open_gateway(s, why);
    if (e == OK) e = listen_all(s, why);
    return e;
}

void server_run(Server *s) {
    for (size_t i = 0; i < s->reactors_n; i++) reactor_start(s->reactors[i]);
    rules_resume(s->env.rules);
    s->upkeep = upkeep_start(s);
}

typedef struct {
    Task task;
    Gateway *gateway;
} CloseTask;

static void close_listeners(Task *task, Reactor *r) {
    (void)r;
    gateway_close_listeners(((CloseTask *)task)->gateway);
}

/* What is there of it; the reactors do not run (any more). */
static void free_parts(Server *s) {
    if (s->env.rules) rules_stop(s->env.rules);
    if (s->outward) fetch_stop(s->outward);
    outward_stop(s);
    stop_functions(s);
    Workers *const pools[] = { s->env.slow_workers, s->env.workers };
    store_settle(s->reactors, s->reactors_n, pools, sizeof pools / sizeof *pools);
    workers_stop(s->env.slow_workers);
    workers_stop(s->env.workers);
    if (s->gateway) gateway_free(s->gateway);
    reached_close(s->reached);
    if (s->env.broker) broker_free(s->env.broker);
    outward_close(s);
    rules_free(s->env.rules);
    outside_free(s->outside);
    fetch_free(s->outward);
    for (size_t i = 0; i < s->reactors_n; i++) reactor_free(s->reactors[i]);
    close_functions(s);
    api_patterns_free(s->patterns);
    directory_close(s->env.directory);
    domain_book_close(s->env.domains);
    role_book_free(s->env.roles);
    keyring_close(s->env.keys);
    issuer_close(s->env.issuer);
    tls_server_free(s->tls);
    store_close(s->env.store);
    service_log_free(s->env.service_log);
    log_ring_free(s->log_lines);
    arena_free(&s->arena);
}

void server_abandon(Server *s) {
    if (s->gateway) gateway_close_listeners(s->gateway);
    free_parts(s);
}

void server_close(Server *s) {
    upkeep_stop(s->upkeep);
    CloseTask t = { .task.run = close_listeners, .gateway = s->gateway };
    reactor_post(s->reactors[0], &t.task);
    gateway_shut(s->gateway);
    broker_shut(s->env.broker);
    gateway_wait(s->gateway);
    for (size_t i = 0; i < s->reactors_n; i++) reactor_stop(s->reactors[i]);
    free_parts(s);
}
