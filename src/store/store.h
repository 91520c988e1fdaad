/* Store: an ordered key space with atomic, conflict-detecting transactions, on disk or in memory.
 * Nothing of an engine shows through it. Safe from every thread; a Txn belongs to one.
 * Keys and values are bytes; keys order by memcmp. Reads of a Txn see its own writes. */
#pragma once

#include "base/arena.h"

typedef struct Store Store;
typedef struct Txn Txn;

typedef struct {
    const char *engine; /* "rocksdb" or "memory" */
    const char *dir;    /* rocksdb: made when missing */
    int files_max;      /* open files the engine may hold; 0 = 256 */
    bool skip_sync;     /* plants the fault that the durability checker must find; never else */
    bool salvage;       /* a log damaged at its end: open with what is before the damage, instead of ERR_CORRUPT */
} StoreOptions;

/* Errors: ERR_IO, ERR_FULL, ERR_CORRUPT, ERR_INVALID; *why says what is wrong and what to do, and lives in the arena */
NODISCARD Err store_open(const StoreOptions *options, Arena *arena, Store **out, Str *why);
void store_close(Store *store); /* accepts NULL */

NODISCARD Err txn_begin(Store *store, Txn **out);
/* A transaction that only reads and never waits for a disk: what memory cannot answer, a scan and every write are
 * ERR_AGAIN, and txn_waits says so from then on. End it with txn_abort. */
NODISCARD Err txn_begin_cached(Store *store, Txn **out);
bool txn_waits(const Txn *txn);
/* Makes it durable when it wrote anything and sync is set. Visible to others only after that.
 * Errors: ERR_CONFLICT (what it read or wrote was changed by another: begin again), ERR_FULL, ERR_IO.
 * The Txn is gone in every case. */
NODISCARD Err txn_commit(Txn *txn, bool sync);
void txn_abort(Txn *txn);

/* Errors: ERR_NOT_FOUND. A later commit of another to this key makes this one's commit fail. */
NODISCARD Err txn_get(Txn *txn, Str key, Arena *arena, Str *out);
/* Shape: values[i].ptr NULL where keys[i] is not there */
NODISCARD Err txn_multi_get(Txn *txn, const Str *keys, size_t n, Arena *arena, Str *values);
/* As txn_get, but the commit does not depend on what was read. */
NODISCARD Err txn_peek(Txn *txn, Str key, Arena *arena, Str *out);
NODISCARD Err txn_put(Txn *txn, Str key, Str value);
NODISCARD Err txn_delete(Txn *txn, Str key);
/* Adds to a counter that commits never conflict on; absent counts as 0. Read it with txn_counter. */
NODISCARD Err txn_add(Txn *txn, Str key, int64_t delta);
NODISCARD Err txn_counter(Txn *txn, Str key, int64_t *out);
/* Makes this commit conflict with every other that locks, reads (txn_get) or writes the key, as a write to it would,
 * and writes nothing: for a handler that relies on a range being empty. */
NODISCARD Err txn_lock(Txn *txn, Str key);

/* Undo to here: savepoints nest. */
void txn_savepoint(Txn *txn);
void txn_rollback(Txn *txn); /* to the newest savepoint, which is gone then */
void txn_release(Txn *txn);  /* drops the newest savepoint, keeps the writes */

/* Walks the keys from `from` (included) to `to` (excluded; STR_NONE: no end), in order, or backwards.
 * A key and value are borrowed until the next step. A range read does not make the commit conflict. */
typedef struct Scan Scan;
NODISCARD Err scan_begin(Txn *txn, Str from, Str to, bool backwards, Scan **out);
bool scan_next(Scan *scan, Str *key, Str *value);
NODISCARD Err scan_end(Scan *scan); /* Errors: what stopped it early, ERR_IO or ERR_CORRUPT */

/* The end of the range of keys that start with prefix; STR_NONE when there is none (prefix all 0xFF). */
Str store_prefix_end(Arena *arena, Str prefix);

/* The change log: every committed write since a position, in commit order, but for counters. Positions are opaque
 * and grow; go on from *next (n_max may be passed by to end with a whole commit). fn does not call the store.
 * Errors: ERR_NOT_FOUND when the log no longer reaches back to `from` (read the whole key space then) */
typedef void StoreChangeFn(void *ctx, uint64_t position, Str key, Str value /* ptr NULL: deleted */);
NODISCARD Err store_changes(Store *store, uint64_t from, size_t n_max, StoreChangeFn *fn, void *ctx, uint64_t *next);
uint64_t store_position(Store *store);

/* Once a second: mends what a full disk did, notes up to where everything is on the disk, so that a log that is cut
 * short is found out at the next opening. Errors: what a write would get now, ERR_FULL (the disk), ERR_IO */
NODISCARD Err store_tend(Store *store);

/* Bytes on disk, 0 for memory. For /metrics. */
uint64_t store_bytes(Store *store);
