#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/json.h"
#include "server/commands/commands.h"
#include "server/wire.h"

/* starling serve: opens everything, says where in DIR/ready.json, and waits for a signal. */

static void raise_file_limit(void) {
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
        r.rlim_cur = r.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &r)) return; /* then the lower limit holds */
    }
}

/* Source: sd_notify(3): one datagram to the socket that NOTIFY_SOCKET names. */
static void notify(const char *state) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    if (!path || strlen(path) >= sizeof a.sun_path) return;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    memcpy(a.sun_path, path, strlen(path));
    if (a.sun_path[0] == '@') a.sun_path[0] = 0;
    socklen_t n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (sendto(fd, state, strlen(state), 0, (struct sockaddr *)&a, n) < 0)
        fprintf(stderr, "starling: NOTIFY_SOCKET: %s\n", strerror(errno));
    close(fd);
}

static Err write_ready(const Server *s) {
    Arena a = { 0 };
    char *path = str_dup_c(&a, str_format(&a, "%s/ready.json", s->settings.data));
    char *fresh = str_dup_c(&a, str_format(&a, "%s.new", path));
    yyjson_mut_doc *d = json_doc(&a);
    yyjson_mut_val *o = yyjson_mut_obj(d);
    yyjson_mut_obj_add_int(d, o, "mqtt_port", s->mqtt_port);
    yyjson_mut_obj_add_int(d, o, "https_port", s->https_port);
    if (s->plain_port) yyjson_mut_obj_add_int(d, o, "plain_port", s->plain_port);
    yyjson_mut_obj_add_int(d, o, "pid", getpid());
    json_add_str(d, o, S("endpoint"), s->env.endpoint);
    json_add_str(d, o, S("region"), s->env.region);
    json_add_str(d, o, S("account"), s->env.account);
    Str text = json_write_mut(&a, o);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    bool ok = fd >= 0 && write(fd, text.ptr, text.len) == (ssize_t)text.len;
    if (fd >= 0) close(fd);
    ok = ok && rename(fresh, path) == 0;
    arena_free(&a);
    return ok ? OK : ERR_IO;
}

/* Whoever waits for the next start's file does not take this one's for it. */
static void remove_ready(const Server *s) {
    Arena a = { 0 };
    unlink(str_dup_c(&a, str_format(&a, "%s/ready.json", s->settings.data)));
    arena_free(&a);
}

static void say_ready(const Server *s) {
    log_line(&s->log, LOG_INFO, "ready mqtt_port=%d https_port=%d plain_port=%d data=%s pid=%d", s->mqtt_port,
             s->https_port, s->plain_port, s->settings.data, getpid());
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "starling is ready. In another terminal: eval \"$(starling env --data %s)\"\n",
                s->settings.data);
}

static void wait_for_signal(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    int got;
    sigwait(&set, &got);
}

static void block_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL); /* before any thread starts */
    signal(SIGPIPE, SIG_IGN);
}

static int run_until_signal(const Settings *settings) {
    Str why;
    raise_file_limit();
    block_signals();
    Server *s = mem_new(sizeof *s);
    Err e = server_open(s, settings, &why);
    if (e != OK) {
        const char *advice = e == ERR_CORRUPT && str_find_str(why, S("damaged")) == SIZE_MAX
                                 ? ": the data are damaged, restore them from a backup"
                                 : "";
        fprintf(stderr, "starling serve: %.*s%s\n", PS(why), advice);
        server_abandon(s);
        free(s);
        return 1;
    }
    server_run(s);
    if (write_ready(s) != OK)
        fprintf(stderr, "starling serve: cannot write %s/ready.json: %s\n", settings->data, strerror(errno));
    say_ready(s);
    notify("READY=1");
    wait_for_signal();
    notify("STOPPING=1");
    remove_ready(s);
    server_close(s);
    free(s);
    return 0;
}

static int serve(int argc, char **argv, Arena *arena) {
    Settings settings;
    Str why;
    if (argc > 0 && strcmp(argv[0], "--help") == 0) {
        Str help = settings_help(arena);
        printf("starling serve [--name VALUE] ...\n%.*s", PS(help));
        return 0;
    }
    if (settings_read(argc, argv, arena, &settings, &why) != OK) {
        fprintf(stderr, "starling serve: %.*s\n", PS(why));
        return 2;
    }
    return run_until_signal(&settings);
}

int command_serve(int argc, char **argv) {
    Arena arena = { 0 };
    int status = serve(argc - 1, argv + 1, &arena);
    arena_free(&arena);
    return status;
}
