/* Arguments of a command: options anywhere, `--name value` or `--name=value`, and what else there is in order. */
#pragma once

#include <stdbool.h>

typedef struct {
    const char *name;   /* "--data" */
    const char **value; /* where it goes; NULL: a switch */
    bool *on;           /* of a switch */
} Option;

/* Leaves the positional arguments in argv[1..], returns how many; -1 when something is wrong, or --help was asked for
 * (*status then is what to exit with; both print usage). `--` ends the options. */
int args_take(int argc, char **argv, const Option *options, int options_n, const char *usage, int *status);
/* Prints "starling: " and the text on standard error, returns 1. */
int args_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, and the usage below; returns 2. */
int args_wrong(const char *usage, const char *format, ...) __attribute__((format(printf, 2, 3)));
