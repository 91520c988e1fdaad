#include <inttypes.h>
#include <stdio.h>

#include "server/commands/admin_call.h"
#include "server/commands/args.h"
#include "server/commands/commands.h"

static const char USAGE[] = "usage: starling status [--data DIR]\n"
                            "\n"
                            "What runs on DIR (default ./" CLIENT_DATA_DIR "), since when, and its figures.\n";

static int print(Client *client, const ClientAnswer *answer, void *ctx) {
    (void)ctx;
    const ClientPlace *p = client_at(client);
    int64_t up_s = yyjson_get_sint(json_get(answer->json, S("upMs"))) / 1000;
    printf("data        %.*s\nprocess     %" PRId64 ", up %" PRId64 " d %02d:%02d:%02d\n", PS(p->dir), p->pid,
           up_s / 86400, (int)(up_s / 3600 % 24), (int)(up_s / 60 % 60), (int)(up_s % 60));
    printf("endpoint    %.*s\nports       %" PRId64 " MQTT, %" PRId64 " HTTPS and WebSocket", PS(p->endpoint),
           p->mqtt_port, p->https_port);
    if (p->plain_port) printf(", %" PRId64 " MQTT without TLS", p->plain_port);
    printf("\naccount     %.*s\nregion      %.*s\n", PS(json_str(json_get(answer->json, S("account")))),
           PS(json_str(json_get(answer->json, S("region")))));
    size_t i, n;
    yyjson_val *key, *value;
    yyjson_obj_foreach(json_get(answer->json, S("figures")), i, n, key, value)
        printf("%-36.*s %" PRId64 "\n", PS(json_str(key)), yyjson_get_sint(value));
    return 0;
}

int command_status(int argc, char **argv) {
    const char *data = NULL;
    const Option options[] = { { "--data", &data, NULL } };
    int status, n = args_take(argc, argv, options, 1, USAGE, &status);
    if (n < 0) return status;
    if (n > 0) return args_wrong(USAGE, "status takes no argument, got '%s'", argv[1]);
    Arena arena = { 0 };
    status = admin_call(data, &arena, "GET", S("status"), STR_NONE, STR_NONE, print, NULL);
    arena_free(&arena);
    return status;
}
