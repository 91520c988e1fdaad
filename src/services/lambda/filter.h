/* Filter: the system calls by which a process would have memory that no limit of it counts: files in memory alone,
 * System V's shared memory, file systems of its own. */
#pragma once

#include <linux/filter.h>
#include <stdbool.h>

enum { FILTER_MAX = 16 };

typedef struct {
    struct sock_filter code[FILTER_MAX];
    unsigned short n;
} Filter;

void filter_make(Filter *out);
/* Of this process and all that it starts. Only system calls. False: this kernel has none, or no_new_privs is not set */
bool filter_apply(const Filter *f);
