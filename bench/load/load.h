/* The load generator: thousands of MQTT connections from a few threads, far cheaper than any broker that it
 * measures. Nothing is allocated a message: a publisher appends frames to its output from a prepared header and
 * payload, and each connection is written once a turn of its thread's loop.
 *
 * It is a program of one purpose: its options and its run are one struct each, written while it starts and read by
 * its threads; only the atomic members change afterwards. */
#pragma once

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "figures.h"

enum {
    READ_BYTES = 512 * 1024, /* a thread's read buffer; holds the largest frame */
    OUT_HIGH = 64 * 1024,    /* a publisher stops filling above this */
    TOPIC_BYTES_MAX = 256,
    PIDS_MAX = 8,
    SHADOW_BYTES = 110, /* a shadow's update, as queue_publish writes it */
};

typedef enum {
    MODE_CONNECT,
    MODE_FANIN,
    MODE_FANOUT,
    MODE_SHARED,
    MODE_WILDCARD,
    MODE_INTERLEAVED,
    MODE_RESUME,
    MODE_SHADOW
} Mode;
/* How the wildcard filters look: device/#, +/device/+, or such that a topic walks every branch of a trie. */
typedef enum { SHAPE_DEVICE, SHAPE_PLUS, SHAPE_BRANCH } Shape;
typedef enum { ROLE_IDLE, ROLE_SUBSCRIBER, ROLE_PUBLISHER, ROLE_WILDCARD } Role;
typedef enum { STATE_NEW, STATE_TCP, STATE_TLS, STATE_CONNACK, STATE_SUBACK, STATE_READY, STATE_DEAD } State;
typedef enum { PHASE_RAMP, PHASE_HANG_UP, PHASE_RUN, PHASE_MEASURE, PHASE_DRAIN, PHASE_STOP } Phase;

typedef struct {
    Mode mode;
    const char *mode_name;
    const char *host, *cafile, *cert, *key, *alpn, *prefix, *idprefix, *tlsver, *ciphers, *sni, *label, *user, *pass;
    int port, clients, subs, pubs, qos, size, threads, window, keepalive, conc, srcips, v5, insecure;
    int wild, depth, match, subsper, clean;
    Shape shape;
    double rate, seconds, warmup, ramp_limit;
    int pid[PIDS_MAX], npid;
} Options;

typedef struct Worker Worker;

typedef struct LoadConn {
    int fd;
    uint8_t role, state, dirty, wantw;
    uint32_t idx; /* of all: gives the client id */
    uint32_t num; /* of its role */
    SSL *ssl;
    SSL_SESSION *session; /* resume: the newest that the server gave */
    Worker *w;
    struct LoadConn *nextdirty;
    uint8_t *out;
    uint32_t outoff, outlen, outcap;
    uint8_t *left; /* an incomplete frame between two reads */
    uint32_t leftlen, leftcap;
    uint64_t t0, tping;
    uint32_t nfilter, subdone;
    uint32_t lastseq; /* fanout: the last sequence number that this subscriber saw */
} LoadConn;

/* A publisher's state, apart from its connection so that the receiving side finds it by number. */
typedef struct {
    LoadConn *c;
    uint8_t hdr[TOPIC_BYTES_MAX + 16];
    uint32_t hdrlen, frame;
    uint16_t pid;
    uint8_t ready;
    uint32_t seq, recv, acked, lastseq; /* recv and acked absorb what was given up as lost, too */
    uint64_t tprog;
} Publisher;

struct Worker {
    pthread_t th;
    int id, ep;
    LoadConn **cs;
    uint32_t nc, started, inflight, ready, dead;
    uint32_t *pubs, np, rr; /* numbers of this thread's publishers */
    uint32_t *rdy, nrdy;    /* publishers whose window opened */
    LoadConn *dirty;
    uint8_t *rbuf, *payload;
    uint64_t now, sched_k;
    double rate;
    uint64_t sent, recv, sent_m, recv_m, gaps, reorder, resync, bytes_m, late; /* _m: while measuring */
    uint64_t last_recv, last_recv_ns;
    uint32_t pingpos;
    uint64_t rng;
    Histogram lat, con;
};

typedef struct {
    Worker *workers;
    LoadConn *conns;
    Publisher *pubs;
    uint32_t conns_n, pubs_n, subs_n, wilds_n;
    uint32_t fan;   /* receivers of each message */
    uint32_t *seen; /* interleaved: the last sequence number of each publisher at each subscriber */
    int pairs;      /* a publisher and its receiver are a pair in one thread */
    SSL_CTX *tls;   /* NULL: without */
    struct sockaddr_in broker;
    uint64_t start_ns, measure_ns;
    _Atomic int phase;
    _Atomic uint64_t sent, recv; /* for the window, where a message has not one receiver */
    _Atomic uint32_t ready, dead, complaints, resumed;
} Run;

extern Options opt;
extern Run run;

void options_read(int argc, char **argv);
_Noreturn void die(const char *format, ...);
void *zeroed(size_t n);
uint64_t now_ns(void);

/* frames.c: what is sent */
int topic_of(char *to, uint32_t publisher); /* interleaved: of a subscriber */
uint8_t *room(LoadConn *c, uint32_t n);     /* n free bytes at the end of the output */
void queue_connect(LoadConn *c);
void queue_subscribe(LoadConn *c); /* the next eight filters at most */
void publisher_header(Publisher *p, const char *topic, uint32_t n);
bool shadow_stamp(const uint8_t *payload, uint32_t n, uint64_t *ts, uint32_t *publisher,
                  uint32_t *seq); /* of an answer */
void queue_publish(Worker *w, uint32_t publisher, uint64_t ts);

/* connection.c */
void conn_start(LoadConn *c);
void conn_ready(LoadConn *c);
void conn_hang_up(LoadConn *c); /* orderly; it may be started again */
void conn_kill(LoadConn *c, const char *why);
void conn_flush(LoadConn *c);
void conn_event(LoadConn *c, uint32_t events);

/* receive.c: what comes back */
void receive(LoadConn *c);

/* publish.c: a thread, and when it publishes */
void publisher_may(Worker *w, uint32_t publisher);
void *worker_main(void *worker);

/* report.c */
typedef struct {
    uint64_t ns;
    double broker_cpu_s, own_cpu_s;
    long rss_kb;
} Mark;
Mark mark(void); /* of this moment */
/* Prints one JSON object: the marks are before and after the connections came up, around the measured span. */
int report(const Mark m[4], double ramp_s, uint32_t up);
