#include "aws/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/writer.h"

/* An object is written beside its place and renamed, so that nobody sees half of one.
 *
 * In S3 the keys "a" and "a/b" may both be there; here "a" would be a file and a folder. The file then has a '%' behind
 * its name, which no encoded name ends in. */

typedef struct Put {
    struct Put *next;
    Arena arena;
    Str account, bucket, key, bytes;
    FolderDone *done;
    void *ctx;
} Put;

struct Folder {
    char *dir, *account;
    pthread_t thread;
    pthread_mutex_t lock; /* of the queue */
    pthread_mutex_t disk; /* one change at a time */
    pthread_cond_t work;
    Put *first, **tail;
    size_t waiting;
    bool started, stop;
    uint64_t temporary;
};

/* ------------------------------------------------------------------------------------------------ names */

enum { PART_BYTES_MAX = 250 };

static bool bucket_ok(Str b) { /* Source: S3 user guide, "Bucket naming rules" */
    for (size_t i = 0; i < b.len; i++) {
        uint8_t c = b.ptr[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '.') return false;
    }
    return b.len >= 3 && b.len <= 63 && b.ptr[0] != '.' && b.ptr[0] != '-';
}

static bool write_part(Writer *w, Str part) {
    bool dots = part.len == 0 || str_eq(part, S(".")) || str_eq(part, S(".."));
    size_t before = w->len;
    if (part.len == 0) writer_format(w, "%%00");
    for (size_t i = 0; i < part.len; i++) {
        uint8_t c = part.ptr[i];
        if (dots || c == '%' || c < ' ' || c == 0x7f)
            writer_format(w, "%%%02X", c);
        else
            writer_u8(w, c);
    }
    return w->len - before <= PART_BYTES_MAX;
}

Err folder_path(Str bucket, Str key, Arena *arena, Str *out, Str *why) {
    if (!bucket_ok(bucket)) {
        *why = str_format(arena, "'%.*s' is no name of a bucket: 3 to 63 of a-z 0-9 - . are expected", PS(bucket));
        return ERR_INVALID;
    }
    if (key.len == 0 || key.len > FOLDER_KEY_BYTES_MAX || !str_is_utf8(key)) {
        *why = str_format(arena, "'%.*s' is no key: 1 to 1024 bytes of UTF-8 are expected", PS(key));
        return ERR_INVALID;
    }
    Writer w = writer_in(arena);
    bool fits = true;
    writer_bytes(&w, bucket);
    for (Str rest = key; rest.ptr;) {
        Str part = str_cut(&rest, '/');
        writer_u8(&w, '/');
        fits &= write_part(&w, part);
    }
    if (!fits) {
        *why =
            str_format(arena, "'%.*s': a part between slashes is longer than the 250 bytes of a file's name", PS(key));
        return ERR_INVALID;
    }
    *out = writer_str(&w);
    return OK;
}

/* ------------------------------------------------------------------------------------------------ files */

static Err io(Arena *arena, const char *what, const char *path, Str *why) {
    *why = str_format(arena, "cannot %s '%s': %s", what, path, strerror(errno));
    return ERR_IO;
}

static bool is_folder(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static Err make_folder(char *path, Arena *arena, Str *why) {
    if (mkdir(path, 0700) == 0 || (errno == EEXIST && is_folder(path))) return OK;
    if (errno == EEXIST) { /* the object "a" is there, and "a/b" comes */
        const char *aside = str_dup_c(arena, str_format(arena, "%s%%", path));
        if (rename(path, aside) == 0 && mkdir(path, 0700) == 0) return OK;
    }
    return io(arena, "make the folder", path, why);
}

static Err make_folders(char *path, size_t from, Arena *arena, Str *why) {
    for (char *at = path + from; (at = strchr(at, '/')); at++) {
        *at = 0;
        Err e = make_folder(path, arena, why);
        *at = '/';
        if (e != OK) return e;
    }
    return OK;
}

static bool write_all(int fd, Str bytes) {
    while (bytes.len) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);
        if (n < 0 && errno != EINTR) return false;
        if (n > 0) bytes = str_from(bytes, (size_t)n);
    }
    return fsync(fd) == 0;
}

static void sync_folder(char *path) {
    char *slash = strrchr(path, '/');
    *slash = 0;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *slash = '/';
    if (fd < 0) return;
    if (fsync(fd)) { /* the file itself is synced; its name may go with the power */
    }
    close(fd);
}

static Err write_object(Folder *f, char *path, Str bytes, Arena *arena, Str *why) {
    const char *temporary =
        str_dup_c(arena, str_format(arena, "%s/%%new-%llu", f->dir, (unsigned long long)f->temporary++));
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return io(arena, "write", temporary, why);
    bool good = write_all(fd, bytes);
    good &= close(fd) == 0;
    char *to = is_folder(path) ? str_dup_c(arena, str_format(arena, "%s%%", path)) : path;
    if (!good || rename(temporary, to)) {
        Err e = io(arena, "write", to, why);
        unlink(temporary);
        return e;
    }
    sync_folder(to);
    return OK;
}

static char *place(const Folder *f, Str account, Str below, Arena *arena) {
    if (str_eq(account, str_c(f->account))) return str_dup_c(arena, str_format(arena, "%s/%.*s", f->dir, PS(below)));
    return str_dup_c(arena, str_format(arena, "%s/%%%.*s/%.*s", f->dir, PS(account), PS(below)));
}

Err folder_put_wait(Folder *f, Str account, Str bucket, Str key, Str bytes, Arena *arena, Str *why) {
    Str below;
    Err e = folder_path(bucket, key, arena, &below, why);
    if (e != OK) return e;
    char *path = place(f, account, below, arena);
    pthread_mutex_lock(&f->disk);
    e = make_folders(path, 1, arena, why);
    if (e == OK) e = write_object(f, path, bytes, arena, why);
    pthread_mutex_unlock(&f->disk);
    return e;
}

static Err read_object(int fd, Arena *arena, Str *out, Str *why) {
    struct stat st;
    if (fstat(fd, &st)) return io(arena, "look at", "the object", why);
    if (st.st_size > FOLDER_OBJECT_BYTES_MAX) {
        *why = str_format(arena, "the object has %lld bytes, at most %d are read", (long long)st.st_size,
                          FOLDER_OBJECT_BYTES_MAX);
        return ERR_LIMIT;
    }
    size_t len = 0, size = (size_t)st.st_size;
    uint8_t *bytes = arena_bytes(arena, size + 1);
    for (ssize_t n; len < size && (n = read(fd, bytes + len, size - len)) != 0;) {
        if (n < 0 && errno != EINTR) return io(arena, "read", "the object", why);
        if (n > 0) len += (size_t)n;
    }
    *out = (Str){ bytes, len };
    return OK;
}

Err folder_get_wait(Folder *f, Str account, Str bucket, Str key, Arena *arena, Str *out, Str *why) {
    Str below;
    Err e = folder_path(bucket, key, arena, &below, why);
    if (e != OK) return e;
    char *path = place(f, account, below, arena);
    if (is_folder(path)) path = str_dup_c(arena, str_format(arena, "%s%%", path));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        *why = str_format(arena, "there is no object '%.*s' in the bucket '%.*s'", PS(key), PS(bucket));
        return ERR_NOT_FOUND;
    }
    e = read_object(fd, arena, out, why);
    close(fd);
    return e;
}

/* ------------------------------------------------------------------------------------------------ the thread */

static void *run(void *arg) {
    Folder *f = arg;
    pthread_mutex_lock(&f->lock);
    for (;;) {
        Put *p = f->first;
        if (!p && f->stop) break;
        if (!p) {
            pthread_cond_wait(&f->work, &f->lock);
            continue;
        }
        if (!(f->first = p->next)) f->tail = &f->first;
        f->waiting--;
        pthread_mutex_unlock(&f->lock);
        Str why = STR_NONE;
        Err e = folder_put_wait(f, p->account, p->bucket, p->key, p->bytes, &p->arena, &why);
        p->done(p->ctx, e, why);
        arena_free(&p->arena);
        free(p);
        pthread_mutex_lock(&f->lock);
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

static char *own(Str s) {
    char *copy = mem_new(s.len + 1);
    memcpy(copy, s.ptr, s.len);
    return copy;
}

Folder *folder_new(Str dir, Str account) {
    Folder *f = mem_new(sizeof *f);
    f->dir = own(dir);
    f->account = own(account);
    pthread_mutex_init(&f->lock, NULL);
    pthread_mutex_init(&f->disk, NULL);
    pthread_cond_init(&f->work, NULL);
    f->tail = &f->first;
    return f;
}

/* False: it waits for nobody, too much waits already. */
static bool add(Folder *f, Put *p) {
    pthread_mutex_lock(&f->lock);
    if (!f->started) f->started = pthread_create(&f->thread, NULL, run, f) == 0;
    bool fits = f->started && f->waiting < FOLDER_WAITING_MAX;
    if (fits) {
        *f->tail = p;
        f->tail = &p->next;
        f->waiting++;
        pthread_cond_signal(&f->work);
    }
    pthread_mutex_unlock(&f->lock);
    return fits;
}

void folder_put(Folder *f, Str account, Str bucket, Str key, Str bytes, FolderDone *done, void *ctx) {
    Put *p = mem_new(sizeof *p);
    p->account = str_dup(&p->arena, account);
    p->bucket = str_dup(&p->arena, bucket);
    p->key = str_dup(&p->arena, key);
    p->bytes = str_dup(&p->arena, bytes);
    p->done = done;
    p->ctx = ctx;
    if (add(f, p)) return;
    done(ctx, ERR_LIMIT, S("more objects wait for the disk than there is room for"));
    arena_free(&p->arena);
    free(p);
}

void folder_free(Folder *f) {
    if (!f) return;
    pthread_mutex_lock(&f->lock);
    f->stop = true;
    pthread_cond_signal(&f->work);
    pthread_mutex_unlock(&f->lock);
    if (f->started) pthread_join(f->thread, NULL);
    pthread_cond_destroy(&f->work);
    pthread_mutex_destroy(&f->lock);
    pthread_mutex_destroy(&f->disk);
    free(f->dir);
    free(f->account);
    free(f);
}
