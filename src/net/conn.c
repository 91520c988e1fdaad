#include "net/conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "net/output.h"
#include "net/tls.h"

/* Reading: one recv an event into the turn's arena, behind what was left over, so that a handler always sees
 * one run of bytes. With TLS the recv goes to the reactor's record buffer and OpenSSL reads from there (net/tls.c).
 *
 * Life: a closed Conn outlives the turn, whose callers may still look at it: the flush has a reference; and work under
 * way elsewhere may hold it. `refs` counts both, `closed` says that nothing may be done with it any more. */

static void feed(Conn *c, uint8_t *bytes, size_t len) {
    size_t used = 0;
    c->feeding = true;
    if (!c->closed && !c->paused && !c->finishing) used = c->handler->input(c, bytes, len);
    c->feeding = false;
    if (c->finishing) used = len; /* nobody wants it any more */
    if (c->closed) return;
    size_t rest = len - used;
    if (rest == 0) {
        free(c->left);
        c->left = NULL;
    } else {
        uint8_t *keep = mem_grow(NULL, rest);
        memcpy(keep, bytes + used, rest);
        free(c->left);
        c->left = keep;
    }
    c->left_len = rest;
}

static void read_plain(Conn *c) {
    size_t have, left = c->left_len;
    uint8_t *room = turn_room(c->reactor, left + TURN_ROOM_MIN, &have);
    ssize_t n = recv(c->watch.fd, room + left, have - left, 0);
    if (n == 0) {
        conn_close(c, CLOSE_BY_PEER);
    } else if (n < 0) {
        if (errno != EAGAIN && errno != EINTR) conn_close(c, CLOSE_LOST);
    } else {
        if (left) memcpy(room, c->left, left);
        turn_take(c->reactor, left + (size_t)n);
        feed(c, room, left + (size_t)n);
    }
}

static void handshake_over(Conn *c) {
    atomic_fetch_sub_explicit(&c->reactor->handshakes, 1, memory_order_relaxed);
}

static void read_tls(Conn *c) {
    Reactor *r = c->reactor;
    if (!r->tls.in_buffer) r->tls.in_buffer = mem_grow(NULL, TURN_BLOCK_BYTES);
    ssize_t n = recv(c->watch.fd, r->tls.in_buffer, TURN_BLOCK_BYTES, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
        conn_close(c, n == 0 && !c->handshaking ? CLOSE_BY_PEER : CLOSE_LOST);
        return;
    }
    r->tls.in = r->tls.in_buffer;
    r->tls.in_left = (size_t)n;
    if (c->handshaking) {
        Err e = tls_handshake(c);
        if (e == ERR_AGAIN) return;
        if (e != OK) {
            conn_close(c, CLOSE_LOST);
            return;
        }
        handshake_over(c);
        c->handshaking = false;
        if (c->handler->secured) c->handler->secured(c);
    }
    bool ended = false;
    while (!c->closed && !ended) { /* all that the records hold; bounded by the one recv */
        size_t have, left = c->left_len, got = 0;
        uint8_t *room = turn_room(r, left + TURN_ROOM_MIN, &have);
        Err e = tls_read(c, room + left, have - left, &got);
        if (got) {
            if (left) memcpy(room, c->left, left);
            turn_take(r, left + got);
            feed(c, room, left + got);
        }
        if (e == ERR_AGAIN) break;
        if (e != OK) {
            if (!c->closed) conn_close(c, e == ERR_CLOSED ? CLOSE_BY_PEER : CLOSE_LOST);
            ended = true;
        }
    }
}

/* Paused, it does not even look whether the peer hung up: what came before that is still to be read. A pause itself
 * changes nothing here, as it mostly is over before more comes: that costs two system calls less. */
static void watch(Conn *c) {
    unsigned events = (c->paused ? 0 : WATCH_READ) | (c->want_write ? WATCH_WRITE : 0);
    reactor_watch(c->reactor, &c->watch, events); /* where that fails, its timer ends it */
}

static void on_event(Watch *w, Reactor *r, unsigned events) {
    Conn *c = (Conn *)((char *)w - offsetof(Conn, watch));
    (void)r;
    if (c->closed) return;
    if (events & WATCH_ERROR) {
        reactor_watch(r, w, 0); /* paused, it would be said for ever */
        if (!c->paused || c->want_write) conn_close(c, CLOSE_LOST);
        return;
    }
    if (events == WATCH_HANGUP) events = w->events; /* reading or writing tells what it means */
    if (events & WATCH_WRITE) {
        output_continue(c);
        if (!c->closed && !c->want_write) {
            watch(c);
            c->tell_drained = false;
            if (c->handler->drained) c->handler->drained(c);
        }
    }
    if (c->closed || !(events & WATCH_READ)) return;
    if (c->paused) {
        watch(c);
    } else {
        if (c->ssl)
            read_tls(c);
        else
            read_plain(c);
    }
}

void conn_acknowledge(Conn *c) {
    int one = 1;
    setsockopt(c->watch.fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one);
}

void conn_want_write(Conn *c, bool on) {
    if (c->want_write == on || c->closed) return;
    c->want_write = on;
    watch(c);
}

static void attach(Conn *c, Reactor *r) {
    c->reactor = r;
    atomic_fetch_add_explicit(&r->conns, 1, memory_order_relaxed);
}

Conn *conn_new(Reactor *r, int fd, SSL *ssl, const ConnHandler *handler, void *owner) {
    Conn *c = mem_new(sizeof *c);
    c->watch = (Watch){ .ready = on_event, .fd = fd };
    c->ssl = ssl;
    c->handshaking = ssl != NULL;
    c->handler = handler;
    c->owner = owner;
    c->refs = 1;
    c->out_bytes_max = SIZE_MAX;
    socklen_t n = sizeof c->peer;
    if (getpeername(fd, (struct sockaddr *)&c->peer, &n)) c->peer.sin6_family = AF_UNSPEC;
    c->local_port = ntohs(conn_local(c).sin6_port); /* at the same place in both families */
    if (ssl) tls_attach(c);
    if (ssl) atomic_fetch_add_explicit(&r->handshakes, 1, memory_order_relaxed);
    attach(c, r);
    watch(c);
    return c;
}

void conn_retain(Conn *c) {
    c->refs++;
}

void conn_release(Conn *c) {
    if (--c->refs > 0) return;
    if (c->ssl) tls_free(c);
    free(c->left);
    free(c->wait);
    free(c);
}

void conn_close(Conn *c, CloseReason why) {
    if (c->closed) return;
    if (c->handshaking) handshake_over(c);
    c->closed = true;
    c->why = why;
    timer_disarm(&c->timer);
    output_drop(c);
    if (c->ssl && why != CLOSE_LOST) tls_goodbye(c);
    reactor_watch(c->reactor, &c->watch, 0); /* before it is closed: another thread may be given its number at once */
    close(c->watch.fd);
    c->watch.fd = -1;
    atomic_fetch_sub_explicit(&c->reactor->conns, 1, memory_order_relaxed);
    output_mark(c); /* it stays until this turn's flush */
    c->handler->closed(c);
    conn_release(c);
}

enum { LINGER_MS = 5000 }; /* for the last output of a peer that does not read, or sends on */

static void linger_late(Timer *t, Reactor *r) {
    (void)r;
    conn_close((Conn *)((char *)t - offsetof(Conn, timer)), CLOSE_BY_SERVER);
}

void conn_finish(Conn *c) {
    if (c->closed || c->finishing) return;
    c->finishing = true;
    c->timer.fire = linger_late;
    timer_arm(c->reactor, &c->timer, reactor_now_ms(c->reactor) + LINGER_MS);
    output_mark(c); /* the flush closes it, unless it lingers */
}

bool conns_end_lingering(Reactor *r) {
    bool any = false;
    for (size_t i = 0; i < TIMER_BUCKETS; i++) {
        Timer *head = &r->wheel[i];
        for (Timer *t = head->next; t != head;) {
            if (t->fire != linger_late) {
                t = t->next;
                continue;
            }
            linger_late(t, r);
            any = true;
            t = head->next; /* who owned it may have let go of others */
        }
    }
    return any;
}

void conn_linger(Conn *c) {
    c->lingering = true;
    conn_finish(c);
}

void conn_pause(Conn *c) {
    if (!c->closed) c->paused = true;
}

void conn_resume(Conn *c) {
    if (!c->paused || c->closed) return;
    c->paused = false;
    watch(c);
    if (c->feeding) return;
    if (c->left_len) {
        size_t have, left = c->left_len;
        uint8_t *room = turn_room(c->reactor, left, &have);
        memcpy(room, c->left, left);
        turn_take(c->reactor, left);
        feed(c, room, left);
    }
    if (!c->closed && !c->paused && c->handler->resumed) c->handler->resumed(c);
}

typedef struct {
    Task task;
    Conn *conn;
    Reactor *to;
    void (*arrived)(Conn *c, void *ctx);
    void *ctx;
} Move;

static void arrive(Task *task, Reactor *r) {
    Move *m = (Move *)task;
    Conn *c = m->conn;
    attach(c, r);
    watch(c);
    m->arrived(c, m->ctx);
    free(m);
}

bool conn_quiet(const Conn *c, int refs) {
    return c->refs == refs && !c->closed && !c->dirty && !c->wait && !c->out && !c->paused && !c->finishing &&
           !c->feeding && !c->handshaking && !c->want_write;
}

void conn_move(Conn *c, Reactor *to, void (*arrived)(Conn *c, void *ctx), void *ctx) {
    Move *m = mem_new(sizeof *m);
    *m = (Move){ .task.run = arrive, .conn = c, .to = to, .arrived = arrived, .ctx = ctx };
    timer_disarm(&c->timer);
    reactor_watch(c->reactor, &c->watch, 0);
    atomic_fetch_sub_explicit(&c->reactor->conns, 1, memory_order_relaxed);
    reactor_post(to, &m->task);
}

Str conn_address(const struct sockaddr_in6 *a, char *buffer) {
    const void *ip = &a->sin6_addr;
    int family = AF_INET6;
    if (a->sin6_family == AF_INET) {
        ip = &((const struct sockaddr_in *)(const void *)a)->sin_addr;
        family = AF_INET;
    } else if (IN6_IS_ADDR_V4MAPPED(&a->sin6_addr)) {
        ip = a->sin6_addr.s6_addr + 12;
        family = AF_INET;
    }
    if (!inet_ntop(family, ip, buffer, INET6_ADDRSTRLEN)) buffer[0] = 0;
    return str_c(buffer);
}

struct sockaddr_in6 conn_local(const Conn *c) {
    struct sockaddr_in6 a = { 0 };
    socklen_t n = sizeof a;
    if (getsockname(c->watch.fd, (struct sockaddr *)&a, &n)) a = (struct sockaddr_in6){ .sin6_family = AF_UNSPEC };
    return a;
}

bool conn_is_loopback(const Conn *c) {
    char text[INET6_ADDRSTRLEN];
    Str a = conn_address(&c->peer, text);
    return str_starts(a, S("127.")) || str_eq(a, S("::1"));
}
