#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Preloaded into the server: notes how long each file was when it was last synced, in the file that STARLING_POWER
 * names, which outlives the process. kill -9 leaves in the kernel what was written but not synced; cutting each file
 * to its noted length afterwards is what a power failure may leave. Files that were never synced are cut to nothing.
 * Shape: FILES slots of two native 64-bit numbers, inode and length. What it cannot show: a disk that lies, and
 * directory entries that were not synced. */

enum { FILES = 65536 };

typedef struct {
    _Atomic uint64_t inode;
    _Atomic int64_t synced_bytes;
} Slot;

static _Atomic(Slot *) slots; /* the calls below come from outside and carry nothing of ours */

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("STARLING_POWER");
    int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd < 0 || ftruncate(fd, FILES * sizeof(Slot)) != 0) return;
    void *map = mmap(NULL, FILES * sizeof(Slot), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map != MAP_FAILED) atomic_store(&slots, map);
}

static void note(uint64_t inode, int64_t bytes) {
    Slot *all = atomic_load(&slots);
    for (int i = 0; all && i < FILES; i++) {
        uint64_t empty = 0;
        Slot *s = &all[(inode + (uint64_t)i) % FILES];
        if (atomic_load(&s->inode) == inode || atomic_compare_exchange_strong(&s->inode, &empty, inode) ||
            empty == inode) {
            atomic_store(&s->synced_bytes, bytes);
            return;
        }
    }
}

static int sync_and_note(int fd, const char *name) {
    int (*real)(int);
    struct stat st;
    *(void **)&real = dlsym(RTLD_NEXT, name);
    int known = fstat(fd, &st); /* before: what is appended meanwhile may not be on the disk */
    int r = real(fd);
    if (r == 0 && known == 0 && S_ISREG(st.st_mode)) note(st.st_ino, st.st_size);
    return r;
}

int fdatasync(int fd) {
    return sync_and_note(fd, "fdatasync");
}

int fsync(int fd) {
    return sync_and_note(fd, "fsync");
}
