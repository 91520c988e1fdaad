#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "server/commands/admin_call.h"
#include "server/commands/args.h"
#include "server/commands/commands.h"

static const char USAGE[] = "usage: starling logs [--follow] [--data DIR]\n"
                            "\n"
                            "The newest log lines of the server on DIR (default ./" CLIENT_DATA_DIR ").\n"
                            "  --follow  go on with those that come, until interrupted\n";

static int print(Client *client, const ClientAnswer *answer, void *ctx) {
    (void)client;
    uint64_t *next = ctx;
    Str lines = json_str(json_get(answer->json, S("lines")));
    if (lines.len) fwrite(lines.ptr, 1, lines.len, stdout);
    *next = yyjson_get_uint(json_get(answer->json, S("next")));
    return fflush(stdout) == 0 ? 0 : 1;
}

int command_logs(int argc, char **argv) {
    static const struct timespec pause = { .tv_nsec = 500000000 };
    const char *data = NULL;
    bool follow = false;
    const Option options[] = { { "--data", &data, NULL }, { "--follow", NULL, &follow } };
    int status, n = args_take(argc, argv, options, 2, USAGE, &status);
    if (n < 0) return status;
    if (n > 0) return args_wrong(USAGE, "logs takes no argument, got '%s'", argv[1]);
    Arena arena = { 0 };
    uint64_t next = 0;
    for (;;) {
        Str query = str_format(&arena, "from=%" PRIu64, next);
        status = admin_call(data, &arena, "GET", S("logs"), query, STR_NONE, print, &next);
        if (status != 0 || !follow) break;
        nanosleep(&pause, NULL);
        arena_reset(&arena);
    }
    arena_free(&arena);
    return status;
}
