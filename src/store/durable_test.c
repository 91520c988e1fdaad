#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rng.h"
#include "store/store_fixture.h"
#include "store/worker.h"

/* Is what was acknowledged there after the process died? A child (this program, started again) writes through the
 * workers and acknowledges each job over a pipe; it is killed with SIGKILL in full swing; the store is opened
 * again and compared with the acknowledgements.
 *
 * SIGKILL alone shows that nothing acknowledged waits in the process's own memory and that recovery works. It
 * cannot show that the disk was asked to sync: the kernel keeps what was written, synced or not. So a second
 * form cuts the power, too: this program's own fdatasync and fsync (RocksDB finds them before libc's) note how
 * long each file was when it was synced, and after the kill each log is cut to that length, the worst that a
 * disk may do to bytes nobody synced. What neither shows: a disk that lies about having synced, and directory
 * entries that were not. */

enum { CHAINS = 64, FILES_MAX = 256 };

typedef struct {
    struct {
        _Atomic uint64_t inode;
        _Atomic int64_t synced_bytes;
    } file[FILES_MAX];
} Disk; /* shared by parent and child */

typedef struct {
    int32_t chain, number;
} Ack;

/* Set in the child before it opens the store; the two functions below have no other way to know it. */
static Disk *disk;

static void note_synced(uint64_t inode, int64_t bytes) {
    for (int i = 0; i < FILES_MAX; i++) {
        uint64_t free_slot = 0;
        if (disk->file[i].inode == inode || atomic_compare_exchange_strong(&disk->file[i].inode, &free_slot, inode)) {
            disk->file[i].synced_bytes = bytes;
            return;
        }
    }
    abort();
}

static int sync_and_note(int fd, long call) {
    struct stat st;
    int known = fstat(fd, &st); /* before: what is appended meanwhile may not be on disk */
    int r = (int)syscall(call, fd);
    if (r == 0 && known == 0 && disk && S_ISREG(st.st_mode)) note_synced(st.st_ino, st.st_size);
    return r;
}

int fdatasync(int fd) {
    return sync_and_note(fd, SYS_fdatasync);
}

int fsync(int fd) {
    return sync_and_note(fd, SYS_fsync);
}

/* ---- the child ---- */

typedef struct {
    Job job;
    Workers *workers;
    int32_t chain, number;
    int ack_fd;
} Link;

static void name_of(char name[24], int chain, int number) {
    snprintf(name, 24, "c%02d/%08d", chain, number);
}

static Err link_run(Job *job, Txn *txn) {
    Link *l = (Link *)job;
    char name[24];
    name_of(name, l->chain, l->number);
    Err e = txn_put(txn, str_c(name), S("acknowledged"));
    return e == OK ? txn_add(txn, S("total"), 1) : e;
}

static void link_done(Job *job, Err e) {
    Link *l = (Link *)job;
    Ack ack = { l->chain, l->number };
    if (e != OK || write(l->ack_fd, &ack, sizeof ack) != sizeof ack) _exit(1);
    l->number++;
    workers_submit(l->workers, job);
}

/* How many numbers of a chain are there; -1 when there is a gap. */
static int chain_length(Txn *txn, int chain) {
    char from[24], to[24];
    name_of(from, chain, 0);
    snprintf(to, sizeof to, "c%02d0", chain); /* '0' follows '/' */
    Scan *s;
    Str key, value;
    int n = 0;
    if (scan_begin(txn, str_c(from), str_c(to), false, &s) != OK) return -1;
    while (n >= 0 && scan_next(s, &key, &value)) {
        char name[24];
        name_of(name, chain, n);
        n = str_eq(key, str_c(name)) ? n + 1 : -1;
    }
    return scan_end(s) == OK ? n : -1;
}

static Disk *map_disk(int fd) {
    void *p = mmap(NULL, sizeof(Disk), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return p == MAP_FAILED ? NULL : p;
}

static int child_main(const char *dir, int ack_fd, int disk_fd, bool skip_sync) {
    disk = map_disk(disk_fd);
    Arena arena = { 0 };
    Store *store;
    Str why;
    Txn *txn;
    StoreOptions o = { .engine = "rocksdb", .dir = dir, .skip_sync = skip_sync };
    if (store_open(&o, &arena, &store, &why) != OK || txn_begin(store, &txn) != OK) return 1;
    Link *links = mem_new(CHAINS * sizeof *links);
    Workers *w = workers_start(store, 2);
    for (int i = 0; i < CHAINS; i++)
        links[i] = (Link){ .job = { .key = (uint64_t)i, .run = link_run, .done = link_done },
                           .workers = w,
                           .chain = i,
                           .number = chain_length(txn, i),
                           .ack_fd = ack_fd };
    txn_abort(txn);
    for (int i = 0; i < CHAINS; i++) workers_submit(w, &links[i].job);
    for (;;) pause();
}

/* ---- the parent ---- */

typedef struct {
    char dir[64];
    int disk_fd;
    Disk *disk;
    int acked[CHAINS]; /* how many of each chain */
    Rng rng;
} Checker;

static pid_t child_start(const Checker *c, bool skip_sync, int *ack_fd) {
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char ack[16], disk_text[16];
        snprintf(ack, sizeof ack, "%d", fds[1]);
        snprintf(disk_text, sizeof disk_text, "%d", c->disk_fd);
        close(fds[0]);
        execl("/proc/self/exe", "durable_test", "child", c->dir, ack, disk_text, skip_sync ? "skip" : "sync",
              (char *)NULL);
        _exit(127);
    }
    close(fds[1]);
    *ack_fd = fds[0];
    return pid;
}

static bool read_ack(int fd, Checker *c) {
    Ack a;
    if (read(fd, &a, sizeof a) != sizeof a) return false;
    assert_int_equal(a.number, c->acked[a.chain]); /* in order, none twice */
    c->acked[a.chain] = a.number + 1;
    return true;
}

static void run_and_kill(Checker *c, bool skip_sync) {
    int fd, acks = 100 + (int)(rng_u64(&c->rng) % 2000), status;
    pid_t pid = child_start(c, skip_sync, &fd);
    for (int i = 0; i < acks; i++) assert_true(read_ack(fd, c));
    assert_int_equal(kill(pid, SIGKILL), 0);
    while (read_ack(fd, c)) {
    } /* those it sent before it died */
    close(fd);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
}

static int64_t synced_bytes(const Checker *c, uint64_t inode) {
    for (int i = 0; i < FILES_MAX; i++)
        if (c->disk->file[i].inode == inode) return c->disk->file[i].synced_bytes;
    return 0;
}

static void cut_power(const Checker *c) {
    DIR *d = opendir(c->dir);
    char path[512];
    for (struct dirent *f; (f = readdir(d));) {
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", c->dir, f->d_name);
        if (!strstr(f->d_name, ".log") || stat(path, &st) != 0) continue;
        int64_t keep = synced_bytes(c, st.st_ino);
        if (keep < st.st_size) assert_int_equal(truncate(path, keep), 0);
    }
    closedir(d);
}

/* How many acknowledged jobs are not there. What is there must be whole: no gaps, and the counter agrees. */
static int lost(Checker *c) {
    Arena arena = { 0 };
    Store *store;
    Str why;
    Txn *txn;
    StoreOptions o = { .engine = "rocksdb", .dir = c->dir };
    assert_int_equal(store_open(&o, &arena, &store, &why), OK);
    assert_int_equal(txn_begin(store, &txn), OK);
    int missing = 0;
    int64_t there = 0, total;
    for (int i = 0; i < CHAINS; i++) {
        int n = chain_length(txn, i);
        assert_true(n >= 0);
        if (n < c->acked[i]) missing += c->acked[i] - n;
        c->acked[i] = n; /* written, and known to be: the next child goes on from here */
        there += n;
    }
    assert_int_equal(txn_counter(txn, S("total"), &total), OK);
    assert_int_equal(total, there);
    txn_abort(txn);
    store_close(store);
    arena_free(&arena);
    return missing;
}

static int lost_in_rounds(int rounds, bool power_cut, bool skip_sync) {
    Checker c = { .dir = "/var/tmp/starling-durable-XXXXXX", .rng = { .state = 11 } };
    assert_non_null(mkdtemp(c.dir));
    c.disk_fd = memfd_create("disk", 0);
    assert_int_equal(ftruncate(c.disk_fd, sizeof(Disk)), 0);
    assert_non_null(c.disk = map_disk(c.disk_fd));
    int missing = 0;
    for (int i = 0; i < rounds; i++) {
        run_and_kill(&c, skip_sync);
        if (power_cut) cut_power(&c);
        missing += lost(&c);
    }
    munmap(c.disk, sizeof(Disk));
    close(c.disk_fd);
    remove_dir(c.dir);
    return missing;
}

static void kill_9_loses_nothing_acknowledged(void **state) {
    (void)state;
    assert_int_equal(lost_in_rounds(5, false, false), 0);
}

static void a_power_cut_loses_nothing_acknowledged(void **state) {
    (void)state;
    assert_int_equal(lost_in_rounds(5, true, false), 0);
}

static void a_skipped_sync_is_found_by_the_power_cut(void **state) {
    (void)state;
    assert_true(lost_in_rounds(1, true, true) > 0);
}

static void a_skipped_sync_is_not_found_by_kill_9_alone(void **state) {
    (void)state;
    assert_int_equal(lost_in_rounds(1, false, true), 0);
}

int main(int argc, char **argv) {
    if (argc == 6 && strcmp(argv[1], "child") == 0)
        return child_main(argv[2], atoi(argv[3]), atoi(argv[4]), strcmp(argv[5], "skip") == 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kill_9_loses_nothing_acknowledged),
        cmocka_unit_test(a_power_cut_loses_nothing_acknowledged),
        cmocka_unit_test(a_skipped_sync_is_found_by_the_power_cut),
        cmocka_unit_test(a_skipped_sync_is_not_found_by_kill_9_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
