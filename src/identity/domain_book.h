/* Domains: what a client's host name (SNI) means beyond the account: a domain configuration with its server
 * certificate, TLS versions, ways in and authorizer. All of them in memory, replaced whole when one changes.
 * Safe from every thread. */
#pragma once

#include "store/record.h"

typedef struct DomainBook DomainBook;

/* One configuration; immutable. */
typedef struct {
    Str account, name; /* "iot:Data-ATS", or what it was created as */
    Str host;          /* STR_NONE: the account's endpoint of that name */
    bool enabled;
    Str authentication_type;       /* DEFAULT, AWS_X509, AWS_SIGV4, CUSTOM_AUTH, CUSTOM_AUTH_X509 */
    Str application_protocol;      /* DEFAULT, SECURE_MQTT, MQTT_WSS, HTTPS */
    Str authorizer;                /* the default one; STR_NONE: none is configured here */
    bool authorizer_override;      /* clients may name another */
    const char *tls_min, *tls_max; /* "1.2", "1.3"; NULL: as the server's */
    Str chain_pem, key_pem;        /* its own server certificate; STR_NONE: the server's. Secret: key_pem */
    void *table;                   /* domain_retain's */
} Domain;

typedef struct {
    Store *store;
    Str account, region; /* account: the default one, whose iot:Data-ATS is also for names that are nobody's */
    Str domain;          /* behind the names of accounts' endpoints */
} DomainBookOptions;

/* Errors: ERR_IO, ERR_CORRUPT; *why says what to do */
NODISCARD Err domain_book_open(const DomainBookOptions *options, Arena *arena, DomainBook **out, Str *why);
void domain_book_close(DomainBook *book); /* accepts NULL */

/* What this host name means, retained for the caller; NULL: nothing beyond its account. *named: the name itself is its,
 * so that the account is, too; else it is what applies to clients that name nothing known. */
const Domain *domain_book_find(DomainBook *book, Str host, bool *named);
const Domain *domain_retain(const Domain *d);
void domain_release(const Domain *d); /* accepts NULL */

/* The TLS versions that a securityPolicy means. Errors: ERR_NOT_FOUND: there is no such policy */
NODISCARD Err domain_tls_versions(Str security_policy, const char **min, const char **max);

/* After a commit that changed a configuration or a server certificate: all is read again. Not on a reactor. */
void domain_book_changed(DomainBook *book);

/* A host name with a server certificate or TLS versions of its own. */
typedef struct {
    Str host;
    const Domain *domain;
} DomainSite;
/* Told of all of them when they were read again. */
typedef void DomainListener(void *ctx, const DomainSite *sites, size_t n);
void domain_book_listen(DomainBook *book, DomainListener *listener, void *ctx); /* one; told at once as well */
