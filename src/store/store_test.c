#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rng.h"
#include "store/store.h"

/* Every test here runs over both engines. */

typedef struct {
    const char *engine;
    char dir[64];
    Store *store;
    Arena arena;
} Bench;

static void bench_open(Bench *b) {
    Str why = STR_NONE;
    StoreOptions o = { .engine = b->engine, .dir = b->dir };
    assert_int_equal(store_open(&o, &b->arena, &b->store, &why), OK);
}

static int setup(Bench *b, const char *engine) {
    *b = (Bench){ .engine = engine, .dir = "/tmp/starling-store-XXXXXX" };
    if (!mkdtemp(b->dir)) return -1;
    bench_open(b);
    return 0;
}

static Bench *bench_new(const char *engine) {
    Bench *b = mem_new(sizeof *b);
    return setup(b, engine) == 0 ? b : NULL;
}

static int on_rocksdb(void **state) {
    return (*state = bench_new("rocksdb")) ? 0 : -1;
}

static int on_memory(void **state) {
    return (*state = bench_new("memory")) ? 0 : -1;
}

static void remove_dir(const char *dir) {
    DIR *d = opendir(dir);
    if (!d) return;
    char path[512];
    for (struct dirent *f; (f = readdir(d));) {
        if (f->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", dir, f->d_name);
        if (unlink(path) != 0) remove_dir(path);
    }
    closedir(d);
    rmdir(dir);
}

static int teardown(void **state) {
    Bench *b = *state;
    store_close(b->store);
    remove_dir(b->dir);
    arena_free(&b->arena);
    free(b);
    return 0;
}

static Txn *begin(Bench *b) {
    Txn *t;
    assert_int_equal(txn_begin(b->store, &t), OK);
    return t;
}

static void put(Bench *b, Str key, Str value) {
    Txn *t = begin(b);
    assert_int_equal(txn_put(t, key, value), OK);
    assert_int_equal(txn_commit(t, true), OK);
}

static Str peek(Bench *b, Str key) {
    Txn *t = begin(b);
    Str v = STR_NONE;
    Err e = txn_peek(t, key, &b->arena, &v);
    assert_true(e == OK || e == ERR_NOT_FOUND);
    assert_true((e == OK) == (v.ptr != NULL));
    txn_abort(t);
    return v;
}

/* ---- the naive twin: an array in key order, copied whole for a savepoint ---- */

enum { KEYS = 40, DEPTH = 4 };
typedef struct {
    bool there[KEYS];
    int value[KEYS];
} Twin;

/* Keys that are prefixes of one another, hold zeros and 0xFF; in order by index. */
static Str key_at(Arena *a, int i) {
    uint8_t *k = arena_bytes(a, 3);
    k[0] = (uint8_t)(i / 8 ? 0xF9 + i / 8 : 0);
    k[1] = (uint8_t)(i / 4 % 2 ? 0xFF : 0);
    k[2] = (uint8_t)(i % 4);
    return (Str){ k, 3 };
}

static void scan_equals(Bench *b, Txn *t, const Twin *twin, Rng *rng, bool *faulty) {
    int from = (int)(rng_u64(rng) % KEYS), to = (int)(rng_u64(rng) % (KEYS + 1));
    bool backwards = rng_u64(rng) % 2;
    Scan *s;
    Str end = to == KEYS ? STR_NONE : key_at(&b->arena, to);
    assert_int_equal(scan_begin(t, key_at(&b->arena, from), end, backwards, &s), OK);
    Str key, value;
    for (int n = 0; n < to - from; n++) {
        int i = backwards ? to - 1 - n : from + n;
        if (!twin->there[i]) continue;
        char text[16];
        snprintf(text, sizeof text, "%d", twin->value[i]);
        bool same = scan_next(s, &key, &value) && str_eq(key, key_at(&b->arena, i)) && str_eq(value, str_c(text));
        if (!same) *faulty = true;
    }
    if (scan_next(s, &key, &value)) *faulty = true;
    assert_int_equal(scan_end(s), OK);
}

static void get_equals(Bench *b, Txn *t, const Twin *twin, int i, bool *faulty) {
    Str v = STR_NONE, many[2];
    Err e = txn_get(t, key_at(&b->arena, i), &b->arena, &v);
    char text[16];
    snprintf(text, sizeof text, "%d", twin->value[i]);
    if ((e == OK) != twin->there[i] || (e == OK && !str_eq(v, str_c(text)))) *faulty = true;
    Str keys[2] = { key_at(&b->arena, i), key_at(&b->arena, (i + 7) % KEYS) };
    assert_int_equal(txn_multi_get(t, keys, 2, &b->arena, many), OK);
    if ((many[0].ptr != NULL) != twin->there[i] || (many[1].ptr != NULL) != twin->there[(i + 7) % KEYS]) *faulty = true;
}

typedef struct {
    Twin committed, stack[DEPTH + 1];
    int depth; /* savepoints */
} Model;

static void random_step(Bench *b, Txn *t, Model *m, Rng *rng, bool skip_undo, bool *faulty) {
    Twin *now = &m->stack[m->depth];
    int i = (int)(rng_u64(rng) % KEYS);
    char text[16];
    switch (rng_u64(rng) % 9) {
    case 0:
    case 1:
    case 2:
        now->there[i] = true;
        now->value[i] = (int)(rng_u64(rng) % 1000);
        snprintf(text, sizeof text, "%d", now->value[i]);
        assert_int_equal(txn_put(t, key_at(&b->arena, i), str_c(text)), OK);
        break;
    case 3:
        now->there[i] = false;
        assert_int_equal(txn_delete(t, key_at(&b->arena, i)), OK);
        break;
    case 4:
        if (m->depth == DEPTH) break;
        m->stack[m->depth + 1] = *now;
        m->depth++;
        txn_savepoint(t);
        break;
    case 5:
        if (m->depth == 0) break;
        if (skip_undo) m->stack[m->depth - 1] = *now;
        m->depth--;
        txn_rollback(t);
        break;
    case 6:
        if (m->depth == 0) break;
        m->stack[m->depth - 1] = *now;
        m->depth--;
        txn_release(t);
        break;
    case 7: get_equals(b, t, now, i, faulty); break;
    case 8: scan_equals(b, t, now, rng, faulty); break;
    }
}

/* The planted fault: a twin that forgets to undo. True when a difference was seen. */
static bool run_against_twin(Bench *b, uint64_t seed, bool plant_fault) {
    bool faulty = false;
    Rng rng = { .state = seed };
    Model m = { 0 };
    for (int round = 0; round < 120 && !faulty; round++) {
        Txn *t = begin(b);
        m.stack[0] = m.committed;
        m.depth = 0;
        for (int step = 0; step < 60 && !faulty; step++) random_step(b, t, &m, &rng, plant_fault, &faulty);
        if (rng_u64(&rng) % 4) {
            assert_int_equal(txn_commit(t, round % 20 == 0), OK);
            m.committed = m.stack[m.depth];
        } else {
            txn_abort(t);
        }
        if (round % 40 == 39 && str_eq(str_c(b->engine), S("rocksdb"))) {
            store_close(b->store);
            bench_open(b);
        }
        arena_reset(&b->arena);
    }
    return faulty;
}

static void random_work_agrees_with_a_naive_twin(void **state) {
    assert_false(run_against_twin(*state, 7, false));
}

static void the_twin_finds_a_planted_fault(void **state) {
    assert_true(run_against_twin(*state, 7, true));
}

static void a_commit_that_read_what_another_changed_conflicts(void **state) {
    Bench *b = *state;
    Str v;
    put(b, S("k"), S("1"));
    Txn *t = begin(b);
    assert_int_equal(txn_get(t, S("k"), &b->arena, &v), OK);
    assert_int_equal(txn_put(t, S("other"), S("x")), OK);
    put(b, S("k"), S("2"));
    assert_int_equal(txn_commit(t, true), ERR_CONFLICT);
    assert_null(peek(b, S("other")).ptr);

    t = begin(b); /* also what was not there, and when it reads only */
    assert_int_equal(txn_get(t, S("absent"), &b->arena, &v), ERR_NOT_FOUND);
    put(b, S("absent"), S("now"));
    assert_int_equal(txn_commit(t, true), ERR_CONFLICT);

    t = begin(b); /* two writers, blind */
    assert_int_equal(txn_put(t, S("k"), S("mine")), OK);
    put(b, S("k"), S("theirs"));
    assert_int_equal(txn_commit(t, true), ERR_CONFLICT);
    assert_true(str_eq(peek(b, S("k")), S("theirs")));

    Str keys[1] = { S("k") }, values[1];
    t = begin(b);
    assert_int_equal(txn_multi_get(t, keys, 1, &b->arena, values), OK);
    put(b, S("k"), S("3"));
    assert_int_equal(txn_commit(t, true), ERR_CONFLICT);
}

static void a_commit_that_only_peeked_or_scanned_does_not_conflict(void **state) {
    Bench *b = *state;
    Str v, k;
    Scan *s;
    put(b, S("k"), S("1"));
    Txn *t = begin(b);
    assert_int_equal(txn_peek(t, S("k"), &b->arena, &v), OK);
    assert_int_equal(scan_begin(t, S(""), STR_NONE, false, &s), OK);
    assert_true(scan_next(s, &k, &v));
    assert_int_equal(scan_end(s), OK);
    assert_int_equal(txn_put(t, S("other"), S("x")), OK);
    put(b, S("k"), S("2"));
    assert_int_equal(txn_commit(t, true), OK);

    t = begin(b); /* what another wrote before it was read is no conflict */
    put(b, S("k"), S("3"));
    assert_int_equal(txn_get(t, S("k"), &b->arena, &v), OK);
    assert_true(str_eq(v, S("3")));
    assert_int_equal(txn_put(t, S("k"), S("4")), OK);
    assert_int_equal(txn_commit(t, true), OK);
}

static void two_that_lock_a_key_conflict(void **state) {
    Bench *b = *state;
    Txn *one = begin(b), *two = begin(b);
    assert_int_equal(txn_lock(one, S("parent")), OK);
    assert_int_equal(txn_lock(two, S("parent")), OK);
    assert_int_equal(txn_put(one, S("parent/1"), S("")), OK);
    assert_int_equal(txn_put(two, S("parent/2"), S("")), OK);
    assert_int_equal(txn_commit(two, true), OK);
    assert_int_equal(txn_commit(one, true), ERR_CONFLICT);
    assert_null(peek(b, S("parent")).ptr); /* a lock writes nothing */
    assert_null(peek(b, S("parent/1")).ptr);
    assert_true(str_eq(peek(b, S("parent/2")), S("")));
}

enum { MOVERS = 4, MOVES = 400, ACCOUNTS = 3 };

/* Moves one from an account to another, by reading and writing both, until it wins. */
static void *mover_main(void *arg) {
    Bench *b = arg;
    static const char *const accounts[ACCOUNTS] = { "a", "b", "c" };
    Arena arena = { 0 };
    for (int i = 0; i < MOVES; i++) {
        for (Err e = ERR_CONFLICT; e == ERR_CONFLICT;) {
            Str keys[2] = { str_c(accounts[i % ACCOUNTS]), str_c(accounts[(i + 1) % ACCOUNTS]) }, values[2];
            int64_t from, to;
            Txn *t;
            e = txn_begin(b->store, &t);
            if (e == OK) e = txn_multi_get(t, keys, 2, &arena, values);
            if (e == OK) e = str_to_i64(values[0], &from);
            if (e == OK) e = str_to_i64(values[1], &to);
            if (e == OK) e = txn_put(t, keys[0], str_format(&arena, "%lld", (long long)from - 1));
            if (e == OK) e = txn_put(t, keys[1], str_format(&arena, "%lld", (long long)to + 1));
            if (e == OK) e = txn_add(t, S("moves"), 1);
            e = e == OK ? txn_commit(t, false) : (txn_abort(t), e);
            if (e != OK && e != ERR_CONFLICT) abort();
            arena_reset(&arena);
        }
    }
    arena_free(&arena);
    return NULL;
}

static int64_t counter(Bench *b, Str key);

static void threads_that_change_the_same_keys_lose_no_update(void **state) {
    Bench *b = *state;
    pthread_t threads[MOVERS];
    put(b, S("a"), S("100"));
    put(b, S("b"), S("100"));
    put(b, S("c"), S("100"));
    for (int i = 0; i < MOVERS; i++) assert_int_equal(pthread_create(&threads[i], NULL, mover_main, b), 0);
    for (int i = 0; i < MOVERS; i++) pthread_join(threads[i], NULL);
    /* each thread leaves one more move from the first to the second than comes back round */
    assert_true(str_eq(peek(b, S("a")), S("96")));
    assert_true(str_eq(peek(b, S("b")), S("104")));
    assert_true(str_eq(peek(b, S("c")), S("100")));
    assert_int_equal(counter(b, S("moves")), MOVERS * MOVES);
}

static int64_t counter(Bench *b, Str key) {
    Txn *t = begin(b);
    int64_t n = -99;
    assert_int_equal(txn_counter(t, key, &n), OK);
    txn_abort(t);
    return n;
}

static void counters_add_up_without_conflicts(void **state) {
    Bench *b = *state;
    int64_t n;
    Txn *one = begin(b), *two = begin(b);
    assert_int_equal(txn_counter(one, S("c"), &n), OK);
    assert_int_equal(n, 0);
    assert_int_equal(txn_add(one, S("c"), 5), OK);
    assert_int_equal(txn_add(two, S("c"), -12), OK);
    assert_int_equal(txn_add(two, S("c"), 1), OK);
    assert_int_equal(txn_counter(two, S("c"), &n), OK);
    assert_int_equal(n, -11);
    assert_int_equal(txn_commit(one, true), OK);
    assert_int_equal(txn_commit(two, true), OK);
    assert_int_equal(counter(b, S("c")), -6);

    one = begin(b);
    txn_savepoint(one);
    assert_int_equal(txn_add(one, S("c"), 1000), OK);
    txn_rollback(one);
    assert_int_equal(txn_delete(one, S("c")), OK);
    assert_int_equal(txn_add(one, S("c"), 2), OK);
    assert_int_equal(txn_commit(one, true), OK);
    assert_int_equal(counter(b, S("c")), 2);

    one = begin(b);
    assert_int_equal(txn_put(one, S("text"), S("no counter")), OK);
    assert_int_equal(txn_counter(one, S("text"), &n), ERR_CORRUPT);
    txn_abort(one);
}

static void a_prefix_ends_before_the_next_one(void **state) {
    Bench *b = *state;
    assert_true(str_eq(store_prefix_end(&b->arena, S("ab")), S("ac")));
    assert_true(str_eq(store_prefix_end(&b->arena, S("a\xFF\xFF")), S("b")));
    assert_null(store_prefix_end(&b->arena, S("\xFF\xFF")).ptr);
    assert_null(store_prefix_end(&b->arena, S("")).ptr);
}

static void a_scan_may_write_what_it_walks(void **state) {
    Bench *b = *state;
    enum { N = 300 };
    char name[16];
    Txn *t = begin(b);
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "s%03d", i);
        assert_int_equal(txn_put(t, str_c(name), S("1")), OK);
        if (i == N / 2) {
            assert_int_equal(txn_commit(t, true), OK); /* half of it committed, half its own */
            t = begin(b);
        }
    }
    Scan *s;
    Str k, v;
    int n = 0;
    assert_int_equal(scan_begin(t, S("s"), S("t"), false, &s), OK);
    for (; scan_next(s, &k, &v); n++) {
        assert_int_equal(txn_delete(t, k), OK);
        assert_int_equal(txn_put(t, S("a-new-one-before"), S("")), OK);
    }
    assert_int_equal(scan_end(s), OK);
    assert_int_equal(n, N);
    assert_int_equal(scan_begin(t, S("s"), S("t"), true, &s), OK);
    assert_false(scan_next(s, &k, &v));
    assert_int_equal(scan_end(s), OK);
    txn_abort(t);
}

typedef struct {
    char text[256];
    uint64_t position;
} Seen;

static void on_change(void *ctx, uint64_t position, Str key, Str value) {
    Seen *s = ctx;
    assert_true(position >= s->position);
    s->position = position;
    size_t used = strlen(s->text);
    if (value.ptr)
        snprintf(s->text + used, sizeof s->text - used, "%.*s=%.*s ", PS(key), PS(value));
    else
        snprintf(s->text + used, sizeof s->text - used, "%.*s- ", PS(key));
}

static void the_change_log_gives_commits_in_order(void **state) {
    Bench *b = *state;
    uint64_t start = store_position(b->store), next = 0;
    Seen seen = { 0 };
    assert_int_equal(store_changes(b->store, start, 100, on_change, &seen, &next), OK);
    assert_true(next == start && !seen.text[0]);
    put(b, S("b"), S("1"));
    put(b, S("a"), S("2"));
    Txn *t = begin(b);
    txn_savepoint(t);
    assert_int_equal(txn_put(t, S("undone"), S("")), OK);
    txn_rollback(t);
    assert_int_equal(txn_put(t, S("c"), S("3")), OK);
    assert_int_equal(txn_delete(t, S("b")), OK);
    assert_int_equal(txn_add(t, S("n"), 1), OK);
    assert_int_equal(txn_commit(t, false), OK);
    assert_int_equal(store_changes(b->store, start, 1, on_change, &seen, &next), OK);
    assert_string_equal(seen.text, "b=1 ");
    assert_int_equal(store_changes(b->store, next, 100, on_change, &seen, &next), OK);
    assert_string_equal(seen.text, "b=1 a=2 b- c=3 ");
    assert_true(next == store_position(b->store));
    assert_int_equal(store_changes(b->store, next + 1000, 100, on_change, &seen, &next), ERR_NOT_FOUND);
}

static void a_hundred_thousand_records_are_held_and_walked(void **state) {
    Bench *b = *state;
    enum { N = 100000, BATCH = 500 };
    char name[24];
    Txn *t = begin(b);
    for (uint32_t i = 0; i < N; i++) {
        snprintf(name, sizeof name, "thing/%08x", i * 2654435761u);
        assert_int_equal(txn_put(t, str_c(name), S("{\"state\":{\"reported\":{\"x\":1}}}")), OK);
        if (i % BATCH != BATCH - 1) continue;
        assert_int_equal(txn_commit(t, false), OK);
        t = begin(b);
    }
    Scan *s;
    Str k, v;
    size_t n = 0;
    assert_int_equal(scan_begin(t, S(""), STR_NONE, true, &s), OK);
    while (scan_next(s, &k, &v)) n++;
    assert_int_equal(scan_end(s), OK);
    assert_int_equal(n, N);
    txn_abort(t);
}

/* Keeps one transaction open while more keys are committed than the table of conflicts remembers. */
static void a_transaction_older_than_the_memory_of_commits_conflicts(void **state) {
    Bench *b = *state;
    Str v;
    char name[24];
    put(b, S("old"), S("1"));
    Txn *t = begin(b);
    assert_int_equal(txn_get(t, S("old"), &b->arena, &v), OK);
    for (int i = 0; i < 200; i++) {
        Txn *u = begin(b);
        for (int k = 0; k < 1000; k++) {
            snprintf(name, sizeof name, "%d/%d", i, k);
            assert_int_equal(txn_put(u, str_c(name), S("")), OK);
        }
        assert_int_equal(txn_commit(u, false), OK);
    }
    assert_int_equal(txn_commit(t, true), ERR_CONFLICT);
    t = begin(b);
    assert_int_equal(txn_get(t, S("old"), &b->arena, &v), OK);
    assert_int_equal(txn_commit(t, true), OK);
}

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

/* Flips a byte at a tenth of the file; returns false when there is no such file. */
static bool damage(const char *dir, const char *part) {
    char path[512];
    if (!find_file(dir, part, path, sizeof path)) return false;
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    long at = ftell(f) / 10;
    fseek(f, at, SEEK_SET);
    int c = fgetc(f);
    fseek(f, at, SEEK_SET);
    fputc(c ^ 0x5A, f);
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
    bench_open(b);
    assert_non_null(peek(b, S("k1998")).ptr);
    assert_null(peek(b, S("k1999")).ptr);
}

/* A limit on the size of files stands for a disk that is full. */
static void a_write_that_the_disk_refuses_fails_and_what_was_there_stays(void **state) {
    Bench *b = *state;
    enum { LIMIT = 200 << 10 };
    struct rlimit before, full;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    full = (struct rlimit){ LIMIT, before.rlim_max };
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
    char name[16];
    static const uint8_t value[1000] = { 1 };
    int n = 0;
    Err e = OK;
    for (; e == OK && n < 1000; n++) {
        Txn *t = begin(b);
        snprintf(name, sizeof name, "k%d", n);
        assert_int_equal(txn_put(t, str_c(name), (Str){ value, sizeof value }), OK);
        e = txn_commit(t, true);
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(e, ERR_IO);
    assert_true(n > 50);
    store_close(b->store);
    bench_open(b);
    for (int i = 0; i < n - 1; i++) {
        snprintf(name, sizeof name, "k%d", i);
        assert_int_equal(peek(b, str_c(name)).len, sizeof value);
    }
    put(b, S("after"), S("room again"));
}

static void a_damaged_or_lost_manifest_is_refused(void **state) {
    Bench *b = *state;
    fill(b);
    shut(b);
    assert_true(damage(b->dir, "MANIFEST"));
    refused_as_corrupt(b);
    char path[512];
    assert_true(find_file(b->dir, "MANIFEST", path, sizeof path));
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

#define ON_BOTH(f)                                                                                                     \
    { #f " (rocksdb)", f, on_rocksdb, teardown, NULL }, {                                                              \
#f " (memory)", f, on_memory, teardown, NULL                                                                   \
    }
#define ON_DISK(f)                                                                                                     \
    { #f, f, on_rocksdb, teardown, NULL }

int main(void) {
    const struct CMUnitTest tests[] = {
        ON_BOTH(random_work_agrees_with_a_naive_twin),
        ON_BOTH(the_twin_finds_a_planted_fault),
        ON_BOTH(a_commit_that_read_what_another_changed_conflicts),
        ON_BOTH(a_commit_that_only_peeked_or_scanned_does_not_conflict),
        ON_BOTH(two_that_lock_a_key_conflict),
        ON_BOTH(threads_that_change_the_same_keys_lose_no_update),
        ON_BOTH(counters_add_up_without_conflicts),
        ON_BOTH(a_prefix_ends_before_the_next_one),
        ON_BOTH(a_scan_may_write_what_it_walks),
        ON_BOTH(the_change_log_gives_commits_in_order),
        ON_BOTH(a_hundred_thousand_records_are_held_and_walked),
        ON_BOTH(a_transaction_older_than_the_memory_of_commits_conflicts),
        ON_DISK(what_is_committed_is_there_after_reopening),
        ON_DISK(a_second_opening_of_a_directory_says_who_holds_it),
        ON_DISK(a_damaged_log_is_refused_and_can_be_salvaged),
        ON_DISK(a_log_cut_short_at_its_end_opens),
        ON_DISK(a_write_that_the_disk_refuses_fails_and_what_was_there_stays),
        ON_DISK(a_damaged_or_lost_manifest_is_refused),
        ON_DISK(a_lost_or_damaged_table_is_refused_or_reported_by_the_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
