/* Issuer: the server's own CAs, one ECDSA P-256 and one RSA-2048, the server certificates that they sign, and
 * device certificates for keys made here or brought by a request. Made at first start under a directory, or given
 * by the operator. Safe from every thread. Uses the real clock. */
#pragma once

#include "base/arena.h"

typedef struct Issuer Issuer;

typedef struct {
    const char *dir; /* made when missing, mode 0700; ca.pem (both roots) and the keys (0600) live in it */
    Str region;
    const Str *hosts; /* names and addresses besides localhost, 127.0.0.1, ::1 and the machine's name */
    size_t hosts_n;
    /* Given by the operator, PEM files, each NULL: made here. A key file may hold one key only. */
    const char *server_chain_file, *server_key_file;
} IssuerOptions;

/* Loads what is there, makes what is missing; a server certificate that ends within 30 days or lacks a name is
 * made again, a CA never.
 * Errors: ERR_IO, ERR_CORRUPT (a file that is not what it should be), ERR_INVALID (key and certificate do not
 * match); *why names the file and what to do, and lives in the arena */
NODISCARD Err issuer_open(const IssuerOptions *options, Arena *arena, Issuer **out, Str *why);
void issuer_close(Issuer *issuer); /* accepts NULL */

/* The domain that names of an account's endpoints end in, which the server certificates are good for: --hostname, or
 * amazonaws.localhost. Lives as long as the issuer */
Str issuer_domain(const Issuer *issuer);
Str issuer_ca_pem(const Issuer *issuer); /* both roots; lives as long as the issuer */

typedef struct {
    Str chain_pem; /* the server's certificate first */
    Str key_pem;
} IssuerServer;
enum { ISSUER_SERVERS = 2 };
/* The server certificates to offer: ECDSA, then RSA; or the operator's one. Copies into the arena.
 * Secret: key_pem. */
size_t issuer_servers(Issuer *issuer, Arena *arena, IssuerServer out[ISSUER_SERVERS]);
/* Makes server certificates again that end soon; *changed: issuer_servers gives others now. Call it daily. */
NODISCARD Err issuer_renew(Issuer *issuer, Arena *arena, bool *changed, Str *why);

/* What AWS gives a device: subject CN "AWS IoT Certificate", until 2049-12-31T23:59:59Z, signed by the RSA CA. */
typedef struct {
    Str certificate_pem;
    Str public_key_pem, private_key_pem; /* STR_NONE for a request's certificate. Secret: private_key_pem */
} IssuerDevice;
/* A fresh RSA-2048 key and its certificate: a millisecond where a key was made ahead, else some 100 ms of CPU, so on a
 * worker. */
NODISCARD Err issuer_device_new(Issuer *issuer, Arena *arena, IssuerDevice *out);
/* A certificate for a request's key. The request's subject is kept where it has one, as AWS does.
 * Errors: as x509_parse_csr */
NODISCARD Err issuer_device_from_csr(Issuer *issuer, Str csr, Arena *arena, IssuerDevice *out, Str *why);
