/* Inside the gateway: a Link is a connection before and beside its protocol. */
#pragma once

#include "broker/mqtt.h"
#include "gateway/gateway.h"
#include "gateway/rates.h"
#include "identity/directory.h"
#include "identity/domain_book.h"
#include "identity/endpoint.h"
#include "identity/key_ring.h"
#include "net/http.h"
#include "net/ws.h"

enum { GATEWAY_REACTORS_MAX = 64, GATEWAY_LISTENERS_MAX = 16 };

typedef struct Link Link;
typedef struct Listener Listener;

/* The text of the Date header of this second. */
typedef struct {
    int64_t second;
    char text[80];
} HttpDate;

struct Gateway {
    GatewayOptions o;
    Reactor *reactors[GATEWAY_REACTORS_MAX];
    size_t reactors_n;
    Listener *listeners[GATEWAY_LISTENERS_MAX];
    size_t listeners_n;
    Link *links[GATEWAY_REACTORS_MAX]; /* those that speak HTTP or nothing yet, of each reactor */
    RngPool ids[GATEWAY_REACTORS_MAX];
    HttpDate dates[GATEWAY_REACTORS_MAX];
    Rates *rates; /* NULL: none apply */
    int reserve_fd;
    pthread_mutex_t threads_lock;
    pthread_cond_t threads_over;
    size_t threads; /* of local routes that wait */
    _Atomic bool shut;
    int64_t no_files_logged_ms;
    GatewayCounters counters;
};

typedef enum {
    LINK_CERTIFICATE_NONE,
    LINK_CERTIFICATE_ASKED,
    LINK_CERTIFICATE_KNOWN,
    LINK_CERTIFICATE_REFUSED,    /* HTTP is answered 403, all else is closed */
    LINK_CERTIFICATE_FIRST_SEEN, /* the same; it may be registered by this very attempt */
} LinkCertificate;

struct Link {
    Gateway *gateway;
    Conn *conn;
    int refs;
    bool gone, plain;
    Link *next, *prev; /* of the reactor */
    LinkCertificate certificate;
    char fingerprint[65];
    AccountName account;        /* whose endpoint it came to; empty: it named none, or none yet */
    const Domain *domain;       /* the configuration that applies to it; NULL: none, all is as by default */
    bool domain_named;          /* by the client; else it is what applies to who names none */
    const Principal *principal; /* of the certificate, or plain */
    uint64_t asked_generation;  /* of the directory */
    void (*resume)(Link *l);    /* when the certificate's owner is known again */
    /* HTTP */
    HttpParser *parser;
    struct HttpCall *call; /* under way; NULL: none */
    bool keep_alive;
    bool full; /* answers wait to be read: no request is taken */
    struct {
        const Principal *principal; /* what an authorizer said, for the next requests with the same credentials */
        int64_t until_ms;
        uint64_t credentials, asked; /* asked: how often authorizers had changed when it was */
    } custom;
    /* WebSocket */
    WsDecoder *ws;
    Client *client;
    uint8_t *ws_left; /* of the stream of packets: not yet a whole one */
    size_t ws_left_len;
    bool orderly; /* it sent a Close frame */
};

Link *link_new(Gateway *g, Conn *c, bool plain);
void link_retain(Link *l);
void link_release(Link *l);
void link_unlist(Link *l);
/* Asks the directory whose certificate this is; `known` runs when the answer is there, now or later, whatever it is. */
void link_identify(Link *l, void (*known)(Link *l));
/* Its certificate may not be used: no request of this connection is carried out. */
bool link_refused(const Link *l);
/* The first bytes under a refused certificate: it is registered where its CA says so (JITR). */
void link_first_seen(Link *l);
/* The account that its endpoint means: the default one where it named none. */
Str link_account(const Link *l);
/* How a client comes, and by what it is known. */
typedef enum { VIA_MQTT, VIA_WEBSOCKET, VIA_HTTP } LinkVia;
typedef enum { BY_CERTIFICATE, BY_SIGNATURE, BY_AUTHORIZER } LinkBy;
/* Whether the domain that it named lets it; else AWS's name for why not. NULL: it does. */
const char *link_forbids(const Link *l, LinkVia via, LinkBy by);
/* The domain that it named goes by an authorizer's word alone. */
bool link_asks(const Link *l);
/* Whether a key may be used there: an account's endpoint is for its own alone. Else link_foreign says so. */
bool link_takes(const Link *l, const Principal *key);
SigV4Fault link_foreign(const Link *l, Str service, Arena *arena);
/* Whether what was known of the certificate still stands; if not, link_identify is due. */
bool link_current(const Link *l);

size_t http_input(Conn *c, uint8_t *bytes, size_t len);
extern const ConnHandler FRONT_HANDLER, HTTP_HANDLER, WS_HANDLER;

/* The 101 has been written: what follows are frames. m: principal and auth are taken over. */
void ws_begin(Link *l, const MqttLink *m);
Str ws_host(Str host); /* without its port */
/* A request to /mqtt that asks to become a WebSocket. */
void upgrade_start(Link *l, const HttpRequest *rq);
/* The request's memory lives in the parser until it is answered. */
void http_call_start(Link *l, const HttpRequest *rq);
void http_call_local(Link *l, const HttpRequest *rq, const LocalRoute *route); /* one that waits */
void http_answer(Link *l, const ApiResponse *rs, bool head, Arena *scratch);
