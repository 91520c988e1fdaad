#include "services/lambda/spawn.h"

#include "services/lambda/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The child is made as posix_spawn makes its own: it shares our memory until it executes, so a server of many
 * gigabytes is not copied, and says what failed by writing it there. Between clone and exec it only makes system calls,
 * on strings that were laid out before; identities are changed by bare system calls, as the C library would change all
 * our threads'.
 * Its uid: nobody's where we are root. Where we are not, a user namespace gives the right to mount. */

enum { STACK_BYTES = 256 << 10, NOBODY = 65534, PROCESSES_MAX = 16384, OPEN_FILES_MAX = 1024, MEMORY_SPARE_MB = 64 };

typedef struct {
    const char *from, *to; /* to: below the new root, without its first slash */
    bool folder, writable;
} Mount;

enum { MOUNTS_MAX = 48 };

typedef struct {
    const SpawnSpec *spec;
    Mount mounts[MOUNTS_MAX];
    size_t mounts_n;
    const char *tmp_options;
    Filter filter;
    char *uid_map, *gid_map; /* NULL: no user namespace */
    bool drop;               /* to nobody */
    const char *failed;      /* which step, when the child could not go on */
    int error;
} Plan;

static const char *const SYSTEM[] = {
    "/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/opt", "/run/systemd/resolve"
};
static const char *const DEVICES[] = { "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom" };

static bool is_folder(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static void add_mount(Plan *p, const char *from, const char *to, bool folder, bool writable) {
    if (p->mounts_n < MOUNTS_MAX) p->mounts[p->mounts_n++] = (Mount){ from, to + 1, folder, writable };
}

static bool shown_already(const Plan *p, const char *path) {
    for (size_t i = 0; i < p->mounts_n; i++) {
        size_t n = strlen(p->mounts[i].to);
        if (strncmp(path + 1, p->mounts[i].to, n) == 0 && (path[1 + n] == '/' || path[1 + n] == 0)) return true;
    }
    return false;
}

static void plan_mounts(Plan *p) {
    for (size_t i = 0; i < sizeof SYSTEM / sizeof *SYSTEM; i++)
        if (is_folder(SYSTEM[i])) add_mount(p, SYSTEM[i], SYSTEM[i], true, false);
    for (const char *const *v = p->spec->visible; v && *v; v++)
        if (**v == '/' && is_folder(*v) && !shown_already(p, *v)) add_mount(p, *v, *v, true, false);
    for (size_t i = 0; i < sizeof DEVICES / sizeof *DEVICES; i++) add_mount(p, DEVICES[i], DEVICES[i], false, true);
    add_mount(p, p->spec->code_dir, "/var/task", true, false);
}

/* ------------------------------------------------------------------------------------------------ in the child */

static bool failed(Plan *p, const char *step) {
    p->failed = step;
    p->error = errno;
    return false;
}

static bool write_all(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0) close(fd);
    return ok;
}

static bool make_path(const char *path, bool folder) {
    char text[4096];
    size_t n = strlen(path);
    if (n >= sizeof text) return false;
    memcpy(text, path, n + 1);
    for (size_t i = 1; i < n; i++) {
        if (text[i] != '/') continue;
        text[i] = 0;
        if (mkdir(text, 0755) && errno != EEXIST && errno != EROFS) return false;
        text[i] = '/';
    }
    if (folder) return mkdir(text, 0755) == 0 || errno == EEXIST || errno == EROFS;
    int fd = open(text, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd >= 0) close(fd);
    return fd >= 0;
}

static bool bind_one(Plan *p, const Mount *m) {
    struct statvfs st;
    if (!make_path(m->to, m->folder)) return failed(p, m->from);
    if (mount(m->from, m->to, NULL, MS_BIND | MS_REC, NULL)) return failed(p, m->from);
    if (m->writable) return true;
    unsigned long flags = MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID;
    if (statvfs(m->to, &st) == 0) /* a user namespace may not take these away */
        flags |= (st.f_flag & ST_NODEV ? MS_NODEV : 0u) | (st.f_flag & ST_NOEXEC ? MS_NOEXEC : 0u);
    if (mount(NULL, m->to, NULL, flags, NULL)) return failed(p, m->from);
    return true;
}

static bool own_files(Plan *p) {
    if (p->uid_map && (!write_all("/proc/self/setgroups", "deny") || !write_all("/proc/self/uid_map", p->uid_map) ||
                       !write_all("/proc/self/gid_map", p->gid_map)))
        return failed(p, "the user namespace");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) return failed(p, "the mount namespace");
    if (mount("tmpfs", p->spec->root_dir, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=755") ||
        chdir(p->spec->root_dir))
        return failed(p, p->spec->root_dir);
    for (size_t i = 0; i < p->mounts_n; i++)
        if (!bind_one(p, &p->mounts[i])) return false;
    if (!make_path("proc", true) || mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
        return failed(p, "/proc");
    if (!make_path("tmp", true) || mount("tmpfs", "tmp", "tmpfs", MS_NOSUID | MS_NODEV, p->tmp_options))
        return failed(p, "/tmp");
    if (mount(NULL, ".", NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, "size=1m,mode=755"))
        return failed(p, "the new root");
    if (syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/var/task"))
        return failed(p, "the new root");
    return true;
}

#define LANDLOCK_READ (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define LANDLOCK_ALL ((1ull << 13) - 1) /* of its first version */

static void landlock_allow(int set, const char *path, uint64_t rights) {
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0) return;
    struct landlock_path_beneath_attr beneath = { .allowed_access = rights, .parent_fd = fd };
    (void)!syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0);
    close(fd);
}

/* As the kernel has it since its 6th version of Landlock (6.12): no signals to processes outside, so not to the server,
 * and no sockets that are names only. Older headers lack the last two members. */
typedef struct {
    uint64_t handled_access_fs, handled_access_net, scoped;
} LandlockRules;

enum { LANDLOCK_WITH_SCOPES = 6, SCOPE_ABSTRACT_UNIX_SOCKET = 1, SCOPE_SIGNAL = 2 };

/* A kernel without Landlock leaves only the limits. */
static void keep_to_folders(Plan *p) {
    LandlockRules all = { .handled_access_fs = LANDLOCK_ALL };
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    size_t size = sizeof all.handled_access_fs;
    if (version >= LANDLOCK_WITH_SCOPES) {
        all.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL;
        size = sizeof all;
    }
    int set = (int)syscall(SYS_landlock_create_ruleset, &all, size, 0);
    if (set < 0) return;
    for (size_t i = 0; i < p->mounts_n; i++) {
        const Mount *m = &p->mounts[i];
        if (m->folder) landlock_allow(set, m->from, LANDLOCK_READ);
        if (!m->folder) landlock_allow(set, m->from, LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE);
    }
    landlock_allow(set, "/proc", LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR);
    landlock_allow(set, p->spec->tmp_dir, LANDLOCK_ALL);
    (void)!syscall(SYS_landlock_restrict_self, set, 0);
    close(set);
}

static void limit(int what, rlim_t most) {
    struct rlimit r = { most, most }, now;
    if (getrlimit((__rlimit_resource_t)what, &now) == 0 && now.rlim_max < most)
        r = (struct rlimit){ now.rlim_max, now.rlim_max };
    (void)!setrlimit((__rlimit_resource_t)what, &r);
}

static void set_limits(const Plan *p) {
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_NOFILE, OPEN_FILES_MAX);
    limit(RLIMIT_DATA, (rlim_t)(p->spec->memory_mb + MEMORY_SPARE_MB) << 20);
    limit(RLIMIT_FSIZE, (rlim_t)p->spec->tmp_mb << 20);
    /* It counts all processes of a user: for one who logs in it would be none, and for nobody it bounds what can be
     * made between two looks at one instance. */
    if (p->drop) limit(RLIMIT_NPROC, PROCESSES_MAX);
}

static bool give_rights_up(Plan *p) {
    for (int cap = 0; cap < 64; cap++) prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    if (p->drop && (syscall(SYS_setgroups, 0, NULL) || syscall(SYS_setresgid, NOBODY, NOBODY, NOBODY) ||
                    syscall(SYS_setresuid, NOBODY, NOBODY, NOBODY)))
        return failed(p, "the user nobody");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return failed(p, "no_new_privs");
    (void)!filter_apply(&p->filter);
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct none[2] = { { 0 } };
    syscall(SYS_capset, &head, none);
    return true;
}

static void restore_signals(void) {
    struct sigaction plain = { .sa_handler = SIG_DFL };
    sigset_t none;
    for (int s = 1; s < 32; s++) sigaction(s, &plain, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool standard_files(const Plan *p) {
    int in = open("/dev/null", O_RDONLY);
    return in >= 0 && dup2(in, 0) == 0 && dup2(p->spec->out_fd, 1) == 1 && dup2(p->spec->err_fd, 2) == 2;
}

__attribute__((no_sanitize("address", "thread", "undefined"))) static int child(void *arg) {
    Plan *p = arg;
    const SpawnSpec *s = p->spec;
    setsid();
    if (s->contained ? !own_files(p) : chdir(s->code_dir) && !failed(p, s->code_dir)) _exit(127);
    if (!standard_files(p)) {
        failed(p, "its standard files");
        _exit(127);
    }
    syscall(SYS_close_range, 3u, ~0u, 4u); /* when it executes */
    set_limits(p);
    if (!give_rights_up(p)) _exit(127);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);                    /* with the server, even by kill -9 */
    if (!s->contained) prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* so that all it starts stays in its tree */
    if (!s->contained) keep_to_folders(p);
    restore_signals();
    execve(s->argv[0], s->argv, s->envp);
    failed(p, s->argv[0]);
    _exit(127);
}

/* ------------------------------------------------------------------------------------------------ in the server */

/* What passes: the machine, or the limit that the server is kept in, has nothing left at this moment. */
static bool passes(int error) {
    return error == EAGAIN || error == ENOMEM || error == EMFILE || error == ENFILE;
}

static Err refused(const Plan *p, Arena *arena, Str *why) {
    *why = str_format(arena, "%s: %s", p->failed, strerror(p->error));
    bool ours = p->spec->contained && p->failed != p->spec->argv[0];
    return ours && !passes(p->error) ? ERR_NOT_IMPLEMENTED : ERR_IO;
}

Err spawn_process(const SpawnSpec *spec, Arena *arena, Spawned *out, Str *why) {
    bool root = geteuid() == 0;
    Plan p = { .spec = spec, .drop = root && spec->contained };
    int flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, fd = -1;
    plan_mounts(&p);
    filter_make(&p.filter);
    if (spec->contained) {
        flags |= CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC;
        p.tmp_options = str_dup_c(arena, str_format(arena, "size=%lldm,mode=1777", (long long)spec->tmp_mb));
    }
    if (spec->contained && !root) {
        flags |= CLONE_NEWUSER;
        p.uid_map = str_dup_c(arena, str_format(arena, "%d %d 1", (int)geteuid(), (int)geteuid()));
        p.gid_map = str_dup_c(arena, str_format(arena, "%d %d 1", (int)getegid(), (int)getegid()));
    }
    void *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) {
        *why = S("no memory for a stack");
        return ERR_IO;
    }
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = clone(child, (char *)stack + STACK_BYTES, flags, &p, &fd);
    int error = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    munmap(stack, STACK_BYTES);
    if (pid < 0) {
        *why = str_format(arena, "clone: %s", strerror(error));
        return spec->contained && !passes(error) ? ERR_NOT_IMPLEMENTED : ERR_IO;
    }
    if (p.failed) {
        waitid(P_PID, (id_t)pid, NULL, WEXITED);
        close(fd);
        return refused(&p, arena, why);
    }
    *out = (Spawned){ pid, fd };
    return OK;
}

void spawn_kill(pid_t pid) {
    kill(-pid, SIGKILL);
    kill(pid, SIGKILL);
}
