#include "server/commands/args.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int args_fail(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("starling: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return 1;
}

int args_wrong(const char *usage, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("starling: ", stderr);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n\n%s", usage);
    va_end(args);
    return 2;
}

static const Option *find(const char *arg, size_t len, const Option *options, int n) {
    for (int i = 0; i < n; i++)
        if (strlen(options[i].name) == len && memcmp(options[i].name, arg, len) == 0) return &options[i];
    return NULL;
}

static int wrong(const char *usage, int *status, const char *arg, const char *what) {
    *status = args_wrong(usage, "%s %s", arg, what);
    return -1;
}

int args_take(int argc, char **argv, const Option *options, int options_n, const char *usage, int *status) {
    int kept = 1;
    bool ended = false;
    for (int i = 1; i < argc; i++) {
        char *arg = argv[i];
        if (ended || strncmp(arg, "--", 2) != 0) {
            argv[kept++] = arg;
            continue;
        }
        if (strcmp(arg, "--") == 0) {
            ended = true;
            continue;
        }
        if (strcmp(arg, "--help") == 0) {
            fputs(usage, stdout);
            *status = 0;
            return -1;
        }
        const char *equals = strchr(arg, '=');
        const Option *o = find(arg, equals ? (size_t)(equals - arg) : strlen(arg), options, options_n);
        if (!o) return wrong(usage, status, arg, "is no option of this command");
        if (!o->value) {
            if (equals) return wrong(usage, status, arg, "takes no value");
            *o->on = true;
        } else if (equals) {
            *o->value = equals + 1;
        } else {
            if (i + 1 == argc) return wrong(usage, status, arg, "needs a value");
            *o->value = argv[++i];
        }
    }
    return kept - 1;
}
