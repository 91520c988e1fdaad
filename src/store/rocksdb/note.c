#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/rocksdb/rocksdb.h"

/* What must still be there at the next opening, in the file NOTED.
 *
 * RocksDB takes a MANIFEST that was cut short, or in which the length of a record was changed, for one whose last write
 * did not finish, forgets the tables that the lost part named and deletes them: it would start empty, without a word. A
 * MANIFEST only grows, so its name, its length and a sum over so many bytes are noted; one that is shorter than noted,
 * or begins differently, is damaged. A log that was cut short it takes for one whose last writes a crash interrupted:
 * so the position (store_position) up to which everything is known to be on the disk is noted too, after each opening
 * and closing, after the first synced write and once a second while it grows (so that a log that is gone as a whole is
 * missed whenever anything was acknowledged that it held); a database that ends before it has lost what was promised.
 * The note itself is not synced: an old one only claims less, and one that is damaged, which its own sum tells, claims
 * nothing.
 */

enum { PATH_BYTES = 4096, NAME_BYTES = 64, PIECE_BYTES = 1 << 14 };

typedef struct {
    char manifest[NAME_BYTES];
    long long bytes;
    unsigned long long position, sum; /* 0: not noted */
} Note;

static bool path_in(char *path, const char *dir, const char *name) {
    return snprintf(path, PATH_BYTES, "%s/%s", dir, name) < PATH_BYTES;
}

/* FNV-1a: damage is no attack. */
enum { SUM_BYTES = 160 };
static const unsigned long long SUM_BEGIN = 14695981039346656037u;

static unsigned long long sum_on(unsigned long long sum, const void *data, size_t n) {
    const uint8_t *byte = data;
    for (size_t i = 0; i < n; i++) sum = (sum ^ byte[i]) * 1099511628211u;
    return sum;
}

static unsigned long long own_sum(const Note *n) {
    char text[SUM_BYTES];
    int len = snprintf(text, sizeof text, "%s %lld %llu %llx", n->manifest, n->bytes, n->position, n->sum);
    return sum_on(SUM_BEGIN, text, (size_t)len);
}

/* Of the file's first bytes. 0: it cannot be read, or is shorter. */
static unsigned long long sum_of(const char *dir, const char *name, long long bytes) {
    char path[PATH_BYTES];
    uint8_t piece[PIECE_BYTES];
    unsigned long long sum = SUM_BEGIN;
    FILE *f = path_in(path, dir, name) ? fopen(path, "re") : NULL;
    if (!f) return 0;
    while (bytes > 0) {
        size_t n = fread(piece, 1, bytes < PIECE_BYTES ? (size_t)bytes : PIECE_BYTES, f);
        if (n == 0) break;
        sum = sum_on(sum, piece, n);
        bytes -= (long long)n;
    }
    fclose(f);
    return bytes > 0 ? 0 : sum;
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
    char path[PATH_BYTES], fresh[PATH_BYTES];
    Note n = { .position = position };
    if (!current(dir, n.manifest, &n.bytes) || !path_in(path, dir, "NOTED") || !path_in(fresh, dir, "NOTED.new"))
        return;
    n.sum = sum_of(dir, n.manifest, n.bytes);
    FILE *f = fopen(fresh, "we");
    if (!f) return;
    bool ok = fprintf(f, "%s %lld %llu %llx %llx\n", n.manifest, n.bytes, n.position, n.sum, own_sum(&n)) > 0;
    ok &= fclose(f) == 0;
    if (!ok || rename(fresh, path) != 0) unlink(fresh); /* the former note stays, which is right as well */
}

/* False where nothing is noted. Those that older versions left have but two fields. */
static bool noted(const char *dir, Note *out) {
    char path[PATH_BYTES];
    Note n = { 0 };
    FILE *f = path_in(path, dir, "NOTED") ? fopen(path, "re") : NULL;
    if (!f) return false;
    unsigned long long own = 0;
    int fields = fscanf(f, "%63s %lld %llu %llx %llx", n.manifest, &n.bytes, &n.position, &n.sum, &own);
    fclose(f);
    if (fields != 2 && (fields != 5 || own != own_sum(&n))) return false;
    *out = n;
    return true;
}

bool rocks_manifest_whole(const char *dir) {
    char name[NAME_BYTES];
    long long bytes;
    Note was;
    if (!noted(dir, &was) || !current(dir, name, &bytes) || strcmp(name, was.manifest) != 0) return true;
    return bytes >= was.bytes && (!was.sum || sum_of(dir, name, was.bytes) == was.sum);
}

uint64_t rocks_noted_position(const char *dir) {
    Note was;
    return noted(dir, &was) ? was.position : 0;
}
