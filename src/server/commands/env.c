/* What a shell must know to point every AWS client here: eval "$(starling env)". Service by service, because the one
 * AWS_ENDPOINT_URL would also capture those that are not here. Every service that has a name here is among them, so
 * that none of its calls goes to AWS with this server's key: what is not answered yet says so. */
#include <stdio.h>
#include <unistd.h>

#include "api/dispatch.h"
#include "identity/issuer_files.h"
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

/* AWS_ENDPOINT_URL_… of each service: its serviceId in upper case with underscores; most are called as in their model.
 * Source: the SDKs' guide, "Service-specific endpoints"; serviceId of botocore's models */
static Str endpoint_suffix(Str service, Arena *arena) {
    static const struct {
        Str service, suffix;
    } OTHERS[] = { { STR_INIT("iot-data"), STR_INIT("IOT_DATA_PLANE") },
                   { STR_INIT("iot-jobs-data"), STR_INIT("IOT_JOBS_DATA_PLANE") },
                   { STR_INIT("iot1click-devices"), STR_INIT("IOT_1CLICK_DEVICES_SERVICE") },
                   { STR_INIT("iot1click-projects"), STR_INIT("IOT_1CLICK_PROJECTS") },
                   { STR_INIT("iotevents"), STR_INIT("IOT_EVENTS") },
                   { STR_INIT("iotevents-data"), STR_INIT("IOT_EVENTS_DATA") } };
    for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++)
        if (str_eq(service, OTHERS[i].service)) return OTHERS[i].suffix;
    uint8_t *upper = arena_bytes(arena, service.len);
    for (size_t i = 0; i < service.len; i++) {
        uint8_t c = service.ptr[i];
        upper[i] = c >= 'a' && c <= 'z' ? (uint8_t)(c - 'a' + 'A') : c == '-' ? '_' : c;
    }
    return (Str){ upper, service.len };
}

static void print_endpoint(Str service, Str url, Arena *arena) {
    print_export(str_dup_c(arena, str_format(arena, "AWS_ENDPOINT_URL_%.*s", PS(endpoint_suffix(service, arena)))),
                 url);
}

static void print_endpoints(Str url, Arena *arena) {
    size_t n;
    const ApiService *const *models = api_services(&n);
    for (size_t i = 0; i < n; i++) print_endpoint(models[i]->name, url, arena);
    print_endpoint(S("iam"), url, arena); /* these two have no model: services/query.h */
    print_endpoint(S("sts"), url, arena);
}

/* What is trusted: this server and, where the system has a list, all that the system trusts. */
static Str bundle(const ClientPlace *p, Arena *arena) {
    Str path = str_format(arena, "%.*s/" CA_BUNDLE_FILE, PS(p->dir));
    return access(str_dup_c(arena, path), R_OK) == 0 ? path : p->ca_file;
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
        print_endpoints(p.url, &arena);
        /* no "api." or "data-" before the host, which no resolver knows. Source: the SDKs' guide, "Host prefix
         * injection" */
        print_export("AWS_DISABLE_HOST_PREFIX_INJECTION", S("true"));
        print_export("AWS_REGION", p.region);
        print_export("AWS_DEFAULT_REGION", p.region);
        print_export("AWS_CA_BUNDLE", bundle(&p, &arena));
        print_export("NODE_EXTRA_CA_CERTS", p.ca_file);
        print_export("AWS_ACCESS_KEY_ID", p.access_key);
        print_export("AWS_SECRET_ACCESS_KEY", p.secret);
        puts("unset AWS_SESSION_TOKEN AWS_PROFILE"); /* what another session left would be used before these */
        status = 0;
    }
    arena_free(&arena);
    return status;
}
