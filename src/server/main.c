/* starling: one program; its first argument says what to do. */
#include <stdio.h>
#include <string.h>

#include "server/commands/commands.h"

static const Command COMMANDS[] = {
    { "serve", command_serve, "run the server" },
    { "env", command_env, "variables that point the AWS CLI and SDKs here: eval \"$(starling env)\"" },
    { "device", command_device, "make a thing with certificate, policy and files, ready to connect" },
    { "key", command_key, "access keys: create, list, disable, enable, delete" },
    { "policy", command_policy, "explain why a decision falls as it does" },
    { "status", command_status, "what is running" },
    { "logs", command_logs, "the server's log lines" },
    { "sql", command_sql, "a rule tried on a message: the result, or why there is none" },
};
enum { COMMANDS_N = sizeof COMMANDS / sizeof *COMMANDS };

static void print_overview(FILE *to) {
    fputs("usage: starling COMMAND [ARGUMENTS]     (starling COMMAND --help says more)\n\n", to);
    for (int i = 0; i < COMMANDS_N; i++) fprintf(to, "  %-8s %s\n", COMMANDS[i].name, COMMANDS[i].does);
}

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "";
    for (int i = 0; i < COMMANDS_N; i++)
        if (strcmp(name, COMMANDS[i].name) == 0) return COMMANDS[i].run(argc - 1, argv + 1);
    if (strcmp(name, "--version") == 0) {
        puts("starling " STARLING_VERSION);
        return 0;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_overview(stdout);
        return 0;
    }
    if (*name) fprintf(stderr, "starling: there is no command '%s'\n\n", name);
    print_overview(stderr);
    return 2;
}
