/* Stands in for serve.c until there is one. */
#include "server/commands/args.h"
#include "server/commands/commands.h"

int command_serve(int argc, char **argv) {
    (void)argc;
    return args_fail("%s is not built yet", argv[0]);
}
