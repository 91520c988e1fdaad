/* Conn: one accepted socket on a reactor, with TLS or without. Hands what arrives to its handler and
 * writes what was put, once a turn. All calls are the reactor's thread's. */
#pragma once

#include <netinet/in.h>

#include "net/loop.h"

typedef struct ssl_st SSL;
typedef struct TlsServer TlsServer; /* net/tls.h */

/* What speaks on a connection; a connection changes its handler as it learns what it carries. */
typedef struct {
    /* Bytes in order; returns how many were used, the rest comes again with more behind it. The bytes live until
     * this turn's output is written and may be changed in place. */
    size_t (*input)(Conn *c, uint8_t *bytes, size_t len);
    void (*secured)(Conn *c); /* the TLS handshake is over; may be NULL */
    /* The last call. The Conn goes when nobody retains it. */
    void (*closed)(Conn *c);
    void (*drained)(Conn *c); /* all output is out, after some had to wait or tell_drained was set; may be NULL */
    void (*resumed)(Conn *c); /* after conn_resume gave the unused rest; may be NULL */
} ConnHandler;

typedef enum {
    CLOSE_NONE,
    CLOSE_BY_PEER,     /* end of stream, orderly */
    CLOSE_LOST,        /* reset, time-out, TLS failure */
    CLOSE_BY_SERVER,   /* conn_close, conn_finish */
    CLOSE_SLOW_READER, /* more waits than out_bytes_max */
} CloseReason;

typedef struct {
    const uint8_t *ptr;
    size_t len;
} OutSeg;

enum { OUT_SEGS = 62, OUT_CHUNK_BYTES = 4096 - 16 };
struct OutNode {
    OutNode *next;
    size_t n;
    OutSeg segs[OUT_SEGS];
};
struct OutChunk {
    OutChunk *next;
    size_t used;
    uint8_t data[OUT_CHUNK_BYTES];
};

typedef struct {
    size_t at, len, cap;
    uint8_t data[];
} OutWait;

struct Conn {
    Reactor *reactor;
    const ConnHandler *handler;
    void *owner; /* the handler's */
    Watch watch;
    SSL *ssl;
    int refs;
    uint16_t local_port;
    bool handshaking, paused, finishing, lingering, closed, dirty, want_write, feeding;
    bool tell_drained; /* set by the handler, for once */
    CloseReason why;
    /* output of this turn */
    Conn *next_dirty;
    OutNode *out, *out_tail;
    OutChunk *chunks;
    size_t out_len;
    /* output that the socket did not take */
    OutWait *wait;        /* NULL: none */
    size_t out_bytes_max; /* more than this waiting closes it */
    Timer timer;          /* the handler's */
    void *timed;          /* what the timer is about, where that is not `owner` */
    /* input that was not used yet */
    uint8_t *left;
    size_t left_len;
    struct sockaddr_in6 peer; /* IPv4 as mapped */
};

/* Takes the socket over. ssl: made by tls_accept, or NULL. */
Conn *conn_new(Reactor *r, int fd, SSL *ssl, const ConnHandler *handler, void *owner);
void conn_retain(Conn *c);
void conn_release(Conn *c);

/* A reference: the bytes live in the turn's arena. */
void conn_put_ref(Conn *c, const uint8_t *bytes, size_t len);
void conn_put(Conn *c, const void *bytes, size_t len); /* a copy */
/* What follows begins a TLS record of its own: for a client that reads one packet each time its socket is readable. */
void conn_cut(Conn *c);
/* Room for len bytes of output, to be filled at once; in the turn's arena or a chunk. */
uint8_t *conn_room(Conn *c, size_t len);
/* What came is acknowledged by TCP now, not with the next output. */
void conn_acknowledge(Conn *c);
/* Output that is not yet with the kernel. */
static inline size_t conn_waiting(const Conn *c) {
    return c->out_len + (c->wait ? c->wait->len : 0);
}

void conn_pause(Conn *c);  /* stops input */
void conn_resume(Conn *c); /* gives the unused rest again, then reads on; not from within input */
void conn_finish(Conn *c); /* closes when all output is out */
/* The same, but a peer that is still sending may do so for a while, unheard: closing at once would take the answer
 * from it. */
void conn_linger(Conn *c);
/* Closes all of the reactor that wait for their output to leave, or linger. Returns whether there were any. */
bool conns_end_lingering(Reactor *r);
void conn_close(Conn *c, CloseReason why);
/* Nothing of it is under way on its reactor, and nobody but these holds it. */
bool conn_quiet(const Conn *c, int refs);
/* Takes the connection to another reactor; `arrived` runs there. Only with no output waiting, in this turn neither.
 * Until then nothing happens on it. */
void conn_move(Conn *c, Reactor *to, void (*arrived)(Conn *c, void *ctx), void *ctx);

/* Shape: "203.0.113.7" or "2001:db8::1"; buffer of INET6_ADDRSTRLEN */
Str conn_address(const struct sockaddr_in6 *a, char *buffer);
bool conn_is_loopback(const Conn *c);
struct sockaddr_in6 conn_local(const Conn *c); /* the address that the peer called */

void conn_flush_list(Conn *list); /* the reactor's */
void conn_drop_list(Conn *list);  /* the reactor's, at its end */
void conn_pools_free(Reactor *r); /* the reactor's */
