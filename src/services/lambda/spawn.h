/* Spawn: starts a process that may harm nobody. With the kernel's namespaces it has a file system of its own (the
 * system's folders and its code to read, a /tmp of its own), sees no process but its own, and dies whole; where these
 * are not to be had, Landlock keeps it to its folders. Never gains a right, has limits of memory and processes. */
#pragma once

#include <sys/types.h>

#include "base/arena.h"

typedef struct {
    char *const *argv, *const *envp; /* argv[0]: the program's path */
    const char *code_dir;            /* contained: its /var/task */
    const char *tmp_dir;             /* not contained: what it may write to */
    const char *root_dir;       /* contained: an empty folder that its file system is mounted on, unseen by others */
    const char *const *visible; /* further folders that it may read, NULL at the end */
    int64_t memory_mb, tmp_mb;
    int out_fd, err_fd; /* its standard output and error */
    bool contained;
} SpawnSpec;

typedef struct {
    pid_t pid;
    int fd; /* pidfd: readable when it has ended */
} Spawned;

/* Errors: ERR_NOT_IMPLEMENTED: the kernel gives no namespaces (only when `contained`); ERR_IO; *why says what failed */
NODISCARD Err spawn_process(const SpawnSpec *spec, Arena *arena, Spawned *out, Str *why);
/* It, and what it started. */
void spawn_kill(pid_t pid);
