#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "services/lambda/runner_internal.h"

/* The interpreter is asked once where it lives: what it names may be a script that chooses one, and a function's file
 * system must have its folders. Only this thread waits for it. */

enum { ANSWER_MS_MAX = 20000, VISIBLE_MAX = 24 };

static const char QUESTION[] = "import sys, os, awslambdaric\n"
                               "print('python%d.%d' % sys.version_info[:2])\n"
                               "print('\\n'.join(dict.fromkeys([sys.executable, sys.prefix, sys.base_prefix,"
                               " os.path.dirname(os.path.realpath(sys.executable)),"
                               " *[p for p in sys.path if os.path.isdir(p)]])))";

static Str read_all(int fd, Arena *a) {
    Writer w = writer_in(a);
    int64_t until = runner_now_ms() + ANSWER_MS_MAX;
    for (;;) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        int64_t left = until - runner_now_ms();
        if (left <= 0 || poll(&p, 1, (int)left) <= 0) break;
        uint8_t piece[4096];
        ssize_t n = read(fd, piece, sizeof piece);
        if (n <= 0 || w.len > (64 << 10)) break;
        writer_bytes(&w, (Str){ piece, (size_t)n });
    }
    return writer_str(&w);
}

static bool ask(const char *python, Arena *a, Str *answer, int *status) {
    extern char **environ;
    char *argv[] = { str_dup_c(a, str_c(python)), str_dup_c(a, S("-c")), str_dup_c(a, str_c(QUESTION)), NULL };
    int fds[2];
    pid_t pid;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none;
    if (pipe2(fds, O_CLOEXEC)) return false;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_init(&attr);
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
    int failed = posix_spawnp(&pid, python, &actions, &attr, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    close(fds[1]);
    if (!failed) {
        *answer = read_all(fds[0], a);
        kill(pid, SIGKILL); /* ended, or silent for too long */
        waitpid(pid, status, 0);
    }
    close(fds[0]);
    return !failed;
}

void python_find(Runner *r) {
    if (r->python.asked && !r->python.error.ptr) return;
    const char *python = r->o.python;
    Str answer = STR_NONE;
    int status = 0;
    Arena a = { 0 };
    bool ran = ask(python, &a, &answer, &status);
    r->python.asked = true;
    r->python.error = STR_NONE;
    if (!ran || str_find(answer, '\n') == SIZE_MAX) {
        r->python.error = str_format(&r->arena,
                                     "python functions need an interpreter that can import awslambdaric, '%s' %s: pip "
                                     "install awslambdaric for it, or name another by --lambda-python",
                                     python, ran ? "cannot" : "is not found");
        arena_free(&a);
        return;
    }
    Str rest = str_dup(&r->arena, answer);
    r->python.version = str_cut(&rest, '\n');
    r->python.program = str_dup_c(&r->arena, str_cut(&rest, '\n'));
    r->python.visible = (const char **)arena_array(&r->arena, char *, VISIBLE_MAX + 1);
    for (size_t n = 0; rest.len && n < VISIBLE_MAX;) {
        Str path = str_cut(&rest, '\n');
        if (path.len) r->python.visible[n++] = str_dup_c(&r->arena, path);
    }
    arena_free(&a);
}
