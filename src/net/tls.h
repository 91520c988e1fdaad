/* TLS for accepted connections: versions, ciphers, certificates by SNI, ALPN, client certificates, resumption.
 * A client certificate is asked for and never judged here: whose it is, the identity service says. */
#pragma once

#include "base/arena.h"
#include "net/conn.h"

typedef struct {
    const char *min_version, *max_version; /* "1.2", "1.3" */
    const char *ciphers;                   /* TLS 1.2, OpenSSL's names; NULL: AWS's list */
    const char *ciphersuites;              /* TLS 1.3; NULL: AWS's list */
    const struct TlsPair *pairs;           /* one for each kind of key */
    size_t n;
    size_t sessions_max; /* kept to be resumed; each costs about 16 kB, of which the client's certificate is most */
    bool require_name;   /* who sends no server name, or one that is not known, is refused with an alert */
    bool (*knows_name)(void *ctx, Str name); /* on any thread */
    void *ctx;
} TlsOptions;
typedef struct TlsPair {
    Str chain_pem; /* leaf first */
    Str key_pem;
} TlsPair;

/* Errors: ERR_IO, ERR_INVALID; *why says which file or setting */
NODISCARD Err tls_server_new(const TlsOptions *o, Arena *arena, TlsServer **out, Str *why);
void tls_server_free(TlsServer *s);
/* New connections get these from now on; sessions of before are not resumed. From any thread. Errors: as above, and
 * then all stays as it was */
NODISCARD Err tls_server_reload(TlsServer *s, const TlsOptions *o, Arena *arena, Str *why);
/* Server names that have a certificate or versions of their own. New connections get these from now on. Any thread.
 * Errors: as above, and then all stays as it was */
typedef struct {
    Str name;
    TlsPair pair;                          /* chain_pem STR_NONE: the server's */
    const char *min_version, *max_version; /* NULL: the server's; live for ever */
} TlsSite;
NODISCARD Err tls_server_sites(TlsServer *s, const TlsSite *sites, size_t n, Arena *arena, Str *why);
SSL *tls_accept(TlsServer *s);

/* After the handshake. */
Str tls_alpn(const Conn *c);        /* STR_NONE: none agreed */
Str tls_server_name(const Conn *c); /* SNI; STR_NONE: none sent */
void tls_forget(Conn *c);           /* its session cannot be resumed */
/* The client's certificate and what it sent behind it, each as DER, in the arena; n = 0 when it sent none. */
typedef struct {
    const Str *der;
    size_t n;
} TlsChain;
TlsChain tls_peer_chain(const Conn *c, Arena *arena);
/* Lower-case hex SHA-256 of the client's certificate in out; false when there is none. */
bool tls_peer_fingerprint(const Conn *c, char out[65]);

/* net/ only */
void tls_attach(Conn *c);
void tls_free(Conn *c);
NODISCARD Err tls_handshake(Conn *c); /* ERR_AGAIN: more bytes are needed */
/* Errors: ERR_AGAIN nothing more now, ERR_CLOSED the peer said goodbye, ERR_IO */
NODISCARD Err tls_read(Conn *c, uint8_t *to, size_t len, size_t *got);
void tls_write(Conn *c); /* the turn's segments */
void tls_goodbye(Conn *c);
