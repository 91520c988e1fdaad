#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/rocksdb/rocksdb.h"

/* What must still be there at the next opening, in the file NOTED.
 *
 * RocksDB takes a MANIFEST that was cut short for one whose last write did not finish, forgets the tables that the
 * lost part named and deletes them: it would start empty, without a word. A MANIFEST only grows, so its name and
 * length are noted; one that is shorter than noted is damaged. A log that was cut short it takes for one whose last
 * writes a crash interrupted: so the position (store_position) up to which everything is known to be on the disk is
 * noted too, after each opening and closing and once a second while it grows; a database that ends before it has lost
 * what was promised. The note itself is not synced: an old one only claims less. */

enum { PATH_BYTES = 4096, NAME_BYTES = 64 };

static bool path_in(char *path, const char *dir, const char *name) {
    return snprintf(path, PATH_BYTES, "%s/%s", dir, name) < PATH_BYTES;
}

/* The name and length of the MANIFEST in use. */
static bool current(const char *dir, char *name, long long *bytes) {
    char path[PATH_BYTES];
    struct stat st;
    FILE *f = path_in(path, dir, "CURRENT") ? fopen(path, "re") : NULL;
    if (!f) return false;
    bool ok = fscanf(f, "%63s", name) == 1;
    fclose(f);
    if (!ok || !path_in(path, dir, name) || stat(path, &st) != 0) return false;
    *bytes = st.st_size;
    return true;
}

void rocks_note(const char *dir, uint64_t position) {
    char name[NAME_BYTES], path[PATH_BYTES], fresh[PATH_BYTES];
    long long bytes;
    if (!current(dir, name, &bytes) || !path_in(path, dir, "NOTED") || !path_in(fresh, dir, "NOTED.new")) return;
    FILE *f = fopen(fresh, "we");
    if (!f) return;
    bool ok = fprintf(f, "%s %lld %llu\n", name, bytes, (unsigned long long)position) > 0;
    ok &= fclose(f) == 0;
    if (!ok || rename(fresh, path) != 0) unlink(fresh); /* the former note stays, which is right as well */
}

/* Shape: name is NAME_BYTES long. False where nothing is noted. */
static bool noted(const char *dir, char *name, long long *bytes, unsigned long long *position) {
    char path[PATH_BYTES];
    FILE *f = path_in(path, dir, "NOTED") ? fopen(path, "re") : NULL;
    if (!f) return false;
    *position = 0; /* older notes have none */
    int n = fscanf(f, "%63s %lld %llu", name, bytes, position);
    fclose(f);
    return n >= 2;
}

bool rocks_manifest_whole(const char *dir) {
    char name[NAME_BYTES], was[NAME_BYTES];
    long long bytes, were;
    unsigned long long position;
    if (!noted(dir, was, &were, &position) || !current(dir, name, &bytes) || strcmp(name, was) != 0) return true;
    return bytes >= were;
}

uint64_t rocks_noted_position(const char *dir) {
    char name[NAME_BYTES];
    long long bytes;
    unsigned long long position;
    return noted(dir, name, &bytes, &position) ? position : 0;
}
