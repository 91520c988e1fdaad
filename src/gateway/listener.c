#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/internal.h"

/* When file descriptors run out, accept would fail for ever and the listening socket stay readable: one descriptor
 * is kept in reserve, given up to accept the connection and close it, and taken again. Long before that, connections
 * are refused, so that the store can open its files: without them every write would fail. The kernel gives the
 * lowest free number, so a connection's number says how many are in use. */

struct Listener {
    Watch watch; /* first */
    Gateway *gateway;
    ListenKind kind;
};

enum { ACCEPTS_PER_TURN = 64, NO_FILES_LOG_MS = 1000 };

static void first_byte_late(Timer *t, Reactor *r) {
    Conn *c = (Conn *)((char *)t - offsetof(Conn, timer));
    (void)r;
    conn_close(c, CLOSE_BY_SERVER);
}

static void welcome(Gateway *g, Reactor *r, int fd, ListenKind kind) {
    SSL *ssl = kind == LISTEN_TLS ? tls_accept(g->o.tls) : NULL;
    if (kind == LISTEN_TLS && !ssl) { /* no memory */
        close(fd);
        return;
    }
    Conn *c = conn_new(r, fd, ssl, &FRONT_HANDLER, NULL);
    Link *l = link_new(g, c, kind == LISTEN_PLAIN);
    c->owner = l;
    if (l->plain) l->principal = directory_plain(g->o.env->directory);
    c->timer.fire = first_byte_late;
    timer_arm(r, &c->timer, reactor_now_ms(r) + g->o.first_byte_wait_s * 1000);
    atomic_fetch_add_explicit(&g->counters.accepted, 1, memory_order_relaxed);
}

enum { HANDSHAKE_PERMILLE = 30 }; /* what one that is under way counts, in thousandths of a processor */

static uint32_t load_of(const Reactor *r) {
    return atomic_load_explicit(&r->busy_permille, memory_order_relaxed) +
           HANDSHAKE_PERMILLE * atomic_load_explicit(&r->handshakes, memory_order_relaxed);
}

/* All are the first reactor's, as what is together costs least; a fleet that comes at once is for all processors. */
static Reactor *reactor_for(const Gateway *g, ListenKind kind) {
    Reactor *best = g->reactors[0];
    uint32_t least = load_of(best);
    if (kind != LISTEN_TLS || least < REACTOR_SATURATED_PERMILLE) return best;
    for (size_t i = 1; i < g->reactors_n; i++) {
        uint32_t load = load_of(g->reactors[i]);
        if (load >= least) continue;
        least = load;
        best = g->reactors[i];
    }
    return best;
}

typedef struct {
    Task task;
    Gateway *gateway;
    int fd;
} Arrival;

static void arrive(Task *task, Reactor *r) {
    Arrival *a = (Arrival *)task;
    atomic_fetch_sub_explicit(&r->handshakes, 1, memory_order_relaxed);
    if (atomic_load(&a->gateway->shut))
        close(a->fd);
    else
        welcome(a->gateway, r, a->fd, LISTEN_TLS);
    free(a);
}

static void hand_over(Gateway *g, int fd, Reactor *to) {
    Arrival *a = mem_new(sizeof *a);
    *a = (Arrival){ .task.run = arrive, .gateway = g, .fd = fd };
    atomic_fetch_add_explicit(&to->handshakes, 1, memory_order_relaxed); /* the next one is to know */
    reactor_post(to, &a->task);
}

static void accepted(const Listener *in, int fd) {
    Gateway *g = in->gateway;
    Reactor *r = reactor_for(g, in->kind);
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (r == g->reactors[0])
        welcome(g, r, fd, in->kind);
    else
        hand_over(g, fd, r);
}

/* Not for connections: what the store may open, but at most a quarter of all. */
static bool for_the_store(const Gateway *g, int fd) {
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r)) return false;
    rlim_t kept = r.rlim_cur / 4 < g->o.files_kept ? r.rlim_cur / 4 : g->o.files_kept;
    return (rlim_t)fd >= r.rlim_cur - kept;
}

static void count_refused(Gateway *g) {
    uint64_t n = atomic_fetch_add(&g->counters.refused_no_files, 1) + 1;
    int64_t now_ms = reactor_now_ms(g->reactors[0]);
    if (now_ms < g->no_files_logged_ms + NO_FILES_LOG_MS) return;
    g->no_files_logged_ms = now_ms;
    log_line(g->o.log, LOG_ERROR,
             "event=Accept refused=%llu reason=\"no file descriptor is left for connections: raise the limit "
             "(ulimit -n)\"",
             (unsigned long long)n);
}

static void no_files(Listener *in) {
    Gateway *g = in->gateway;
    if (g->reserve_fd >= 0) close(g->reserve_fd);
    int fd = accept(in->watch.fd, NULL, NULL);
    if (fd >= 0) close(fd);
    g->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    count_refused(g);
}

static void on_accept(Watch *w, Reactor *r, unsigned events) {
    Listener *in = (Listener *)w;
    (void)r, (void)events;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = accept4(in->watch.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0 && for_the_store(in->gateway, fd)) {
            close(fd);
            count_refused(in->gateway);
        } else if (fd >= 0) {
            accepted(in, fd);
        } else if (errno == EMFILE || errno == ENFILE) {
            no_files(in);
            return;
        } else if (errno != ECONNABORTED && errno != EINTR) {
            return;
        }
    }
}

/* Returns: -1, errno as it was */
static int close_kept(int fd) {
    int kept = errno;
    close(fd);
    errno = kept;
    return -1;
}

/* Bound, but nobody can connect yet. */
static int bind_socket(const struct addrinfo *a, int port) {
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_storage s;
    memcpy(&s, a->ai_addr, a->ai_addrlen);
    if (a->ai_family == AF_INET6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
        ((struct sockaddr_in6 *)&s)->sin6_port = htons((uint16_t)port);
    } else {
        ((struct sockaddr_in *)&s)->sin_port = htons((uint16_t)port);
    }
    if (bind(fd, (struct sockaddr *)&s, a->ai_addrlen)) return close_kept(fd);
    return fd;
}

static int open_socket(const struct addrinfo *a, int port) {
    int fd = bind_socket(a, port);
    return fd >= 0 && listen(fd, 4096) ? close_kept(fd) : fd;
}

static int port_of(int fd) {
    struct sockaddr_in6 a;
    socklen_t n = sizeof a;
    return getsockname(fd, (struct sockaddr *)&a, &n) ? 0 : ntohs(a.sin6_port);
}

static void add(Gateway *g, int fd, ListenKind kind) {
    Listener *in = mem_new(sizeof *in);
    *in = (Listener){ .watch = { .ready = on_accept, .fd = fd }, .gateway = g, .kind = kind };
    reactor_watch(g->reactors[0], &in->watch, WATCH_READ);
    g->listeners[g->listeners_n++] = in;
}

/* Every address gets the same port. With port 0 the first picks it; where another address has it taken already the
 * whole is tried again. */
static Err listen_all(Gateway *g, const struct addrinfo *list, int port, ListenKind kind, int *port_out) {
    int fds[8], n = 0, chosen = port;
    for (const struct addrinfo *a = list; a && n < 8; a = a->ai_next) {
        int fd = open_socket(a, chosen);
        if (fd < 0 && (errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT) && (n > 0 || a->ai_next)) {
            log_line(g->o.log, LOG_INFO, "event=Listen reason=\"%s is not there: %s\"",
                     a->ai_family == AF_INET6 ? "::1, or another IPv6 address," : "an address", strerror(errno));
            continue; /* no IPv6 here */
        }
        if (fd < 0) {
            int kept = errno;
            while (n) close(fds[--n]);
            errno = kept;
            return ERR_IO;
        }
        fds[n++] = fd;
        if (chosen == 0) chosen = port_of(fd);
    }
    if (n == 0 || g->listeners_n + (size_t)n > GATEWAY_LISTENERS_MAX) return ERR_IO;
    for (int i = 0; i < n; i++) add(g, fds[i], kind);
    *port_out = chosen;
    return OK;
}

/* What listens to "localhost" must not depend on what the machine's hosts file says of it: both loopbacks. */
static struct addrinfo *resolve_loopbacks(int *bad) {
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST };
    struct addrinfo *first, *second;
    *bad = getaddrinfo("127.0.0.1", "0", &hints, &first);
    if (*bad) return NULL;
    if (getaddrinfo("::1", "0", &hints, &second) == 0) first->ai_next = second; /* freeaddrinfo takes the chain */
    return first;
}

static struct addrinfo *resolve(const char *host, int *bad) {
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
    struct addrinfo *list = NULL;
    if (strcmp(host, "localhost") == 0) return resolve_loopbacks(bad);
    *bad = getaddrinfo(strcmp(host, "*") == 0 ? NULL : host, "0", &hints, &list);
    return list;
}

static Str cannot_listen(Arena *arena, const char *host, int port) {
    return str_format(arena, "cannot listen on '%s' port %d: %s", host, port, strerror(errno));
}

Err gateway_listen(Gateway *g, const char *host, int port, ListenKind kind, Arena *arena, int *port_out, Str *why) {
    int bad;
    struct addrinfo *list = resolve(host, &bad);
    if (bad) {
        *why = str_format(arena, "cannot listen on '%s': %s", host, gai_strerror(bad));
        return ERR_IO;
    }
    Err e = ERR_IO;
    for (int tries = 0; tries < (port ? 1 : 20) && e != OK; tries++) e = listen_all(g, list, port, kind, port_out);
    freeaddrinfo(list);
    if (e != OK) *why = cannot_listen(arena, host, port);
    return e;
}

Err gateway_port_free(const char *host, int port, Arena *arena, Str *why) {
    int bad;
    struct addrinfo *list = port ? resolve(host, &bad) : NULL;
    Err e = OK;
    for (const struct addrinfo *a = list; a && e == OK; a = a->ai_next) {
        int fd = bind_socket(a, port);
        if (fd >= 0)
            close(fd);
        else if (errno == EADDRINUSE || errno == EACCES) /* all else is gateway_listen's to say */
            e = ERR_IO;
    }
    if (e != OK) *why = cannot_listen(arena, host, port);
    if (list) freeaddrinfo(list);
    return e;
}

void gateway_close_listeners(Gateway *g) {
    for (size_t i = 0; i < g->listeners_n; i++) {
        Listener *in = g->listeners[i];
        reactor_watch(g->reactors[0], &in->watch, 0);
        close(in->watch.fd);
        free(in);
    }
    g->listeners_n = 0;
}

Gateway *gateway_new(const GatewayOptions *options, Reactor **reactors, size_t n) {
    Gateway *g = mem_new(sizeof *g);
    g->o = *options;
    g->reactors_n = n < GATEWAY_REACTORS_MAX ? n : GATEWAY_REACTORS_MAX;
    for (size_t i = 0; i < g->reactors_n; i++) g->reactors[i] = reactors[i];
    g->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    pthread_mutex_init(&g->threads_lock, NULL);
    pthread_cond_init(&g->threads_over, NULL);
    if (options->rates) g->rates = rates_new();
    return g;
}

void gateway_free(Gateway *g) {
    if (g->reserve_fd >= 0) close(g->reserve_fd);
    rates_free(g->rates);
    pthread_cond_destroy(&g->threads_over);
    pthread_mutex_destroy(&g->threads_lock);
    free(g);
}

const GatewayCounters *gateway_counters(const Gateway *g) {
    return &g->counters;
}
