#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/rocksdb/rocksdb.h"

/* Opening is where damage is found, so it is strict: RocksDB's defaults would make a new database where the
 * file CURRENT is lost, and would silently drop what follows a damaged place of the log. Both are refused here;
 * only a record cut short at the log's very end (never acknowledged) is dropped without a word.
 * Settings are those of a small server: what is empty takes a few MB and starts in milliseconds. */

enum {
    WRITE_BUFFER_BYTES = 8 << 20,
    BLOCK_CACHE_BYTES = 8 << 20,
    LOG_KEPT_MB = 64,         /* of old write-ahead logs, for store_changes */
    INFO_LOG_BYTES = 1 << 20, /* two of them at most */
    FILES_MAX = 256,
};
#define MEMTABLE_FILTER_PART 0.02 /* of the write buffer: some ten bits a key */

Err rocks_err(char *error) {
    if (!error) return OK;
    Str text = str_c(error);
    Err e = str_starts(text, S("Corruption"))          ? ERR_CORRUPT
            : str_starts(text, S("Result incomplete")) ? ERR_AGAIN
                                                       : ERR_IO;
    rocksdb_free(error);
    return e;
}

static rocksdb_options_t *options_new(const StoreOptions *o, Rocks *r) {
    rocksdb_options_t *p = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(p, 1);
    rocksdb_options_set_paranoid_checks(p, 1);
    rocksdb_options_set_wal_recovery_mode(p, o->salvage ? rocksdb_point_in_time_recovery
                                                        : rocksdb_tolerate_corrupted_tail_records_recovery);
    rocksdb_options_set_max_open_files(p, o->files_max > 0 ? o->files_max : FILES_MAX);
    rocksdb_options_set_max_file_opening_threads(p,
                                                 1); /* sixteen would cost an empty store's start more than they save */
    rocksdb_options_set_write_buffer_size(p, WRITE_BUFFER_BYTES);
    /* what is not there yet (a name that is created) is not searched for in the table of the last writes */
    rocksdb_options_set_memtable_whole_key_filtering(p, 1);
    rocksdb_options_set_memtable_prefix_bloom_size_ratio(p, MEMTABLE_FILTER_PART);
    rocksdb_options_set_max_write_buffer_number(p, 2);
    rocksdb_options_set_max_background_jobs(p, 2);
    rocksdb_options_set_level_compaction_dynamic_level_bytes(p, 1);
    rocksdb_options_set_WAL_size_limit_MB(p, LOG_KEPT_MB);
    /* Nothing is logged but a header: on a full disk the second line that its logger cannot write ends the process
     * (WritableFileWriter's assertion; Debian builds RocksDB with them). What goes wrong is told by return codes. */
    rocksdb_options_set_info_log_level(p, 4);
    rocksdb_options_set_max_log_file_size(p, INFO_LOG_BYTES);
    rocksdb_options_set_keep_log_file_num(p, 2);
    rocksdb_options_set_stats_dump_period_sec(p, 0);
    rocksdb_options_set_stats_persist_period_sec(p, 0);
    rocksdb_options_set_skip_stats_update_on_db_open(p, 1);
    rocksdb_options_set_uint64add_merge_operator(p); /* txn_add */
    r->cache = rocksdb_cache_create_lru(BLOCK_CACHE_BYTES);
    r->table = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_block_cache(r->table, r->cache);
    rocksdb_block_based_options_set_filter_policy(r->table, rocksdb_filterpolicy_create_bloom_full(10));
    rocksdb_options_set_block_based_table_factory(p, r->table);
    return p;
}

typedef struct {
    bool current, any; /* the file CURRENT; any other file of a database */
} Listing;

static Err list(const char *dir, Listing *out) {
    DIR *d = opendir(dir);
    if (!d) return ERR_IO;
    Listing l = { 0 };
    for (struct dirent *f; (f = readdir(d));) {
        Str name = str_c(f->d_name);
        l.current |= str_eq(name, S("CURRENT"));
        l.any |= str_starts(name, S("MANIFEST-")) || str_ends(name, S(".sst")) || str_ends(name, S(".log"));
    }
    closedir(d);
    *out = l;
    return OK;
}

static Str advice(Arena *arena, const char *dir, const char *what) {
    return str_format(arena,
                      "the data in %s is damaged (%s). Nothing was changed. Restore the directory from a backup, or "
                      "move it away to start empty; if only the end of a log is damaged, after a power failure, "
                      "opening it with salvage keeps everything before the damaged place",
                      dir, what);
}

static Err explain(Arena *arena, const char *dir, bool existed, char *error, Str *why) {
    Str text = str_dup(arena, str_c(error));
    rocksdb_free(error);
    if (str_find_str(text, S("lock hold by")) != SIZE_MAX || str_find_str(text, S("While lock file")) != SIZE_MAX) {
        *why = str_format(arena, "%s is in use by another process: stop it, or give this one another directory", dir);
        return ERR_IO;
    }
    bool lost_file = existed && str_find_str(text, S("No such file")) != SIZE_MAX;
    if (lost_file || str_starts(text, S("Corruption")) || str_starts(text, S("Invalid argument"))) {
        *why = advice(arena, dir, str_dup_c(arena, text));
        return ERR_CORRUPT;
    }
    *why =
        str_format(arena, "%s cannot be opened: %.*s. Check its owner and the space left on its disk", dir, PS(text));
    return ERR_IO;
}

static Err check_dir(const char *dir, Arena *arena, Listing *found, Str *why) {
    if (!dir || !*dir) {
        *why = S("the store needs a directory and none was given");
        return ERR_INVALID;
    }
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
        *why = str_format(arena, "%s cannot be made: %s", dir, strerror(errno));
        return ERR_IO;
    }
    if (list(dir, found) != OK) {
        *why = str_format(arena, "%s cannot be read: %s", dir, strerror(errno));
        return ERR_IO;
    }
    if (found->any && !found->current) {
        *why = advice(arena, dir, "the file CURRENT is missing");
        return ERR_CORRUPT;
    }
    if (!rocks_has_room(dir, ROOM_OPEN_BYTES)) { /* RocksDB's own log of what it does would end the process */
        *why = str_format(arena,
                          "no room is left on the disk of %s: at least %d MB are needed to start, more than %d MB to "
                          "accept writes. Nothing was changed",
                          dir, ROOM_OPEN_BYTES >> 20, ROOM_BYTES >> 20);
        return ERR_FULL;
    }
    if (!rocks_manifest_whole(dir)) {
        *why = advice(arena, dir, "its MANIFEST is not what it was");
        return ERR_CORRUPT;
    }
    return OK;
}

static uint64_t log_number(const char *name) {
    char *end;
    uint64_t n = strtoull(name, &end, 10);
    return end != name && strcmp(end, ".log") == 0 ? n : 0;
}

/* RocksDB keeps the log of a run that wrote nothing until the next flush: a server that is started often and
 * written to seldom would gather them. The newest is in use. */
static void remove_empty_logs(const char *dir) {
    uint64_t newest = 0, n;
    struct stat st;
    char path[4096];
    DIR *d = opendir(dir);
    if (!d) return;
    for (struct dirent *f; (f = readdir(d));)
        if ((n = log_number(f->d_name)) > newest) newest = n;
    rewinddir(d);
    for (struct dirent *f; (f = readdir(d));) {
        n = log_number(f->d_name);
        if (n == 0 || n == newest) continue;
        if (snprintf(path, sizeof path, "%s/%s", dir, f->d_name) >= (int)sizeof path) continue;
        if (lstat(path, &st) == 0 && st.st_size == 0) unlink(path);
    }
    closedir(d);
}

Err rocks_db_open(Rocks *r, char **error) {
    r->db = rocksdb_open(r->options, r->dir, error);
    if (*error) {
        r->db = NULL;
        return ERR_IO;
    }
    uint64_t position = rocksdb_get_latest_sequence_number(r->db);
    if (position < rocks_noted_position(r->dir) && !r->salvage) {
        rocksdb_close(r->db);
        r->db = NULL;
        return ERR_CORRUPT;
    }
    remove_empty_logs(r->dir);
    rocks_note(r->dir, position);
    atomic_store(&r->noted, position);
    return OK;
}

Err rocks_open(const StoreOptions *o, Arena *arena, void **out, Str *why) {
    Listing found = { 0 };
    Err e = check_dir(o->dir, arena, &found, why);
    if (e != OK) return e;
    Rocks *r = mem_new(sizeof *r);
    r->options = options_new(o, r);
    enum { BLOCK_CACHE_TIER = 1 };
    r->read = rocksdb_readoptions_create();
    r->read_cached = rocksdb_readoptions_create();
    rocksdb_readoptions_set_read_tier(r->read_cached, BLOCK_CACHE_TIER);
    r->write = rocksdb_writeoptions_create();
    r->write_synced = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(r->write_synced, 1);
    r->salvage = o->salvage;
    r->dir = mem_new(strlen(o->dir) + 1);
    memcpy(r->dir, o->dir, strlen(o->dir));
    pthread_rwlock_init(&r->gate, NULL);
    pthread_mutex_init(&r->noting, NULL);
    char *error = NULL;
    e = rocks_db_open(r, &error);
    if (e != OK) {
        rocks_close(r);
        if (error) return explain(arena, o->dir, found.current, error, why);
        *why =
            str_format(arena,
                       "the data in %s is damaged (its log is shorter than it was: changes that were acknowledged are "
                       "missing). Restore the directory from a backup; opening it with salvage goes on with what is "
                       "left",
                       o->dir);
        return e;
    }
    *out = r;
    return OK;
}

void rocks_close(void *engine) {
    Rocks *r = engine;
    if (r->db) {
        char *error = NULL;
        uint64_t position = rocksdb_get_latest_sequence_number(r->db);
        bool failed = atomic_load(&r->failed);
        if (!failed) rocksdb_flush_wal(r->db, 1, &error);
        rocksdb_close(r->db);
        rocks_note(r->dir, failed || error ? atomic_load(&r->noted) : position);
        if (error) rocksdb_free(error);
    }
    rocksdb_readoptions_destroy(r->read);
    rocksdb_readoptions_destroy(r->read_cached);
    rocksdb_writeoptions_destroy(r->write);
    rocksdb_writeoptions_destroy(r->write_synced);
    rocksdb_options_destroy(r->options);
    rocksdb_block_based_options_destroy(r->table);
    rocksdb_cache_destroy(r->cache);
    pthread_rwlock_destroy(&r->gate);
    pthread_mutex_destroy(&r->noting);
    free(r->dir);
    free(r);
}

static uint64_t bytes_in(const char *dir, bool archive) {
    DIR *d = opendir(dir);
    if (!d) return 0;
    uint64_t sum = 0;
    char path[4096];
    for (struct dirent *f; (f = readdir(d));) {
        struct stat st;
        if (snprintf(path, sizeof path, "%s/%s", dir, f->d_name) >= (int)sizeof path || lstat(path, &st) != 0) continue;
        if (S_ISREG(st.st_mode))
            sum += (uint64_t)st.st_blocks * 512;
        else if (archive && str_eq(str_c(f->d_name), S("archive")))
            sum += bytes_in(path, false);
    }
    closedir(d);
    return sum;
}

uint64_t rocks_bytes(void *engine) {
    return bytes_in(((Rocks *)engine)->dir, true);
}
