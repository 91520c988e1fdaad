#include "load.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static void arm(LoadConn *c, int w) {
    if (c->wantw == w) return;
    c->wantw = w;
    struct epoll_event e = { .events = EPOLLIN | (w ? EPOLLOUT : 0), .data.ptr = c };
    epoll_ctl(c->w->ep, EPOLL_CTL_MOD, c->fd, &e);
}
void conn_kill(LoadConn *c, const char *why) {
    if (c->state == STATE_DEAD) return;
    if (atomic_load(&run.phase) != PHASE_STOP && atomic_fetch_add(&run.complaints, 1) < 5) {
        unsigned long e = ERR_peek_last_error();
        fprintf(stderr, "mqload: connection %u (state %d) lost: %s %s %s\n", c->idx, c->state, why,
                errno ? strerror(errno) : "", e ? ERR_reason_error_string(e) : "");
    }
    if (c->state < STATE_READY)
        c->w->inflight--;
    else {
        c->w->ready--;
        atomic_fetch_sub(&run.ready, 1);
    }
    c->state = STATE_DEAD;
    c->w->dead++;
    atomic_fetch_add(&run.dead, 1);
    if (c->ssl) {
        SSL_free(c->ssl);
        c->ssl = NULL;
    }
    close(c->fd);
    c->fd = -1;
    c->outlen = c->outoff = 0;
}
void conn_flush(LoadConn *c) {
    while (c->outoff < c->outlen && c->state != STATE_DEAD) {
        ssize_t n;
        if (c->ssl) {
            ERR_clear_error();
            n = SSL_write(c->ssl, c->out + c->outoff, c->outlen - c->outoff);
            if (n <= 0) {
                int e = SSL_get_error(c->ssl, n);
                if (e == SSL_ERROR_WANT_WRITE || e == SSL_ERROR_WANT_READ) {
                    arm(c, 1);
                    return;
                }
                conn_kill(c, "SSL_write");
                return;
            }
        } else {
            n = send(c->fd, c->out + c->outoff, c->outlen - c->outoff, MSG_NOSIGNAL);
            if (n < 0) {
                if (errno == EAGAIN) {
                    arm(c, 1);
                    return;
                }
                conn_kill(c, "send");
                return;
            }
        }
        c->outoff += n;
    }
    c->outoff = c->outlen = 0;
    if (c->state != STATE_DEAD) arm(c, 0);
}
void conn_start(LoadConn *c) {
    Worker *w = c->w;
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) die("socket: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (opt.srcips > 1) {
        struct sockaddr_in s = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001u + c->idx % opt.srcips) };
        setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        if (bind(c->fd, (void *)&s, sizeof s)) die("bind: %s", strerror(errno));
    }
    c->t0 = now_ns();
    w->inflight++;
    c->state = STATE_TCP;
    if (connect(c->fd, (void *)&run.broker, sizeof run.broker) && errno != EINPROGRESS) {
        conn_kill(c, "connect");
        return;
    }
    struct epoll_event e = { .events = EPOLLIN | EPOLLOUT, .data.ptr = c };
    c->wantw = 1;
    epoll_ctl(w->ep, EPOLL_CTL_ADD, c->fd, &e);
}
void conn_ready(LoadConn *c) {
    Worker *w = c->w;
    c->state = STATE_READY;
    w->inflight--;
    w->ready++;
    c->tping = w->now;
    atomic_fetch_add(&run.ready, 1);
}
/* What follows a handshake of before: a session for the next one. */
void conn_hang_up(LoadConn *c) {
    if (c->state != STATE_READY) return;
    if (c->ssl) {
        SSL_write(c->ssl, "\xe0\0", 2);
        SSL_shutdown(c->ssl);
        SSL_SESSION_free(c->session);
        c->session = SSL_get1_session(c->ssl);
        SSL_free(c->ssl);
        c->ssl = NULL;
    }
    close(c->fd);
    c->fd = -1;
    c->state = STATE_NEW;
    c->outlen = c->outoff = c->leftlen = 0;
    c->w->ready--;
    atomic_fetch_sub(&run.ready, 1);
}
static void hello(LoadConn *c) {
    c->state = STATE_CONNACK;
    queue_connect(c);
}
static void tls_step(LoadConn *c) {
    ERR_clear_error();
    int r = SSL_connect(c->ssl);
    if (r == 1) {
        if (SSL_session_reused(c->ssl)) atomic_fetch_add(&run.resumed, 1);
        arm(c, 0);
        hello(c);
        return;
    }
    int e = SSL_get_error(c->ssl, r);
    if (e == SSL_ERROR_WANT_READ)
        arm(c, 0);
    else if (e == SSL_ERROR_WANT_WRITE)
        arm(c, 1);
    else
        conn_kill(c, "TLS handshake");
}
void conn_event(LoadConn *c, uint32_t ev) {
    if (c->state == STATE_DEAD) return;
    if (c->state == STATE_TCP) {
        int e = 0;
        socklen_t l = sizeof e;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &e, &l);
        if (e) {
            errno = e;
            conn_kill(c, "connect");
            return;
        }
        if (!(ev & EPOLLOUT)) return;
        if (!run.tls) {
            arm(c, 0);
            hello(c);
            return;
        }
        c->state = STATE_TLS;
        c->ssl = SSL_new(run.tls);
        SSL_set_fd(c->ssl, c->fd);
        if (opt.sni) SSL_set_tlsext_host_name(c->ssl, opt.sni);
        if (c->session) SSL_set_session(c->ssl, c->session);
        tls_step(c);
        return;
    }
    if (c->state == STATE_TLS) {
        tls_step(c);
        return;
    }
    if (ev & EPOLLOUT) {
        conn_flush(c);
        if (c->role == ROLE_PUBLISHER && c->state == STATE_READY) publisher_may(c->w, c->num);
    }
    if (c->state != STATE_DEAD && (ev & (EPOLLIN | EPOLLHUP | EPOLLERR))) receive(c);
}
