#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <rocksdb/c.h>

#include "base/clock.h"
#include "store/worker.h"

/* How much of the disk's speed is left after transactions, conflicts and workers: synced records a second by
 * RocksDB alone, in batches of 100 from one loop, and through the workers, from clients of which each has one
 * job under way, reads its record and writes it. Usage: store_bench DIR (made, and left; on the disk to measure) */

enum { BATCH = 100, CLIENTS = 64, RECORDS = 100000, VALUE_BYTES = 300, SECONDS = 3 };

static void name_of(char name[32], uint64_t i) {
    snprintf(name, 32, "thing/%08llx", (unsigned long long)(i * 2654435761u % RECORDS));
}

static double bare_loop(const char *dir) {
    char *error = NULL, name[32], value[VALUE_BYTES];
    memset(value, 'v', sizeof value);
    rocksdb_options_t *o = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(o, 1);
    rocksdb_t *db = rocksdb_open(o, dir, &error);
    rocksdb_writeoptions_t *w = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(w, 1);
    uint64_t n = 0;
    int64_t start = monotonic_ns(), end = start + SECONDS * 1000000000ll;
    while (!error && monotonic_ns() < end) {
        rocksdb_writebatch_t *b = rocksdb_writebatch_create();
        for (int i = 0; i < BATCH; i++, n++) {
            name_of(name, n);
            rocksdb_writebatch_put(b, name, strlen(name), value, sizeof value);
        }
        rocksdb_write(db, w, b, &error);
        rocksdb_writebatch_destroy(b);
    }
    double seconds = (double)(monotonic_ns() - start) / 1e9;
    if (error) fprintf(stderr, "rocksdb: %s\n", error);
    if (db) rocksdb_close(db);
    rocksdb_writeoptions_destroy(w);
    rocksdb_options_destroy(o);
    return error ? 0 : (double)n / seconds;
}

typedef struct {
    Job job;
    Workers *workers;
    Arena arena;
    uint64_t n, step;
    _Atomic uint64_t *done;
    _Atomic bool *stop;
    int64_t sent_ns, worst_ns, sum_ns;
} Client;

static Err client_run(Job *job, Txn *txn) {
    Client *c = (Client *)job;
    char name[32];
    uint8_t value[VALUE_BYTES];
    Str old;
    name_of(name, c->n);
    arena_reset(&c->arena);
    Err e = txn_get(txn, str_c(name), &c->arena, &old);
    if (e != OK && e != ERR_NOT_FOUND) return e;
    memset(value, (int)('a' + c->n % 26), sizeof value);
    return txn_put(txn, str_c(name), (Str){ value, sizeof value });
}

static void client_done(Job *job, Err e) {
    Client *c = (Client *)job;
    int64_t now = monotonic_ns(), took = now - c->sent_ns;
    if (e != OK) fprintf(stderr, "a job failed: %s\n", err_name(e));
    c->sum_ns += took;
    if (took > c->worst_ns) c->worst_ns = took;
    atomic_fetch_add(c->done, 1);
    if (atomic_load(c->stop)) return;
    c->n += c->step;
    c->sent_ns = now;
    workers_submit(c->workers, job);
}

static double with_workers(const char *engine, const char *dir, int threads, int clients) {
    Arena arena = { 0 };
    Store *store;
    Str why;
    if (store_open(&(StoreOptions){ .engine = engine, .dir = dir }, &arena, &store, &why) != OK) {
        fprintf(stderr, "%.*s\n", PS(why));
        exit(1);
    }
    _Atomic uint64_t done = 0;
    _Atomic bool stop = false;
    Client *c = mem_new((size_t)clients * sizeof *c);
    Workers *w = workers_start(store, threads);
    int64_t start = monotonic_ns();
    for (int i = 0; i < clients; i++) {
        c[i] = (Client){ .job = { .key = (uint64_t)i, .run = client_run, .done = client_done },
                         .workers = w,
                         .n = (uint64_t)i,
                         .step = (uint64_t)clients,
                         .done = &done,
                         .stop = &stop,
                         .sent_ns = monotonic_ns() };
        workers_submit(w, &c[i].job);
    }
    nanosleep(&(struct timespec){ .tv_sec = SECONDS }, NULL); /* the measured span */
    atomic_store(&stop, true);
    workers_stop(w);
    double seconds = (double)(monotonic_ns() - start) / 1e9;
    int64_t worst = 0, sum = 0;
    for (int i = 0; i < clients; i++) {
        if (c[i].worst_ns > worst) worst = c[i].worst_ns;
        sum += c[i].sum_ns;
        arena_free(&c[i].arena);
    }
    printf("%-8s %d worker threads, %4d clients: %8.0f records/s, mean %7.0f us, worst %6.1f ms", engine, threads,
           clients, (double)done / seconds, (double)sum / (double)done / 1e3, (double)worst / 1e6);
    free(c);
    store_close(store);
    arena_free(&arena);
    return (double)done / seconds;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: store_bench DIR, a directory that is not there yet\n");
        return 2;
    }
    char bare_dir[512], dir[512];
    snprintf(bare_dir, sizeof bare_dir, "%s-bare", argv[1]);
    snprintf(dir, sizeof dir, "%s", argv[1]);
    double bare = bare_loop(bare_dir);
    printf("bare RocksDB, batches of %d:              %8.0f records/s\n", BATCH, bare);
    static const struct {
        int threads, clients;
    } runs[] = { { 1, 1 }, { 1, CLIENTS }, { 2, CLIENTS }, { 1, 1024 }, { 2, 1024 } };
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        double got = with_workers("rocksdb", dir, runs[i].threads, runs[i].clients);
        printf(", %.2f of bare\n", got / bare);
    }
    with_workers("memory", NULL, 1, CLIENTS);
    printf("\n");
    return 0;
}
