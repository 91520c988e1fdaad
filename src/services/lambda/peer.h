/* Peer: whose connection to a Runtime API it is. All functions share the machine's loopback and can list what listens
 * there, so an address is no secret, and who asks is looked up. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

typedef enum { PEER_OWN, PEER_FOREIGN, PEER_UNKNOWN /* this kernel, or sandbox, does not tell */ } Peer;

/* Whether the other end of `fd`, which is connected over the loopback, is held by the process or by one of its own:
 * of its namespace of processes when `contained`, else of its session. */
Peer peer_of(int fd, pid_t process, bool contained);
