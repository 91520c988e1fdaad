/* Directory: from what a client presents to the Principal that it is: its certificate, attached policies (its own
 * and those of its things' groups with their ancestors) and things. Kept in memory for those that are live or were
 * used lately, loaded by workers, replaced when something it is made of changes.
 * Safe from every thread. Knows no sockets; who holds connections listens. */
#pragma once

#include "identity/principal.h"
#include "store/worker.h"

typedef struct Directory Directory;

typedef struct {
    Store *store;
    Workers *workers;
    Str account, region; /* the default ones; certificates of every account are of this region */
    size_t idle_max;     /* principals kept that no connection holds; 0: 10000 */
} DirectoryOptions;

Directory *directory_open(const DirectoryOptions *options);
void directory_close(Directory *d); /* accepts NULL; after workers_stop */

/* Who it is, or why not. */
typedef struct {
    Err error; /* OK; ERR_NOT_FOUND: not registered; ERR_DENIED: not ACTIVE, or outside its dates; ERR_IO … */
    const Principal *principal; /* OK: retained for who asked (principal_release it); else NULL */
    const char *reason;         /* else AWS's name for it: DEVICE_CERTIFICATE_NOT_REGISTERED, _INACTIVE, _REVOKED,
                                   _EXPIRED, INTERNAL_SERVER_ERROR; lives for ever. Source: AuthNError log entries */
    const char *status;         /* registered: its status, "PENDING_ACTIVATION" …; else NULL */
} DirectoryAnswer;
/* Called once, on a worker's thread. */
typedef void DirectoryDoneFn(void *ctx, const DirectoryAnswer *answer);

/* The certificate with this fingerprint (lower-case hex SHA-256 of its DER) was presented, its key proven.
 * account: chosen by SNI; or STR_NONE: the default one where it is registered there, else the one that it means by
 * itself (certificate_home_find). The answer's principal says which.
 * Returns OK at once with *out filled when it is cached (done is not called then), else ERR_AGAIN: done comes later. */
NODISCARD Err directory_certificate(Directory *d, Str account, Str fingerprint, DirectoryDoneFn *done, void *ctx,
                                    const Principal **out);

/* The principal of the loopback listener without TLS: allowed everything of iot. Retained for the caller. */
const Principal *directory_plain(Directory *d);

/* After a commit, from an outbox: what is cached and made of these is loaded again. Thread: any. */
void directory_certificate_changed(Directory *d, Str account,
                                   Str certificate_id); /* registered, status, policies, things */
/* Made, deleted, or another default version. Reads the store, so: on a thread that may. When it returns, whatever is
 * bound from now on has it. */
void directory_policy_changed(Directory *d, Str account, Str policy_name);
void directory_group_changed(Directory *d, Str account, Str group_name); /* its policies, its parent, or gone */
void directory_thing_changed(Directory *d, Str account, Str thing_name); /* attributes, type, groups */
void directory_type_changed(Directory *d, Str account, Str type_name);   /* what it adds to publishes */
/* All that is cached is loaded again, as the store holds it now. Reads the store, too. */
void directory_all_changed(Directory *d);

/* Told after the cache is current, on a worker's thread, once a change: a snapshot was replaced by `now` (borrowed;
 * retain it to keep it), or may not be connected any more (NULL). Calls for one principal come in order. */
typedef void DirectoryListener(void *ctx, Str account, Str principal_id, const Principal *now);
/* Told within directory_policy_changed: a policy that somebody has stands for something else now. Who keeps what
 * principal_bind made of a principal of this account binds again. */
typedef void DirectoryPolicyListener(void *ctx, Str account);
/* One of each, the second may be NULL; before the first lookup. */
void directory_listen(Directory *d, DirectoryListener *listener, DirectoryPolicyListener *policies, void *ctx);

/* Grows with each change, before directory_*_changed returns: connections compare it. */
uint64_t directory_generation(const Directory *d);
/* After a commit: a custom authorizer is not what it was, so what any of them said is not kept any longer. */
void directory_authorizers_changed(Directory *d);
uint64_t directory_authorizers(const Directory *d); /* grows with each such change */
size_t directory_cached(Directory *d);              /* principals in memory, for /metrics */
