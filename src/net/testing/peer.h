/* For tests of what goes outward: an HTTP server on the loopback, a thread a connection, whose word for each request is
 * a test's function. With TLS where it is given a certificate. */
#pragma once

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/writer.h"

typedef struct {
    Str head, body; /* head: request line and headers, without the empty line */
    int n;          /* of all requests to this peer, from 0 */
    int on_connection;
} PeerRequest;

/* What is sent, byte by byte; then the connection goes on, is cut, or stays silent until the client leaves. */
typedef struct {
    Str bytes;
    enum { PEER_KEEP, PEER_CUT, PEER_HANG } then;
} PeerReply;

typedef struct Peer {
    int fd, port;
    SSL_CTX *tls; /* NULL: none */
    PeerReply (*answer)(struct Peer *peer, const PeerRequest *rq, Arena *arena);
    void *ctx;
    atomic_int requests, connections, open, open_most;
    pthread_t thread;
    pthread_mutex_t lock; /* for the test's own notes */
    pthread_t of[256];
    int fds[256];
} Peer;

typedef struct {
    Peer *peer;
    int fd, index;
} PeerConnection;

static inline ssize_t peer_read(SSL *ssl, int fd, void *to, size_t n) {
    return ssl ? SSL_read(ssl, to, (int)n) : read(fd, to, n);
}

static inline void peer_write(SSL *ssl, int fd, Str bytes) {
    while (bytes.len) {
        ssize_t n = ssl ? SSL_write(ssl, bytes.ptr, (int)bytes.len) : send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (n <= 0) return;
        bytes = str_from(bytes, (size_t)n);
    }
}

/* One request whole into *out, or false where the client left. */
static inline bool peer_take(SSL *ssl, int fd, Arena *arena, PeerRequest *out) {
    Writer w = writer_in(arena);
    size_t head = SIZE_MAX, need = SIZE_MAX;
    while (head == SIZE_MAX || w.len < need) {
        uint8_t some[16384];
        ssize_t n = peer_read(ssl, fd, some, sizeof some);
        if (n <= 0) return false;
        writer_bytes(&w, (Str){ some, (size_t)n });
        head = str_find_str(writer_str(&w), S("\r\n\r\n"));
        if (head == SIZE_MAX) continue;
        size_t at = str_find_str(str_sub(writer_str(&w), 0, head), S("Content-Length: "));
        need = head + 4 + (at == SIZE_MAX ? 0 : strtoul((const char *)w.ptr + at + 16, NULL, 10));
    }
    out->head = str_sub(writer_str(&w), 0, head);
    out->body = str_sub(writer_str(&w), head + 4, need);
    return true;
}

static inline void *peer_serve(void *arg) {
    PeerConnection c = *(PeerConnection *)arg;
    free(arg);
    SSL *ssl = NULL;
    bool going = true;
    int open = atomic_fetch_add(&c.peer->open, 1) + 1, most = atomic_load(&c.peer->open_most);
    while (open > most && !atomic_compare_exchange_weak(&c.peer->open_most, &most, open)) {
    }
    if (c.peer->tls) {
        ssl = SSL_new(c.peer->tls);
        SSL_set_fd(ssl, c.fd);
        going = SSL_accept(ssl) == 1;
    }
    for (int k = 0; going; k++) {
        Arena arena = { 0 };
        PeerRequest rq = { .on_connection = k };
        going = peer_take(ssl, c.fd, &arena, &rq);
        if (going) {
            rq.n = atomic_fetch_add(&c.peer->requests, 1);
            PeerReply reply = c.peer->answer(c.peer, &rq, &arena);
            peer_write(ssl, c.fd, reply.bytes);
            uint8_t byte;
            if (reply.then == PEER_HANG) (void)peer_read(ssl, c.fd, &byte, 1);
            going = reply.then == PEER_KEEP;
        }
        arena_free(&arena);
    }
    SSL_free(ssl);
    shutdown(c.fd, SHUT_RDWR);
    atomic_fetch_sub(&c.peer->open, 1);
    return NULL;
}

static inline void *peer_accept(void *arg) {
    Peer *p = arg;
    for (int fd; (fd = accept(p->fd, NULL, NULL)) >= 0;) {
        int i = atomic_fetch_add(&p->connections, 1);
        if (i == 256) abort();
        PeerConnection *c = mem_new(sizeof *c);
        *c = (PeerConnection){ p, fd, i };
        p->fds[i] = fd;
        pthread_create(&p->of[i], NULL, peer_serve, c);
    }
    return NULL;
}

static inline void peer_start(Peer *p) {
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof at;
    p->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(p->fd, (struct sockaddr *)&at, sizeof at) || listen(p->fd, 128)) abort();
    getsockname(p->fd, (struct sockaddr *)&at, &n);
    p->port = ntohs(at.sin_port);
    pthread_mutex_init(&p->lock, NULL);
    pthread_create(&p->thread, NULL, peer_accept, p);
}

static inline void peer_stop(Peer *p) {
    shutdown(p->fd, SHUT_RDWR);
    pthread_join(p->thread, NULL);
    close(p->fd);
    for (int i = 0; i < p->connections; i++) {
        shutdown(p->fds[i], SHUT_RDWR);
        pthread_join(p->of[i], NULL);
        close(p->fds[i]);
    }
    pthread_mutex_destroy(&p->lock);
}

static inline PeerReply peer_reply(Arena *arena, int status, const char *headers, Str body) {
    Writer w = writer_in(arena);
    writer_format(&w, "HTTP/1.1 %d Word\r\n%sContent-Length: %zu\r\n\r\n", status, headers, body.len);
    writer_bytes(&w, body);
    return (PeerReply){ .bytes = writer_str(&w) };
}
