#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/rocksdb/rocksdb.h"

/* RocksDB takes a MANIFEST that was cut short for one whose last write did not finish, forgets the tables that the
 * lost part named and deletes them: it would start empty, without a word. A MANIFEST only grows, so its name and
 * length are noted after each opening and closing; one that is shorter than noted is damaged. */

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

void rocks_manifest_note(const char *dir) {
    char name[NAME_BYTES], path[PATH_BYTES], fresh[PATH_BYTES];
    long long bytes;
    if (!current(dir, name, &bytes) || !path_in(path, dir, "NOTED") || !path_in(fresh, dir, "NOTED.new")) return;
    FILE *f = fopen(fresh, "we");
    if (!f) return;
    bool ok = fprintf(f, "%s %lld\n", name, bytes) > 0;
    ok &= fclose(f) == 0;
    if (!ok || rename(fresh, path) != 0) unlink(fresh); /* the former note stays, which is right as well */
}

bool rocks_manifest_whole(const char *dir) {
    char name[NAME_BYTES], noted[NAME_BYTES], path[PATH_BYTES];
    long long bytes, noted_bytes;
    FILE *f = path_in(path, dir, "NOTED") ? fopen(path, "re") : NULL;
    if (!f) return true;
    bool ok = fscanf(f, "%63s %lld", noted, &noted_bytes) == 2;
    fclose(f);
    if (!ok || !current(dir, name, &bytes) || strcmp(name, noted) != 0) return true;
    return bytes >= noted_bytes;
}
