#include "services/lambda/peer.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LOOKS_MAX = 16384 }; /* at descriptors, so that who opens many does not hold the runner up */

/* ------------------------------------------------------------------------------------------------ which socket */

typedef struct {
    struct nlmsghdr head;
    struct inet_diag_req_v2 ask;
} Question;

/* 0: not told. */
static unsigned long inode_by_netlink(const struct sockaddr_in *from, const struct sockaddr_in *to) {
    Question q = { .head = { .nlmsg_len = sizeof q, .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST },
                   .ask = { .sdiag_family = AF_INET, .sdiag_protocol = IPPROTO_TCP, .idiag_states = ~0u } };
    q.ask.id = (struct inet_diag_sockid){ .idiag_sport = from->sin_port,
                                          .idiag_dport = to->sin_port,
                                          .idiag_src = { from->sin_addr.s_addr },
                                          .idiag_dst = { to->sin_addr.s_addr },
                                          .idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE } };
    union {
        struct nlmsghdr head;
        char bytes[4096];
    } answer;
    unsigned long inode = 0;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0) return 0;
    if (send(fd, &q, sizeof q, 0) == (ssize_t)sizeof q) {
        ssize_t n = recv(fd, &answer, sizeof answer, 0);
        if (n >= (ssize_t)NLMSG_LENGTH(sizeof(struct inet_diag_msg)) && answer.head.nlmsg_type == SOCK_DIAG_BY_FAMILY)
            inode = ((struct inet_diag_msg *)NLMSG_DATA(&answer.head))->idiag_inode;
    }
    close(fd);
    return inode;
}

static unsigned long inode_by_table(const struct sockaddr_in *from, const struct sockaddr_in *to) {
    char line[512], want[64];
    unsigned long inode = 0;
    FILE *f = fopen("/proc/self/net/tcp", "re");
    snprintf(want, sizeof want, "%08X:%04X %08X:%04X", from->sin_addr.s_addr, ntohs(from->sin_port),
             to->sin_addr.s_addr, ntohs(to->sin_port));
    while (f && fgets(line, sizeof line, f)) {
        const char *at = strchr(line, ':');
        if (!at || strncmp(at + 2, want, strlen(want)) != 0) continue;
        if (sscanf(at + 2 + strlen(want), " %*s %*s %*s %*s %*s %*s %lu", &inode) != 1) inode = 0;
        break;
    }
    if (f) fclose(f);
    return inode;
}

/* ------------------------------------------------------------------------------------------------ who holds it */

static Peer holds(const char *pid, const char *socket, int *looks) {
    char path[64], to[64];
    snprintf(path, sizeof path, "/proc/%s/fd", pid);
    DIR *d = opendir(path);
    if (!d) return errno == EACCES || errno == EPERM ? PEER_UNKNOWN : PEER_FOREIGN;
    Peer found = PEER_FOREIGN;
    const struct dirent *e;
    while (found == PEER_FOREIGN && *looks > 0 && (e = readdir(d))) {
        ssize_t n = readlinkat(dirfd(d), e->d_name, to, sizeof to - 1);
        (*looks)--;
        if (n <= 0) continue;
        to[n] = 0;
        if (strcmp(to, socket) == 0) found = PEER_OWN;
    }
    closedir(d);
    return found;
}

static bool namespace_of(const char *pid, char *out, size_t size) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%s/ns/pid", pid);
    ssize_t n = readlink(path, out, size - 1);
    if (n > 0) out[n] = 0;
    return n > 0;
}

static bool same_session(const char *pid, pid_t session) {
    return getsid((pid_t)strtol(pid, NULL, 10)) == session;
}

static Peer among_its_own(const char *pid, pid_t process, bool contained, const char *socket, int *looks) {
    char own[64], other[64];
    if (contained && !namespace_of(pid, own, sizeof own)) return PEER_FOREIGN;
    DIR *d = opendir("/proc");
    if (!d) return PEER_UNKNOWN;
    Peer found = PEER_FOREIGN;
    const struct dirent *e;
    while (found != PEER_OWN && *looks > 0 && (e = readdir(d))) {
        if (!isdigit((unsigned char)e->d_name[0])) continue;
        bool ours = contained ? namespace_of(e->d_name, other, sizeof other) && strcmp(own, other) == 0
                              : same_session(e->d_name, process);
        if (ours && holds(e->d_name, socket, looks) == PEER_OWN) found = PEER_OWN;
    }
    closedir(d);
    return found;
}

Peer peer_of(int fd, pid_t process, bool contained) {
    struct sockaddr_in from, to;
    socklen_t from_bytes = sizeof from, to_bytes = sizeof to;
    char pid[16], socket[64];
    int looks = LOOKS_MAX;
    if (getpeername(fd, (struct sockaddr *)&from, &from_bytes) || getsockname(fd, (struct sockaddr *)&to, &to_bytes))
        return PEER_FOREIGN;
    unsigned long inode = inode_by_netlink(&from, &to);
    if (!inode) inode = inode_by_table(&from, &to);
    if (!inode) return PEER_FOREIGN; /* it is closed already, or is not of this machine */
    snprintf(pid, sizeof pid, "%d", (int)process);
    snprintf(socket, sizeof socket, "socket:[%lu]", inode);
    Peer found = holds(pid, socket, &looks);
    return found == PEER_FOREIGN ? among_its_own(pid, process, contained, socket, &looks) : found;
}
