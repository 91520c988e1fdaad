#include "load.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Modes
 *   connect   opens --clients connections and holds them for --seconds
 *   fanin     --clients publishers, --subs subscribers (default: one each), every publisher its own topic
 *   resume    connect, hang up, and connect again with the TLS sessions of before: the second time counts
 *   interleaved  fanin, but a publisher's messages go to the topics of all subscribers in turn
 *   shadow    fanin of updates of shadows, received as what the server accepted
 *   fanout    --clients subscribers of one topic, --pubs publishers (default 1)
 *   shared    --clients publishers, --subs members of one $share group
 *   wildcard  fanin, while --wild wildcard filters are registered; with --match every message hits one of them
 *
 * Without --rate the load is a closed loop: at most --window messages of a publisher are under way, counted to
 * delivery (and at QoS 1 to PUBACK as well), so that no broker is made to drop messages by queueing. A window without
 * progress for a second is taken for lost and reopened ("resyncs"). With --rate the load is open: message k is due at
 * t0 + k / rate, and latency counts from there when the sender was late by more than 200 us (no coordinated omission).
 * The payload starts with: u64 CLOCK_MONOTONIC ns, u32 publisher, u32 sequence number.
 *
 * The broker's CPU is clock_getcpuclockid's at both ends of the span; memory is VmRSS of /proc/PID/status. */

Run run = { .fan = 1 };

uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void die(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(2);
}

void *zeroed(size_t n) {
    void *p = calloc(1, n);
    if (!p) die("out of memory");
    return p;
}

static void tls_init(void) {
    run.tls = SSL_CTX_new(TLS_client_method());
    if (!strcmp(opt.tlsver, "1.2")) SSL_CTX_set_max_proto_version(run.tls, TLS1_2_VERSION);
    if (!strcmp(opt.tlsver, "1.3")) SSL_CTX_set_min_proto_version(run.tls, TLS1_3_VERSION);
    /* the same cipher for every broker */
    SSL_CTX_set_ciphersuites(run.tls,
                             opt.ciphers && strstr(opt.ciphers, "TLS_") ? opt.ciphers : "TLS_AES_128_GCM_SHA256");
    SSL_CTX_set_cipher_list(run.tls, opt.ciphers && !strstr(opt.ciphers, "TLS_")
                                         ? opt.ciphers
                                         : "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256");
    SSL_CTX_set_mode(run.tls,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(run.tls, SSL_SESS_CACHE_OFF); /* conn_hang_up keeps them itself */
    SSL_CTX_set_options(run.tls, SSL_OP_IGNORE_UNEXPECTED_EOF);
    if (opt.mode != MODE_CONNECT && opt.mode != MODE_RESUME) {
        SSL_CTX_set_read_ahead(run.tls, 1);
        SSL_CTX_set_default_read_buffer_len(run.tls, 64 * 1024);
    }
    if (opt.cafile) {
        if (!SSL_CTX_load_verify_locations(run.tls, opt.cafile, NULL)) die("cannot read %s", opt.cafile);
    }
    SSL_CTX_set_verify(run.tls, opt.cafile && !opt.insecure ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    if (opt.cert && SSL_CTX_use_certificate_chain_file(run.tls, opt.cert) != 1) die("cannot use %s", opt.cert);
    if (opt.cert && SSL_CTX_use_PrivateKey_file(run.tls, opt.key ? opt.key : opt.cert, SSL_FILETYPE_PEM) != 1)
        die("cannot use the key");
    if (opt.alpn) {
        uint8_t list[128] = { (uint8_t)strlen(opt.alpn) };
        memcpy(list + 1, opt.alpn, list[0]);
        SSL_CTX_set_alpn_protos(run.tls, list, list[0] + 1);
    }
}
static void add_conn(uint32_t *at, int role, uint32_t num, uint32_t nfilter, uint32_t worker) {
    LoadConn *c = &run.conns[*at];
    c->idx = (*at)++;
    c->role = role;
    c->num = num;
    c->nfilter = nfilter;
    c->fd = -1;
    c->w = &run.workers[worker % opt.threads];
    c->w->cs[c->w->nc++] = c;
    if (role == ROLE_PUBLISHER) {
        Publisher *P = &run.pubs[num];
        char t[TOPIC_BYTES_MAX];
        P->c = c;
        publisher_header(P, t, topic_of(t, num));
        c->w->pubs[c->w->np++] = num;
    }
}
static void setup(void) {
    uint32_t at = 0;
    run.pairs = opt.mode == MODE_FANIN || opt.mode == MODE_INTERLEAVED || opt.mode == MODE_SHADOW ||
                (opt.mode == MODE_WILDCARD && !opt.match);
    switch (opt.mode) {
    case MODE_CONNECT:
    case MODE_RESUME: run.conns_n = opt.clients; break;
    case MODE_FANOUT:
        run.subs_n = opt.clients;
        run.pubs_n = opt.pubs;
        run.fan = run.subs_n;
        break;
    case MODE_WILDCARD:
    case MODE_INTERLEAVED:
    case MODE_SHADOW:
    case MODE_FANIN:
        if (opt.mode == MODE_WILDCARD) run.wilds_n = (opt.wild + opt.subsper - 1) / opt.subsper;
        run.pubs_n = opt.clients;
        run.subs_n = opt.mode == MODE_WILDCARD && opt.match ? 0 : opt.subs ? (uint32_t)opt.subs : run.pubs_n;
        if (run.subs_n > run.pubs_n) run.subs_n = run.pubs_n;
        break;
    case MODE_SHARED:
        run.pubs_n = opt.clients;
        run.subs_n = opt.subs ? opt.subs : 4;
        break;
    }
    if (opt.mode != MODE_CONNECT && opt.mode != MODE_RESUME) run.conns_n = run.wilds_n + run.subs_n + run.pubs_n;
    run.conns = zeroed(sizeof *run.conns * run.conns_n);
    run.pubs = zeroed(sizeof *run.pubs * (run.pubs_n + 1));
    run.workers = zeroed(sizeof *run.workers * opt.threads);
    for (int i = 0; i < opt.threads; i++) {
        Worker *w = &run.workers[i];
        w->id = i;
        w->ep = epoll_create1(EPOLL_CLOEXEC);
        w->rbuf = zeroed(READ_BYTES);
        w->payload = zeroed(opt.size + 16);
        for (int k = 0; k < opt.size; k++) w->payload[k] = 'a' + k % 26;
        w->cs = zeroed(sizeof *w->cs * run.conns_n);
        w->pubs = zeroed(4 * (run.pubs_n + 1));
        w->rdy = zeroed(4 * (run.pubs_n + 1));
        w->rng = 88172645463325252ull + i;
    }
    if (opt.mode == MODE_INTERLEAVED) run.seen = zeroed(sizeof *run.seen * run.pubs_n * run.subs_n);
    if (opt.mode == MODE_CONNECT || opt.mode == MODE_RESUME) {
        for (int i = 0; i < opt.clients; i++) add_conn(&at, ROLE_IDLE, i, 0, i);
        return;
    }
    for (uint32_t i = 0; i < run.wilds_n; i++)
        add_conn(&at, ROLE_WILDCARD, i,
                 (i + 1) * opt.subsper <= (uint32_t)opt.wild ? (uint32_t)opt.subsper : opt.wild - i * opt.subsper, i);
    for (uint32_t i = 0; i < run.subs_n; i++)
        add_conn(&at, ROLE_SUBSCRIBER, i, run.pairs && !run.seen ? (run.pubs_n - i + run.subs_n - 1) / run.subs_n : 1,
                 i);
    for (uint32_t i = 0; i < run.pubs_n; i++) add_conn(&at, ROLE_PUBLISHER, i, 0, run.subs_n ? i % run.subs_n : i);
    for (int i = 0; i < opt.threads; i++)
        run.workers[i].rate = run.pubs_n ? opt.rate * run.workers[i].np / run.pubs_n : 0;
}
static int wait_phase(double s, int (*done)(void)) /* at most s seconds, or until done() */
{
    uint64_t end = now_ns() + (uint64_t)(s * 1e9);
    while (now_ns() < end) {
        if (done && done()) return 1;
        usleep(done ? 1000 : 2000);
    }
    return !done;
}
static int all_ready(void) {
    return atomic_load(&run.ready) + atomic_load(&run.dead) >= run.conns_n;
}
static int all_gone(void) {
    return atomic_load(&run.ready) == 0;
}
static uint64_t sum_recv(void) {
    uint64_t s = 0;
    for (int i = 0; i < opt.threads; i++) s += *(volatile uint64_t *)&run.workers[i].recv;
    return s;
}
static uint64_t sum_sent(void) {
    uint64_t s = 0;
    for (int i = 0; i < opt.threads; i++) s += *(volatile uint64_t *)&run.workers[i].sent;
    return s;
}
static int drained(void) {
    return sum_recv() >= sum_sent() * run.fan;
}

static void goodbye(void) {
    for (uint32_t i = 0; i < run.conns_n; i++) {
        LoadConn *c = &run.conns[i];
        if (c->fd < 0) continue;
        if (c->ssl) {
            SSL_write(c->ssl, "\xe0\0", 2);
            SSL_shutdown(c->ssl);
        } else if (send(c->fd, "\xe0\0", 2, MSG_NOSIGNAL) < 0) {
            /* it is gone already */
        }
        close(c->fd);
    }
}

static void prepare(void) {
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);
    run.broker.sin_family = AF_INET;
    run.broker.sin_port = htons((uint16_t)opt.port);
    if (!strcmp(opt.host, "localhost")) opt.host = "127.0.0.1";
    if (inet_pton(AF_INET, opt.host, &run.broker.sin_addr) != 1) die("--host takes an IPv4 address");
    if (opt.tlsver) tls_init();
    setup();
    if (run.conns_n + 64 > files.rlim_cur)
        die("%lu open files are too few for %u connections", (unsigned long)files.rlim_cur, run.conns_n);
}

/* The load itself; marks 2 and 3 are the ends of the measured span. */
static void measure(Mark m[4]) {
    if (opt.mode == MODE_CONNECT || opt.mode == MODE_RESUME) {
        wait_phase(opt.seconds, NULL);
        m[3] = mark();
        return;
    }
    run.start_ns = now_ns();
    atomic_store(&run.phase, PHASE_RUN);
    wait_phase(opt.warmup, NULL);
    run.measure_ns = now_ns();
    m[2] = mark();
    atomic_store(&run.phase, PHASE_MEASURE);
    wait_phase(opt.seconds, NULL);
    atomic_store(&run.phase, PHASE_DRAIN);
    m[3] = mark();
    wait_phase(2, drained);
}

int main(int argc, char **argv) {
    Mark m[4];
    options_read(argc, argv);
    prepare();
    m[0] = mark();
    for (int i = 0; i < opt.threads; i++) pthread_create(&run.workers[i].th, NULL, worker_main, &run.workers[i]);
    if (opt.mode == MODE_RESUME && wait_phase(opt.ramp_limit, all_ready)) {
        usleep(200000); /* the last sessions arrive */
        atomic_store(&run.phase, PHASE_HANG_UP);
        wait_phase(5, all_gone);
        usleep(500000);
        m[0] = mark();
        atomic_store(&run.resumed, 0);
        atomic_store(&run.phase, PHASE_RAMP);
    }
    if (!wait_phase(opt.ramp_limit, all_ready))
        fprintf(stderr, "mqload: only %u of %u connections came up in %.0f s\n", atomic_load(&run.ready), run.conns_n,
                opt.ramp_limit);
    m[1] = mark();
    uint32_t up = atomic_load(&run.ready);
    usleep(300000); /* what the last ones left is freed or not */
    m[2] = m[3] = mark();
    m[1].rss_kb = m[2].rss_kb;
    if (up == run.conns_n) measure(m);
    atomic_store(&run.phase, PHASE_STOP);
    for (int i = 0; i < opt.threads; i++) pthread_join(run.workers[i].th, NULL);
    goodbye();
    return report(m, (double)(m[1].ns - m[0].ns) / 1e9, up);
}
