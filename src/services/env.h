/* Env: what a handler may reach besides its Call. Filled once, by server/wire.c. */
#pragma once

#include "base/clock.h"
#include "base/str.h"

typedef struct Store Store;
typedef struct Workers Workers;
typedef struct Directory Directory;   /* identity/directory.h */
typedef struct KeyRing KeyRing;       /* identity/key_ring.h */
typedef struct DomainBook DomainBook; /* identity/domain_book.h */
typedef struct RoleBook RoleBook;     /* identity/role_book.h */
typedef struct Issuer Issuer;         /* identity/issuer.h: the server's CAs */
typedef struct ServiceLog ServiceLog; /* api/service_log.h */
typedef struct Broker Broker;         /* broker/broker.h */
typedef struct Functions Functions;   /* api/function.h */
typedef struct Lambda Lambda;         /* services/lambda/lambda.h */
typedef struct Rules Rules;           /* rules/rules.h */

typedef struct Env {
    Store *store;
    Workers *workers;
    Workers *slow_workers; /* for what computes long: nothing else waits behind it */
    const Clock *clock;
    Directory *directory;
    KeyRing *keys;
    RoleBook *roles; /* as rules carry them; NULL: in tests without it */
    Issuer *issuer;
    DomainBook *domains; /* NULL: in tests without it */
    Broker *broker;
    ServiceLog *service_log;
    Functions *functions; /* who calls code that AWS would run in Lambda; NULL: in tests without it */
    Lambda *lambda;       /* what its own API is about */
    Rules *rules;         /* NULL: in tests without it */
    Str account, region;  /* the default ones */
    Str endpoint;         /* host, or host:port where --https-port is not 443 (DescribeEndpoint) */
    Str endpoint_domain;  /* behind the endpoint names of accounts: identity/endpoint.h */
    Str endpoint_port;    /* "", or ":PORT" */
    Str data_dir;
} Env;
