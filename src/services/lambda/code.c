#include "services/lambda/code.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

/* A zip comes from whoever may create functions, and is unpacked by the server itself: no name may leave the folder,
 * no link may lead out of it, and what a few bytes blow up to is counted while it is written, not believed. */

static Err bad(Err e, Arena *arena, Str *why, const char *text, Str name) {
    *why = name.ptr ? str_format(arena, "%s: '%.*s'", text, PS(str_sub(name, 0, 256))) : str_c(text);
    return e;
}

static Err open_zip(Str bytes, Arena *arena, zip_t **out, Str *why) {
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *source = zip_source_buffer_create(bytes.ptr, bytes.len, 0, &error);
    zip_t *z = source ? zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error) : NULL;
    if (!z) {
        *why = str_format(arena, "it is not a zip archive: %s", zip_error_strerror(&error));
        if (source) zip_source_free(source);
        zip_error_fini(&error);
        return ERR_MALFORMED;
    }
    zip_error_fini(&error);
    *out = z;
    return OK;
}

/* Every part between slashes is a name of its own: not "", ".", "..". A last slash makes a folder. */
static bool name_ok(Str name) {
    if (name.len == 0 || name.len > 1024 || name.ptr[0] == '/' || memchr(name.ptr, '\\', name.len)) return false;
    if (str_ends(name, S("/"))) name.len--;
    for (Str rest = name; rest.ptr;) {
        Str part = str_cut(&rest, '/');
        if (part.len == 0 || part.len > 255 || str_eq(part, S(".")) || str_eq(part, S(".."))) return false;
    }
    return true;
}

typedef struct {
    Str name;
    bool folder;
    mode_t mode;
    int64_t bytes; /* that it claims */
} Entry;

static Err entry_at(zip_t *z, zip_uint64_t i, Arena *arena, Entry *out, Str *why) {
    zip_stat_t st;
    zip_uint8_t system;
    zip_uint32_t attributes;
    if (zip_stat_index(z, i, 0, &st) || !(st.valid & ZIP_STAT_NAME) || !(st.valid & ZIP_STAT_SIZE))
        return bad(ERR_MALFORMED, arena, why, "an entry cannot be read", STR_NONE);
    Entry e = { .name = str_dup(arena, str_c(st.name)), .bytes = (int64_t)st.size, .mode = 0644 };
    if (!name_ok(e.name)) return bad(ERR_INVALID, arena, why, "a name does not stay inside the archive", e.name);
    if ((st.valid & ZIP_STAT_ENCRYPTION_METHOD) && st.encryption_method != ZIP_EM_NONE)
        return bad(ERR_INVALID, arena, why, "an entry is encrypted", e.name);
    e.folder = str_ends(e.name, S("/"));
    if (zip_file_get_external_attributes(z, i, 0, &system, &attributes) == 0 && system == ZIP_OPSYS_UNIX) {
        mode_t mode = attributes >> 16;
        if (S_ISLNK(mode) || S_ISCHR(mode) || S_ISBLK(mode) || S_ISFIFO(mode) || S_ISSOCK(mode))
            return bad(ERR_INVALID, arena, why, "an entry is neither a file nor a folder", e.name);
        if (mode & 0777) e.mode = mode & 0755;
    }
    if (e.bytes < 0) return bad(ERR_MALFORMED, arena, why, "an entry cannot be read", e.name);
    *out = e;
    return OK;
}

static Err check(zip_t *z, Arena *arena, Str *why) {
    zip_int64_t n = zip_get_num_entries(z, 0);
    int64_t bytes = 0;
    if (n <= 0) return bad(ERR_INVALID, arena, why, "the archive is empty", STR_NONE);
    if (n > LAMBDA_ZIP_ENTRIES_MAX) return bad(ERR_LIMIT, arena, why, "the archive has too many entries", STR_NONE);
    for (zip_int64_t i = 0; i < n; i++) {
        Entry e;
        Err err = entry_at(z, (zip_uint64_t)i, arena, &e, why);
        if (err != OK) return err;
        /* Source of the text: AWS's answer to a package that is too large */
        if (e.bytes > LAMBDA_UNZIPPED_BYTES_MAX || (bytes += e.bytes) > LAMBDA_UNZIPPED_BYTES_MAX)
            return bad(ERR_LIMIT, arena, why, "Unzipped size must be smaller than 262144000 bytes", STR_NONE);
    }
    return OK;
}

Err lambda_code_check(Str zip, Arena *arena, Str *why) {
    zip_t *z;
    Err e = open_zip(zip, arena, &z, why);
    if (e != OK) return e;
    e = check(z, arena, why);
    zip_discard(z);
    return e;
}

/* ------------------------------------------------------------------------------------------------ unpacking */

static bool make_folders(int root, char *path) {
    for (char *p = path; *p; p++) {
        if (*p != '/') continue;
        *p = 0;
        bool ok = mkdirat(root, path, 0755) == 0 || errno == EEXIST;
        *p = '/';
        if (!ok) return false;
    }
    return true;
}

static Err write_file(zip_t *z, zip_uint64_t i, const Entry *e, int root, int64_t *room, Arena *arena, Str *why) {
    enum { PIECE = 64 << 10 };
    char *path = str_dup_c(arena, e->name);
    if (!make_folders(root, path)) return bad(ERR_IO, arena, why, strerror(errno), e->name);
    if (e->folder) return OK;
    int fd = openat(root, path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    zip_file_t *f = fd >= 0 ? zip_fopen_index(z, i, 0) : NULL;
    uint8_t *piece = arena_bytes(arena, PIECE);
    zip_int64_t n = f ? 0 : -1;
    Err err = f ? OK : bad(fd < 0 ? ERR_IO : ERR_MALFORMED, arena, why, "an entry cannot be unpacked", e->name);
    while (err == OK && (n = zip_fread(f, piece, PIECE)) > 0) {
        if ((*room -= n) < 0)
            err = bad(ERR_LIMIT, arena, why, "Unzipped size must be smaller than 262144000 bytes", STR_NONE);
        else if (write(fd, piece, (size_t)n) != n)
            err = bad(ERR_IO, arena, why, strerror(errno), e->name);
    }
    if (err == OK && n < 0) err = bad(ERR_MALFORMED, arena, why, "an entry is damaged", e->name);
    if (f) zip_fclose(f);
    if (err == OK && fchmod(fd, e->mode | 0444)) err = bad(ERR_IO, arena, why, strerror(errno), e->name);
    if (fd >= 0) close(fd);
    return err;
}

static Err unpack_all(zip_t *z, int root, Arena *arena, Str *why) {
    int64_t room = LAMBDA_UNZIPPED_BYTES_MAX;
    zip_int64_t n = zip_get_num_entries(z, 0);
    Arena one = { 0 };
    Err err = OK;
    for (zip_int64_t i = 0; err == OK && i < n; i++) {
        Entry e;
        Str said = STR_NONE;
        err = entry_at(z, (zip_uint64_t)i, &one, &e, &said);
        if (err == OK) err = write_file(z, (zip_uint64_t)i, &e, root, &room, &one, &said);
        if (err != OK) *why = str_dup(arena, said);
        arena_reset(&one);
    }
    arena_free(&one);
    return err;
}

Err lambda_code_unpack(Str zip, const char *folder, Arena *arena, Str *why) {
    struct stat st;
    zip_t *z;
    if (stat(folder, &st) == 0) return OK;
    char *fresh = str_dup_c(arena, str_format(arena, "%s.XXXXXX", folder));
    Err e = open_zip(zip, arena, &z, why);
    if (e == OK) {
        e = check(z, arena, why);
        if (e == OK && !mkdtemp(fresh)) e = bad(ERR_IO, arena, why, strerror(errno), str_c(fresh));
        if (e == OK) {
            int root = open(fresh, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            e = root >= 0 ? unpack_all(z, root, arena, why) : bad(ERR_IO, arena, why, strerror(errno), str_c(fresh));
            if (root >= 0) close(root);
            if (e == OK && chmod(fresh, 0755)) e = bad(ERR_IO, arena, why, strerror(errno), str_c(fresh));
            if (e != OK || rename(fresh, folder)) lambda_code_delete(fresh);
            if (e == OK && stat(folder, &st)) e = bad(ERR_IO, arena, why, strerror(errno), str_c(folder));
        }
        zip_discard(z);
    }
    return e;
}

static int delete_one(const char *path, const struct stat *st, int kind, struct FTW *at) {
    (void)st, (void)kind, (void)at;
    remove(path);
    return 0;
}

void lambda_code_delete(const char *folder) {
    nftw(folder, delete_one, 16, FTW_DEPTH | FTW_PHYS);
}
