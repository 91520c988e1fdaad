#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "store/rocksdb/rocksdb.h"

/* A disk that fills. RocksDB must not meet it: what it has in memory has to reach tables later, and a log whose write
 * failed once ends the process at the next one (an assertion, with which Debian builds it), even after RocksDB declared
 * itself healed. So writes are refused before there is no room at all, reads go on, and what was refused is accepted
 * again as soon as there is room.
 *
 * Where a write fails all the same (somebody else took the room within an instant, the disk is broken), nothing is
 * written any more until the database was opened anew, which starts another log and takes over what the old one holds:
 * all that was acknowledged. It is tried at a later write, once a file of some size can be written and synced beside
 * it. Everybody who uses the database holds the gate; opening never waits for it, because who wants to write may
 * himself hold it, by a scan: then the next write tries. */

enum { TRIES_MAX = 50, TRY_US = 1000, PROBE_BYTES = 1 << 20, PIECE_BYTES = 1 << 16, PATH_BYTES = 4096 };

bool rocks_has_room(const char *dir, uint64_t bytes) {
    struct statvfs st;
    if (statvfs(dir, &st) != 0) return true; /* not known: then the write itself shows it */
    return (uint64_t)st.f_bavail * st.f_frsize >= bytes;
}

bool rocks_enter(Rocks *r) {
    pthread_rwlock_rdlock(&r->gate);
    if (r->db) return true;
    pthread_rwlock_unlock(&r->gate);
    return false;
}

void rocks_leave(Rocks *r) {
    pthread_rwlock_unlock(&r->gate);
}

/* A file as large as what opening writes comes onto the disk. */
static bool probe(const char *dir) {
    static const char piece[PIECE_BYTES];
    char path[PATH_BYTES];
    if (snprintf(path, sizeof path, "%s/PROBE", dir) >= (int)sizeof path) return false;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return false;
    bool ok = true;
    for (int n = 0; ok && n < PROBE_BYTES; n += PIECE_BYTES) ok = write(fd, piece, sizeof piece) == sizeof piece;
    ok = ok && fdatasync(fd) == 0;
    close(fd);
    unlink(path);
    return ok;
}

static bool shut_gate(Rocks *r) {
    for (int i = 0; i < TRIES_MAX; i++) {
        if (pthread_rwlock_trywrlock(&r->gate) == 0) return true;
        usleep(TRY_US);
    }
    return false;
}

static Err reopen(Rocks *r) {
    char *error = NULL;
    if (!probe(r->dir)) return ERR_IO;
    if (!shut_gate(r)) return ERR_IO;
    if (atomic_load(&r->failed)) { /* else another thread did it meanwhile */
        if (r->db) rocksdb_close(r->db);
        r->db = NULL;
        if (rocks_db_open(r, &error) == OK) atomic_store(&r->failed, false);
        if (error) rocksdb_free(error);
    }
    bool failed = atomic_load(&r->failed);
    pthread_rwlock_unlock(&r->gate);
    return failed ? ERR_IO : OK;
}

/* What was written until now is on the disk after a sync of the log. */
Err rocks_tend(void *engine, bool sync) {
    Rocks *r = engine;
    Err e = rocks_writable(r);
    if (e != OK || !sync) return e;
    if (!rocks_enter(r)) return ERR_IO;
    char *error = NULL;
    pthread_mutex_lock(&r->noting);
    uint64_t position = rocksdb_get_latest_sequence_number(r->db);
    if (position > atomic_load(&r->noted)) {
        rocksdb_flush_wal(r->db, 1, &error);
        e = rocks_err(error);
        if (e == OK) {
            rocks_note(r->dir, position);
            atomic_store(&r->noted, position);
        }
    }
    pthread_mutex_unlock(&r->noting);
    rocks_leave(r);
    return e;
}

Err rocks_writable(Rocks *r) {
    if (!rocks_has_room(r->dir, ROOM_BYTES)) return ERR_FULL;
    return atomic_load(&r->failed) ? reopen(r) : OK;
}
