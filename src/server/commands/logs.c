#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "server/commands/admin_call.h"
#include "server/commands/args.h"
#include "server/commands/commands.h"

static const char USAGE[] =
    "usage: starling logs [--follow] [--group NAME] [--data DIR]\n"
    "\n"
    "The newest log lines of the server on DIR (default ./" CLIENT_DATA_DIR ").\n"
    "  --follow      go on with those that come, until interrupted\n"
    "  --group NAME  only the entries of this log group, without its name: AWSIotLogsV2 has the\n"
    "                JSON entries that SetV2LoggingOptions turns on\n";

typedef struct {
    uint64_t next;
    Str group; /* absent: every line */
} Wanted;

static void print_line(const Wanted *wanted, Str line) {
    if (wanted->group.ptr) {
        Str rest = line;
        if (!str_eq(str_cut(&rest, ' '), wanted->group) || !rest.ptr) return;
        line = rest;
    }
    fwrite(line.ptr, 1, line.len, stdout);
    fputc('\n', stdout);
}

static int print(Client *client, const ClientAnswer *answer, void *ctx) {
    (void)client;
    Wanted *wanted = ctx;
    Str lines = json_str(json_get(answer->json, S("lines")));
    for (Str rest = lines; rest.len;) print_line(wanted, str_cut(&rest, '\n'));
    wanted->next = yyjson_get_uint(json_get(answer->json, S("next")));
    return fflush(stdout) == 0 ? 0 : 1;
}

int command_logs(int argc, char **argv) {
    static const struct timespec pause = { .tv_nsec = 500000000 };
    const char *data = NULL, *group = NULL;
    bool follow = false;
    const Option options[] = { { "--data", &data, NULL }, { "--group", &group, NULL }, { "--follow", NULL, &follow } };
    int status, n = args_take(argc, argv, options, 3, USAGE, &status);
    if (n < 0) return status;
    if (n > 0) return args_wrong(USAGE, "logs takes no argument, got '%s'", argv[1]);
    Arena arena = { 0 };
    Wanted wanted = { .group = str_c(group) };
    for (;;) {
        Str query = str_format(&arena, "from=%" PRIu64, wanted.next);
        status = admin_call(data, &arena, "GET", S("logs"), query, STR_NONE, print, &wanted);
        if (status != 0 || !follow) break;
        nanosleep(&pause, NULL);
        arena_reset(&arena);
    }
    arena_free(&arena);
    return status;
}
