#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "figures.h"

/* Requests that were made and signed before, over connections that are kept: what a server spends on them, not what it
 * costs to make them.
 *
 *   httpload --port N --requests FILE [--connections 64] [--seconds S | --once] [--cafile F] [--pid P]
 *
 * FILE: each request as it goes out, behind its length as a little-endian u32. A connection has one request under way
 * and takes the next of the file when it is answered; --once ends when all were answered, else the file begins again.
 * With --cafile over TLS. A connection that the server closes after an answer is opened again, and counted. */

enum { CONNECTIONS_MAX = 1024, READ_BYTES = 256 * 1024, WARMUP_PARTS = 5 };

typedef struct {
    int fd;
    SSL *ssl;
    bool up, want_write;
    const uint8_t *request;
    uint32_t len, at;
    uint8_t *answer;
    size_t got, cap;
    uint64_t sent_ns;
} HttpConn;

static struct {
    const char *cafile, *file;
    int port, connections, pid;
    double seconds;
    bool once;
} o = { .connections = 64, .seconds = 5 };

static struct {
    uint8_t *bytes;
    uint32_t *at, n, next; /* where each request begins */
    SSL_CTX *tls;
    int ep;
    bool measuring, over;
    uint64_t answered, answered_m, bad, reopened;
    uint32_t under_way;
    int first_bad;
    char first_bad_text[200];
    Histogram latency;
} s;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static _Noreturn void die(const char *what) {
    fprintf(stderr, "httpload: %s %s\n", what, errno ? strerror(errno) : "");
    exit(2);
}

static void read_requests(void) {
    FILE *f = fopen(o.file, "rb");
    if (!f || fseek(f, 0, SEEK_END)) die(o.file);
    long size = ftell(f);
    rewind(f);
    s.bytes = malloc((size_t)size);
    s.at = malloc(((size_t)size / 5 + 1) * sizeof *s.at);
    if (!s.bytes || !s.at || fread(s.bytes, 1, (size_t)size, f) != (size_t)size) die(o.file);
    fclose(f);
    for (long at = 0; at + 4 < size;) {
        uint32_t len;
        memcpy(&len, s.bytes + at, 4);
        s.at[s.n++] = (uint32_t)at;
        at += 4 + (long)len;
        if (at > size) die("a request is cut off");
    }
    if (!s.n) die("no requests");
}

static void arm(HttpConn *c, bool write) {
    if (c->want_write == write) return;
    c->want_write = write;
    struct epoll_event e = { .events = EPOLLIN | (write ? EPOLLOUT : 0), .data.ptr = c };
    epoll_ctl(s.ep, EPOLL_CTL_MOD, c->fd, &e);
}

static bool again(HttpConn *c, int n) {
    if (!c->ssl) return errno == EAGAIN || errno == EINPROGRESS;
    int e = SSL_get_error(c->ssl, n);
    if (e == SSL_ERROR_WANT_WRITE) arm(c, true);
    return e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE;
}

static void send_on(HttpConn *c) {
    while (c->at < c->len) {
        ERR_clear_error();
        int n = c->ssl ? SSL_write(c->ssl, c->request + c->at, (int)(c->len - c->at))
                       : (int)send(c->fd, c->request + c->at, c->len - c->at, MSG_NOSIGNAL);
        if (n <= 0) {
            if (!again(c, n)) die("sending");
            arm(c, true);
            return;
        }
        c->at += (uint32_t)n;
    }
    arm(c, false);
}

static void next_request(HttpConn *c) {
    c->len = 0;
    if (s.over || (o.once && s.next == s.n)) return;
    const uint8_t *from = s.bytes + s.at[s.next++];
    if (s.next == s.n && !o.once) s.next = 0;
    memcpy(&c->len, from, 4);
    c->request = from + 4;
    c->at = 0;
    c->got = 0;
    c->sent_ns = now_ns();
    s.under_way++;
    if (c->up) send_on(c);
}

static void open_connection(HttpConn *c) {
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)o.port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to)) die("connecting");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (s.tls) {
        c->ssl = SSL_new(s.tls);
        SSL_set_fd(c->ssl, c->fd);
        SSL_set_tlsext_host_name(c->ssl, "localhost");
        if (SSL_connect(c->ssl) != 1) die("TLS handshake");
    }
    struct timeval none = { 0 };
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none);
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
    epoll_ctl(s.ep, EPOLL_CTL_ADD, c->fd, &e);
    int flags = 1;
    if (ioctl(c->fd, FIONBIO, &flags)) die("ioctl");
    c->up = true;
    c->want_write = false;
}

static void reopen(HttpConn *c) {
    s.reopened++;
    SSL_free(c->ssl);
    close(c->fd);
    c->ssl = NULL;
    c->up = false;
    open_connection(c);
}

/* The whole length of the answer, 0 while it is not known, SIZE_MAX: up to the end of the connection. */
static size_t answer_len(const HttpConn *c) {
    const uint8_t *end = memmem(c->answer, c->got, "\r\n\r\n", 4);
    if (!end) return 0;
    size_t head = (size_t)(end - c->answer) + 4;
    for (const uint8_t *line = c->answer; line < end;) {
        const char *text = (const char *)line;
        if (!strncasecmp(text, "content-length:", 15)) return head + strtoul(text + 15, NULL, 10);
        if (!strncasecmp(text, "transfer-encoding: chunked", 26))
            return c->got >= head + 5 && !memcmp(c->answer + c->got - 5, "0\r\n\r\n", 5) ? c->got : 0;
        line = memmem(line, (size_t)(end - line) + 2, "\r\n", 2);
        line += 2;
    }
    return SIZE_MAX;
}

/* It does not take another one, even where it leaves the connection open for a while. */
static bool says_close(const HttpConn *c) {
    const uint8_t *end = memmem(c->answer, c->got, "\r\n\r\n", 4);
    return end && memmem(c->answer, (size_t)(end - c->answer), "onnection: close", 16);
}

static void answered(HttpConn *c) {
    int status = c->got > 12 ? atoi((char *)c->answer + 9) : 0;
    if (status < 200 || status > 299) {
        if (!s.bad++) {
            s.first_bad = status;
            size_t n = c->got < sizeof s.first_bad_text - 1 ? c->got : sizeof s.first_bad_text - 1;
            memcpy(s.first_bad_text, c->answer + c->got - n, n);
        }
    }
    s.answered++;
    s.under_way--;
    if (s.measuring) {
        s.answered_m++;
        histogram_add(&s.latency, now_ns() - c->sent_ns);
    }
}

static void receive(HttpConn *c) {
    for (;;) {
        if (c->cap - c->got < READ_BYTES / 4) {
            c->cap = c->cap ? c->cap * 2 : READ_BYTES;
            c->answer = realloc(c->answer, c->cap);
            if (!c->answer) die("out of memory");
        }
        ERR_clear_error();
        int n = c->ssl ? SSL_read(c->ssl, c->answer + c->got, (int)(c->cap - c->got - 1))
                       : (int)recv(c->fd, c->answer + c->got, c->cap - c->got - 1, 0);
        if (n < 0 && again(c, n)) return;
        if (n <= 0) {
            if (c->len && c->got == 0) { /* a kept connection that the server closed as the request came */
                reopen(c);
                c->at = 0;
                send_on(c);
                return;
            }
            bool waits = c->len && answer_len(c) == SIZE_MAX;
            reopen(c);
            if (waits) {
                answered(c);
                next_request(c);
            }
            return;
        }
        c->got += (size_t)n;
        c->answer[c->got] = 0;
        if (c->len && answer_len(c) && answer_len(c) <= c->got) {
            answered(c);
            if (says_close(c)) reopen(c);
            next_request(c);
            if (!c->ssl || !c->len) return;
        }
    }
}

static void turn(int ms) {
    struct epoll_event ev[256];
    int n = epoll_wait(s.ep, ev, 256, ms);
    for (int i = 0; i < n; i++) {
        HttpConn *c = ev[i].data.ptr;
        errno = 0;
        if (ev[i].events & EPOLLOUT) send_on(c);
        if (ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(c);
    }
}

static void options(int argc, char **argv) {
    static const struct option opts[] = { { "port", 1, 0, 'p' },        { "requests", 1, 0, 'r' },
                                          { "connections", 1, 0, 'c' }, { "seconds", 1, 0, 's' },
                                          { "once", 0, 0, 'o' },        { "cafile", 1, 0, 'a' },
                                          { "pid", 1, 0, 'i' },         { 0, 0, 0, 0 } };
    for (int k; (k = getopt_long(argc, argv, "", opts, NULL)) != -1;) switch (k) {
        case 'p': o.port = atoi(optarg); break;
        case 'r': o.file = optarg; break;
        case 'c': o.connections = atoi(optarg); break;
        case 's': o.seconds = atof(optarg); break;
        case 'o': o.once = true; break;
        case 'a': o.cafile = optarg; break;
        case 'i': o.pid = atoi(optarg); break;
        default: die("see the head of http.c");
        }
    if (!o.port || !o.file || o.connections < 1 || o.connections > CONNECTIONS_MAX)
        die("--port and --requests are needed");
}

int main(int argc, char **argv) {
    static HttpConn conns[CONNECTIONS_MAX];
    options(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    read_requests();
    s.ep = epoll_create1(EPOLL_CLOEXEC);
    if (o.cafile) {
        s.tls = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_mode(s.tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        SSL_CTX_set_ciphersuites(s.tls, "TLS_AES_128_GCM_SHA256");
        if (!SSL_CTX_load_verify_locations(s.tls, o.cafile, NULL)) die(o.cafile);
        SSL_CTX_set_verify(s.tls, SSL_VERIFY_PEER, NULL);
    }
    for (int i = 0; i < o.connections; i++) open_connection(&conns[i]);
    uint64_t start = now_ns(), warm = start, end = start + (uint64_t)(o.seconds * 1e9);
    if (!o.once) {
        warm += (uint64_t)(o.seconds * 1e9 / WARMUP_PARTS);
        end += warm - start;
    }
    s.measuring = o.once;
    double cpu = process_cpu_s(o.pid);
    for (int i = 0; i < o.connections; i++) next_request(&conns[i]);
    while (o.once ? s.under_way > 0 : now_ns() < end) {
        turn(100);
        if (!s.measuring && now_ns() >= warm) {
            s.measuring = true;
            start = now_ns();
            cpu = process_cpu_s(o.pid);
        }
    }
    s.over = true;
    double span = (double)(now_ns() - start) / 1e9, used = process_cpu_s(o.pid) - cpu, n = (double)s.answered_m;
    s.measuring = false;
    uint64_t late = now_ns() + 10000000000u;
    while (s.under_way > 0 && now_ns() < late) turn(100);
    if (s.bad)
        fprintf(stderr, "httpload: %lu refused, the first: %d %s\n", (unsigned long)s.bad, s.first_bad,
                s.first_bad_text);
    printf(
        "{\"seconds\": %.4f, \"requests\": %.0f, \"requests_per_s\": %.1f, \"server_cpu_ms\": %.5f, \"refused\": %lu, "
        "\"reopened\": %lu, \"rss_kb\": %ld, \"latency_us\": ",
        span, n, n / span, n > 0 ? used * 1e3 / n : 0, (unsigned long)s.bad, (unsigned long)s.reopened,
        process_rss_kb(o.pid));
    histogram_print(&s.latency);
    printf("}\n");
    return s.bad || s.under_way ? 1 : 0;
}
