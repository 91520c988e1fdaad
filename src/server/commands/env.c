/* What a shell must know to point every AWS client here: eval "$(starling env)". Service by service, because the one
 * AWS_ENDPOINT_URL would also capture those that are not here. */
#include <stdio.h>

#include "server/commands/args.h"
#include "server/commands/client.h"
#include "server/commands/commands.h"

static const char USAGE[] = "usage: starling env [--data DIR]\n"
                            "\n"
                            "Prints the variables that point the AWS CLI and every SDK at the server of DIR\n"
                            "(default ./" CLIENT_DATA_DIR "):  eval \"$(starling env)\"\n";

/* Quoted for every shell of the Bourne family. */
static void print_export(const char *name, Str value) {
    printf("export %s='", name);
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] == '\'')
            fputs("'\\''", stdout);
        else
            putchar(value.ptr[i]);
    }
    puts("'");
}

int command_env(int argc, char **argv) {
    const char *data = NULL;
    const Option options[] = { { "--data", &data, NULL } };
    int status, n = args_take(argc, argv, options, 1, USAGE, &status);
    if (n < 0) return status;
    if (n > 0) return args_wrong(USAGE, "env takes no argument, got '%s'", argv[1]);
    Arena arena = { 0 };
    ClientPlace p;
    Str why;
    if (client_place(data, &arena, &p, &why) != OK) {
        status = args_fail("%.*s", PS(why));
    } else {
        static const char *const services[] = { "AWS_ENDPOINT_URL_IOT",
                                                "AWS_ENDPOINT_URL_IOT_DATA_PLANE",
                                                "AWS_ENDPOINT_URL_IOT_JOBS_DATA_PLANE",
                                                "AWS_ENDPOINT_URL_STS",
                                                "AWS_ENDPOINT_URL_IAM",
                                                "AWS_ENDPOINT_URL_ACM",
                                                "AWS_ENDPOINT_URL_LAMBDA" };
        for (size_t i = 0; i < sizeof services / sizeof *services; i++) print_export(services[i], p.url);
        print_export("AWS_REGION", p.region);
        print_export("AWS_DEFAULT_REGION", p.region);
        print_export("AWS_CA_BUNDLE", p.ca_file);
        print_export("NODE_EXTRA_CA_CERTS", p.ca_file);
        print_export("AWS_ACCESS_KEY_ID", p.access_key);
        print_export("AWS_SECRET_ACCESS_KEY", p.secret);
        puts("unset AWS_SESSION_TOKEN AWS_PROFILE"); /* what another session left would be used before these */
        status = 0;
    }
    arena_free(&arena);
    return status;
}
