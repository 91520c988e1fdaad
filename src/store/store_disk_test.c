#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "store/store_fixture.h"

/* What the engine on disk must do besides: keep what it has, and say what is wrong with it. */

static int count_files(const char *dir, const char *end) {
    DIR *d = opendir(dir);
    int n = 0;
    for (struct dirent *f; d && (f = readdir(d));) n += str_ends(str_c(f->d_name), str_c(end));
    if (d) closedir(d);
    return n;
}

static void what_is_committed_is_there_after_reopening(void **state) {
    Bench *b = *state;
    put(b, S("kept"), S("\0\1"));
    Txn *t = begin(b);
    assert_int_equal(txn_add(t, S("n"), 41), OK);
    assert_int_equal(txn_commit(t, true), OK);
    uint64_t position = store_position(b->store), next;
    for (int i = 0; i < 3; i++) {
        store_close(b->store);
        bench_open(b);
        t = begin(b);
        assert_int_equal(txn_add(t, S("n"), 1), OK);
        assert_int_equal(txn_commit(t, true), OK);
    }
    assert_true(str_eq(peek(b, S("kept")), S("\0\1")));
    assert_int_equal(counter(b, S("n")), 44);
    assert_true(store_bytes(b->store) > 0);
    put(b, S("later"), S("x"));
    Seen seen = { 0 };
    assert_int_equal(store_changes(b->store, position, 100, on_change, &seen, &next), OK);
    assert_string_equal(seen.text, "later=x ");
    for (int i = 0; i < 10; i++) { /* runs that write nothing leave nothing */
        store_close(b->store);
        bench_open(b);
    }
    assert_true(count_files(b->dir, ".log") <= 2);
    assert_true(str_eq(peek(b, S("later")), S("x")));
    put(b, S("last"), S("y"));
    seen = (Seen){ 0 };
    assert_int_equal(store_changes(b->store, next, 100, on_change, &seen, &next), OK);
    assert_string_equal(seen.text, "last=y ");
}

static void a_second_opening_of_a_directory_says_who_holds_it(void **state) {
    Bench *b = *state;
    Store *second = NULL;
    Str why = STR_NONE;
    StoreOptions o = { .engine = "rocksdb", .dir = b->dir };
    assert_int_equal(store_open(&o, &b->arena, &second, &why), ERR_IO);
    assert_true(str_find_str(why, S("in use")) != SIZE_MAX);
    o.dir = "/proc/none/store";
    assert_int_equal(store_open(&o, &b->arena, &second, &why), ERR_IO);
    o.dir = "";
    assert_int_equal(store_open(&o, &b->arena, &second, &why), ERR_INVALID);
    o.engine = "leveldb";
    assert_int_equal(store_open(&o, &b->arena, &second, &why), ERR_INVALID);
    assert_true(str_find_str(why, S("leveldb")) != SIZE_MAX);
    assert_null(second);
    struct stat st;
    assert_int_equal(stat(b->dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
}

/* ---- damage ---- */

static bool find_file(const char *dir, const char *part, char *path, size_t n) {
    DIR *d = opendir(dir);
    bool found = false;
    for (struct dirent *f; d && (f = readdir(d));) {
        struct stat st;
        if (!strstr(f->d_name, part)) continue;
        char p[512];
        snprintf(p, sizeof p, "%s/%s", dir, f->d_name);
        if (stat(p, &st) != 0 || st.st_size == 0) continue;
        snprintf(path, n, "%s", p);
        found = true;
    }
    if (d) closedir(d);
    return found;
}

static void flip(FILE *f, long at) {
    fseek(f, at, SEEK_SET);
    int c = fgetc(f);
    fseek(f, at, SEEK_SET);
    fputc(c ^ 0x5A, f);
    fflush(f);
}

/* Flips a byte at a tenth of the file; returns false when there is no such file. */
static bool damage(const char *dir, const char *part) {
    char path[512];
    if (!find_file(dir, part, path, sizeof path)) return false;
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    flip(f, ftell(f) / 10);
    fclose(f);
    return true;
}

static void fill(Bench *b) {
    char name[16];
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof name, "k%d", i);
        Txn *t = begin(b);
        assert_int_equal(txn_put(t, str_c(name), S("a value that takes a few bytes of the log")), OK);
        assert_int_equal(txn_commit(t, false), OK);
    }
}

static void refused_as_corrupt(Bench *b) {
    Str why = STR_NONE;
    StoreOptions o = { .engine = b->engine, .dir = b->dir };
    assert_int_equal(store_open(&o, &b->arena, &b->store, &why), ERR_CORRUPT);
    assert_null(b->store);
    assert_true(str_find_str(why, S("backup")) != SIZE_MAX && str_find_str(why, str_c(b->dir)) != SIZE_MAX);
}

static void shut(Bench *b) {
    store_close(b->store);
    b->store = NULL;
}

static void a_damaged_log_is_refused_and_can_be_salvaged(void **state) {
    Bench *b = *state;
    fill(b);
    shut(b);
    assert_true(damage(b->dir, ".log"));
    refused_as_corrupt(b);
    Str why;
    StoreOptions o = { .engine = b->engine, .dir = b->dir, .salvage = true };
    assert_int_equal(store_open(&o, &b->arena, &b->store, &why), OK);
    assert_non_null(peek(b, S("k0")).ptr);
    assert_null(peek(b, S("k1999")).ptr);
}

static void a_log_cut_short_at_its_end_opens(void **state) {
    Bench *b = *state;
    fill(b);
    shut(b);
    char path[512];
    struct stat st;
    assert_true(find_file(b->dir, ".log", path, sizeof path));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, st.st_size - 5), 0);
    assert_true(find_file(b->dir, "NOTED", path, sizeof path));
    assert_int_equal(unlink(path), 0);
    bench_open(b);
    assert_non_null(peek(b, S("k1998")).ptr);
    assert_null(peek(b, S("k1999")).ptr);
}

static void a_log_cut_short_of_what_was_noted_is_refused_and_can_be_salvaged(void **state) {
    Bench *b = *state;
    fill(b);
    assert_int_equal(store_tend(b->store), OK);
    put(b, S("not"), S("noted"));
    shut(b); /* notes it too */
    char path[512];
    struct stat st;
    assert_true(find_file(b->dir, ".log", path, sizeof path));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, st.st_size - 5), 0);
    refused_as_corrupt(b);
    refused_as_corrupt(b); /* looking at it did not make it right */
    Str why;
    StoreOptions o = { .engine = b->engine, .dir = b->dir, .salvage = true };
    assert_int_equal(store_open(&o, &b->arena, &b->store, &why), OK);
    assert_non_null(peek(b, S("k1999")).ptr);
    assert_null(peek(b, S("not")).ptr);
    shut(b);
    bench_open(b); /* salvaged once, it is as it is */
    assert_non_null(peek(b, S("k1999")).ptr);
}

/* What a kill leaves: the files as they are while it runs. */
static void a_log_that_is_gone_whole_is_refused_even_right_after_the_first_write(void **state) {
    static const char *const DAMAGES[] = { "rm %s/*.log", "for f in %s/*.log; do : > $f; done",
                                           "for f in %s/*.log; do head -c 200 /dev/urandom > $f; done" };
    Bench *b = *state;
    char copy[600], command[1400];
    put(b, S("acknowledged"), S("value"));
    for (size_t i = 0; i < sizeof DAMAGES / sizeof *DAMAGES; i++) {
        snprintf(copy, sizeof copy, "%s-%zu", b->dir, i);
        snprintf(command, sizeof command, "cp -r %s %s", b->dir, copy);
        assert_int_equal(system(command), 0);
        snprintf(command, sizeof command, DAMAGES[i], copy);
        assert_int_equal(system(command), 0);
        Str why = STR_NONE;
        Store *store = NULL;
        StoreOptions o = { .engine = b->engine, .dir = copy };
        assert_int_equal(store_open(&o, &b->arena, &store, &why), ERR_CORRUPT);
        assert_null(store);
        snprintf(command, sizeof command, "rm -r %s", copy);
        assert_int_equal(system(command), 0);
    }
}

static const uint8_t VALUE[1000] = { 1 };

static Err put_numbered(Bench *b, int n) {
    char name[16];
    snprintf(name, sizeof name, "k%d", n);
    Txn *t = begin(b);
    assert_int_equal(txn_put(t, str_c(name), (Str){ VALUE, sizeof VALUE }), OK);
    return txn_commit(t, true);
}

/* Writes numbered keys until the disk refuses; a limit on the size of files stands for one that is full. *out: how many
 * were written. What is done while it is full is `meanwhile`. */
static void fill_the_disk(Bench *b, void (*meanwhile)(Bench *b), int *out) {
    enum { LIMIT = 200 << 10 };
    struct rlimit before, full;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    full = (struct rlimit){ LIMIT, before.rlim_max };
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
    int n = 0;
    Err e = OK;
    while ((e = put_numbered(b, n)) == OK && n < 1000) n++;
    if (meanwhile) meanwhile(b);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(e, ERR_IO);
    assert_true(n > 50);
    *out = n;
}

static void refuses_and_reads(Bench *b) {
    for (int i = 0; i < 3; i++) assert_int_equal(put_numbered(b, 9999), ERR_IO);
    assert_int_equal(store_tend(b->store), ERR_IO);
    assert_int_equal(peek(b, S("k0")).len, sizeof VALUE);
}

static void a_full_disk_refuses_reads_go_on_and_it_heals_without_reopening(void **state) {
    Bench *b = *state;
    int n;
    fill_the_disk(b, refuses_and_reads, &n);
    Txn *reader = begin(b); /* a scan that is under way holds the database: then the next write tries */
    Scan *scan;
    Str key, value;
    assert_int_equal(scan_begin(reader, S(""), STR_NONE, false, &scan), OK);
    assert_true(scan_next(scan, &key, &value));
    assert_int_equal(put_numbered(b, 9999), ERR_IO);
    assert_int_equal(scan_end(scan), OK);
    txn_abort(reader);
    assert_int_equal(put_numbered(b, 9999), OK);
    assert_int_equal(store_tend(b->store), OK);
    char name[16];
    for (int i = 0; i < n; i++) {
        snprintf(name, sizeof name, "k%d", i);
        assert_int_equal(peek(b, str_c(name)).len, sizeof VALUE);
    }
    shut(b);
    bench_open(b);
    assert_int_equal(peek(b, S("k0")).len, sizeof VALUE);
    assert_int_equal(peek(b, S("k9999")).len, sizeof VALUE);
}

static void a_write_that_the_disk_refuses_fails_and_what_was_there_stays(void **state) {
    Bench *b = *state;
    char name[16];
    int n;
    fill_the_disk(b, NULL, &n);
    store_close(b->store);
    bench_open(b);
    for (int i = 0; i < n; i++) {
        snprintf(name, sizeof name, "k%d", i);
        assert_int_equal(peek(b, str_c(name)).len, sizeof VALUE);
    }
    put(b, S("after"), S("room again"));
}

static void a_damaged_or_lost_manifest_is_refused(void **state) {
    Bench *b = *state;
    fill(b);
    shut(b);
    assert_true(damage(b->dir, "MANIFEST"));
    refused_as_corrupt(b);
    assert_true(damage(b->dir, "MANIFEST")); /* and back */
    char path[512];
    assert_true(find_file(b->dir, "MANIFEST", path, sizeof path));
    struct stat st; /* each bit of it counts: the length of a record, changed, makes it look cut short */
    assert_int_equal(stat(path, &st), 0);
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    for (long at = 0; at < st.st_size; at += 13) {
        flip(f, at);
        refused_as_corrupt(b);
        flip(f, at);
    }
    fclose(f);
    assert_int_equal(unlink(path), 0);
    refused_as_corrupt(b);
    assert_true(find_file(b->dir, "CURRENT", path, sizeof path));
    assert_int_equal(unlink(path), 0);
    refused_as_corrupt(b);
}

static void a_lost_or_damaged_table_is_refused_or_reported_by_the_read(void **state) {
    Bench *b = *state;
    fill(b);
    shut(b);
    bench_open(b); /* recovery writes the log into a table */
    shut(b);
    assert_true(damage(b->dir, ".sst"));
    Str why;
    StoreOptions o = { .engine = b->engine, .dir = b->dir };
    Err e = store_open(&o, &b->arena, &b->store, &why);
    if (e == OK) {
        Txn *t = begin(b);
        Scan *s;
        Str k, v;
        assert_int_equal(scan_begin(t, S(""), STR_NONE, false, &s), OK);
        while (scan_next(s, &k, &v)) {
        }
        assert_int_equal(scan_end(s), ERR_CORRUPT);
        txn_abort(t);
        shut(b);
    } else {
        assert_int_equal(e, ERR_CORRUPT);
    }
    char path[512];
    assert_true(find_file(b->dir, ".sst", path, sizeof path));
    assert_int_equal(unlink(path), 0);
    refused_as_corrupt(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        ON_DISK(what_is_committed_is_there_after_reopening),
        ON_DISK(a_second_opening_of_a_directory_says_who_holds_it),
        ON_DISK(a_damaged_log_is_refused_and_can_be_salvaged),
        ON_DISK(a_log_that_is_gone_whole_is_refused_even_right_after_the_first_write),
        ON_DISK(a_log_cut_short_of_what_was_noted_is_refused_and_can_be_salvaged),
        ON_DISK(a_log_cut_short_at_its_end_opens),
        ON_DISK(a_full_disk_refuses_reads_go_on_and_it_heals_without_reopening),
        ON_DISK(a_write_that_the_disk_refuses_fails_and_what_was_there_stays),
        ON_DISK(a_damaged_or_lost_manifest_is_refused),
        ON_DISK(a_lost_or_damaged_table_is_refused_or_reported_by_the_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
