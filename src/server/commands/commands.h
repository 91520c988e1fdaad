/* The commands of `starling`. Each takes its own arguments (argv[0] is its name) and returns the exit status:
 * 0 done, 1 failed (standard error says why), 2 wrong arguments. All but serve and sql are clients of a running server.
 */
#pragma once

typedef struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *does; /* a line for the overview */
} Command;

int command_serve(int argc, char **argv);
int command_env(int argc, char **argv);
int command_device(int argc, char **argv);
int command_key(int argc, char **argv);
int command_policy(int argc, char **argv);
int command_status(int argc, char **argv);
int command_logs(int argc, char **argv);
int command_sql(int argc, char **argv);
