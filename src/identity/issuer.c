#include "identity/issuer.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rng.h"
#include "identity/issuer_files.h"
#include "identity/key_pool.h"
#include "identity/pem.h"
#include "identity/x509.h"
#include "identity/x509_make.h"

/* Four pairs of key and certificate: a CA and a server one for each key kind. A pair is one file, written whole, so
 * that a crash leaves either none of it or all of it. Making the two RSA keys is what takes the time of a first start;
 * each is made in a thread of its own, beside everything else. A directory that is there is four small reads. */

enum { PAIRS = 2, HOSTS_MAX = 64, KEYS_AHEAD = 8 };
#define DAY_MS INT64_C(86400000)
#define SERVER_DAYS 397 /* what browsers and mobile systems take */
#define SERVER_RENEW_DAYS 30
#define LAST_MS INT64_C(2524607999000) /* 2049-12-31T23:59:59Z. Source: certificates that AWS IoT issues */

static const struct {
    KeyKind kind;
    const char *ca_file, *server_file;
    const char *label;
} PAIR_KINDS[PAIRS] = {
    { KEY_EC_P256, "ca-ecdsa.pem", "server-ecdsa.pem", "ECDSA" },
    { KEY_RSA_2048, "ca-rsa.pem", "server-rsa.pem", "RSA" },
};
enum { RSA_PAIR = 1 };

struct Issuer {
    Arena arena;
    Str dir;
    Str domain;
    Str hosts[HOSTS_MAX];
    size_t hosts_n;
    KeyPair ca[PAIRS];
    Str ca_pem;
    bool given; /* the operator's server certificate: given_chain, given_key */
    Str given_chain, given_key;
    KeyPool *device_keys;
    pthread_mutex_t lock; /* guards server[] */
    KeyPair server[PAIRS];
};

/* Names */

static void add_host(Issuer *is, Str host) {
    for (size_t i = 0; i < is->hosts_n; i++)
        if (str_eq_nocase(is->hosts[i], host)) return;
    if (is->hosts_n < HOSTS_MAX && x509_host_taken(host)) is->hosts[is->hosts_n++] = str_dup(&is->arena, host);
}

static bool is_address(Str host) {
    for (size_t i = 0; i < host.len; i++) {
        uint8_t c = host.ptr[i];
        if (c == ':') return true;
        if (c != '.' && (c < '0' || c > '9')) return false;
    }
    return true;
}

static void add_host_and_below(Issuer *is, Str host) {
    add_host(is, host);
    if (is_address(host) || str_starts(host, S("*."))) return;
    add_host(is, str_format(&is->arena, "*.%.*s", PS(host)));
    add_host(is, str_format(&is->arena, "data-%.*s", PS(host))); /* SDKs of signer put it right before the name */
    if (str_find(host, '.') != SIZE_MAX) return;
    /* OpenSSL takes no wildcard right before a name's only label: what SDKs prefix, one by one. */
    static const char *const PREFIXES[] = { "api", "data", "monitor" };
    for (size_t i = 0; i < sizeof PREFIXES / sizeof *PREFIXES; i++)
        add_host(is, str_format(&is->arena, "%s.%.*s", PREFIXES[i], PS(host)));
}

/* The names of identity/endpoint.h: a wildcard stands for one label. */
static void add_endpoints(Issuer *is, Str region, Str domain) {
    static const char *const BELOW[] = { "iot", "credentials.iot", "jobs.iot", "deviceadvisor.iot" };
    for (size_t i = 0; i < sizeof BELOW / sizeof *BELOW; i++)
        add_host(is, str_format(&is->arena, "*.%s.%.*s.%.*s", BELOW[i], PS(region), PS(domain)));
}

static Err collect_hosts(Issuer *is, const IssuerOptions *o, Arena *arena, Str *why) {
    char machine[256] = "";
    if (gethostname(machine, sizeof machine - 1) != 0) machine[0] = 0;
    for (size_t i = 0; i < o->hosts_n; i++) {
        if (!x509_host_taken(o->hosts[i])) {
            *why = str_format(arena, "'%.*s' is neither a host name nor an IP address", PS(o->hosts[i]));
            return ERR_INVALID;
        }
        add_host_and_below(is, o->hosts[i]);
        if (i == 0 && !is_address(o->hosts[i]) && !str_starts(o->hosts[i], S("*.")))
            is->domain = str_dup(&is->arena, o->hosts[i]);
    }
    if (!is->domain.len) is->domain = S("amazonaws.localhost");
    add_host_and_below(is, S("localhost"));
    add_host_and_below(is, str_c(machine));
    add_host(is, S("127.0.0.1"));
    add_host(is, S("::1"));
    add_endpoints(is, o->region, S("amazonaws.com"));
    add_endpoints(is, o->region, S("amazonaws.localhost"));
    if (!str_eq(is->domain, S("amazonaws.localhost"))) add_endpoints(is, o->region, is->domain);
    return OK;
}

/* Pairs */

typedef struct {
    KeyKind kind;
    EVP_PKEY *key;
    pthread_t thread;
    bool started;
} KeyWork;

static void *key_thread(void *arg) {
    KeyWork *w = arg;
    w->key = x509_make_key(w->kind);
    return NULL;
}

static void key_begin(KeyWork *w, KeyKind kind) {
    *w = (KeyWork){ .kind = kind };
    w->started = pthread_create(&w->thread, NULL, key_thread, w) == 0;
}

static EVP_PKEY *key_end(KeyWork *w) {
    if (w->started)
        pthread_join(w->thread, NULL);
    else
        key_thread(w);
    return w->key;
}

static X509 *make_ca_cert(EVP_PKEY *key, const char *label) {
    Arena arena = { 0 };
    Rng rng = { 0 };
    /* A part of its own for each installation: two roots of one name confuse a client that trusts both. */
    Str name = str_format(&arena, "Starling %s Root CA %08x", label, (unsigned)rng_u64(&rng));
    X509 *cert = x509_make(&(MakeSpec){ .kind = MAKE_CA,
                                        .key = key,
                                        .organization = S("Starling"),
                                        .common_name = name,
                                        .not_before_ms = real_ms() - DAY_MS,
                                        .not_after_ms = LAST_MS });
    arena_free(&arena);
    return cert;
}

static X509 *make_server_cert(const Issuer *is, const KeyPair *ca, EVP_PKEY *key) {
    int64_t now = real_ms(), end = now + SERVER_DAYS * DAY_MS;
    return x509_make(&(MakeSpec){ .kind = MAKE_SERVER,
                                  .key = key,
                                  .organization = S("Starling"),
                                  .common_name = is->hosts[0],
                                  .ca = ca->cert,
                                  .ca_key = ca->key,
                                  .not_before_ms = now - DAY_MS,
                                  .not_after_ms = end < LAST_MS ? end : LAST_MS,
                                  .hosts = is->hosts,
                                  .hosts_n = is->hosts_n });
}

static Err pair_make(Issuer *is, size_t i, bool ca, EVP_PKEY *key, KeyPair *out, Arena *arena, Str *why) {
    X509 *cert = !key ? NULL : ca ? make_ca_cert(key, PAIR_KINDS[i].label) : make_server_cert(is, &is->ca[i], key);
    if (!cert) {
        EVP_PKEY_free(key);
        *why = str_format(arena, "OpenSSL could not make the %s %s key and certificate", PAIR_KINDS[i].label,
                          ca ? "CA's" : "server's");
        return ERR_IO;
    }
    KeyPair pair = { key, cert };
    Err e = pair_save(is->dir, ca ? PAIR_KINDS[i].ca_file : PAIR_KINDS[i].server_file, &pair, arena, why);
    if (e == OK)
        *out = pair;
    else
        pair_free(&pair);
    return e;
}

static bool server_fits(const Issuer *is, const KeyPair *server, const KeyPair *ca) {
    time_t soon = (time_t)(real_ms() / 1000 + SERVER_RENEW_DAYS * 86400);
    return X509_cmp_time(X509_get0_notAfter(server->cert), &soon) > 0 &&
           X509_verify(server->cert, X509_get0_pubkey(ca->cert)) == 1 &&
           x509_has_hosts(server->cert, is->hosts, is->hosts_n);
}

/* A pair that is there is loaded; *out stays empty where there is none. */
static Err pair_try(Issuer *is, const char *file, KeyPair *out, Arena *arena, Str *why) {
    Err e = pair_load(is->dir, file, out, arena, why);
    return e == ERR_NOT_FOUND ? OK : e;
}

static Err load_or_make(Issuer *is, Arena *arena, Str *why) {
    KeyWork ca_work[PAIRS] = { 0 }, server_work[PAIRS] = { 0 };
    Err e = OK;
    for (size_t i = 0; e == OK && i < PAIRS; i++) {
        e = pair_try(is, PAIR_KINDS[i].ca_file, &is->ca[i], arena, why);
        if (e == OK && !is->given) e = pair_try(is, PAIR_KINDS[i].server_file, &is->server[i], arena, why);
    }
    if (e != OK) return e;
    for (size_t i = 0; i < PAIRS; i++) {
        if (!is->ca[i].key) key_begin(&ca_work[i], PAIR_KINDS[i].kind);
        if (!is->given && !is->server[i].key) key_begin(&server_work[i], PAIR_KINDS[i].kind);
    }
    for (size_t i = 0; i < PAIRS; i++) { /* each thread is joined, whatever went wrong before */
        if (!is->ca[i].key) {
            EVP_PKEY *key = key_end(&ca_work[i]);
            if (e == OK)
                e = pair_make(is, i, true, key, &is->ca[i], arena, why);
            else
                EVP_PKEY_free(key);
        }
        if (!is->given && !is->server[i].key) {
            EVP_PKEY *key = key_end(&server_work[i]);
            if (e == OK)
                e = pair_make(is, i, false, key, &is->server[i], arena, why);
            else
                EVP_PKEY_free(key);
        }
    }
    return e;
}

/* Opening */

static Err load_given(Issuer *is, const IssuerOptions *o, Arena *arena, Str *why) {
    if (!o->server_chain_file && !o->server_key_file) return OK;
    if (!o->server_chain_file || !o->server_key_file) {
        *why = S("a server certificate needs both its chain file and its key file, one is missing");
        return ERR_INVALID;
    }
    is->given = true;
    Err e = given_load(o->server_chain_file, o->server_key_file, &is->arena, &is->given_chain, &is->given_key, why);
    if (e != OK) *why = str_dup(arena, *why); /* outlives the issuer */
    return e;
}

static Err write_ca_pem(Issuer *is, Arena *arena, Str *why) {
    is->ca_pem = str_format(&is->arena, "%.*s%.*s", PS(x509_pem_of(arena, is->ca[0].cert)),
                            PS(x509_pem_of(arena, is->ca[1].cert)));
    Err e = ca_pem_save(is->dir, is->ca_pem, arena, why);
    if (e != OK) return e;
    Arena large = { 0 };
    e = ca_bundle_save(is->dir, is->ca_pem, &large, why);
    if (e != OK) *why = str_dup(arena, *why);
    arena_free(&large);
    return e;
}

Err issuer_open(const IssuerOptions *options, Arena *arena, Issuer **out, Str *why) {
    Issuer *is = mem_new(sizeof *is);
    pthread_mutex_init(&is->lock, NULL);
    is->device_keys = key_pool_new(KEYS_AHEAD);
    is->dir = str_dup(&is->arena, str_c(options->dir));
    bool changed;
    Err e = collect_hosts(is, options, arena, why);
    if (e == OK) e = issuer_dirs(is->dir, arena, why);
    if (e == OK) e = load_given(is, options, arena, why);
    if (e == OK) e = load_or_make(is, arena, why);
    if (e == OK) e = write_ca_pem(is, arena, why);
    if (e == OK) e = issuer_renew(is, arena, &changed, why);
    ERR_clear_error();
    if (e != OK) {
        issuer_close(is);
        return e;
    }
    *out = is;
    return OK;
}

void issuer_close(Issuer *is) {
    if (!is) return;
    key_pool_free(is->device_keys);
    for (size_t i = 0; i < PAIRS; i++) {
        pair_free(&is->ca[i]);
        pair_free(&is->server[i]);
    }
    if (is->given_key.ptr) OPENSSL_cleanse((void *)(uintptr_t)is->given_key.ptr, is->given_key.len);
    pthread_mutex_destroy(&is->lock);
    arena_free(&is->arena);
    free(is);
}

Err issuer_renew(Issuer *is, Arena *arena, bool *changed, Str *why) {
    bool any = false;
    Err e = OK;
    pthread_mutex_lock(&is->lock);
    for (size_t i = 0; !is->given && e == OK && i < PAIRS; i++) {
        if (server_fits(is, &is->server[i], &is->ca[i])) continue;
        KeyPair fresh;
        e = pair_make(is, i, false, x509_make_key(PAIR_KINDS[i].kind), &fresh, arena, why);
        if (e != OK) break;
        pair_free(&is->server[i]);
        is->server[i] = fresh;
        any = true;
    }
    pthread_mutex_unlock(&is->lock);
    if (e == OK) *changed = any;
    return e;
}

Str issuer_domain(const Issuer *is) {
    return is->domain;
}

Str issuer_ca_pem(const Issuer *is) {
    return is->ca_pem;
}

size_t issuer_servers(Issuer *is, Arena *arena, IssuerServer out[ISSUER_SERVERS]) {
    if (is->given) {
        out[0] = (IssuerServer){ str_dup(arena, is->given_chain), str_dup(arena, is->given_key) };
        return 1;
    }
    pthread_mutex_lock(&is->lock);
    for (size_t i = 0; i < PAIRS; i++)
        out[i] = (IssuerServer){ x509_pem_of(arena, is->server[i].cert), x509_private_pem(arena, is->server[i].key) };
    pthread_mutex_unlock(&is->lock);
    return PAIRS;
}

/* Devices */

static X509 *device_cert(const Issuer *is, EVP_PKEY *key, const X509_NAME *subject) {
    return x509_make(&(MakeSpec){ .kind = MAKE_DEVICE,
                                  .key = key,
                                  .subject = subject,
                                  .common_name = S("AWS IoT Certificate"),
                                  .ca = is->ca[RSA_PAIR].cert,
                                  .ca_key = is->ca[RSA_PAIR].key,
                                  .not_before_ms = real_ms() - DAY_MS,
                                  .not_after_ms = LAST_MS });
}

Err issuer_device_new(Issuer *is, Arena *arena, IssuerDevice *out) {
    EVP_PKEY *key = key_pool_take(is->device_keys);
    if (!key) key = x509_make_key(KEY_RSA_2048);
    X509 *cert = key ? device_cert(is, key, NULL) : NULL;
    IssuerDevice d = { 0 };
    if (cert) d = (IssuerDevice){ x509_pem_of(arena, cert), x509_public_pem(arena, key), x509_private_pem(arena, key) };
    X509_free(cert);
    EVP_PKEY_free(key);
    ERR_clear_error();
    if (!d.certificate_pem.ptr || !d.private_key_pem.ptr) return ERR_IO;
    *out = d;
    return OK;
}

Err issuer_device_from_csr(Issuer *is, Str csr, Arena *arena, IssuerDevice *out, Str *why) {
    CsrInfo info;
    Err e = x509_parse_csr(csr, arena, &info, why);
    if (e != OK) return e;
    const unsigned char *at = info.der.ptr;
    X509_REQ *request = d2i_X509_REQ(NULL, &at, (long)info.der.len);
    const X509_NAME *subject = request ? X509_REQ_get_subject_name(request) : NULL;
    if (subject && X509_NAME_entry_count(subject) == 0) subject = NULL;
    X509 *cert = request ? device_cert(is, X509_REQ_get0_pubkey(request), subject) : NULL;
    IssuerDevice d = { .certificate_pem = cert ? x509_pem_of(arena, cert) : STR_NONE };
    X509_free(cert);
    X509_REQ_free(request);
    ERR_clear_error();
    if (!d.certificate_pem.ptr) {
        *why = S("OpenSSL could not make the certificate");
        return ERR_IO;
    }
    *out = d;
    return OK;
}
