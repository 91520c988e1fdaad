#include "services/lambda/filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

/* Each is answered as if the kernel had it not, which runtimes know how to do without. A process that calls by another
 * machine's numbers (32 bits on 64) is answered so for all of them. */

static const struct {
    const char *machine;
    unsigned arch;
} MACHINES[] = { { "x86_64", AUDIT_ARCH_X86_64 },
                 { "aarch64", AUDIT_ARCH_AARCH64 },
                 { "riscv64", AUDIT_ARCH_RISCV64 } };

static const unsigned REFUSED[] = { SYS_memfd_create, SYS_memfd_secret, SYS_shmget, SYS_mount, SYS_fsopen };

enum { X32 = 0x40000000 };

static void add(Filter *f, unsigned short code, unsigned char yes, unsigned char no, unsigned k) {
    f->code[f->n++] = (struct sock_filter){ code, yes, no, k };
}

static unsigned arch_here(void) {
    struct utsname u;
    if (uname(&u)) return 0;
    for (size_t i = 0; i < sizeof MACHINES / sizeof *MACHINES; i++)
        if (strcmp(u.machine, MACHINES[i].machine) == 0) return MACHINES[i].arch;
    return 0;
}

void filter_make(Filter *out) {
    enum { N = sizeof REFUSED / sizeof *REFUSED };
    Filter f = { .n = 0 };
    unsigned arch = arch_here();
    if (arch) {
        add(&f, BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, arch));
        add(&f, BPF_JMP | BPF_JEQ | BPF_K, 0, N + 3, arch);
    }
    add(&f, BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr));
    add(&f, BPF_JMP | BPF_JGE | BPF_K, N + 1, 0, X32);
    for (unsigned char i = 0; i < N; i++) add(&f, BPF_JMP | BPF_JEQ | BPF_K, (unsigned char)(N - i), 0, REFUSED[i]);
    add(&f, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
    add(&f, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | ENOSYS);
    *out = f;
}

__attribute__((no_sanitize("address", "thread", "undefined"))) bool filter_apply(const Filter *f) {
    struct sock_fprog program = { f->n, (struct sock_filter *)(unsigned long)f->code };
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}
