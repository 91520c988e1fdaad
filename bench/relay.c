/* The bare relay: what the machine charges for moving MQTT frames through epoll, with nothing of a broker. The floor
 * of the measurements.
 *
 * relay PORT [tls CA CERT KEY] [nobatch]
 *
 * One thread, no topic tree, no sessions: the topic "PREFIX/N/..." goes to the connection that subscribed to the same
 * N (an array). It answers CONNECT, SUBSCRIBE, PINGREQ and PUBLISH of QoS 1. Frames are copied once, from the read
 * buffer to the receiver's output, and written once a turn of the loop (nobatch: one write a frame). It trusts what it
 * reads, as only the load generator may. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
typedef uint8_t u8;
typedef uint32_t u32;
#define RB (256 * 1024)
struct conn {
    int fd;
    u8 hs, dirty, wantw;
    SSL *ssl;
    u8 *out;
    u32 off, len, cap;
    u8 *left;
    u32 llen, lcap;
    struct conn *nd;
};
static struct conn *route[1 << 16], *dirty;
static u8 rb[RB];
static int ep, nobatch;
static SSL_CTX *ctx;
static void arm(struct conn *c, int w) {
    if (c->wantw == w) return;
    c->wantw = w;
    struct epoll_event e = { .events = EPOLLIN | (w ? EPOLLOUT : 0), .data.ptr = c };
    epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
}
static void drop(struct conn *c) {
    if (c->fd < 0) return;
    if (c->ssl) SSL_free(c->ssl);
    close(c->fd);
    c->fd = -1;
    free(c->out);
    free(c->left);
    c->out = c->left = NULL;
    c->len = c->off = c->cap = c->llen = c->lcap = 0;
    for (u32 i = 0; i < 1 << 16; i++)
        if (route[i] == c) route[i] = NULL; /* struct itself is leaked: it may be in this turn's events */
}
static void flush(struct conn *c) {
    while (c->fd >= 0 && c->off < c->len) {
        int n = c->ssl ? SSL_write(c->ssl, c->out + c->off, c->len - c->off)
                       : (int)send(c->fd, c->out + c->off, c->len - c->off, MSG_NOSIGNAL);
        if (n <= 0) {
            if (c->ssl ? SSL_get_error(c->ssl, n) == SSL_ERROR_WANT_WRITE : errno == EAGAIN) {
                arm(c, 1);
                return;
            }
            drop(c);
            return;
        }
        c->off += n;
    }
    if (c->fd >= 0) {
        c->off = c->len = 0;
        arm(c, 0);
    }
}
static void put(struct conn *c, const void *p, u32 n) {
    if (c->len + n > c->cap) {
        while (c->len + n > c->cap) c->cap = c->cap ? c->cap * 2 : 256;
        c->out = realloc(c->out, c->cap);
    }
    memcpy(c->out + c->len, p, n);
    c->len += n;
    if (nobatch) {
        flush(c);
        return;
    }
    if (!c->dirty) {
        c->dirty = 1;
        c->nd = dirty;
        dirty = c;
    }
}
static u32 slot(const u8 *t, u32 n) {
    u32 v = 0, i = 0;
    while (i < n && t[i] != '/') i++;
    for (i++; i < n && t[i] >= '0' && t[i] <= '9'; i++) v = v * 10 + t[i] - '0';
    return v & 0xffff;
}
static u32 parse(struct conn *c, u8 *b, u32 n) {
    u32 at = 0;
    while (n - at >= 2 && c->fd >= 0) {
        u32 rem = 0, sh = 0, k = 1;
        u8 d;
        do {
            if (at + k >= n) return at;
            d = b[at + k++];
            rem |= (d & 127u) << sh;
            sh += 7;
        } while (d & 128);
        if (n - at - k < rem) break;
        u8 *p = b + at + k;
        switch (b[at] >> 4) {
        case 1: put(c, "\x20\x02\0\0", 4); break;
        case 3: {
            u32 tl = p[0] << 8 | p[1];
            struct conn *r = route[slot(p + 2, tl)];
            if (b[at] & 6) {
                u8 a[4] = { 0x40, 2, p[2 + tl], p[3 + tl] };
                put(c, a, 4);
            }
            if (r) put(r, b + at, k + rem);
            break;
        }
        case 8: {
            u8 a[16] = { 0x90, 2, p[0], p[1] };
            u32 i = 2;
            while (i + 2 < rem) {
                u32 l = p[i] << 8 | p[i + 1];
                route[slot(p + i + 2, l)] = c;
                i += l + 3;
                a[++a[1] + 1] = 0;
            }
            put(c, a, a[1] + 2);
            break;
        }
        case 12: put(c, "\xd0\0", 2); break;
        case 14: drop(c); return at;
        }
        at += k + rem;
    }
    return at;
}
static void rd(struct conn *c) {
    for (;;) {
        u32 have = c->llen;
        int n = 0, more = 0;
        if (have) memcpy(rb, c->left, have);
        if (c->ssl) {
            while (have < RB) {
                ERR_clear_error();
                n = SSL_read(c->ssl, rb + have, RB - have);
                if (n <= 0) break;
                have += n;
            }
            if (n <= 0) {
                int e = SSL_get_error(c->ssl, n);
                if (e != SSL_ERROR_WANT_READ) {
                    drop(c);
                    return;
                }
            } else
                more = 1;
        } else {
            n = recv(c->fd, rb + have, RB - have, 0);
            if (n <= 0) {
                if (n == 0 || errno != EAGAIN) drop(c);
                return;
            }
            have += n;
        }
        u32 used = parse(c, rb, have);
        if (c->fd < 0) return;
        c->llen = have - used;
        if (c->llen) {
            if (c->llen > c->lcap) c->left = realloc(c->left, c->lcap = c->llen);
            memcpy(c->left, rb + used, c->llen);
        } else if (c->left) {
            free(c->left);
            c->left = NULL;
            c->lcap = 0;
        }
        if (!more) return;
    }
}
int main(int ac, char **av) {
    struct rlimit rl;
    getrlimit(RLIMIT_NOFILE, &rl);
    rl.rlim_cur = rl.rlim_max;
    setrlimit(RLIMIT_NOFILE, &rl);
    signal(SIGPIPE, SIG_IGN);
    int ra = getenv("RELAY_READ_AHEAD") != NULL;
    if (ac > 5 && !strcmp(av[2], "tls")) {
        ctx = SSL_CTX_new(TLS_server_method());
        SSL_CTX_set_num_tickets(ctx, 0);
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
        SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256");
        if (ra) {
            SSL_CTX_set_read_ahead(ctx, 1);
            SSL_CTX_set_default_read_buffer_len(ctx, 65536);
        }
        SSL_CTX_load_verify_locations(ctx, av[3], NULL);
        SSL_CTX_use_certificate_chain_file(ctx, av[4]);
        SSL_CTX_use_PrivateKey_file(ctx, av[5], SSL_FILETYPE_PEM);
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    nobatch = !strcmp(av[ac - 1], "nobatch");
    int l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, 4);
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons(atoi(av[1])),
                             .sin_addr.s_addr = htonl(0x7f000001) };
    if (bind(l, (void *)&a, sizeof a) || listen(l, 4096)) {
        perror("bind");
        return 1;
    }
    ep = epoll_create1(0);
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = NULL }, ev[256];
    epoll_ctl(ep, EPOLL_CTL_ADD, l, &e);
    for (;;) {
        int n = epoll_wait(ep, ev, 256, -1);
        for (int i = 0; i < n; i++) {
            struct conn *c = ev[i].data.ptr;
            if (!c) {
                int f;
                while ((f = accept4(l, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                    c = calloc(1, sizeof *c);
                    c->fd = f;
                    setsockopt(f, IPPROTO_TCP, TCP_NODELAY, &one, 4);
                    if (ctx) {
                        c->ssl = SSL_new(ctx);
                        SSL_set_fd(c->ssl, f);
                        SSL_set_accept_state(c->ssl);
                        c->hs = 1;
                    }
                    struct epoll_event x = { .events = EPOLLIN, .data.ptr = c };
                    epoll_ctl(ep, EPOLL_CTL_ADD, f, &x);
                }
                continue;
            }
            if (c->fd < 0) continue;
            if (c->hs) {
                ERR_clear_error();
                int r = SSL_do_handshake(c->ssl);
                if (r != 1) {
                    if (SSL_get_error(c->ssl, r) != SSL_ERROR_WANT_READ) drop(c);
                    continue;
                }
                c->hs = 0;
            }
            if (ev[i].events & EPOLLOUT) flush(c);
            if (c->fd >= 0 && ev[i].events & ~EPOLLOUT) rd(c);
        }
        for (struct conn *c = dirty, *x; c; c = x) {
            x = c->nd;
            c->dirty = 0;
            flush(c);
        }
        dirty = NULL;
    }
}
