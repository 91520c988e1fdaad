#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/map.h"
#include "net/output.h"
#include "net/tls_library.h"

/* OpenSSL reads and writes through a BIO of ours that has no socket behind it: what one recv brought lies in the
 * reactor's record buffer, what OpenSSL writes is gathered in the reactor's output buffer and leaves by one send.
 * So a turn costs a connection one system call each way, however many records it carries.
 *
 * With SSL_MODE_RELEASE_BUFFERS an idle connection holds no record buffers. Sessions are resumed from a stateful
 * cache: a resumed session carries the client's certificate, whose status the gateway checks again. It carries all
 * that was sent with it, too, so what is long or belongs to nobody is not kept: anyone could fill the memory. */

enum {
    PEER_CHAIN_BYTES_MAX = 64 << 10, /* of a handshake: AWS's limit of a chain's text */
    KEPT_CHAIN_BYTES_MAX = 8 << 10,  /* beside the leaf, of a session that can be resumed */
};

/* A server name with something of its own. */
typedef struct {
    SSL_CTX *ctx; /* NULL: the server's */
    int min, max; /* 0: the server's */
} Site;

typedef struct {
    Arena arena;
    Map names; /* in lower case */
} Sites;

struct TlsServer {
    pthread_mutex_t lock; /* of ctx and sites, which are exchanged */
    SSL_CTX *ctx;
    Sites *sites; /* NULL: none */
    TlsOptions options;
    OSSL_LIB_CTX *library; /* of ctx; NULL: OpenSSL's default */
    BIO_METHOD *bio;
    bool require_name;
    bool (*knows_name)(void *ctx, Str name);
    void *ctx_of_names;
};

static const char AWS_CIPHERS[] = /* Source: developer guide, "Transport security in AWS IoT Core" */
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256:"
    "ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-AES256-SHA384:ECDHE-RSA-AES256-SHA384:ECDHE-RSA-AES256-SHA:ECDHE-ECDSA-AES256-SHA:"
    "AES128-GCM-SHA256:AES128-SHA256:AES128-SHA:AES256-GCM-SHA384:AES256-SHA256:AES256-SHA";
static const char AWS_CIPHERSUITES[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

/* ------------------------------------------------------------------------------------------------ the BIO */

static int bio_read(BIO *b, char *to, int len) {
    Reactor *r = ((Conn *)BIO_get_data(b))->reactor;
    BIO_clear_retry_flags(b);
    if (r->tls.in_left == 0) {
        BIO_set_retry_read(b);
        return -1;
    }
    size_t n = r->tls.in_left < (size_t)len ? r->tls.in_left : (size_t)len;
    memcpy(to, r->tls.in, n);
    r->tls.in += n;
    r->tls.in_left -= n;
    return (int)n;
}

static int bio_write(BIO *b, const char *from, int len) {
    Reactor *r = ((Conn *)BIO_get_data(b))->reactor;
    size_t n = (size_t)len;
    BIO_clear_retry_flags(b);
    if (r->tls.out_len + n > r->tls.out_cap) {
        while (r->tls.out_len + n > r->tls.out_cap) r->tls.out_cap = r->tls.out_cap ? r->tls.out_cap * 2 : 65536;
        r->tls.out = mem_grow(r->tls.out, r->tls.out_cap);
    }
    memcpy(r->tls.out + r->tls.out_len, from, n);
    r->tls.out_len += n;
    return len;
}

static long bio_ctrl(BIO *b, int command, long num, void *ptr) {
    (void)b, (void)num, (void)ptr;
    return command == BIO_CTRL_FLUSH || command == BIO_CTRL_PUSH || command == BIO_CTRL_POP;
}

/* What the BIO gathered goes out; a goodbye on a closing connection must not close it again. */
static void send_records(Conn *c) {
    Reactor *r = c->reactor;
    size_t len = r->tls.out_len;
    r->tls.out_len = 0;
    if (len == 0) return;
    if (c->closed) {
        if (!c->wait && send(c->watch.fd, r->tls.out, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) return;
    } else {
        output_send(c, r->tls.out, len);
        if (!c->closed && c->wait) conn_want_write(c, true);
    }
}

/* ------------------------------------------------------------------------------------------------ the server */

/* The identity service decides; OpenSSL's own chain building would cost a tenth of the handshake for nothing. */
static int accept_any(X509_STORE_CTX *store, void *arg) {
    (void)arg;
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
}

static bool alpn_offers(const uint8_t *list, size_t len, Str name) {
    for (size_t i = 0; i < len && i + 1 + list[i] <= len; i += 1u + list[i])
        if (str_eq((Str){ list + i + 1, list[i] }, name)) return true;
    return false;
}

/* Source: AWS IoT developer guide, "Device communication protocols"; h2 is never chosen. */
static int choose_alpn(SSL *ssl, const uint8_t **out, uint8_t *out_len, const uint8_t *in, unsigned in_len, void *arg) {
    static const Str KNOWN[] = { STR_INIT("x-amzn-mqtt-ca"), STR_INIT("x-amzn-http-ca"), STR_INIT("mqtt"),
                                 STR_INIT("http/1.1") };
    (void)ssl, (void)arg;
    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++)
        if (alpn_offers(in, in_len, KNOWN[i])) {
            *out = KNOWN[i].ptr;
            *out_len = (uint8_t)KNOWN[i].len;
            return SSL_TLSEXT_ERR_OK;
        }
    return SSL_TLSEXT_ERR_NOACK; /* no alert: the first byte decides */
}

/* Source: RFC 8701: browsers put such a cipher suite first, so that servers do not choke on new ones. */
static bool greases(SSL *ssl) {
    const uint8_t *p;
    return SSL_client_hello_get0_ciphers(ssl, &p) >= 2 && (p[0] & 15) == 10 && p[0] == p[1];
}

/* Source: RFC 6066 section 3: a list of one, type host_name */
static Str hello_name(SSL *ssl) {
    const uint8_t *p;
    size_t n;
    if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &n) || n < 5 || p[2] != 0) return STR_NONE;
    size_t len = (size_t)p[3] << 8 | p[4];
    return len <= n - 5 ? (Str){ p + 5, len } : STR_NONE;
}

/* Before the version is chosen: what comes later cannot change it. */
static void choose_site(TlsServer *s, SSL *ssl) {
    enum { NAME_BYTES_MAX = 253 };
    uint8_t lower[NAME_BYTES_MAX];
    Str name = hello_name(ssl);
    if (!name.len || name.len > sizeof lower) return;
    for (size_t i = 0; i < name.len; i++)
        lower[i] = name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? name.ptr[i] | 0x20 : name.ptr[i];
    pthread_mutex_lock(&s->lock);
    const Site *site = s->sites ? map_get(&s->sites->names, (Str){ lower, name.len }) : NULL;
    if (site && site->ctx) SSL_set_SSL_CTX(ssl, site->ctx);
    if (site && site->min) SSL_set_min_proto_version(ssl, site->min);
    if (site && site->max) SSL_set_max_proto_version(ssl, site->max);
    pthread_mutex_unlock(&s->lock);
}

/* A browser, which offers h2 and greases, would ask its user for a certificate: it is not asked. curl, Go and Java
 * offer h2, too, and have a device's certificate. */
static int on_hello(SSL *ssl, int *alert, void *arg) {
    const uint8_t *p;
    size_t n;
    (void)alert, (void)arg;
    choose_site(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)), ssl);
    if (greases(ssl) && SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &p, &n) &&
        n > 2 && alpn_offers(p + 2, n - 2, S("h2")) && !alpn_offers(p + 2, n - 2, S("x-amzn-mqtt-ca")) &&
        !alpn_offers(p + 2, n - 2, S("x-amzn-http-ca")))
        SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
    return SSL_CLIENT_HELLO_SUCCESS;
}

static int on_server_name(SSL *ssl, int *alert, void *arg) {
    const TlsServer *s = arg;
    if (!s->require_name) return SSL_TLSEXT_ERR_OK; /* any name, or none, gets the default certificate */
    Str name = str_c(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
    if (name.ptr && s->knows_name(s->ctx_of_names, name)) return SSL_TLSEXT_ERR_OK;
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int version_number(const char *text) {
    if (!text) return 0;
    return strcmp(text, "1.2") == 0 ? TLS1_2_VERSION : strcmp(text, "1.3") == 0 ? TLS1_3_VERSION : -1;
}

static Str openssl_reason(Arena *arena, const char *what, const char *value) {
    unsigned long e = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(e);
    Str s = str_format(arena, "%s %s: %s", what, value ? value : "", reason ? reason : "not accepted");
    ERR_clear_error();
    return s;
}

static bool use_pair(SSL_CTX *ctx, const TlsPair *p) {
    BIO *chain = BIO_new_mem_buf(p->chain_pem.ptr, (int)p->chain_pem.len);
    BIO *key = BIO_new_mem_buf(p->key_pem.ptr, (int)p->key_pem.len);
    X509 *leaf = PEM_read_bio_X509(chain, NULL, NULL, NULL);
    EVP_PKEY *k = PEM_read_bio_PrivateKey(key, NULL, NULL, NULL);
    bool ok = leaf && k && SSL_CTX_use_certificate(ctx, leaf) == 1 && SSL_CTX_use_PrivateKey(ctx, k) == 1;
    for (X509 *more; ok && (more = PEM_read_bio_X509(chain, NULL, NULL, NULL));) {
        ok = SSL_CTX_add1_chain_cert(ctx, more) == 1;
        X509_free(more);
    }
    X509_free(leaf);
    EVP_PKEY_free(k);
    BIO_free(chain);
    BIO_free(key);
    return ok;
}

static Err load_chains(SSL_CTX *ctx, const TlsOptions *o, Arena *arena, Str *why) {
    for (size_t i = 0; i < o->n; i++)
        if (!use_pair(ctx, &o->pairs[i])) {
            *why = openssl_reason(arena, "server certificate and key", NULL);
            return ERR_INVALID;
        }
    ERR_clear_error(); /* the end of each PEM */
    return OK;
}

static Err configure(SSL_CTX *ctx, const TlsOptions *o, Arena *arena, Str *why) {
    int min = version_number(o->min_version ? o->min_version : "1.2"), max = version_number(o->max_version);
    if (min < 0 || max < 0 || !SSL_CTX_set_min_proto_version(ctx, min) || !SSL_CTX_set_max_proto_version(ctx, max)) {
        *why = str_format(arena, "TLS version: got %s to %s, expected 1.2 or 1.3",
                          o->min_version ? o->min_version : "-", o->max_version ? o->max_version : "-");
        return ERR_INVALID;
    }
    if (!SSL_CTX_set_cipher_list(ctx, o->ciphers ? o->ciphers : AWS_CIPHERS) ||
        !SSL_CTX_set_ciphersuites(ctx, o->ciphersuites ? o->ciphersuites : AWS_CIPHERSUITES)) {
        *why = openssl_reason(arena, "TLS ciphers", o->ciphers);
        return ERR_INVALID;
    }
    SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384:P-521");
    SSL_CTX_set_mode(ctx,
                     SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_SERVER);
    SSL_CTX_set_session_id_context(ctx, (const uint8_t *)"starling", 8);
    SSL_CTX_set_num_tickets(ctx, 1);
    if (o->sessions_max) SSL_CTX_sess_set_cache_size(ctx, (long)o->sessions_max); /* the oldest goes */
    SSL_CTX_set_timeout(ctx, 24 * 3600);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, accept_any, NULL);
    SSL_CTX_set_verify_depth(ctx, 8);
    SSL_CTX_set_max_cert_list(ctx, PEER_CHAIN_BYTES_MAX);
    SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, NULL);
    SSL_CTX_set_client_hello_cb(ctx, on_hello, NULL);
    SSL_CTX_set_tlsext_servername_callback(ctx, on_server_name);
    return load_chains(ctx, o, arena, why);
}

static Err context_new(TlsServer *s, const TlsOptions *o, Arena *arena, SSL_CTX **out, Str *why) {
    SSL_CTX *ctx = SSL_CTX_new_ex(s->library, NULL, TLS_server_method());
    if (!ctx) {
        *why = openssl_reason(arena, "TLS", NULL);
        return ERR_IO;
    }
    Err e = configure(ctx, o, arena, why);
    if (e != OK) {
        SSL_CTX_free(ctx);
        return e;
    }
    SSL_CTX_set_app_data(ctx, s);
    SSL_CTX_set_tlsext_servername_arg(ctx, s);
    *out = ctx;
    return OK;
}

Err tls_server_reload(TlsServer *s, const TlsOptions *o, Arena *arena, Str *why) {
    SSL_CTX *fresh;
    Err e = context_new(s, o, arena, &fresh, why);
    if (e != OK) return e;
    pthread_mutex_lock(&s->lock);
    SSL_CTX *old = s->ctx;
    s->ctx = fresh;
    pthread_mutex_unlock(&s->lock);
    SSL_CTX_free(old); /* connections of before hold it */
    return OK;
}

Err tls_server_new(const TlsOptions *o, Arena *arena, TlsServer **out, Str *why) {
    TlsServer *s = mem_new(sizeof *s);
    s->library = tls_library_new();
    Err e = context_new(s, o, arena, &s->ctx, why);
    if (e != OK) {
        tls_library_free(s->library);
        free(s);
        return e;
    }
    pthread_mutex_init(&s->lock, NULL);
    s->options = *o;
    s->options.pairs = NULL; /* the caller's */
    s->require_name = o->require_name;
    s->knows_name = o->knows_name;
    s->ctx_of_names = o->ctx;
    s->bio = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "starling reactor");
    BIO_meth_set_read(s->bio, bio_read);
    BIO_meth_set_write(s->bio, bio_write);
    BIO_meth_set_ctrl(s->bio, bio_ctrl);
    *out = s;
    return OK;
}

static void sites_free(Sites *sites) {
    if (!sites) return;
    map_each (&sites->names, slot) SSL_CTX_free(((const Site *)slot->value)->ctx);
    map_free(&sites->names);
    arena_free(&sites->arena);
    free(sites);
}

static Err site_add(TlsServer *s, Sites *sites, const TlsSite *from, Arena *arena, Str *why) {
    Site *site = arena_new(&sites->arena, Site);
    TlsOptions o = s->options;
    o.pairs = &from->pair;
    o.n = 1;
    Err e = from->pair.chain_pem.len ? context_new(s, &o, arena, &site->ctx, why) : OK;
    if (e != OK) return e;
    site->min = version_number(from->min_version);
    site->max = version_number(from->max_version);
    Site *old = map_put(&sites->names, str_dup(&sites->arena, from->name), site);
    if (old) SSL_CTX_free(old->ctx);
    return OK;
}

Err tls_server_sites(TlsServer *s, const TlsSite *from, size_t n, Arena *arena, Str *why) {
    Sites *fresh = mem_new(sizeof *fresh);
    Err e = OK;
    for (size_t i = 0; e == OK && i < n; i++) e = site_add(s, fresh, &from[i], arena, why);
    if (e != OK) {
        sites_free(fresh);
        return e;
    }
    pthread_mutex_lock(&s->lock);
    Sites *old = s->sites;
    s->sites = fresh;
    pthread_mutex_unlock(&s->lock);
    sites_free(old);
    return OK;
}

void tls_server_free(TlsServer *s) {
    if (!s) return;
    sites_free(s->sites);
    SSL_CTX_free(s->ctx);
    pthread_mutex_destroy(&s->lock);
    BIO_meth_free(s->bio);
    tls_library_free(s->library);
    free(s);
}

SSL *tls_accept(TlsServer *s) {
    pthread_mutex_lock(&s->lock);
    SSL *ssl = SSL_new(s->ctx);
    pthread_mutex_unlock(&s->lock);
    if (ssl) SSL_set_accept_state(ssl);
    return ssl;
}

void tls_attach(Conn *c) {
    TlsServer *s = SSL_CTX_get_app_data(SSL_get_SSL_CTX(c->ssl));
    BIO *b = BIO_new(s->bio);
    BIO_set_data(b, c);
    BIO_set_init(b, 1);
    SSL_set_bio(c->ssl, b, b);
}

void tls_free(Conn *c) {
    SSL_free(c->ssl);
    c->ssl = NULL;
}

/* ------------------------------------------------------------------------------------------------ a connection */

void tls_forget(Conn *c) {
    SSL_SESSION *session = c->ssl ? SSL_get_session(c->ssl) : NULL;
    if (!session) return;
    SSL_CTX *ctx = SSL_get_SSL_CTX(c->ssl);
    TlsServer *s = SSL_CTX_get_app_data(ctx);
    SSL_CTX_remove_session(ctx, session);
    pthread_mutex_lock(&s->lock);
    if (s->ctx != ctx) SSL_CTX_remove_session(s->ctx, session); /* a site's: the session is kept where it began */
    pthread_mutex_unlock(&s->lock);
}

static bool chain_is_long(const Conn *c) {
    STACK_OF(X509) *rest = SSL_get_peer_cert_chain(c->ssl);
    int bytes = 0;
    for (int i = 0; i < sk_X509_num(rest); i++) bytes += i2d_X509(sk_X509_value(rest, i), NULL);
    return bytes > KEPT_CHAIN_BYTES_MAX;
}

Err tls_handshake(Conn *c) {
    ERR_clear_error();
    int done = SSL_do_handshake(c->ssl);
    int error = done == 1 ? 0 : SSL_get_error(c->ssl, done);
    if (done == 1 && chain_is_long(c)) tls_forget(c);
    send_records(c); /* an alert as well */
    if (c->closed) return ERR_CLOSED;
    if (done == 1) return OK;
    return error == SSL_ERROR_WANT_READ ? ERR_AGAIN : ERR_IO;
}

Err tls_read(Conn *c, uint8_t *to, size_t len, size_t *got) {
    Err e = OK;
    while (*got + SSL3_RT_MAX_PLAIN_LENGTH <= len) {
        size_t n = 0;
        ERR_clear_error();
        if (SSL_read_ex(c->ssl, to + *got, len - *got, &n)) {
            *got += n;
            if (c->reactor->tls.in_left > 0 || SSL_pending(c->ssl) > 0) continue;
            e = ERR_AGAIN; /* asking OpenSSL costs as much as a small record */
            break;
        }
        int error = SSL_get_error(c->ssl, 0);
        e = error == SSL_ERROR_WANT_READ ? ERR_AGAIN : error == SSL_ERROR_ZERO_RETURN ? ERR_CLOSED : ERR_IO;
        break;
    }
    send_records(c); /* key updates, alerts */
    return e;
}

static bool encrypt(Conn *c, const uint8_t *bytes, size_t len) {
    while (len) {
        size_t n = 0;
        ERR_clear_error();
        if (!SSL_write_ex(c->ssl, bytes, len, &n)) return false;
        bytes += n;
        len -= n;
    }
    return true;
}

/* Several segments are put side by side first: a record costs more than the copy. */
void tls_write(Conn *c) {
    uint8_t record[SSL3_RT_MAX_PLAIN_LENGTH];
    size_t n = 0;
    bool ok = true;
    for (OutNode *node = c->out; node && ok; node = node->next)
        for (size_t i = 0; i < node->n && ok; i++) {
            OutSeg s = node->segs[i];
            if (s.len == 0) { /* conn_cut */
                ok = encrypt(c, record, n);
                n = 0;
                continue;
            }
            if (n == 0 && (s.len >= sizeof record || (i + 1 == node->n && !node->next))) {
                ok = encrypt(c, s.ptr, s.len);
                continue;
            }
            while (s.len && ok) {
                size_t take = sizeof record - n < s.len ? sizeof record - n : s.len;
                memcpy(record + n, s.ptr, take);
                n += take;
                s.ptr += take;
                s.len -= take;
                if (n == sizeof record) {
                    ok = encrypt(c, record, n);
                    n = 0;
                }
            }
        }
    if (ok && n) ok = encrypt(c, record, n);
    send_records(c);
    if (!ok && !c->closed) conn_close(c, CLOSE_LOST);
}

void tls_goodbye(Conn *c) {
    if (c->handshaking || c->watch.fd < 0) return;
    ERR_clear_error();
    c->reactor->tls.out_len = 0;
    SSL_shutdown(c->ssl);
    send_records(c);
    ERR_clear_error();
}

Str tls_alpn(const Conn *c) {
    const uint8_t *p = NULL;
    unsigned n = 0;
    if (c->ssl) SSL_get0_alpn_selected(c->ssl, &p, &n);
    return (Str){ p, n };
}

Str tls_server_name(const Conn *c) {
    return c->ssl ? str_c(SSL_get_servername(c->ssl, TLSEXT_NAMETYPE_host_name)) : STR_NONE;
}

static Str der_of(X509 *x, Arena *arena) {
    int n = i2d_X509(x, NULL);
    if (n <= 0) return STR_NONE;
    uint8_t *der = arena_bytes(arena, (size_t)n), *at = der;
    i2d_X509(x, &at);
    return (Str){ der, (size_t)n };
}

TlsChain tls_peer_chain(const Conn *c, Arena *arena) {
    X509 *leaf = c->ssl ? SSL_get0_peer_certificate(c->ssl) : NULL;
    if (!leaf) return (TlsChain){ 0 };
    STACK_OF(X509) *rest = SSL_get_peer_cert_chain(c->ssl); /* on a server: without the leaf */
    size_t n = 1 + (rest ? (size_t)sk_X509_num(rest) : 0);
    Str *der = arena_array(arena, Str, n);
    der[0] = der_of(leaf, arena);
    for (size_t i = 1; i < n; i++) der[i] = der_of(sk_X509_value(rest, (int)i - 1), arena);
    return (TlsChain){ der, n };
}

bool tls_peer_fingerprint(const Conn *c, char out[65]) {
    X509 *leaf = c->ssl ? SSL_get0_peer_certificate(c->ssl) : NULL;
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (!leaf || !X509_digest(leaf, EVP_sha256(), digest, &n) || n != 32) return false;
    for (unsigned i = 0; i < n; i++) {
        out[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    out[64] = 0;
    return true;
}
